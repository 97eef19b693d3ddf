//! The script of a boot: runs one case after the other without input from the host.

use crate::boot::BOARD;
use crate::catalogue::{Fault, Outcome, Program};
use crate::own::PWM_CHIP;
use crate::state::{self, CONTROLLER, State, UNTIL_MOVING_US};
use crate::watch::{TICK_US, line};

/// A fault in a state.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Case {
    pub(crate) fault: &'static Fault,
    pub(crate) state: State,
    /// Guest time of observation after the injection.
    pub(crate) watch_ms: u32,
}

impl Case {
    /// Whether the watchdog resets the board in this case.
    pub(crate) fn resets(&self) -> bool {
        matches!((self.fault.outcome)(self.state), Outcome::Reset { .. })
    }
}

/// The slot in which a law injects its fault, after the state has been reached. The first
/// slot begins about 40 ms after the start.
const LAW_SLOT: u32 = 300;

/// Longest time between the request to end and the end of a program; more than `stop_ms`.
const PATIENCE_US: u32 = 4_000_000;

/// Requests an input to be driven, followed by line and level; the script continues when
/// a line has been typed.
pub(crate) const PRESS: &str = "@@press ";

/// Marks the output of `steadctl` for a black box: exit code and name, then its lines.
pub(crate) const BOX: &str = "@@box ";
pub(crate) const BOX_LINE: &str = "@@box-line ";

/// The programs of the guest.
pub(crate) const PROGRAMS: &[&str] = &[
    "steadfast",
    "steadctl",
    "examples/virtual_servo",
    "examples/metronome",
    "examples/faulty_law",
    "examples/stress",
];

