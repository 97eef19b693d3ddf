//! The unmodified firmware on the i.MX 8M Plus EVK: contract, loop, emergency stop.

use serde_json::Value;

use crate::guest::{
    LIMIT, SHOW, arm_and_move, board_file, command, energising, healthy, number,
    press_emergency_stop, ready, report_of, require_kept, require_number, require_still_memory,
    servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "firmware_keeps_its_contract_over_10000_cycles",
        run: contract,
    },
    Test {
        name: "firmware_drops_enable_within_2_periods_of_an_emergency_stop",
        run: emergency_stop,
    },
    Test {
        name: "firmware_leaves_its_outputs_safe_on_sigterm",
        run: sigterm,
    },
];

/// Maximum of locked memory, kB.
const LOCKED_KB: u64 = 2_048;
/// Maximum size of the binary, bytes; all of it is locked.
const BINARY_BYTES: usize = 1_500_000;
/// Maximum difference of VmLck and VmRSS: a few pages of 4 kB cannot be locked (vDSO,
/// vvar) or are not resident (guard pages).
const PAGES_APART_KB: u64 = 32;

/// Boots with the firmware, its board file and the virtual servo.
pub(crate) fn boot(context: &Context<'_>, script: &str) -> Result<Machine, Failure> {
    let board_file = board_file(context, &IMX8MP_EVK, &[])?;
    ready(context, &IMX8MP_EVK, &board_file)?.start(&healthy(&IMX8MP_EVK), script)
}

fn contract(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u64 = 10_000;
    let binary = context.host.read_guest_program("steadfast")?.len();
    require(binary <= BINARY_BYTES, || {
        format!("the binary is {binary} bytes long, more than {BINARY_BYTES}")
    })?;
    let lines = IMX8MP_EVK.lines;
    let script = servo(&IMX8MP_EVK) + &command(&format!("--cycles {CYCLES}")) + SHOW;
    let mut machine = boot(context, &script)?;
    let start = machine.pins.mark();
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
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
    // Lit before the first and after the last cycle, dark in between.
    let driven = &edges[beats[0]..beats[beats.len() - 1]];
    require(
        !driven
            .iter()
            .any(|edge| edge.line == lines.fault_lamp && edge.level),
        || "the fault lamp was lit in a run without a fault".to_owned(),
    )?;
    let report = report_of(&finished.lines, 0)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", CYCLES)?;
    require_still_memory(&report)?;
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

fn emergency_stop(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let mut machine = boot(
        context,
        &(servo(&IMX8MP_EVK) + &command("--cycles 3000") + SHOW),
    )?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;

    let dropped = press_emergency_stop(&mut machine, &IMX8MP_EVK)?;

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
    let report = report_of(&finished.lines, 4)?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("emergency stop"), || {
        format!("the report does not name the emergency stop: {reason}")
    })?;
    // Half a second after the press, while the loop runs; its end is of the same fault.
    let saved = report.pointer("/black_box/saved").and_then(Value::as_array);
    require(saved.is_some_and(|saved| saved.len() == 1), || {
        format!("black boxes: {}", report["black_box"])
    })
}

fn sigterm(context: &Context<'_>) -> Result<(), Failure> {
    let script = servo(&IMX8MP_EVK)
        + &command("--cycles 1000000")
        + " &\nfirmware=$!\nread order\nkill -TERM $firmware\nwait $firmware"
        + SHOW;
    let mut machine = boot(context, &script)?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    let running = machine.pins.mark();
    machine.type_line("stop")?;
    let finished = machine.finish(LIMIT)?;
    report_of(&finished.lines, 0)?;
    let rest = finished.pins.between(running, finished.pins.mark());
    for line in energising(&IMX8MP_EVK) {
        let last = rest.iter().rev().find(|edge| edge.line == line);
        require(last.is_some_and(|edge| !edge.level), || {
            format!("line {line} was left energised: {last:?}")
        })?;
    }
    Ok(())
}
