//! Output on a terminal.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::emulation::not_run;
use super::signals::{NEVER, Running};
use super::{Ended, STEADFAST, Scratch, emulated, end_of, json_at, reason};

/// Start of every drawing of the live line: carriage return and erase in line (ECMA-48, EL).
const REDRAW: &str = "\r\x1b[K";

/// Runs the firmware with `args` on a new terminal; `None`, with a note, if `script` is
/// missing.
fn on_a_terminal(args: &str) -> Option<Ended> {
    if let Some(reason) = emulated() {
        not_run(reason);
        return None;
    }
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(format!("'{STEADFAST}' {args}"))
        .arg("/dev/null")
        .stdin(Stdio::null());
    match end_of(&mut command) {
        Ok(ended) => Some(ended),
        Err(error) => {
            not_run(&format!("script of util-linux: {error}"));
            None
        }
    }
}

#[test]
fn the_live_line_is_redrawn_and_stays_above_the_report() {
    let Some(ended) = on_a_terminal("run --for 800ms") else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let drawn: Vec<&str> = ended.out.split(REDRAW).skip(1).collect();
    assert!(drawn.len() >= 2, "{ended:?}");
    for line in &drawn {
        for words in [" s  ", " cycles  worst lateness ", "  tracking_error_rad "] {
            assert!(line.contains(words), "{words} in {line:?}");
        }
    }
    let (last, before) = drawn.split_last().expect("not empty");
    assert!(before.iter().all(|line| !line.contains('\n')), "{before:?}");
    let report = last.split_once('\n').expect("the last one is ended").1;
    assert!(report.contains("REAL-TIME: "), "{report}");
    assert!(!report.contains('\x1b'), "{report}");
}

#[test]
fn quiet_and_virtual_runs_draw_no_live_line() {
    for args in ["run --for 300ms --quiet", "run --for 1s --pace free"] {
        let Some(ended) = on_a_terminal(args) else {
            return;
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.out.contains('\x1b'), "{ended:?}");
    }
}

/// Polls `look` until it returns a value.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < NEVER, "waiting for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Ctrl-S (XOFF), which stops the output of a terminal by default (termios(3), IXON).
const STOP_OUTPUT: &[u8] = b"\x13";

#[test]
fn a_terminal_under_flow_control_does_not_block_the_firmware() {
    if let Some(reason) = emulated() {
        not_run(reason);
        return;
    }
    let scratch = Scratch::new("flow-control");
    let (report, pid) = (scratch.path("report.json"), scratch.path("pid"));
    let board = scratch.patient_board(super::SIM_BOARD, &[]);
    let manager = UnixDatagram::bind(scratch.path("notify")).expect("a socket");
    manager.set_read_timeout(Some(NEVER)).expect("it can wait");
    // The process ID is written before the shell becomes the firmware.
    let line = format!(
        "echo $$ >{pid}.new; mv {pid}.new {pid}; exec {STEADFAST} run --board {board} --for 10m --json {report} >/dev/null",
        pid = pid.display(),
        board = board.display(),
        report = report.display()
    );
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("NOTIFY_SOCKET", scratch.path("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut terminal = match command.spawn() {
        Ok(child) => Running(child),
        Err(error) => return not_run(&format!("script of util-linux: {error}")),
    };
    let pid = wait_for("the firmware", || fs::read_to_string(&pid).ok());
    let told = || {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).expect("the manager is told");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    while !told().contains("READY=1") {}
    let keyboard = terminal.0.stdin.as_mut().expect("a pipe");
    keyboard.write_all(STOP_OUTPUT).expect("the key is pressed");
    // Meanwhile, at ten lines per second, more is drawn than the terminal buffers.
    for _ in 0..30 {
        while !told().contains("WATCHDOG=1") {}
    }
    let line = format!("kill -s TERM {pid}");
    let killed = Command::new("sh").args(["-c", &line]).status();
    assert!(killed.is_ok_and(|status| status.success()), "{line}");
    while !told().contains("STOPPING=1") {}
    // The output is still stopped. `script` ends with the firmware.
    let gone = || (!fs::exists(format!("/proc/{}/fd/2", pid.trim())).ok()?).then_some(());
    wait_for("the end of the firmware", gone);
    assert_eq!(reason(&json_at(&report)), "stopped by SIGTERM");
}