/// Functions of every script: the virtual servo, the next start, the list of black boxes.
const FUNCTIONS: &str = "
servo() { echo \"$*\" >/dev/servo-control || echo \"@@note refused: $*\"; }
start_servo() {
for device in spi3.0 spi3.1; do
driver=/sys/bus/spi/drivers/spidev
[ ! -e $driver/$device ] || echo $device >$driver/unbind
done
mkfifo /tmp/ready
chrt -f 80 /virtual_servo $* >/tmp/ready &
read ready </tmp/ready
[ \"$ready\" = 'virtual servo: ready' ] || exit 1
servo spidev3.1 rest
}
# The next start on this board file, at rest; it saves the record of the last run.
next_start() {
/steadfast run --board $1 --cycles 5 --quiet 2>/tmp/next ||
echo \"@@note refused: the next start, $?: $(cat /tmp/next)\"
}
boxes() {
for box in $1/*.blackbox; do
[ -e $box ] || continue
/steadctl blackbox $box --last 0 >/tmp/box 2>&1
echo; echo \"@@box $? ${box##*/}\"
sed -n -e '1,/^$/s/^/@@box-line /p' -e 's/^cycles: /@@box-line cycles = /p' /tmp/box
done
}
# As in the layer's sysctl file: a reserve for what a transfer allocates in the kernel.
echo 16384 >/proc/sys/vm/min_free_kbytes
# On tmpfs, with the minimum space.
mkdir -p /run /data /disk
mount -t tmpfs -o size=3m run /run
mount -t tmpfs -o size=1m data /data
";

/// The chips of the axis.
const SERVO: &str = "spidev3.0=as5047p spidev3.1=mcp4922";

/// Lines before the first case: pins, servo, metronome.
fn setup() -> String {
    let pins = [
        ("metronome", line::METRONOME),
        ("mark", line::MARK),
        ("driven", line::DRIVEN),
        ("duty", line::DUTY),
        ("torque", line::TORQUE),
    ];
    let pins = pins.map(|(name, line)| BOARD.pin_script(name, line));
    pins.concat()
        + &format!(
            "start_servo --mark /pin-mark {SERVO}:/pin-driven \
spidev3.2=windings:/pin-torque pwm-duty=duty:/pin-duty \
--registers {CONTROLLER:x} spidev3.1
{PWM_CHIP}chrt -f 99 /metronome /pin-metronome {TICK_US} &
press() {{ echo; echo \"{PRESS}$1 $2\"; read answer; }}
"
        )
}

/// Lines of one case.
///
/// Descriptor 9 is the watchdog in the case that holds it open; the rescuer closes it,
/// because its sleep lasts longer than the case.
///
/// The mark is high exactly twice in each case, whatever the program does: from the
/// injection to the end of the observation, and once more at the end.
fn case(number: usize, case: &Case) -> String {
    let Case {
        fault,
        state,
        watch_ms,
    } = case;
    let file = fault.file.unwrap_or(state.file());
    let law = |kind| format!("/faulty_law {file} {kind} {LAW_SLOT} /pin-mark /tmp/report.json");
    let start = match fault.program {
        Program::Firmware if state.is_own() => law("none"),
        Program::Firmware => {
            format!("/steadfast run --board {file} --quiet --json /tmp/report.json")
        }
        Program::Law(kind) => law(kind),
    };
    let inject = match fault.program {
        Program::Firmware if !fault.from_outside => format!("servo mark on\n{}", fault.inject),
        Program::Firmware | Program::Law(_) => fault.inject.to_owned(),
    };
    let (before, prepare, cure) = (fault.before, fault.prepare, fault.cure);
    let preparation = state.preparation();
    let directory = state::BLACK_BOXES;
    let rescue_us = u64::from(*watch_ms) * 1000 + u64::from(RESCUE_US);
    let watch_us = u64::from(*watch_ms) * 1000;
    format!(
        "echo; echo '@@case {number}'
for node in spidev3.1 spidev3.2 pwm-duty; do servo $node rest; done
rm -rf /tmp/report.json /run/* /data/*
{before}{start} 2>/tmp/stderr &
pid=$!
chrt -f 98 sh -c \"usleep {rescue_us}; kill -KILL $pid; echo; echo '@@hung'\" 9>&- &
rescuer=$!
usleep {UNTIL_MOVING_US}
{preparation}{prepare}{inject}usleep {watch_us}
servo mark on
servo mark off
kill -TERM $pid 2>/dev/null
waited=0
while [ $waited -lt {PATIENCE_US} ] && grep -q '^State:.[^Z]' /proc/$pid/status 2>/dev/null; do
usleep 20000; waited=$((waited + 20000))
done
if grep -q '^State:.[^Z]' /proc/$pid/status 2>/dev/null; then
echo '@@hung'; kill -KILL $pid
fi
wait $pid
status=$?
kill $rescuer 2>/dev/null
servo mark on
servo mark off
echo; echo \"@@exit $status\"
{cure}set -- {directory}/*.blackbox
[ $status = 0 ] || [ -e $1 ] || next_start /disabled.toml
boxes {directory}
sed 's/^/@@stderr /' /tmp/stderr
echo '@@json'
cat /tmp/report.json 2>/dev/null
echo; echo '@@json end'
"
    )
}

/// Guest time after the observation until a thread of higher priority kills the program:
/// a program that spins would never let the script run.
const RESCUE_US: u32 = PATIENCE_US + 500_000;

/// Printed when the power is to be cut.
pub(crate) const CUT: &str = "@@cut";

/// The script of a boot in which the power is cut at the point `cut`, see `power_cut`;
/// with `None` it only lists the black boxes.
pub(crate) fn power_cut(cut: Option<(&str, u64, u64)>) -> String {
    let directory = state::ON_DISK;
    let mut script = FUNCTIONS.to_owned();
    script += &format!(
        "{WAIT_FOR_DISK}echo; echo '@@case 0'
boxes {directory}
start_servo {SERVO}
echo; echo '@@case 1'
next_start /on-disk-disabled.toml
boxes {directory}
"
    );
    if let Some((ending, bytes, later_us)) = cut {
        // Two seconds of cycles make a large black box.
        script += &format!(
            "/steadfast run --board /on-disk.toml --quiet 2>/dev/null &
pid=$!
usleep 2200000
kill -SEGV $pid
wait $pid
count=1
[ '{ending}' != .blackbox ] || count=$(($(ls {directory} | grep -c blackbox) + 1))
(chrt -f 98 /stress await {directory} '{ending}' {bytes} $count; usleep {later_us}; echo; echo '{CUT}') &
next_start /on-disk-disabled.toml
usleep 5000000
"
        );
    }
    script + "true\n"
}

/// Waits for the SD card and mounts it.
const WAIT_FOR_DISK: &str = "until [ -b /dev/mmcblk2 ]; do usleep 10000; done
mount -t ext4 /dev/mmcblk2 /disk || exit 1
";

/// Shell lines for the boot after a reset by the watchdog: the next start, with the
/// watchdog and the same disk.
fn after_reset() -> String {
    let directory = state::ON_DISK;
    format!(
        "{WAIT_FOR_DISK}if [ -e {directory} ]; then
read answer
start_servo {SERVO}
next_start /after-reset.toml
boxes {directory}
exit 0
fi
mkdir {directory}; sync
"
    )
}

/// The whole script of a boot with these cases, numbered from 0.
pub(crate) fn script(cases: &[Case]) -> String {
    let mut script = FUNCTIONS.to_owned();
    if cases.iter().any(Case::resets) {
        script += &after_reset();
    }
    script += &setup();
    for (number, one) in cases.iter().enumerate() {
        script += &case(number, one);
    }
    script + "true\n"
}
