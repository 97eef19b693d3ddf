//! The boot of the measurements: the board with a fixed encoder on its SPI bus, and the
//! script that runs one program after the other.

use std::time::Duration;

use crate::host::Prepared;
use testbed::boards::{Board, healthy};
use testbed::context::Context;
use testbed::emulator::Boot;
use testbed::failure::Failure;
use testbed::fixed_encoder::{
    CHIPS, READY, SHARED, UNBIND, board, board_file, by_registers, write_frames,
};

/// Numbers of cycles.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Cycles {
    pub(crate) idle: u32,
    pub(crate) loaded: u32,
}

/// Cycles of the two runs of [`COUNT`], whose difference gives the system calls of a cycle.
pub(crate) const COUNTED: [u32; 2] = [200, 400];
/// Cycles of the run that is timed from exec to its first cycle.
pub(crate) const STARTED: u32 = 20;

/// Cycles of the runs that watch the clock before each release or go by registers. A second beside
/// the load takes the emulator ten.
pub(crate) const FAST: Cycles = Cycles {
    idle: 2_000,
    loaded: 300,
};
/// The same with `--fast`.
pub(crate) const FAST_LONG: Cycles = Cycles {
    idle: 10_000,
    loaded: 3_000,
};
/// Time for which the clock is watched, us: above the longest wake beside the load.
pub(crate) const SPIN_US: u32 = 60;

/// Wall time for the whole boot.
pub(crate) const LIMIT: Duration = Duration::from_secs(900);

/// The content of the guest, made once for all boots.
pub(crate) struct Ready {
    pub(crate) firmware: Vec<u8>,
    pub(crate) minimal_loop: Vec<u8>,
    one_call: Vec<u8>,
    pub(crate) cyclictest: Vec<u8>,
    hackbench: Vec<u8>,
    numa: Vec<u8>,
    /// The shipped board file with the changes for this boot.
    pub(crate) board_file: String,
    /// The same by registers.
    by_registers: String,
    pub(crate) board: &'static Board,
}

impl Ready {
    /// Compiles and reads the content of a boot.
    ///
    /// # Errors
    /// A file is missing, or the C loop does not compile.
    pub(crate) fn make(host: &Prepared) -> Result<Self, Failure> {
        let shipped = host.host.read_source("board/imx8mp-evk/board.toml")?;
        let board_file = board_file(&String::from_utf8_lossy(&shipped))?;
        let by_registers = fast_clock(&by_registers(&board_file, &CHIPS));
        Ok(Self {
            by_registers,
            firmware: host.host.read_guest_program("steadfast")?,
            minimal_loop: host.compile("minimal_loop", &[])?,
            one_call: host.compile("one_call", &[])?,
            cyclictest: host.host.read_tool("usr/bin/cyclictest")?,
            hackbench: host.host.read_tool("usr/bin/hackbench")?,
            numa: host
                .host
                .read_tool("usr/lib/aarch64-linux-gnu/libnuma.so.1")?,
            board_file,
            board: board(&write_frames(&host.output)?),
        })
    }
}

impl Ready {
    /// Adds the load: hackbench with its library.
    pub(crate) fn put_load<'a>(&self, boot: Boot<'a>) -> Boot<'a> {
        boot.file("/hackbench", 0o755, &self.hackbench)
            .file("/lib/libnuma.so.1", 0o755, &self.numa)
    }
}

/// Boots, runs all programs, and gives the guest's console.
///
/// # Errors
/// The board does not boot, or a program in it failed.
pub(crate) fn measure(
    context: &Context<'_>,
    ready: &Ready,
    (cycles, fast): (Cycles, Cycles),
) -> Result<Vec<String>, Failure> {
    let boot = Boot::new(context, ready.board)
        .cpus(1)
        .parameters(SHARED)
        .file("/steadfast", 0o755, &ready.firmware)
        .file("/minimal_loop", 0o755, &ready.minimal_loop)
        .file("/one_call", 0o755, &ready.one_call)
        .file("/cyclictest", 0o755, &ready.cyclictest)
        .file("/board.toml", 0o644, ready.board_file.as_bytes())
        .file("/spin.toml", 0o644, spinning(&ready.board_file).as_bytes())
        .file("/registers.toml", 0o644, ready.by_registers.as_bytes())
        .file(
            "/both.toml",
            0o644,
            spinning(&ready.by_registers).as_bytes(),
        );
    let finished = ready
        .put_load(boot)
        .start(&healthy(ready.board), &script(cycles, fast))?
        .finish(LIMIT)?;
    Ok(finished.lines)
}

