//! The firmware in a guest: its files, its start, and its output.

use std::time::Duration;

use serde_json::Value;

use crate::servo::serve;
use crate::{Context, Failure, require};
use testbed::boards::Board;
pub(crate) use testbed::boards::healthy;
use testbed::emulator::Boot;
use testbed::machine::Machine;
use testbed::pins::Mark;

/// Wall time for up to 20,000 cycles of guest time.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

/// The lines that energise something; their safe level is low.
pub(crate) fn energising(board: &Board) -> [u8; 2] {
    [board.lines.enable, board.lines.brake_release]
}

/// Shell lines that remove the kernel's SPI nodes, so that the nodes of the board file do
/// not exist.
pub(crate) fn unbind(board: &Board) -> String {
    let mut script = String::new();
    for node in board.servo {
        let device = node.trim_start_matches("spidev");
        let driver = "/sys/bus/spi/drivers/spidev";
        script += &format!("[ ! -e {driver}/spi{device} ] || echo spi{device} >{driver}/unbind\n");
    }
    script
}

/// Shell lines that wait for 12 s after the boot: at 10 s the kernel gives up on deferred
/// drivers, which blocks a running loop for about 3 ms, and the overrun ladder would stop
/// the axis.
const SETTLED: &str = "
while read up rest </proc/uptime; [ ${up%%.*} -lt 12 ]; do sleep 1; done
";

/// Shell lines that replace the kernel's SPI nodes by the virtual servo, after [`SETTLED`].
pub(crate) fn servo(board: &Board) -> String {
    servo_with(board, "")
}

/// As [`servo`], with further arguments of the virtual servo.
pub(crate) fn servo_with(board: &Board, arguments: &str) -> String {
    SETTLED.to_owned() + &unbind(board) + &serve_chips(board, arguments)
}

/// Shell lines that serve encoder and DAC.
pub(crate) fn serve_chips(board: &Board, arguments: &str) -> String {
    let [encoder, dac] = board.servo;
    serve(&format!("{arguments} {encoder}=as5047p {dac}=mcp4922"))
}

/// The board's file for the emulator, with the changes `(old, new)`.
///
/// # Errors
/// An `old` does not occur exactly once.
pub(crate) fn board_file(
    context: &Context<'_>,
    board: &Board,
    changes: &[(&str, &str)],
) -> Result<String, Failure> {
    let path = format!("board/{}/board.toml", board.name);
    let shipped = context.host.read_source(&path)?;
    let mut text = board.for_emulator(&String::from_utf8_lossy(&shipped))?;
    for (old, new) in changes {
        let count = text.matches(old).count();
        require(count == 1, || format!("{path} has '{old}' {count} times"))?;
        text = text.replace(old, new);
    }
    Ok(text)
}

/// For a board with one CPU. The emulator runs several CPUs in turns, whose time slices
/// delay cycles that are in time on hardware. Tests that count periods therefore use one
/// CPU, which the loop shares only with the servo that it waits for.
pub(crate) const ONE_CPU: (&str, &str) = ("cpu = \"isolated\"", "cpu = 0");

/// For the EVK without its watchdog. The watchdog stays armed after a fault, and the
/// guest's idle time is skipped: it would reset a board that waits for the next step of
/// the test.
pub(crate) const NO_WATCHDOG: (&str, &str) = (
    "[watchdog]
device = \"/dev/watchdog\"
timeout_s = 2
",
    "",
);

/// A boot with the firmware, this board file and the virtual servo.
pub(crate) fn ready<'a>(
    context: &'a Context<'a>,
    board: &'static Board,
    board_file: &str,
) -> Result<Boot<'a>, Failure> {
    Ok(Boot::new(context, board)
        .program("steadfast")?
        .program("examples/virtual_servo")?
        .file("/board.toml", 0o644, board_file.as_bytes()))
}

/// Shell lines that let the user of [`AS_USER`] open what the firmware opens.
pub(crate) const OPEN_TO_ALL: &str =
    "chmod 666 /dev/gpiochip* /dev/spidev* /dev/watchdog /dev/cpu_dma_latency\n";

/// Prefix of a command that an unprivileged user runs; any user number but 0.
pub(crate) const AS_USER: &str = "/as_user 1000 ";

/// The firmware's command line.
pub(crate) fn command(arguments: &str) -> String {
    format!("/steadfast run --board /board.toml {arguments} --quiet --json /tmp/report.json")
}

/// Shell lines: print the status of the command before them, and the report.
pub(crate) const SHOW: &str = "
status=$?
echo; echo \"@@exit $status\"
echo '@@json'
cat /tmp/report.json
echo; echo '@@json end'
";

