//! Stops of the axis, measured on the pins of the i.MX 8M Plus EVK: by limit switches, and
//! by SIGTERM in every state of CiA 402 that lasts long enough. Time is counted in periods
//! of the loop, with one edge of the heartbeat each.

use serde_json::Value;

use crate::guest::{
    LIMIT, NO_WATCHDOG, ONE_CPU, SHOW, SHOWN, arm, arm_and_move, board_file, healthy, ready,
    report_of, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::{IMX8MP_EVK, Limits, Lines};
use testbed::machine::Machine;
use testbed::pins::{Edge, Mark};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_limit_switch_stops_the_axis_with_the_brake_before_enable",
        run: limit_switches,
    },
    Test {
        name: "sigterm_stops_in_order_from_every_state",
        run: sigterm,
    },
];

const LINES: Lines = IMX8MP_EVK.lines;

/// Periods until the brake is engaged: `brake_engage_ms` of the board file.
const BRAKE_ENGAGES: usize = 30;

/// Shell lines that read orders from the console: `start BOARD-FILE` starts the firmware, `term` ends
/// it, `spi FAULT` sets a fault of the encoder, and any other line ends the script.
fn commands() -> String {
    format!(
        "while read order file; do
case $order in
start) rm -f /tmp/report.json
/steadfast run --board $file --quiet --json /tmp/report.json & firmware=$! ;;
term) kill -TERM $firmware; wait $firmware{SHOW};;
spi) echo \"spidev3.0 $file\" >/dev/servo-control; echo '@@spi set' ;;
*) break ;;
esac
done
true
"
    )
}

/// Periods until the brake is engaged in `/slow.toml` and `/reaction.toml`.
const SLOW_BRAKE_ENGAGES: usize = 1000;
const SLOW_BRAKE: (&str, &str) = ("brake_engage_ms = 30", "brake_engage_ms = 1000");

/// A board with one CPU, `/board.toml`, and two files with longer states: `/slow.toml` for
/// the states of the start, `/reaction.toml` for those of a stop.
fn boot(context: &Context<'_>) -> Result<Machine, Failure> {
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU, NO_WATCHDOG])?;
    let slow = board_file(
        context,
        &IMX8MP_EVK,
        &[
            ONE_CPU,
            NO_WATCHDOG,
            ("start_timeout_ms = 1000", "start_timeout_ms = 60000"),
            ("brake_release_ms = 30", "brake_release_ms = 60000"),
            SLOW_BRAKE,
        ],
    )?;
    let reaction = board_file(context, &IMX8MP_EVK, &[ONE_CPU, NO_WATCHDOG, SLOW_BRAKE])?;
    ready(context, &IMX8MP_EVK, &text)?
        .file("/slow.toml", 0o644, slow.as_bytes())
        .file("/reaction.toml", 0o644, reaction.as_bytes())
        .cpus(1)
        .start(&healthy(&IMX8MP_EVK), &(servo(&IMX8MP_EVK) + &commands()))
}

/// Types an order, and gives the position before it.
fn order(machine: &mut Machine, order: &str) -> Result<Mark, Failure> {
    // The emulator answers after all earlier edges.
    let mark = machine.pins.drive(LINES.reset, false)?;
    machine.type_line(order)?;
    Ok(mark)
}

/// Sends SIGTERM, requires this exit status, and gives the report with the positions
/// before the signal and after the end.
fn terminate(machine: &mut Machine, status: i64) -> Result<(Value, Mark, Mark), Failure> {
    let before = order(machine, "term")?;
    let lines = machine.collect_until(SHOWN, LIMIT)?;
    let after = machine.pins.drive(LINES.reset, false)?;
    Ok((report_of(&lines, status)?, before, after))
}

/// The edges between two positions without the heartbeat, each with the periods since the
/// edge before it.
fn changes(machine: &Machine, from: Mark, to: Mark) -> Vec<(Edge, usize)> {
    let mut periods = 0;
    let mut changes = Vec::new();
    for edge in machine.pins.between(from, to) {
        if edge.line == LINES.heartbeat {
            periods += 1;
        } else {
            changes.push((*edge, periods));
            periods = 0;
        }
    }
    changes
}

const fn rises(line: u8) -> Edge {
    Edge { line, level: true }
}

const fn falls(line: u8) -> Edge {
    Edge { line, level: false }
}

/// The pins of a stop by a fault.
const FAULT_STOP: [Edge; 3] = [
    rises(LINES.fault_lamp),
    falls(LINES.brake_release),
    falls(LINES.enable),
];

