//! The messages about a signal that ends the process.

use core::fmt::Write;

use super::cause;

/// The handled signals and their texts.
pub(super) const HANDLED: [(libc::c_int, &str); 10] = [
    (libc::SIGSEGV, "SIGSEGV, an invalid memory access"),
    (libc::SIGBUS, "SIGBUS, a bus error"),
    (libc::SIGILL, "SIGILL, an illegal instruction"),
    (libc::SIGFPE, "SIGFPE, an arithmetic fault"),
    (libc::SIGABRT, "SIGABRT, a panic or an abort"),
    (
        libc::SIGXCPU,
        "SIGXCPU, a real-time thread ran without a blocking call for longer than RLIMIT_RTTIME",
    ),
    (libc::SIGQUIT, "SIGQUIT, a request to end at once"),
    (libc::SIGTRAP, "SIGTRAP, a breakpoint without a debugger"),
    (libc::SIGSYS, "SIGSYS, a system call that a filter forbids"),
    (libc::SIGXFSZ, "SIGXFSZ, a file longer than RLIMIT_FSIZE"),
];

pub(super) fn signal_message(signal: libc::c_int) -> &'static str {
    let found = HANDLED.iter().find(|(number, _)| *number == signal);
    found.map_or("an unknown signal", |(_, what)| what)
}

/// Prints the recorded panic and the end of the process, when there is no time left for the
/// message of the standard library. Async-signal-safe.
pub(super) fn write_panic() {
    let mut line = heapless::String::<{ cause::NOTE_BYTES + 128 }>::new();
    let note = cause::cell().note();
    let abort = signal_message(libc::SIGABRT);
    // The capacity exceeds both texts.
    let _ = writeln!(line, "steadfast: panic: {note}\nsteadfast: {abort}");
    super::write_stderr(line.as_bytes());
}