/// The board file with the fastest clock of both chips: at 1 MHz the driver by registers waits for
/// 2 us of the wire, which the emulator does not have.
pub(crate) fn fast_clock(text: &str) -> String {
    text.replace("speed_hz = 1_000_000", "speed_hz = 10_000_000")
}

/// The board file with a watch of the clock.
pub(crate) fn spinning(text: &str) -> String {
    let spin = format!("[loop]\nwake = \"spin\"\nspin_us = {SPIN_US}\n");
    text.replacen("[loop]\n", &spin, 1)
}

/// Shell lines that define a part of the output, and a run of the firmware.
pub(crate) const FIRMWARE: &str = r#"set -e
part() { echo; echo "@@part $*"; }
# firmware CYCLES FILE
firmware() {
    rm -f /tmp/report.json
    /steadfast run --board /${2:-board}.toml --cycles $1 --quiet --json /tmp/report.json
    cat /tmp/report.json
}"#;

/// Shell lines that define the count of system calls in runs of [`COUNTED`] cycles.
pub(crate) const COUNT: &str = r#"
mount -t tracefs tracefs /sys/kernel/tracing
cd /sys/kernel/tracing
calls=events/raw_syscalls/sys_enter/trigger
requests=events/syscalls/sys_enter_ioctl/trigger
by_call='hist:keys=common_pid.execname,id:size=4096'
by_request='hist:keys=common_pid.execname,cmd.hex:size=4096'
# count NAME PROGRAM ARGUMENT...
count() {
    name=$1
    program=$2
    shift 2
    for cycles in 200 400; do
        echo "$by_call" >$calls
        echo "$by_request" >$requests
        $program $cycles $* >/tmp/output
        cat events/raw_syscalls/sys_enter/hist >/tmp/calls
        cat events/syscalls/sys_enter_ioctl/hist >/tmp/requests
        echo "!$by_call" >$calls
        echo "!$by_request" >$requests
        part $name calls $cycles
        grep hitcount: /tmp/calls
        part $name requests $cycles
        grep hitcount: /tmp/requests || :
    done
}"#;

/// Shell lines for the guest. Every part begins with a line `@@part NAME`.
fn script(cycles: Cycles, fast: Cycles) -> String {
    let Cycles { idle, loaded } = cycles;
    let (fast_idle, fast_loaded) = (fast.idle, fast.loaded);
    format!(
        r#"{FIRMWARE}
minimal_loop() {{ /minimal_loop $*; }}
cyclictest() {{ /cyclictest -m -p80 -i1000 -a0 -l$1 -q -N; }}
# The histogram is in nanoseconds; lines with a count of 0 are left out.
cyclictest_histogram() {{
    /cyclictest -m -p80 -i1000 -a0 -l$1 -q -N -h100000 >/tmp/histogram
    grep -v '^[0-9]*[^0-9]*000000[^0-9]*$' /tmp/histogram
}}
measure() {{
    for program in firmware minimal_loop cyclictest_histogram; do
        part $program $1
        $program $2
    done
}}
kernel() {{
    part firmware_spin $1
    firmware $2 spin
    part minimal_loop_spin $1
    minimal_loop $2 {SPIN_US}
}}
by_registers() {{
    for variant in registers both; do
        part firmware_$variant $1
        firmware $2 $variant
    done
}}
load() {{
    /hackbench -g 1 -l 100000000 >/dev/null 2>&1 &
    load=$!
    sleep $1
}}
unload() {{
    kill -INT $load
    wait $load || :
}}
{READY}
measure idle {idle}
load 1
measure loaded {loaded}
unload

{COUNT}
echo mono >trace_clock
for program in firmware minimal_loop cyclictest; do
    count $program $program
done
echo 1 >events/syscalls/sys_enter_execve/enable
echo 1 >events/syscalls/sys_exit_clock_nanosleep/enable
for program in firmware minimal_loop cyclictest; do
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

part costs
minimal_loop cost
/one_call
kernel idle {fast_idle}
load 0.2
kernel loaded {fast_loaded}
unload
{UNBIND}
count firmware_registers firmware registers
by_registers idle {fast_idle}
load 0.2
by_registers loaded {fast_loaded}
unload
part end
"#
    )
}