fn require_order(found: &[(Edge, usize)], expected: &[Edge]) -> Result<(), Failure> {
    let order: Vec<Edge> = found.iter().map(|(edge, _)| *edge).collect();
    require(order == expected, || {
        format!("expected the pins to change in the order {expected:?}, got {found:?}")
    })
}

fn require_periods(found: usize, expected: usize, what: &str) -> Result<(), Failure> {
    require(found.abs_diff(expected) <= 1, || {
        format!("{what}: expected {expected} periods, got {found}")
    })
}

fn require_reason(report: &Value, words: &str) -> Result<(), Failure> {
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains(words), || {
        format!("'{words}' is not in the reason: {reason}")
    })
}

/// Opens a limit switch while the axis moves to and fro: it faults within two periods of
/// moving towards that switch, stops on its ramp, engages the brake, and only then the
/// power is removed.
fn hit(machine: &mut Machine, switch: u8) -> Result<Mark, Failure> {
    let pressed = machine.pins.drive(switch, false)?;
    let lit = machine
        .pins
        .wait_for(pressed, LINES.fault_lamp, true, LIMIT)?;
    let fallen = machine.pins.wait_for(lit, LINES.enable, false, LIMIT)?;
    let later = machine
        .pins
        .wait_for_edges(fallen, LINES.heartbeat, 100, LIMIT)?;
    let found = changes(machine, pressed, later);
    require_order(&found, &FAULT_STOP)?;
    // 20 rad/s at 800 rad/s² take 25 periods, and the jerk limit adds some.
    let ramp = found[1].1;
    require((1..=60).contains(&ramp), || {
        format!("the axis took {ramp} periods to come to rest")
    })?;
    require_periods(found[2].1, BRAKE_ENGAGES, "from the brake to enable")?;
    machine.pins.drive(switch, true)?;
    Ok(pressed)
}

fn limit_switches(context: &Context<'_>) -> Result<(), Failure> {
    let Some(Limits { positive, negative }) = LINES.limits else {
        return Err(Failure::new("the board has no limit switches"));
    };
    let mut machine = boot(context)?;
    order(&mut machine, "start /board.toml")?;
    // The first move is towards the positive end, and it takes 0.4 s.
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    let pressed = hit(&mut machine, positive)?;
    let lit = machine
        .pins
        .wait_for(pressed, LINES.fault_lamp, true, LIMIT)?;
    let periods = machine.pins.count(LINES.heartbeat, pressed, lit);
    require(periods <= 2, || {
        format!("the axis faulted {periods} periods after the switch, expected at most 2")
    })?;

    let reset = arm_and_move(&mut machine, &IMX8MP_EVK)?;
    let dark = changes(&machine, pressed, reset);
    require(
        dark.iter()
            .any(|(edge, _)| *edge == falls(LINES.fault_lamp)),
        || "the fault lamp stayed lit after a reset".to_owned(),
    )?;
    hit(&mut machine, negative)?;
    let (report, ..) = terminate(&mut machine, 4)?;
    require_reason(&report, "negative limit switch")?;
    machine.type_line("end")?;
    machine.finish(LIMIT).map(drop)
}

fn sigterm(context: &Context<'_>) -> Result<(), Failure> {
    let mut machine = boot(context)?;
    not_ready(&mut machine)?;
    switch_on_disabled(&mut machine)?;
    switched_on(&mut machine)?;
    operation_enabled(&mut machine)?;
    quick_stop_active(&mut machine)?;
    fault_reaction_active(&mut machine)?;
    fault(&mut machine)?;
    machine.type_line("end")?;
    machine.finish(LIMIT).map(drop)
}

/// Waits until the loop runs.
fn started(machine: &mut Machine, file: &str) -> Result<(), Failure> {
    let start = order(machine, &format!("start {file}"))?;
    machine
        .pins
        .wait_for_edges(start, LINES.heartbeat, 50, LIMIT)?;
    Ok(())
}

/// No output was energised: only the lamp changes.
fn ends_dark(machine: &mut Machine) -> Result<(), Failure> {
    let (report, before, after) = terminate(machine, 0)?;
    require_reason(&report, "SIGTERM")?;
    require_order(&changes(machine, before, after), &[rises(LINES.fault_lamp)])
}

/// Sets a fault of the encoder, or removes it with `clear`.
fn spi(machine: &mut Machine, fault: &str) -> Result<(), Failure> {
    machine.type_line(&format!("spi {fault}"))?;
    machine.wait_for_line("@@spi set", LIMIT).map(drop)
}

