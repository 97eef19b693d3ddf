//! Signals: what ends a run in order, what is ignored, what is fatal.
//!
//! | signal | effect after [`install`] |
//! |---|---|
//! | `SIGTERM`, `SIGINT`, `SIGHUP` | the run is asked to end in order ([`stop_requested`]) |
//! | `SIGINT` after any of these | safe outputs at once, the process dies by `SIGINT` |
//! | `SIGTSTP`, `SIGTTIN`, `SIGTTOU` | ignored: a terminal cannot freeze a moving axis |
//! | `SIGPIPE` | ignored: who reads a report may leave |
//! | `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGABRT`, `SIGXCPU` | one line, safe outputs, death by the signal ([`crate::sys::fault`]) |
//!
//! `SIGKILL` and `SIGSTOP` cannot be handled (signal(7)): against those stand
//! the watchdog and the heartbeat line. `SIGHUP` is there because a lost
//! terminal must end a run as any other request does. A `SIGTERM` that comes
//! again changes nothing: a supervisor may repeat itself.
//!
//! The handlers run on the main thread: the real-time thread and the helpers
//! block these signals. Asking costs one relaxed atomic load.

use core::fmt;

use crate::sys::Errno;
use crate::sys::signal::{self as sys, Disposition};

/// What asked a run to end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum StopSignal {
    /// `SIGTERM`: the supervisor.
    Terminate,
    /// `SIGINT`: the person at the terminal.
    Interrupt,
    /// `SIGHUP`: the terminal is gone.
    HangUp,
}

impl StopSignal {
    /// The signal's number (signal(7)).
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Terminate => libc::SIGTERM,
            Self::Interrupt => libc::SIGINT,
            Self::HangUp => libc::SIGHUP,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::HangUp => "SIGHUP",
        })
    }
}

/// Installs all of the above, for the whole process.
///
/// # Errors
/// Those of sigaction(2); none is expected.
pub fn install() -> Result<(), Errno> {
    for signal in [
        StopSignal::Terminate,
        StopSignal::Interrupt,
        StopSignal::HangUp,
    ] {
        sys::set_disposition(signal.number(), Disposition::RequestStop)?;
    }
    for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGPIPE] {
        sys::set_disposition(signal, Disposition::Ignore)?;
    }
    crate::sys::fault::install()
}

/// The signal that asked the run to end, the first if there were more.
#[inline]
#[must_use]
pub fn stop_requested() -> Option<StopSignal> {
    sys::stop_signal().map(|number| match number {
        libc::SIGINT => StopSignal::Interrupt,
        libc::SIGHUP => StopSignal::HangUp,
        _ => StopSignal::Terminate,
    })
}

/// Asks the run to end as `signal` would. For whoever embeds the runner.
pub fn request_stop(signal: StopSignal) {
    sys::request_stop(signal.number());
}

/// Forgets a request, before another run in the same process.
pub fn clear_stop() {
    sys::clear_stop();
}
