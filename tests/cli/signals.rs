//! Signals during a run.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::{Ended, Scratch, command, emulation, json_at, number, reason};

/// The limit of every wait, far above the need.
pub(super) const NEVER: Duration = Duration::from_secs(60);

/// A running firmware, killed when dropped.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Waits until one of its threads, the loop, has slept `cycles` times.
    pub(super) fn wait_for_cycles(&mut self, cycles: u64) {
        let begun = Instant::now();
        while self.cycles() < cycles {
            let ended = self.0.try_wait().expect("a child can be asked");
            assert_eq!(
                ended, None,
                "the firmware ended before its {cycles}th cycle"
            );
            let seen = self.cycles();
            assert!(
                begun.elapsed() < NEVER,
                "the firmware hangs after {seen} of {cycles} cycles"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has ended, without reading its output.
    fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            match self.0.try_wait().expect("a child can be asked") {
                Some(status) => return status,
                None => assert!(begun.elapsed() < NEVER, "the firmware does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn cycles(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let tasks = tasks.into_iter().flatten().flatten();
        tasks
            .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
            .filter_map(|status| {
                let slept = status
                    .lines()
                    .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
                slept.trim().parse().ok()
            })
            .max()
            .unwrap_or(0)
    }

    /// Sends a signal, named without SIG.
    pub(super) fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &line]).status();
        assert!(status.is_ok_and(|status| status.success()), "{line}");
    }

    /// Waits for its end.
    pub(super) fn ended(mut self) -> Ended {
        let status = self.ends();
        let mut text = [String::new(), String::new()];
        let [out, err] = &mut text;
        let read = |pipe: Option<&mut dyn Read>, text: &mut String| {
            if let Some(pipe) = pipe {
                pipe.read_to_string(text).expect("what is printed is UTF-8");
            }
        };
        read(self.0.stdout.as_mut().map(|pipe| pipe as _), out);
        read(self.0.stderr.as_mut().map(|pipe| pipe as _), err);
        let [out, err] = text;
        Ended {
            code: status.code(),
            signal: status.signal(),
            out,
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The firmware has usually ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run that would take ten minutes, with its report in `scratch`.
fn long_run(scratch: &Scratch, board: Option<&std::path::Path>) -> Running {
    let mut command = command(["run", "--for", "10m", "--quiet", "--json"]);
    command.arg(scratch.path("report.json"));
    if let Some(board) = board {
        command.arg("--board").arg(board);
    }
    Running(command.spawn().expect("it starts"))
}

#[test]
fn a_stop_request_ends_the_run_in_order_and_is_named() {
    for name in ["TERM", "INT", "HUP"] {
        let scratch = Scratch::new(&format!("stop-{name}"));
        let mut running = long_run(&scratch, None);
        // The rehearsal takes 110 cycles.
        running.wait_for_cycles(400);
        running.signal(name);
        let ended = running.ended();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let report = json_at(&scratch.path("report.json"));
        assert_eq!(reason(&report), format!("stopped by SIG{name}"));
        assert!(number(&report, "/cycles/run") > 100, "{report}");
        assert!(
            number(&report, "/cycles/rest") > 0,
            "no cycles of a stop: {report}"
        );
        assert_eq!(report["axes"][0]["state"], "Switch on disabled");
    }
}

#[test]
fn a_stop_request_before_the_first_cycle_is_not_lost() {
    let scratch = Scratch::new("stop-early");
    let mut running = long_run(&scratch, None);
    running.wait_for_cycles(20);
    running.signal("TERM");
    let ended = running.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        reason(&json_at(&scratch.path("report.json"))),
        "stopped by SIGTERM"
    );
}

#[test]
fn terminal_stop_signals_do_not_pause_the_firmware() {
    let scratch = Scratch::new("freeze");
    let mut running = long_run(&scratch, None);
    running.wait_for_cycles(300);
    for name in ["TSTP", "TTIN", "TTOU"] {
        running.signal(name);
        let seen = running.cycles();
        running.wait_for_cycles(seen + 50);
    }
    running.signal("TERM");
    assert_eq!(running.ended().code, Some(0));
}

#[test]
fn a_second_sigint_ends_the_firmware_at_once() {
    const SIGINT: i32 = 2;
    let scratch = Scratch::new("twice");
    // With this slow brake the stop takes longer than every wait here.
    let board = scratch.board(
        super::SIM_BOARD,
        &[
            ("brake_engage_ms = 30", "brake_engage_ms = 600000"),
            ("lock = \"all\"", "lock = \"all\"\nstop_ms = 60000"),
        ],
    );
    let mut running = long_run(&scratch, Some(&board));
    running.wait_for_cycles(500);
    running.signal("INT");
    let seen = running.cycles();
    // The stop is in progress, and the first request has been taken.
    running.wait_for_cycles(seen + 100);
    running.signal("INT");
    let ended = running.ended();
    assert_eq!(
        (ended.code, ended.signal),
        (None, Some(SIGINT)),
        "{ended:?}"
    );
}

/// What a pipe holds by default, in bytes (pipe(7)).
const PIPE_BYTES: usize = 65_536;
#[test]
fn a_full_stderr_does_not_block_the_exit() {
    const SIGSEGV: i32 = 11;
    if emulation::emulator().is_some() {
        emulation::not_run("the emulator prints a message when its program dies");
        return;
    }
    let scratch = Scratch::new("stuck");
    let (_reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(&[b'\n'; PIPE_BYTES]).expect("it fits");
    let mut command = command(["run", "--for", "10m", "--quiet", "--json"]);
    command.arg(scratch.path("report.json")).stderr(writer);
    let mut running = Running(command.spawn().expect("it starts"));
    running.wait_for_cycles(300);
    running.signal("SEGV");
    assert_eq!(running.ends().signal(), Some(SIGSEGV));
}

#[test]
fn a_run_on_the_virtual_clock_can_be_stopped() {
    if emulation::emulator().is_some() {
        // The test reads from outside whether the handlers are installed.
        emulation::not_run("/proc shows the handlers of the emulator");
        return;
    }
    let scratch = Scratch::new("free-stop");
    let path = scratch.path("report.json");
    let mut command = command([
        "run", "--pace", "free", "--for", "100000h", "--quiet", "--json",
    ]);
    let child = command.arg(&path).spawn().expect("it starts");
    let mut running = Running(child);
    // The handlers are installed once SIGTERM (15) is caught.
    let catches = |running: &Running| {
        let status = fs::read_to_string(format!("/proc/{}/status", running.0.id()));
        let status = status.unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << 14) != 0)
    };
    let begun = Instant::now();
    while !catches(&running) {
        assert!(begun.elapsed() < NEVER, "SIGTERM is not caught");
        assert_eq!(running.0.try_wait().expect("a child can be asked"), None);
        thread::sleep(Duration::from_millis(1));
    }
    // One signal is enough: a request is kept from the installation of its handler on.
    running.signal("TERM");
    running.ends();
    assert_eq!(running.ended().code, Some(0));
    assert_eq!(reason(&json_at(&path)), "stopped by SIGTERM");
}
