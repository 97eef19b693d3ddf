//! The boot that everything is measured in: the board with a constant encoder
//! behind its SPI bus, and the script that runs one program after the other.

use std::fs;
use std::time::Duration;

use crate::Context;
use crate::boards::{Board, IMX8MP_EVK};
use crate::emulator::Boot;
use crate::failure::{Failure, require};
use crate::host::Host;

/// How much is run.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Cycles {
    pub(crate) idle: u32,
    pub(crate) loaded: u32,
}

/// Cycles of the two runs whose difference gives the system calls of a cycle.
/// Both are multiples of [`DIAGNOSIS_EVERY`].
pub(crate) const COUNTED: [u32; 2] = [200, 400];
/// Cycles of the run that is timed from exec to its first cycle.
pub(crate) const STARTED: u32 = 20;
/// The firmware's encoder driver reads the sensor's diagnosis, one frame more,
/// in every so many cycles (`driver::as5047p::DIAGNOSIS_EVERY`).
pub(crate) const DIAGNOSIS_EVERY: u32 = 100;

/// Wall time for the whole boot.
const LIMIT: Duration = Duration::from_secs(900);

/// The levels of a healthy machine: break contacts closed, reset not pressed.
fn healthy(board: &Board) -> Vec<(u8, bool)> {
    let lines = board.lines;
    let mut levels = vec![(lines.emergency_stop, true), (lines.reset, false)];
    if let Some(limits) = lines.limits {
        levels.extend([(limits.positive, true), (limits.negative, true)]);
    }
    levels
}

/// What is put into the guest, made once for all boots.
pub(crate) struct Ready {
    pub(crate) firmware: Vec<u8>,
    pub(crate) minimal_loop: Vec<u8>,
    pub(crate) cyclictest: Vec<u8>,
    hackbench: Vec<u8>,
    numa: Vec<u8>,
    board_file: String,
    board: &'static Board,
}

impl Ready {
    /// Compiles, reads and derives what a boot needs.
    ///
    /// # Errors
    /// Something is missing, or the C loop does not compile.
    pub(crate) fn make(host: &Host) -> Result<Self, Failure> {
        let shipped = crate::host::read(&host.source.join("board/imx8mp-evk/board.toml"))?;
        let flash = host.output.join("encoder.bin");
        fs::write(&flash, encoder_frames())?;
        Ok(Self {
            firmware: host.read_guest_program("steadfast")?,
            minimal_loop: host.compile_minimal_loop()?,
            cyclictest: host.read_tool("usr/bin/cyclictest")?,
            hackbench: host.read_tool("usr/bin/hackbench")?,
            numa: host.read_tool("usr/lib/aarch64-linux-gnu/libnuma.so.1")?,
            board_file: board_file(&String::from_utf8_lossy(&shipped))?,
            board: board(&flash.display().to_string()),
        })
    }
}

/// Boots, runs everything, and gives the guest's console.
///
/// # Errors
/// The board does not boot, or a program in it failed.
pub(crate) fn measure(
    context: &Context<'_>,
    ready: &Ready,
    cycles: Cycles,
) -> Result<Vec<String>, Failure> {
    let finished = Boot::new(context, ready.board)
        .cpus(1)
        .file("/steadfast", 0o755, &ready.firmware)
        .file("/minimal_loop", 0o755, &ready.minimal_loop)
        .file("/cyclictest", 0o755, &ready.cyclictest)
        .file("/hackbench", 0o755, &ready.hackbench)
        .file("/lib/libnuma.so.1", 0o755, &ready.numa)
        .file("/board.toml", 0o644, ready.board_file.as_bytes())
        .start(&healthy(ready.board), &script(cycles))?
        .finish(LIMIT)?;
    Ok(finished.lines)
}

/// The board tier's i.MX8MP, its flash chip filled from `image`.
fn board(image: &str) -> &'static Board {
    let machine = [
        "-M".to_owned(),
        "imx8mp-evk".to_owned(),
        "-m".to_owned(),
        "1G".to_owned(),
        "-nic".to_owned(),
        "none".to_owned(),
        "-drive".to_owned(),
        // Never written to: two boots see the same content.
        format!("if=none,id=encoder,format=raw,read-only=on,file={image}"),
        "-device".to_owned(),
        "w25q80,drive=encoder".to_owned(),
    ];
    // A board is made of constants; this one lives as long as the program.
    let machine: Vec<&'static str> = machine
        .into_iter()
        .map(|word| &*Box::leak(word.into_boxed_str()))
        .collect();
    Box::leak(Box::new(Board {
        machine: Box::leak(machine.into_boxed_slice()),
        ..IMX8MP_EVK
    }))
}

