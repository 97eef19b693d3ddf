//! Tests under user-mode emulation (qemu-user), and the programs that they start.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The emulator of this program, if there is one.
///
/// qemu-user replaces `/proc/self/exe` by the emulated program but not
/// `/proc/thread-self/exe`, which names the emulator. Without an emulator both name this
/// program.
pub fn emulator() -> Option<PathBuf> {
    let really = std::fs::read_link("/proc/thread-self/exe").ok()?;
    (really != std::env::current_exe().ok()?).then_some(really)
}

/// Reports that the test of this thread is not run, and why. It bypasses the capture of
/// the test harness, so that such a test does not look passed.
pub fn not_run(reason: &str) {
    use std::io::Write;
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // An error of standard error cannot be reported.
    let _ = writeln!(std::io::stderr(), "test {name} ... not run: {reason}");
}

/// Errors of errno(3), with the same numbers on all our targets.
const ENOTTY: i32 = 25;
const ENOSYS: i32 = 38;

/// Whether `errno` means that the emulator does not support a system call, as the emulator
/// of cross's image and sched_setattr(2). If so, it reports that the test is not run.
pub fn lacks(errno: i32) -> bool {
    let lacks = errno == ENOSYS && emulator().is_some();
    if lacks {
        not_run("this emulator does not support the system call");
    }
    lacks
}

/// The error that a file of another kind must give for an ioctl, if it gave `errno`:
/// `ENOTTY`, but `ENOSYS` under an emulator that does not support the ioctl.
pub fn enotty(errno: i32) -> i32 {
    if errno == ENOSYS && emulator().is_some() {
        ENOSYS
    } else {
        ENOTTY
    }
}

/// A command that starts `program`, through the emulator if there is one, because the
/// kernel cannot start an emulated program.
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
