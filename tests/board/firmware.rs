//! The firmware, unmodified, on the i.MX 8M Plus EVK: its contract, its loop,
//! its emergency stop.

use std::time::Duration;

use serde_json::Value;

use crate::boards::IMX8MP_EVK;
use crate::emulator::{Boot, Machine};
use crate::servo::serve;
use crate::{Context, Failure, Test, require};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "firmware_keeps_its_contract_over_10000_cycles",
        run: contract,
    },
    Test {
        name: "firmware_misses_no_slot_in_10000_cycles_on_a_cpu_of_its_own",
        run: no_missed_slot,
    },
    Test {
        name: "firmware_drops_enable_within_2_periods_of_an_emergency_stop",
        run: emergency_stop,
    },
    Test {
        name: "firmware_leaves_its_outputs_safe_on_sigterm",
        run: sigterm,
    },
    Test {
        name: "firmware_without_its_device_exits_with_1_and_drives_nothing",
        run: missing_device,
    },
];

/// Wall time for what runs up to 20,000 cycles of guest time.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

/// Most memory that may be locked, kB (design, section 1).
const LOCKED_KB: u64 = 2_048;
/// How far VmLck may be from VmRSS: a few pages of 4 kB that cannot be locked
/// (vDSO, vvar) or are not resident (guard pages).
const PAGES_APART_KB: u64 = 32;

/// Input levels of a healthy machine: the break contacts are closed.
const HEALTHY: [(u8, bool); 4] = [
    (IMX8MP_EVK.lines.emergency_stop, true),
    (IMX8MP_EVK.lines.positive_limit, true),
    (IMX8MP_EVK.lines.negative_limit, true),
    (IMX8MP_EVK.lines.reset, false),
];

/// Lines of which every test sees that they rest at their safe level.
const ENERGISING: [u8; 2] = [IMX8MP_EVK.lines.enable, IMX8MP_EVK.lines.brake_release];

/// The served chips, in the place of the kernel's own nodes on ECSPI3.
pub(crate) fn servo() -> String {
    let mut script = String::new();
    for device in ["spi3.0", "spi3.1"] {
        script += &format!("echo {device} >/sys/bus/spi/drivers/spidev/unbind\n");
    }
    script + &serve("spidev3.0=as5047p spidev3.1=mcp4922")
}

/// Boots with the firmware, its board file and the virtual servo.
pub(crate) fn boot(context: &Context<'_>, script: &str) -> Result<Machine, Failure> {
    let board_file = context.host.read_source("board/imx8mp-evk/board.toml")?;
    ready(context, &board_file)?.start(&HEALTHY, script)
}

/// A boot with the firmware, this board file and the virtual servo.
fn ready<'a>(context: &'a Context<'a>, board_file: &[u8]) -> Result<Boot<'a>, Failure> {
    Ok(Boot::new(context, &IMX8MP_EVK)
        .program("steadfast")?
        .program("examples/virtual_servo")?
        .file("/board.toml", 0o644, board_file))
}

/// The firmware's command line.
pub(crate) fn command(arguments: &str) -> String {
    format!("/steadfast run --board /board.toml {arguments} --quiet --json /tmp/report.json")
}

/// Shell lines: print the status of the command before them, and the report.
const SHOW: &str = "
status=$?
echo; echo \"@@exit $status\"
echo '@@json'
cat /tmp/report.json
echo; echo '@@json end'
";

/// Exit status and report as [`SHOW`] has printed them.
fn report(lines: &[String]) -> Result<(i64, Value), Failure> {
    let status = lines
        .iter()
        .find_map(|line| line.strip_prefix("@@exit "))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Failure::new("the firmware's exit status was not printed"))?;
    let json: String = lines
        .iter()
        .skip_while(|line| *line != "@@json")
        .skip(1)
        .take_while(|line| *line != "@@json end")
        .map(|line| format!("{line}\n"))
        .collect();
    let value = serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("the report is no JSON ({error}): '{json}'")))?;
    Ok((status, value))
}

