//! The firmware on the other boards, each with its board file: it starts with a kept
//! contract, reset enables it, and the emergency stop drops enable within two periods.

use crate::guest::{
    HOLD, LIMIT, ONE_CPU, SHOW, SHOWN, arm_and_move, board_file, broken_rows, command, energising,
    healthy, let_go, press_emergency_stop, ready, report_of, require_kept, require_still_memory,
    servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::{Board, QEMUARM64, RASPBERRYPI4_64};
use testbed::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "raspberrypi4_is_enabled_by_reset_and_stopped_by_the_emergency_stop",
        run: raspberrypi4,
    },
    Test {
        name: "qemuarm64_is_enabled_by_reset_and_stopped_by_the_emergency_stop",
        run: qemuarm64,
    },
];

/// Arms, moves, presses the emergency stop and judges the result. The guest runs
/// `--cycles 1000` and shows the report.
fn drive(machine: &mut Machine, board: &Board) -> Result<(), Failure> {
    let lines = board.lines;
    arm_and_move(machine, board)?;
    let dropped = press_emergency_stop(machine, board)?;
    machine.pins.drive(lines.emergency_stop, true)?;
    let report = report_of(&machine.collect_until(SHOWN, LIMIT)?, 4)?;
    require_kept(&report)?;
    require_still_memory(&report)?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("emergency stop"), || {
        format!("the report does not name the emergency stop: {reason}")
    })?;
    let now = machine.pins.drive(lines.reset, false)?;
    let again = machine.pins.count(lines.enable, dropped, now);
    require(again == 0, || {
        "releasing the emergency stop changed enable".to_owned()
    })
}

fn raspberrypi4(context: &Context<'_>) -> Result<(), Failure> {
    let board = &RASPBERRYPI4_64;
    let text = board_file(context, board, &[])?;
    let script = servo(board) + &command("--cycles 1000") + SHOW + HOLD;
    let mut machine = ready(context, board, &text)?.start(&healthy(board), &script)?;
    drive(&mut machine, board)?;
    let_go(machine)
}

/// The machine has one CPU: the shipped board file requires an isolated CPU and is
/// refused with safe outputs.
fn qemuarm64(context: &Context<'_>) -> Result<(), Failure> {
    let board = &QEMUARM64;
    let shipped = board_file(context, board, &[])?;
    let one_cpu = board_file(context, board, &[ONE_CPU])?;
    let script = servo(board)
        + &command("--cycles 1000")
        + SHOW
        + "/steadfast run --board /one-cpu.toml --cycles 1000 --quiet --json /tmp/report.json"
        + SHOW
        + HOLD;
    let mut machine = ready(context, board, &shipped)?
        .file("/one-cpu.toml", 0o644, one_cpu.as_bytes())
        .start(&healthy(board), &script)?;
    let start = machine.pins.mark();
    let report = report_of(&machine.collect_until(SHOWN, LIMIT)?, 3)?;
    let broken = broken_rows(&report);
    require(broken.len() == 1 && broken[0]["name"] == "cpu", || {
        format!("expected only the row cpu to be broken, got {broken:?}")
    })?;
    let now = machine.pins.drive(board.lines.reset, false)?;
    for line in energising(board) {
        require(machine.pins.count(line, start, now) == 0, || {
            format!("line {line} changed in a start that was refused")
        })?;
    }
    drive(&mut machine, board)?;
    let_go(machine)
}
