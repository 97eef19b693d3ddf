//! Tests that run under user-mode emulation (qemu-user), and what they start.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The emulator this program runs under, if any.
///
/// qemu-user answers `/proc/self/exe` with the emulated program and leaves
/// `/proc/thread-self/exe` to the kernel, which names the emulator. On a kernel
/// of its own, both are this program.
pub(crate) fn emulator() -> Option<PathBuf> {
    let really = std::fs::read_link("/proc/thread-self/exe").ok()?;
    (really != std::env::current_exe().ok()?).then_some(really)
}

/// A command that starts `program`, through the emulator if there is one: the
/// kernel beneath cannot start an emulated program by itself.
pub(crate) fn start(program: &Path) -> Command {
    match emulator() {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}
