//! Promises that are broken while the loop runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use steadfast::realtime::scheduler::{self, Policy};

use super::emulation::not_run;
use super::signals::Running;
use super::{Ended, Scratch, command, emulated, json_at, number, reason};

/// A run of ten minutes on the board with `changes`, once its loop has its policy; `None`,
/// with a note, if it gets no real-time policy.
fn running(scratch: &Scratch, changes: &[(&str, &str)]) -> Option<(Running, i32)> {
    if let Some(reason) = emulated() {
        not_run(reason);
        return None;
    }
    let board = scratch.board(super::SIM_BOARD, changes);
    let mut command = command(["run", "--for", "10m", "--quiet", "--json"]);
    command.arg(scratch.path("report.json"));
    command.arg("--board").arg(board);
    let mut running = Running(command.spawn().expect("it starts"));
    // The rehearsal takes 110 cycles.
    running.wait_for_cycles(400);
    let tasks = fs::read_dir(format!("/proc/{}/task", running.0.id())).expect("it runs");
    let mut tasks = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let fifo = Ok(Policy::Fifo { priority: 80 });
    let Some(looped) = tasks.find(|tid| scheduler::policy_of(*tid) == fifo) else {
        not_run("it gets no real-time priority here");
        return None;
    };
    Some((running, looped))
}

fn broken(report: &Value) -> Vec<(&str, &str)> {
    let text = |value: &'_ Value, key: &str| -> &'static str {
        value[key].as_str().expect("a text").to_owned().leak()
    };
    let broken = report["contract"]["broken_at"].as_array().expect("a list");
    for breach in broken {
        let at = breach["at_s"].as_f64().expect("a time");
        assert!((0.0..600.0).contains(&at), "{breach}");
    }
    let pair = |breach| (text(breach, "promise"), text(breach, "found"));
    broken.iter().map(pair).collect()
}

#[test]
fn a_lost_priority_is_reported_and_the_loop_continues() {
    let scratch = Scratch::new("priority-reported");
    let Some((mut running, looped)) = running(&scratch, &[]) else {
        return;
    };
    scheduler::set_ordinary(looped).expect("it is ours");
    let seen = cycles(looped);
    running.wait_for_cycles(seen + 200);
    running.signal("TERM");
    let ended = running.ended();
    let report = json_at(&scratch.path("report.json"));
    assert_eq!(ended.code, Some(0), "best effort: {ended:?}");
    assert_eq!(reason(&report), "stopped by SIGTERM");
    let broken = broken(&report);
    let taken = ("scheduler", "OTHER instead of FIFO 80");
    assert!(broken.contains(&taken), "{broken:?}");
    assert_eq!(report["contract"]["kept"], false);
    said_once(&ended, "scheduler: OTHER instead of FIFO 80");
}

#[test]
fn a_lost_priority_ends_the_run_by_a_quick_stop_if_configured() {
    let scratch = Scratch::new("priority-stopped");
    let on_broken = (
        "\"best-effort\"",
        "\"best-effort\"\non_broken = \"quick-stop\" #",
    );
    let Some((running, looped)) = running(&scratch, &[on_broken]) else {
        return;
    };
    scheduler::set_ordinary(looped).expect("it is ours");
    let ended = running.ended();
    let report = json_at(&scratch.path("report.json"));
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let words = "contract broken while running: scheduler: OTHER instead of FIFO 80";
    assert!(reason(&report).starts_with(words), "{}", reason(&report));
    let remedy = "; see steadctl explain \"scheduler\"";
    assert!(reason(&report).contains(remedy), "{}", reason(&report));
    assert!(number(&report, "/cycles/rest") > 0, "no cycles of a stop");
    assert_eq!(report["axes"][0]["state"], "Switch on disabled");
    said_once(&ended, "scheduler: OTHER instead of FIFO 80");
    assert!(ended.err.contains("; quick stop\n"), "{ended:?}");
}

#[test]
fn a_changed_cpu_affinity_is_reported() {
    let scratch = Scratch::new("cpus");
    let all = scheduler::affinity().expect("it is asked for");
    let Some(first) = all.iter().next().filter(|_| all.len() > 1) else {
        not_run("there is one CPU");
        return;
    };
    let Some((running, looped)) = running(&scratch, &[]) else {
        return;
    };
    let taskset = Command::new("taskset")
        .args(["-p", "-c", &first.to_string(), &looped.to_string()])
        .output();
    if !taskset.is_ok_and(|output| output.status.success()) {
        not_run("taskset of util-linux is missing");
        return;
    }
    running.signal("TERM");
    let ended = running.ended();
    let report = json_at(&scratch.path("report.json"));
    // Also when the run ends before the next look.
    let broken = broken(&report);
    let found = broken.iter().find(|(promise, _)| *promise == "cpu");
    let words = format!("CPU {first} instead of CPU ");
    assert!(
        found.is_some_and(|(_, found)| found.starts_with(&words)),
        "{broken:?}"
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

fn said_once(ended: &Ended, words: &str) {
    let lines = ended.err.lines();
    let said = lines.filter(|line| line.contains(" after the start: "));
    let said: Vec<&str> = said.filter(|line| line.contains(words)).collect();
    assert_eq!(said.len(), 1, "{ended:?}");
}

/// Voluntary switches of the thread.
fn cycles(thread: i32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(thread.to_string()).join("status"));
    let status = status.unwrap_or_default();
    let mut lines = status.lines();
    let slept = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    slept
        .and_then(|slept| slept.trim().parse().ok())
        .unwrap_or(0)
}
