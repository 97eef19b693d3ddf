//! What is said of a signal that ends the process.

use core::fmt::Write;

use super::cause;

/// The signals handled, and what is said of each.
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

pub(super) fn words(signal: libc::c_int) -> &'static str {
    let found = HANDLED.iter().find(|(number, _)| *number == signal);
    found.map_or("an unknown signal", |(_, what)| what)
}

/// Says what is on record of a panic, and how the process ends, where there is no time
/// left for the standard library's words. Async-signal-safe.
pub(super) fn say_panic() {
    let mut line = heapless::String::<{ cause::NOTE_BYTES + 128 }>::new();
    let note = cause::cell().note();
    let abort = words(libc::SIGABRT);
    // Longer than both.
    let _ = writeln!(line, "steadfast: panic: {note}\nsteadfast: {abort}");
    super::write_stderr(line.as_bytes());
}