/// The number at `path`, a JSON pointer.
fn number(report: &Value, path: &str) -> Result<u64, Failure> {
    report
        .pointer(path)
        .and_then(Value::as_u64)
        .ok_or_else(|| Failure::new(format!("the report has no number {path}")))
}

fn require_number(report: &Value, path: &str, wanted: u64) -> Result<(), Failure> {
    let found = number(report, path)?;
    require(found == wanted, || {
        format!("{path} is {found}, not {wanted}")
    })
}

fn require_kept(report: &Value) -> Result<(), Failure> {
    let broken: Vec<&Value> = report
        .pointer("/contract/rows")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|row| row["verdict"] != "kept")
        .collect();
    require(
        report.pointer("/contract/kept") == Some(&Value::Bool(true)),
        || format!("the contract was not kept: {broken:?}"),
    )
}

fn contract(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u64 = 10_000;
    let lines = IMX8MP_EVK.lines;
    let script = servo() + &command(&format!("--cycles {CYCLES}")) + SHOW;
    let mut machine = boot(context, &script)?;
    let start = machine.pins.mark();
    arm(&mut machine)?;
    let finished = machine.finish(LIMIT)?;
    let edges = finished.pins.between(start, finished.pins.mark());
    let beats: Vec<usize> = edges
        .iter()
        .enumerate()
        .filter(|(_, edge)| edge.line == lines.heartbeat)
        .map(|(at, _)| at)
        .collect();
    require(beats.len() as u64 >= CYCLES, || {
        format!("{} heartbeats in {CYCLES} cycles", beats.len())
    })?;
    // Lit while nobody is in control, dark from the first cycle to the last.
    let driven = &edges[beats[0]..beats[beats.len() - 1]];
    require(
        !driven
            .iter()
            .any(|edge| edge.line == lines.fault_lamp && edge.level),
        || "the fault lamp was lit in a run without a fault".to_owned(),
    )?;
    let (status, report) = report(&finished.lines)?;
    require(status == 0, || {
        format!("exit status {status}: {}", report["exit"])
    })?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", CYCLES)?;
    for path in [
        "/memory/minor_faults",
        "/memory/major_faults",
        "/memory/allocations",
    ] {
        require_number(&report, path, 0)?;
    }
    let (locked, resident) = (
        number(&report, "/memory/vm_lck_kb")?,
        number(&report, "/memory/vm_rss_kb")?,
    );
    require(locked <= LOCKED_KB, || {
        format!("{locked} kB are locked, more than {LOCKED_KB}")
    })?;
    require(locked.abs_diff(resident) <= PAGES_APART_KB, || {
        format!("{locked} kB are locked, {resident} kB are resident")
    })?;
    let (used, stack) = (
        number(&report, "/memory/stack_high_water_bytes")?,
        number(&report, "/memory/stack_bytes")?,
    );
    require(0 < used && used < stack, || {
        format!("{used} bytes of a stack of {stack} used")
    })
}

/// The emulator runs several CPUs in turns, and their slices make cycles late
/// that would not be on hardware. So time is judged on one CPU, where the loop
/// has it to itself but for the servo that it waits for.
fn no_missed_slot(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u64 = 10_000;
    let text = context.host.read_source("board/imx8mp-evk/board.toml")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let one_cpu = text.replace("cpu = \"isolated\"", "cpu = 0");
    require(one_cpu != text, || {
        "the board file does not ask for an isolated CPU".to_owned()
    })?;
    let script = servo() + &command(&format!("--cycles {CYCLES}")) + SHOW;
    let boot = ready(context, one_cpu.as_bytes())?.cpus(1);
    let mut machine = boot.start(&HEALTHY, &script)?;
    arm(&mut machine)?;
    let finished = machine.finish(LIMIT)?;
    let (status, report) = report(&finished.lines)?;
    require(status == 0, || {
        format!("exit status {status}: {}", report["exit"])
    })?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", CYCLES)?;
    require_number(&report, "/cycles/skipped", 0)?;
    require_number(&report, "/cycles/overruns", 0)
}

