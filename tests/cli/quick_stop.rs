//! Reports of quick stops by the overrun ladder.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::signals::Running;
use super::{Scratch, command, emulation, json_at, number, reason, reported, steadfast};

/// A ladder whose quick stop takes 300 missed slots, and whose bucket drains in a few
/// cycles, so that the lateness of a busy machine has no effect. The axis holds its
/// position, so that a gap is not a jump.
const LADDER: (&str, &str) = (
    "action = \"count\"",
    "action = \"escalate\"\nfill = 10\ndrain = 1000\nquick_stop = 3000\nfault = 1000000",
);
const HOLDS: (&str, &str) = (
    "positions_rad = [6.283185, -6.283185]",
    "positions_rad = []",
);
const GOES_ON: (&str, &str) = ("waits = true", "waits = false");

fn board(scratch: &Scratch, safety: &str) -> std::path::PathBuf {
    let arm = format!("arm = \"at-start\"\n{safety}");
    scratch.patient_board(
        super::SIM_BOARD,
        &[LADDER, HOLDS, GOES_ON, ("arm = \"at-start\"", &arm)],
    )
}

/// Runs `board` for `time`, and pauses the process in the middle of it.
fn stopped_in_the_middle(scratch: &Scratch, board: &Path, time: &str) -> (Option<i32>, Value) {
    let mut command = command(["run", "--for", time, "--quiet", "--json"]);
    command.arg(scratch.path("report.json"));
    command.arg("--board").arg(board);
    let mut running = Running(command.spawn().expect("it starts"));
    // The rehearsal takes 110 cycles.
    running.wait_for_cycles(400);
    running.signal("STOP");
    thread::sleep(Duration::from_millis(600));
    running.signal("CONT");
    let ended = running.ended();
    (ended.code, json_at(&scratch.path("report.json")))
}

#[test]
fn an_axis_stopped_after_overruns_is_in_report_and_exit_code() {
    let scratch = Scratch::new("ladder");
    // Every cycle is late on the virtual clock: the ladder stops the axis in its fifth cycle
    // permanently.
    let board = scratch.board(
        super::SIM_BOARD,
        &[
            (
                "action = \"count\"",
                "action = \"escalate\"\nfault = 1000000",
            ),
            ("cycle_cost_us = 20", "cycle_cost_us = 1500"),
        ],
    );
    let line = format!("run --pace free --for 1s --board {}", board.display());
    let (ended, report) = reported(&line, &scratch);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(number(&report, "/exit/code"), 5);
    let words = "not armed again: too many missed deadlines (overrun ladder)";
    assert!(reason(&report).contains(words), "{report}");
    let stops = &report["quick_stops"];
    assert_eq!(stops["armed_again"], false, "{report}");
    assert_eq!(number(stops, "/count"), 1);
    assert_eq!(stops["last"]["cause"], "overrun");
    // A deadline missed and a slot skipped in each cycle: 50 at 10 each.
    assert_eq!(number(stops, "/last/missed"), 6);
    assert_eq!(number(stops, "/last/slot"), 4);
    assert_eq!(stops["last"]["time_s"], 0.004);
    assert!(
        ended
            .out
            .contains("quick stops       1, the last at 0.004 s"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("NOT ARMED AGAIN"), "{}", ended.out);
}

#[test]
fn a_run_without_a_quick_stop_counts_none() {
    let scratch = Scratch::new("no-stop");
    let (ended, report) = reported("run --pace free --for 1s", &scratch);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(number(&report, "/quick_stops/count"), 0);
    assert!(report["quick_stops"]["last"].is_null(), "{report}");
    assert!(!ended.out.contains("quick stop"), "{}", ended.out);
}

#[test]
fn a_paused_process_reports_its_axis_as_off() {
    if emulation::emulator().is_some() {
        emulation::not_run("the emulator is what would be stopped");
        return;
    }
    let scratch = Scratch::new("stopped");
    let board = board(&scratch, "");
    let (code, report) = stopped_in_the_middle(&scratch, &board, "3s");
    assert_eq!(code, Some(5), "{report}");
    assert_eq!(report["quick_stops"]["armed_again"], false, "{report}");
    assert!(
        number(&report, "/quick_stops/last/missed") >= 300,
        "{report}"
    );
}

#[test]
fn with_rearm_when_in_time_a_paused_process_re_arms_and_exits_0() {
    if emulation::emulator().is_some() {
        emulation::not_run("the emulator is what would be stopped");
        return;
    }
    let scratch = Scratch::new("rearmed");
    let board = board(&scratch, "rearm = \"when-in-time\"");
    let (code, report) = stopped_in_the_middle(&scratch, &board, "3s");
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(reason(&report), "done");
    // The quick stop is reported nevertheless.
    assert!(number(&report, "/quick_stops/count") >= 1, "{report}");
    assert_eq!(report["quick_stops"]["armed_again"], true, "{report}");
}

#[test]
fn the_help_names_the_exit_code_of_a_stopped_axis() {
    let help = steadfast("--help").out;
    assert!(help.contains("5 an axis was stopped"), "{help}");
}