/// The last line of [`SHOW`].
pub(crate) const SHOWN: &str = "@@json end";

/// A shell line that keeps the board running until [`let_go`]: the pins cannot be read
/// after its end.
pub(crate) const HOLD: &str = "read order\n";

/// Ends [`HOLD`], and waits for the end of the script.
pub(crate) fn let_go(mut machine: Machine) -> Result<(), Failure> {
    machine.type_line("go on")?;
    machine.finish(LIMIT).map(drop)
}

/// The exit status that [`SHOW`] has printed.
pub(crate) fn exit_status(lines: &[String]) -> Result<i64, Failure> {
    lines
        .iter()
        .find_map(|line| line.strip_prefix("@@exit "))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Failure::new("the firmware's exit status was not printed"))
}

/// Exit status and report as [`SHOW`] has printed them.
pub(crate) fn report(lines: &[String]) -> Result<(i64, Value), Failure> {
    let status = exit_status(lines)?;
    let json: String = lines
        .iter()
        .skip_while(|line| *line != "@@json")
        .skip(1)
        .take_while(|line| *line != SHOWN)
        .map(|line| format!("{line}\n"))
        .collect();
    let value = serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("the report is not JSON ({error}): '{json}'")))?;
    Ok((status, value))
}

/// The report; requires this exit status.
pub(crate) fn report_of(lines: &[String], expected: i64) -> Result<Value, Failure> {
    let (status, report) = report(lines)?;
    require(status == expected, || {
        format!("exit status {status}, not {expected}: {}", report["exit"])
    })?;
    Ok(report)
}

/// The number at `path`, a JSON pointer.
pub(crate) fn number(report: &Value, path: &str) -> Result<u64, Failure> {
    report
        .pointer(path)
        .and_then(Value::as_u64)
        .ok_or_else(|| Failure::new(format!("the report has no number {path}")))
}

pub(crate) fn require_number(report: &Value, path: &str, expected: u64) -> Result<(), Failure> {
    let found = number(report, path)?;
    require(found == expected, || {
        format!("{path} is {found}, not {expected}")
    })
}

/// The broken rows of the contract.
pub(crate) fn broken_rows(report: &Value) -> Vec<&Value> {
    report
        .pointer("/contract/rows")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|row| row["verdict"] != "kept")
        .collect()
}

pub(crate) fn require_kept(report: &Value) -> Result<(), Failure> {
    require(
        report.pointer("/contract/kept") == Some(&Value::Bool(true)),
        || format!("the contract was not kept: {:?}", broken_rows(report)),
    )
}

/// No page fault and no allocation in a cycle.
pub(crate) fn require_still_memory(report: &Value) -> Result<(), Failure> {
    for path in [
        "/memory/minor_faults",
        "/memory/major_faults",
        "/memory/allocations",
    ] {
        require_number(report, path, 0)?;
    }
    Ok(())
}

/// Presses reset once the loop runs, and waits until the axis is enabled; it must not be
/// enabled before. Gives the position of that edge.
pub(crate) fn arm(machine: &mut Machine, board: &Board) -> Result<Mark, Failure> {
    let lines = board.lines;
    let start = machine.pins.mark();
    let pins = &mut machine.pins;
    let running = pins.wait_for_edges(start, lines.heartbeat, 50, LIMIT)?;
    require(pins.count(lines.enable, start, running) == 0, || {
        "enable changed before reset was pressed".to_owned()
    })?;
    let pressed = pins.drive(lines.reset, true)?;
    let enabled = pins.wait_for(pressed, lines.enable, true, LIMIT)?;
    pins.drive(lines.reset, false)?;
    Ok(enabled)
}

/// As [`arm`], and waits until the axis has been driven for 100 periods.
pub(crate) fn arm_and_move(machine: &mut Machine, board: &Board) -> Result<Mark, Failure> {
    let enabled = arm(machine, board)?;
    machine
        .pins
        .wait_for_edges(enabled, board.lines.heartbeat, 100, LIMIT)
}

/// Presses the emergency stop, and requires that enable falls within two periods. Gives when it
/// fell.
pub(crate) fn press_emergency_stop(machine: &mut Machine, board: &Board) -> Result<Mark, Failure> {
    let lines = board.lines;
    let pressed = machine.pins.drive(lines.emergency_stop, false)?;
    let dropped = machine.pins.wait_for(pressed, lines.enable, false, LIMIT)?;
    let periods = machine.pins.count(lines.heartbeat, pressed, dropped);
    require(periods <= 2, || {
        format!("enable fell {periods} periods after the press")
    })?;
    Ok(dropped)
}