/// Presses reset once the loop runs, and waits until the axis is enabled and
/// driven: it must not be before.
pub(crate) fn arm(machine: &mut Machine) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let start = machine.pins.mark();
    let pins = &mut machine.pins;
    let running = pins.wait_for_edges(start, lines.heartbeat, 50, LIMIT)?;
    require(pins.count(lines.enable, start, running) == 0, || {
        "enable changed before reset was pressed".to_owned()
    })?;
    let pressed = pins.drive(lines.reset, true)?;
    let enabled = pins.wait_for(pressed, lines.enable, true, LIMIT)?;
    pins.drive(lines.reset, false)?;
    pins.wait_for_edges(enabled, lines.heartbeat, 100, LIMIT)?;
    Ok(())
}

fn emergency_stop(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let mut machine = boot(context, &(servo() + &command("--cycles 3000") + SHOW))?;
    arm(&mut machine)?;

    let pressed = machine.pins.drive(lines.emergency_stop, false)?;
    let dropped = machine.pins.wait_for(pressed, lines.enable, false, LIMIT)?;
    let periods = machine.pins.count(lines.heartbeat, pressed, dropped);
    require(periods <= 2, || {
        format!("enable fell {periods} periods after the press")
    })?;

    let settled = machine
        .pins
        .wait_for_edges(dropped, lines.heartbeat, 200, LIMIT)?;
    let released = machine.pins.drive(lines.emergency_stop, true)?;
    let later = machine
        .pins
        .wait_for_edges(released, lines.heartbeat, 1000, LIMIT)?;
    require(
        machine.pins.count(lines.enable, dropped, later) == 0,
        || "letting go of the emergency stop changed enable".to_owned(),
    )?;
    require(settled < later, || "the heartbeat stopped".to_owned())?;
    let finished = machine.finish(LIMIT)?;
    let (status, report) = report(&finished.lines)?;
    require(status == 4, || {
        format!(
            "exit status {status} after an emergency stop: {}",
            report["exit"]
        )
    })?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("emergency stop"), || {
        format!("the report does not name the emergency stop: {reason}")
    })
}

fn sigterm(context: &Context<'_>) -> Result<(), Failure> {
    let script = servo()
        + &command("--cycles 1000000")
        + " &\nfirmware=$!\nread order\nkill -TERM $firmware\nwait $firmware"
        + SHOW;
    let mut machine = boot(context, &script)?;
    arm(&mut machine)?;
    let running = machine.pins.mark();
    machine.type_line("stop")?;
    let finished = machine.finish(LIMIT)?;
    let (status, report) = report(&finished.lines)?;
    require(status == 0, || {
        format!("exit status {status} after SIGTERM: {}", report["exit"])
    })?;
    let rest = finished.pins.between(running, finished.pins.mark());
    for line in ENERGISING {
        let last = rest.iter().rev().find(|edge| edge.line == line);
        require(last.is_some_and(|edge| !edge.level), || {
            format!("line {line} was left energised: {last:?}")
        })?;
    }
    Ok(())
}

fn missing_device(context: &Context<'_>) -> Result<(), Failure> {
    // Neither the kernel's nodes nor served ones.
    let script = "for device in spi3.0 spi3.1; do
echo $device >/sys/bus/spi/drivers/spidev/unbind
done
/steadfast run --board /board.toml --cycles 100 --quiet
status=$?; echo; echo \"@@exit $status\"
";
    let machine = boot(context, script)?;
    let start = machine.pins.mark();
    let finished = machine.finish(LIMIT)?;
    require(finished.lines.iter().any(|line| line == "@@exit 1"), || {
        "a missing device is not told by exit status 1".to_owned()
    })?;
    require(
        finished.lines.iter().any(|line| line.contains("spidev3.")),
        || "the missing device is not named".to_owned(),
    )?;
    let edges = finished.pins.between(start, finished.pins.mark());
    let energised = edges
        .iter()
        .find(|edge| edge.level && ENERGISING.contains(&edge.line));
    require(energised.is_none(), || {
        format!("an output left its safe value: {energised:?}")
    })
}