/// The flash chip's 1 MiB: frames that an AS5047P could send, of which every
/// one is both a good angle and a good diagnosis, so that the firmware's driver
/// is satisfied with one frame a cycle.
///
/// Nobody selects the emulated chip anew, so after one READ DATA command (03h,
/// w25q80 datasheet) it goes on answering with its content for ever, whatever
/// is sent to it. The data bits are 180h or 181h: LF set, COF, MAGH and MAGL
/// clear (AS5047P datasheet, figure "DIAAGC"), bit 15 makes parity even. The
/// two change every two frames, so that an encoder which has every second
/// frame, the DAC having the others, is not taken for a frozen one.
fn encoder_frames() -> Vec<u8> {
    const FRAMES: [u16; 4] = [0x0180, 0x0180, 0x8181, 0x8181];
    let bytes: Vec<u8> = FRAMES
        .iter()
        .flat_map(|frame| frame.to_be_bytes())
        .collect();
    bytes.iter().copied().cycle().take(1 << 20).collect()
}

/// The firmware's board file for this boot: the shipped one on the only CPU,
/// armed without a button, and moving around where its encoder stands (384.5
/// of 16384 counts are 0.1475 rad) by less than the following-error window.
fn board_file(shipped: &str) -> Result<String, Failure> {
    const CHANGES: [(&str, &str); 3] = [
        ("cpu = \"isolated\"", "cpu = 0"),
        ("arm = \"on-reset\"", "arm = \"at-start\""),
        (
            "positions_rad = [6.283185, -6.283185]",
            "positions_rad = [0.25, 0.05]",
        ),
    ];
    let mut text = shipped.to_owned();
    for (from, to) in CHANGES {
        require(text.matches(from).count() == 1, || {
            format!("board/imx8mp-evk/board.toml does not hold '{from}' once")
        })?;
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Shell lines for the guest. Every part begins with a line `@@part NAME`.
fn script(cycles: Cycles) -> String {
    let Cycles { idle, loaded } = cycles;
    let [counted, counted_twice] = COUNTED;
    format!(
        r#"set -e
part() {{ echo; echo "@@part $*"; }}
firmware() {{
    rm -f /tmp/report.json
    /steadfast run --board /board.toml --cycles $1 --quiet --json /tmp/report.json
    cat /tmp/report.json
}}
loop_equal() {{ /minimal_loop $1 {DIAGNOSIS_EVERY}; }}
loop_strict() {{ /minimal_loop $1; }}
cyclictest() {{ /cyclictest -m -p80 -i1000 -a0 -l$1 -q -N; }}
# Its histogram is of nanoseconds; lines that count nothing are left out.
cyclictest_histogram() {{
    /cyclictest -m -p80 -i1000 -a0 -l$1 -q -N -h100000 >/tmp/histogram
    grep -v '^[0-9]*[^0-9]*000000[^0-9]*$' /tmp/histogram
}}
measure() {{
    for program in firmware loop_equal loop_strict cyclictest_histogram; do
        part $program $1
        $program $2
    done
}}
# READ DATA from address 0 on; see encoder_frames.
printf '\003\000\000\000' >/dev/spidev3.0
# A kernel whose random numbers are not seeded yet takes some 9,000 instructions
# more for each system call (its random stack offset is made by a whole cipher
# block then), and 10 s after the boot it gives up on drivers that wait for each
# other. Both are over before anything is measured.
head -c 1 /dev/random >/dev/null
sleep 30

measure idle {idle}
/hackbench -g 1 -l 100000000 >/dev/null 2>&1 &
load=$!
sleep 1
measure loaded {loaded}
kill -INT $load
wait $load || :

mount -t tracefs tracefs /sys/kernel/tracing
cd /sys/kernel/tracing
echo mono >trace_clock
calls=events/raw_syscalls/sys_enter/trigger
requests=events/syscalls/sys_enter_ioctl/trigger
by_call='hist:keys=common_pid.execname,id:size=4096'
by_request='hist:keys=common_pid.execname,cmd.hex:size=4096'
for program in firmware loop_equal loop_strict cyclictest; do
    for cycles in {counted} {counted_twice}; do
        echo "$by_call" >$calls
        echo "$by_request" >$requests
        $program $cycles >/tmp/output
        cat events/raw_syscalls/sys_enter/hist >/tmp/calls
        cat events/syscalls/sys_enter_ioctl/hist >/tmp/requests
        echo "!$by_call" >$calls
        echo "!$by_request" >$requests
        part $program calls $cycles
        grep hitcount: /tmp/calls
        part $program requests $cycles
        grep hitcount: /tmp/requests || :
    done
done
echo 1 >events/syscalls/sys_enter_execve/enable
echo 1 >events/syscalls/sys_exit_clock_nanosleep/enable
for program in firmware loop_equal loop_strict cyclictest; do
    echo >trace
    echo 1 >tracing_on
    $program {STARTED} >/tmp/output
    echo 0 >tracing_on
    part $program start
    cat /tmp/output
    grep -e sys_execve -e sys_clock_nanosleep trace
done
echo 0 >events/enable
/cyclictest -m -p80 -i1000 -a0 -l500 -q -N >/dev/null &
other=$!
sleep 0.3
part cyclictest locked
grep VmLck /proc/$other/status
wait $other
part end
"#
    )
}
