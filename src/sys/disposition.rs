//! What a signal does: sigaction(2), and an end by a signal.

use super::{Errno, check};

/// Gives `signal` the handler at this address, or `SIG_DFL` or `SIG_IGN`, with
/// `SA_RESTART` and on the alternate stack. The handler makes async-signal-safe calls
/// only. Async-signal-safe.
///
/// # Errors
/// sigaction(2): `EINVAL` for a number that is no signal, and for `SIGKILL` and
/// `SIGSTOP`, which nothing can change.
pub(super) fn set(signal: libc::c_int, handler: usize) -> Result<(), Errno> {
    // SAFETY: sigaction is plain numbers and addresses, zero is a value of each.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `action` is live; its handler makes async-signal-safe calls only.
    check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) })
}

/// Ends the process by the default action of `signal`, so that its exit status
/// shows which. Inside of a handler of this very signal, it takes effect when
/// the handler returns. Async-signal-safe.
pub(super) fn end_by(signal: libc::c_int) {
    let _ = set(signal, libc::SIG_DFL);
    // SAFETY: takes no pointer.
    unsafe { libc::raise(signal) };
}