/// The encoder does not answer, so the axis never becomes ready.
fn not_ready(machine: &mut Machine) -> Result<(), Failure> {
    spi(machine, "eio")?;
    started(machine, "/slow.toml")?;
    ends_dark(machine)?;
    spi(machine, "clear")
}

/// Reset was not pressed.
fn switch_on_disabled(machine: &mut Machine) -> Result<(), Failure> {
    started(machine, "/board.toml")?;
    ends_dark(machine)
}

/// Power is on and the brake is releasing.
fn switched_on(machine: &mut Machine) -> Result<(), Failure> {
    order(machine, "start /slow.toml")?;
    arm(machine, &IMX8MP_EVK)?;
    let (report, before, after) = terminate(machine, 0)?;
    require_reason(&report, "SIGTERM")?;
    ends_in_order(machine, before, after, SLOW_BRAKE_ENGAGES)
}

fn operation_enabled(machine: &mut Machine) -> Result<(), Failure> {
    order(machine, "start /board.toml")?;
    arm_and_move(machine, &IMX8MP_EVK)?;
    let (report, before, after) = terminate(machine, 0)?;
    require_reason(&report, "SIGTERM")?;
    ends_in_order(machine, before, after, BRAKE_ENGAGES)
}

/// The brake engages, then the power is removed, then the lamp, whose safe state is lit.
fn ends_in_order(
    machine: &Machine,
    before: Mark,
    after: Mark,
    engages: usize,
) -> Result<(), Failure> {
    let found = changes(machine, before, after);
    require_order(
        &found,
        &[
            falls(LINES.brake_release),
            falls(LINES.enable),
            rises(LINES.fault_lamp),
        ],
    )?;
    require_periods(found[1].1, engages, "from the brake to enable")
}

/// The brake is engaging after the overrun ladder's quick stop: SIGTERM neither
/// shortens that nor drops the axis.
fn quick_stop_active(machine: &mut Machine) -> Result<(), Failure> {
    order(machine, "start /reaction.toml")?;
    let moving = arm_and_move(machine, &IMX8MP_EVK)?;
    // Six slots of ten each: above the ladder's 50, below its 200.
    spi(machine, "delay 6000 x1")?;
    // The lamp is lit at once; the reason of the end names the cause.
    let lit = machine
        .pins
        .wait_for(moving, LINES.fault_lamp, true, LIMIT)?;
    let braked = machine
        .pins
        .wait_for(lit, LINES.brake_release, false, LIMIT)?;
    let (report, before, after) = terminate(machine, 5)?;
    require_reason(&report, "overrun ladder")?;
    require_order(&changes(machine, before, after), &[falls(LINES.enable)])?;
    let found = changes(machine, braked, after);
    require_periods(found[0].1, SLOW_BRAKE_ENGAGES, "from the brake to enable")
}

/// The brake is engaging after a limit switch: SIGTERM neither shortens that
/// nor drops the axis.
fn fault_reaction_active(machine: &mut Machine) -> Result<(), Failure> {
    let Some(Limits { positive, .. }) = LINES.limits else {
        return Err(Failure::new("the board has no limit switches"));
    };
    order(machine, "start /reaction.toml")?;
    arm_and_move(machine, &IMX8MP_EVK)?;
    let pressed = machine.pins.drive(positive, false)?;
    machine
        .pins
        .wait_for(pressed, LINES.brake_release, false, LIMIT)?;
    let (report, before, after) = terminate(machine, 4)?;
    require_reason(&report, "positive limit switch")?;
    require_order(&changes(machine, before, after), &[falls(LINES.enable)])?;
    let found = changes(machine, pressed, after);
    require_order(&found, &FAULT_STOP)?;
    machine.pins.drive(positive, true)?;
    require_periods(found[2].1, SLOW_BRAKE_ENGAGES, "from the brake to enable")
}

/// The emergency stop has removed the power: SIGTERM changes no pin.
fn fault(machine: &mut Machine) -> Result<(), Failure> {
    order(machine, "start /board.toml")?;
    arm_and_move(machine, &IMX8MP_EVK)?;
    let pressed = machine.pins.drive(LINES.emergency_stop, false)?;
    let dropped = machine.pins.wait_for(pressed, LINES.enable, false, LIMIT)?;
    machine
        .pins
        .wait_for_edges(dropped, LINES.heartbeat, 100, LIMIT)?;
    let (report, before, after) = terminate(machine, 4)?;
    require_reason(&report, "emergency stop")?;
    require_order(&changes(machine, before, after), &[])?;
    machine.pins.drive(LINES.emergency_stop, true)?;
    Ok(())
}
