//! Signals: sigaction(2), pthread_sigmask(3), and the handler that notes a
//! request to stop.

use core::sync::atomic::{AtomicI32, Ordering};

use super::cause::{self, Kind};
use super::{Errno, check, emergency};

/// The first signal that asked for an end, 0 for none.
static STOP: AtomicI32 = AtomicI32::new(0);

/// The first signal that asked the process to stop since [`clear_stop`], if
/// any. One atomic load: for every cycle.
#[inline]
#[must_use]
pub fn stop_signal() -> Option<i32> {
    match STOP.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

/// Notes a request to stop as if `signal` had come, unless there is one already.
pub fn request_stop(signal: i32) {
    let _ = STOP.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
}

/// Forgets the request to stop.
pub fn clear_stop() {
    STOP.store(0, Ordering::Relaxed);
}

/// What a signal does from now on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// `SIG_DFL`: what signal(7) says of it.
    Default,
    /// `SIG_IGN`: nothing.
    Ignore,
    /// It is noted as a request to stop ([`stop_signal`]). A `SIGINT` that comes
    /// when one is noted already runs the [`emergency`] actions and ends the
    /// process by `SIGINT`.
    RequestStop,
}

/// `sigaction(signal, disposition)`, with `SA_RESTART`.
///
/// # Errors
/// sigaction(2): `EINVAL` for a number that is no signal, and for `SIGKILL` and
/// `SIGSTOP`, which nothing can change.
pub fn set_disposition(signal: i32, disposition: Disposition) -> Result<(), Errno> {
    let handler = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
        Disposition::RequestStop => on_stop as extern "C" fn(libc::c_int) as usize,
    };
    // SAFETY: sigaction is plain numbers and addresses, zero is a value of each.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `action` is live; its handler makes async-signal-safe calls only.
    check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) })
}

/// Async-signal-safe: one atomic, and for an impatient second `SIGINT` ioctl(2),
/// sigaction(2) and raise(3).
extern "C" fn on_stop(signal: libc::c_int) {
    let first = STOP.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    if first.is_err() && signal == libc::SIGINT {
        super::write_stderr(b"steadfast: interrupted twice, ending at once with safe outputs\n");
        cause::record(Kind::Interrupted, 0, 0);
        emergency::before_signal(signal);
        end_by(signal);
    }
}

/// Ends the process by the default action of `signal`, so that its exit status
/// shows which. Inside of a handler of this very signal, it takes effect when
/// the handler returns. Async-signal-safe.
pub(crate) fn end_by(signal: libc::c_int) {
    let _ = set_disposition(signal, Disposition::Default);
    // SAFETY: takes no pointer.
    unsafe { libc::raise(signal) };
}

/// `sigset_t`: a set of signals.
#[derive(Copy, Clone)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// Every signal but those that a thread brings upon itself, which the
    /// kernel would answer with `SIGKILL` if they were blocked, before a
    /// handler could make the outputs safe: `SIGSEGV`, `SIGBUS`, `SIGILL`,
    /// `SIGFPE`, `SIGTRAP`, `SIGSYS`, `SIGABRT`; and `SIGXCPU`, which the kernel
    /// sends to the very thread that ran away.
    #[must_use]
    pub fn all_but_synchronous() -> Self {
        // SAFETY: sigset_t is plain numbers, for which zero is a value.
        let mut set: libc::sigset_t = unsafe { core::mem::zeroed() };
        // SAFETY: `set` is live and writable.
        unsafe { libc::sigfillset(&raw mut set) };
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
            libc::SIGSYS,
            libc::SIGABRT,
            libc::SIGXCPU,
        ] {
            // SAFETY: `set` is live and writable, the number is a signal's.
            unsafe { libc::sigdelset(&raw mut set, signal) };
        }
        Self(set)
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub fn contains(&self, signal: i32) -> bool {
        // SAFETY: the set is live; a number that is no signal is answered -1.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }
}

/// `pthread_sigmask(SIG_SETMASK, set)`: blocks exactly `set` on the calling
/// thread, and on those it creates. Returns what was blocked before.
///
/// # Errors
/// pthread_sigmask(3); none is expected.
pub fn set_mask(set: &SignalSet) -> Result<SignalSet, Errno> {
    // SAFETY: sigset_t is plain numbers, for which zero is a value.
    let mut before: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: both sets are live, the second one writable.
    let answer =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set.0, &raw mut before) };
    if answer == 0 {
        Ok(SignalSet(before))
    } else {
        Err(Errno(answer))
    }
}

/// What the calling thread blocks.
///
/// # Errors
/// pthread_sigmask(3); none is expected.
pub fn mask() -> Result<SignalSet, Errno> {
    // SAFETY: sigset_t is plain numbers, for which zero is a value.
    let mut now: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: no new mask is given; `now` is live and writable.
    let answer =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, core::ptr::null(), &raw mut now) };
    if answer == 0 {
        Ok(SignalSet(now))
    } else {
        Err(Errno(answer))
    }
}
