//! The script of a boot: one case after the other, and nobody from outside.

use crate::catalogue::{Fault, Program};
use crate::state::{State, UNTIL_MOVING_US};
use crate::watch::{TICK_US, line};

/// A fault in a state.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Case {
    pub(crate) fault: &'static Fault,
    pub(crate) state: State,
    /// Guest time for which is watched what comes of it.
    pub(crate) watch_ms: u32,
}

/// The slot in which a law misbehaves: after the state has been reached. The
/// first begins some 40 ms after the start.
const LAW_SLOT: u32 = 300;

/// Longest time that a program is waited for after it was asked to end: more
/// than `stop_ms`.
const PATIENCE_US: u32 = 4_000_000;

/// Before line and level, where a script wants an input to be driven; it goes on
/// when a line has been typed.
pub(crate) const PRESS: &str = "@@press ";

/// The firmware and everything beside it.
pub(crate) const PROGRAMS: &[&str] = &[
    "steadfast",
    "examples/virtual_servo",
    "examples/metronome",
    "examples/faulty_law",
    "examples/trouble",
];

/// Lines before the first case: pins, servo, metronome.
fn setup() -> String {
    let (metronome, mark, driven) = (line::METRONOME, line::MARK, line::DRIVEN);
    format!(
        "base=
for chip in /sys/class/gpio/gpiochip*; do
[ \"$(cat $chip/label)\" = 30200000.gpio ] && base=$(cat $chip/base)
done
pin() {{
number=$((base + $2))
echo $number >/sys/class/gpio/export
echo out >/sys/class/gpio/gpio$number/direction
ln -s /sys/class/gpio/gpio$number/value /pin-$1
}}
pin metronome {metronome}
pin mark {mark}
pin driven {driven}
for device in spi3.0 spi3.1; do
driver=/sys/bus/spi/drivers/spidev
[ ! -e $driver/$device ] || echo $device >$driver/unbind
done
mkfifo /tmp/ready
chrt -f 80 /virtual_servo --mark /pin-mark --driven /pin-driven \
spidev3.0=as5047p spidev3.1=mcp4922 >/tmp/ready &
read ready </tmp/ready
[ \"$ready\" = 'virtual servo: ready' ] || exit 1
chrt -f 99 /metronome /pin-metronome {TICK_US} &
press() {{ echo; echo \"{PRESS}$1 $2\"; read answer; }}
servo() {{ echo \"$*\" >/dev/servo-control || echo \"@@note refused: $*\"; }}
"
    )
}

/// Lines of one case.
///
/// The mark is lit exactly twice in each, whatever becomes of the program: from
/// the injection to the end of what is watched, and once more when all is over.
fn case(number: usize, case: &Case) -> String {
    let Case {
        fault,
        state,
        watch_ms,
    } = case;
    let file = fault.file.unwrap_or(state.file());
    let start = match fault.program {
        Program::Firmware => {
            format!("/steadfast run --board {file} --quiet --json /tmp/report.json")
        }
        Program::Law(kind) => {
            format!("/faulty_law {file} {kind} {LAW_SLOT} /pin-mark /tmp/report.json")
        }
    };
    let inject = match fault.program {
        Program::Firmware if !fault.from_outside => format!("servo mark on\n{}", fault.inject),
        Program::Firmware | Program::Law(_) => fault.inject.to_owned(),
    };
    let (before, cure, preparation) = (fault.before, fault.cure, state.preparation());
    let rescue_us = u64::from(*watch_ms) * 1000 + u64::from(RESCUE_US);
    let watch_us = u64::from(*watch_ms) * 1000;
    format!(
        "echo; echo '@@case {number}'
servo spidev3.1 rest
rm -f /tmp/report.json
{before}{start} 2>/tmp/stderr &
pid=$!
chrt -f 98 sh -c \"usleep {rescue_us}; kill -KILL $pid; echo; echo '@@hung'\" &
rescuer=$!
usleep {UNTIL_MOVING_US}
{preparation}{inject}usleep {watch_us}
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
{cure}sed 's/^/@@stderr /' /tmp/stderr
echo '@@json'
cat /tmp/report.json 2>/dev/null
echo; echo '@@json end'
"
    )
}

/// Guest time beyond what is watched after which a program is killed from above
/// its own priority: one that spins there lets the script itself never run.
const RESCUE_US: u32 = PATIENCE_US + 500_000;

/// The whole script of a boot with these cases, numbered from 0.
pub(crate) fn script(cases: &[Case]) -> String {
    let mut script = setup();
    for (number, one) in cases.iter().enumerate() {
        script += &case(number, one);
    }
    script + "true\n"
}
