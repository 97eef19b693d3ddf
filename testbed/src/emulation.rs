//! Tests that run under user-mode emulation (qemu-user), and what they start.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The emulator this program runs under, if any.
///
/// qemu-user answers `/proc/self/exe` with the emulated program and leaves
/// `/proc/thread-self/exe` to the kernel, which names the emulator. On a kernel
/// of its own, both are this program.
pub fn emulator() -> Option<PathBuf> {
    let really = std::fs::read_link("/proc/thread-self/exe").ok()?;
    (really != std::env::current_exe().ok()?).then_some(really)
}

/// Says that the test of this thread is not run, and why: past the capture of
/// the test harness, because a test that is not run must not look like one that
/// passed.
pub fn not_run(reason: &str) {
    use std::io::Write;
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // Nobody can be told that standard error is gone.
    let _ = writeln!(std::io::stderr(), "test {name} ... not run: {reason}");
}

/// Errors of errno(3), by the numbers that they have on every machine of ours.
const ENOTTY: i32 = 25;
const ENOSYS: i32 = 38;

/// Whether `errno` says that the emulator does not know a system call, as that of
/// cross's own image with sched_setattr(2). The test is not run then, which this says.
pub fn lacks(errno: i32) -> bool {
    let lacks = errno == ENOSYS && emulator().is_some();
    if lacks {
        not_run("this emulator does not know the call");
    }
    lacks
}

/// What says that a file is not of the kind for an ioctl, to which it has answered
/// `errno`: `ENOTTY`, but `ENOSYS` of an emulator that does not know the ioctl.
pub fn enotty(errno: i32) -> i32 {
    if errno == ENOSYS && emulator().is_some() {
        ENOSYS
    } else {
        ENOTTY
    }
}

/// A command that starts `program`, through the emulator if there is one: the
/// kernel beneath cannot start an emulated program by itself.
pub fn start(program: &Path) -> Command {
    match emulator() {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}
