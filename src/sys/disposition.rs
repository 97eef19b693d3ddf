//! The disposition of a signal (sigaction(2)), and an end by a signal.

use super::{Errno, check};

/// Sets the handler of `signal` to this address, `SIG_DFL` or `SIG_IGN`, with `SA_RESTART` and
/// on the alternate stack. The handler must make async-signal-safe calls only.
/// Async-signal-safe.
///
/// # Errors
/// sigaction(2): `EINVAL` for a number that is not a signal, and for `SIGKILL` and `SIGSTOP`,
/// which cannot be changed.
pub(super) fn set(signal: libc::c_int, handler: usize) -> Result<(), Errno> {
    // SAFETY: sigaction consists of numbers and addresses, for which all zeros is a valid
    // value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `action` is live; its handler makes async-signal-safe calls only.
    check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) })
}

/// Ends the process by the default action of `signal`, so that its exit status shows the
/// signal. Within a handler of the same signal it takes effect when the handler returns.
/// Async-signal-safe.
pub(super) fn end_by(signal: libc::c_int) {
    let _ = set(signal, libc::SIG_DFL);
    // SAFETY: takes no pointer.
    unsafe { libc::raise(signal) };
}
