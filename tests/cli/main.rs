//! The firmware as whoever starts it meets it: what it prints, what it writes,
//! how it ends.
//!
//! Nothing here depends on how fast the machine is: runs in real time are
//! counted, not timed.

#![cfg(feature = "linux")]

mod arguments;
mod black_box;
mod boards;
#[path = "../emulation/mod.rs"]
mod emulation;
mod json;
mod signals;
mod terminal;
mod text;
mod unprivileged;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use steadfast::config::SIM_BOARD;

/// The firmware.
const STEADFAST: &str = env!("CARGO_BIN_EXE_steadfast");

/// How a command ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Ended {
    /// The one line on standard error.
    fn error_line(&self) -> &str {
        assert!(self.err.ends_with('\n'), "{self:?}");
        let line = self.err.trim_end_matches('\n');
        assert!(
            !line.is_empty() && !line.contains(char::is_control),
            "{self:?}"
        );
        line
    }
}

/// The firmware with these arguments, nothing of it a terminal.
fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = emulation::start(Path::new(STEADFAST));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Why what a kernel must judge is not run here, if it is not.
fn emulated() -> Option<&'static str> {
    emulation::emulator()
        .map(|_| "user-mode emulation: its terminal, users and limits are not the program's")
}

/// Runs the firmware with the words of `line` as its arguments.
fn steadfast(line: &str) -> Ended {
    let output = command(line.split_whitespace()).output();
    output.expect("the firmware can be started").into()
}

/// Runs the firmware with the words of `line`, then `--json` into `scratch`.
fn reported(line: &str, scratch: &Scratch) -> (Ended, Value) {
    let path = scratch.path("report.json");
    let mut command = command(line.split_whitespace());
    let output = command.arg("--json").arg(&path).output();
    (output.expect("it starts").into(), json_at(&path))
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

/// Why the run ended, by its report.
fn reason(report: &Value) -> &str {
    let value = report.pointer("/exit/reason").and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no reason in {report}"))
}

/// A directory of one test, open to every user, gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        // Not in the build directory: other users may not get there.
        let name = format!("steadfast-cli-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file for the test");
        path
    }

    /// The simulated board with `changes` made to its file.
    fn board(&self, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = SIM_BOARD.to_owned();
        for (from, to) in changes {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
        self.file("board.toml", &text)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left over is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
