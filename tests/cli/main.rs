//! The firmware from the command line: its output, its files, its end.
//!
//! No test depends on the speed of the machine: real-time runs are counted, not timed.

#![cfg(feature = "linux")]

mod arguments;
mod audited;
mod boards;
mod force;
mod json;
mod links;
mod parameters;
mod quick_stop;
mod recorded;
mod signals;
mod terminal;
mod text;
mod unprivileged;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use steadfast::stock::SIM_BOARD;
use testbed::emulation;
use testbed::program::{Ended, Scratch, end_of};

/// The firmware.
const STEADFAST: &str = env!("CARGO_BIN_EXE_steadfast");

/// The firmware with these arguments, without a terminal.
fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = emulation::start(Path::new(STEADFAST));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The reason why tests of the kernel are not run here, if they are not.
fn emulated() -> Option<&'static str> {
    emulation::emulator()
        .map(|_| "user-mode emulation: its terminal, users and limits are not the program's")
}

/// Runs the firmware with the words of `line` as its arguments.
fn steadfast(line: &str) -> Ended {
    end_of(&mut command(line.split_whitespace())).expect("the firmware can be started")
}

/// Runs the firmware with the words of `line`, then `--json` into `scratch`.
fn reported(line: &str, scratch: &Scratch) -> (Ended, Value) {
    let path = scratch.path("report.json");
    let mut command = command(line.split_whitespace());
    let ended = end_of(command.arg("--json").arg(&path));
    (ended.expect("it starts"), json_at(&path))
}

fn json_at(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a report");
    serde_json::from_str(&text).expect("the report is JSON")
}

/// The whole number at `pointer` of `report`.
fn number(report: &Value, pointer: &str) -> u64 {
    let value = report.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("no number at {pointer} of {report}"))
}

/// The reason of the end in the report.
fn reason(report: &Value) -> &str {
    let value = report.pointer("/exit/reason").and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no reason in {report}"))
}
