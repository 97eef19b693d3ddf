//! Signals: sigaction(2), pthread_sigmask(3), and the handler that notes a stop request.

use core::sync::atomic::{AtomicI32, Ordering};

use super::cause::{self, Kind};
use super::memory::Range;
use super::{Errno, attention, check, disposition, emergency};

/// The first signal that requested a stop; negative after the run that it stopped has ended; 0
/// for none.
struct Stop(AtomicI32);

static STOP: Stop = Stop(AtomicI32::new(0));

impl Stop {
    fn requested(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            signal @ 1.. => Some(signal),
            _ => None,
        }
    }

    /// Notes a request, unless there is one that is not answered. Returns whether there was one
    /// before, answered or not.
    fn note(&self, signal: i32) -> bool {
        let unanswered = |before| (before <= 0).then_some(signal);
        let noted = self.change(unanswered);
        attention::raise();
        noted != Ok(0)
    }

    fn take(&self) -> Option<i32> {
        self.change(|signal| (signal > 0).then_some(-signal)).ok()
    }

    fn forget_answered(&self) {
        let _ = self.change(|signal| (signal < 0).then_some(0));
    }

    fn change(&self, to: impl FnMut(i32) -> Option<i32>) -> Result<i32, i32> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, to)
    }
}

/// The first signal that requested a stop and is not answered, if any. The loop looks at it once
/// [`attention`] was raised.
#[must_use]
pub fn stop_signal() -> Option<i32> {
    STOP.requested()
}

/// Notes a stop request as if `signal` had arrived, unless there is one already.
pub fn request_stop(signal: i32) {
    STOP.note(signal);
}

/// Answers the stop request and returns its signal; called when the run that it stopped has
/// ended. A later request is a new one.
pub fn take_stop() -> Option<i32> {
    STOP.take()
}

/// Clears an answered request, before another run; a request that is not answered stays.
pub fn forget_answered_stop() {
    STOP.forget_answered();
}

/// Clears the stop request, answered or not.
pub fn clear_stop() {
    STOP.0.store(0, Ordering::Relaxed);
}

/// The disposition of a signal.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// `SIG_DFL`: the default action (signal(7)).
    Default,
    /// `SIG_IGN`: nothing.
    Ignore,
    /// The signal is noted as a stop request ([`stop_signal`]). A `SIGINT` after a request that
    /// is noted already, answered or not, runs the [`emergency`] actions and ends the process
    /// by `SIGINT`.
    RequestStop,
}

/// `sigaction(signal, disposition)`, with `SA_RESTART`.
///
/// # Errors
/// sigaction(2): `EINVAL` for a number that is not a signal, and for `SIGKILL` and `SIGSTOP`,
/// which cannot be changed.
pub fn set_disposition(signal: i32, wanted: Disposition) -> Result<(), Errno> {
    let handler = match wanted {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
        Disposition::RequestStop => on_stop as extern "C" fn(libc::c_int) as usize,
    };
    disposition::set(signal, handler)
}

/// Async-signal-safe: one atomic; for a second `SIGINT` also the [`emergency`] actions,
/// sigaction(2) and raise(3).
extern "C" fn on_stop(signal: libc::c_int) {
    let again = STOP.note(signal);
    if again && signal == libc::SIGINT {
        super::write_stderr(b"steadfast: interrupted twice, ending at once with safe outputs\n");
        cause::record(Kind::Interrupted, 0, 0);
        emergency::before_signal(signal);
        disposition::end_by(signal);
    }
}

/// `sigset_t`: a set of signals.
#[derive(Copy, Clone)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// All signals except those that a thread raises itself: `SIGSEGV`, `SIGBUS`, `SIGILL`,
    /// `SIGFPE`, `SIGTRAP`, `SIGSYS`, `SIGABRT`. If these were blocked, the kernel would kill
    /// the process before a handler could make the outputs safe. `SIGXCPU` is excepted too: the
    /// kernel sends it to the thread that ran away.
    #[must_use]
    pub fn all_but_synchronous() -> Self {
        // SAFETY: sigset_t consists of numbers, for which all zeros is a valid value.
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
        // SAFETY: the set is live; the result is -1 for a number that is not a signal.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }
}

/// `pthread_sigmask(SIG_SETMASK, set)`: blocks exactly `set` on the calling thread and on
/// threads that it creates. Returns the previous mask.
///
/// # Errors
/// pthread_sigmask(3); none is expected.
pub fn set_mask(set: &SignalSet) -> Result<SignalSet, Errno> {
    // SAFETY: sigset_t consists of numbers, for which all zeros is a valid value.
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

/// The alternate signal stack of the calling thread, if it has one (sigaltstack(2)).
#[must_use]
pub fn alternate_stack() -> Option<Range> {
    // SAFETY: stack_t consists of an address and numbers, for which all zeros is a valid value.
    let mut stack: libc::stack_t = unsafe { core::mem::zeroed() };
    // SAFETY: no new stack is given; `stack` is live and writable.
    check(unsafe { libc::sigaltstack(core::ptr::null(), &raw mut stack) }).ok()?;
    (stack.ss_flags & libc::SS_DISABLE == 0).then(|| Range {
        address: stack.ss_sp.addr(),
        length: stack.ss_size,
    })
}

/// The signals that the calling thread blocks.
///
/// # Errors
/// pthread_sigmask(3); none is expected.
pub fn mask() -> Result<SignalSet, Errno> {
    // SAFETY: sigset_t consists of numbers, for which all zeros is a valid value.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stop_request_is_kept_until_it_is_taken() {
        let stop = Stop(AtomicI32::new(0));
        stop.forget_answered();
        assert_eq!((stop.requested(), stop.take()), (None, None));
        assert!(!stop.note(libc::SIGTERM), "the first");
        assert!(stop.note(libc::SIGINT), "not the first");
        stop.forget_answered();
        assert_eq!(stop.requested(), Some(libc::SIGTERM), "it is not answered");
        assert_eq!(stop.take(), Some(libc::SIGTERM));
        assert_eq!((stop.requested(), stop.take()), (None, None));
    }

    #[test]
    fn a_stop_request_after_the_first_was_taken_is_the_second() {
        let stop = Stop(AtomicI32::new(0));
        stop.note(libc::SIGINT);
        stop.take();
        // An interrupt while the report is printed requests the end of the process.
        assert!(stop.note(libc::SIGHUP), "the second");
        assert_eq!(stop.take(), Some(libc::SIGHUP));
        stop.forget_answered();
        assert!(!stop.note(libc::SIGINT), "of another run, the first");
    }
}
