//! Signals: what ends a run in order, what is ignored, what is fatal.
//!
//! | signal | effect after [`install`] |
//! |---|---|
//! | `SIGTERM`, `SIGINT`, `SIGHUP` | the run is asked to end in order ([`stop_requested`]) |
//! | `SIGINT` after any of these | safe outputs at once, the process dies by `SIGINT` |
//! | `SIGTSTP`, `SIGTTIN`, `SIGTTOU` | ignored: a terminal cannot freeze a moving axis |
//! | `SIGPIPE` | ignored: who reads a report may leave |
//! | `SIGUSR1`, `SIGUSR2`, `SIGALRM`, `SIGVTALRM`, `SIGPROF`, `SIGIO`, `SIGSTKFLT`, real-time signals | ignored: a stray one would end the process with its outputs as they are |
//! | `SIGPWR` | as `SIGTERM` |
//! | `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGABRT`, `SIGXCPU`, `SIGQUIT`, `SIGTRAP`, `SIGSYS`, `SIGXFSZ` | one line, safe outputs, death by the signal ([`crate::sys::fault`]) |
//!
//! `SIGKILL` and `SIGSTOP` cannot be handled (signal(7)): against those stand
//! the watchdog and the heartbeat line. `SIGHUP` is there because a lost
//! terminal must end a run as any other request does. A `SIGTERM` that comes
//! again changes nothing: a supervisor may repeat itself.
//!
//! The handlers run on the main thread: the real-time thread and the helpers
//! block these signals. Asking costs one relaxed atomic load.

use core::fmt::{self, Write as _};
use std::sync::Once;

use crate::sys::cause::{self, Kind};
use crate::sys::signal::{self as sys, Disposition};
use crate::sys::{Errno, emergency};

/// What asked a run to end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum StopSignal {
    /// `SIGTERM`: the supervisor.
    Terminate,
    /// `SIGINT`: the person at the terminal.
    Interrupt,
    /// `SIGHUP`: the terminal is gone.
    HangUp,
    /// `SIGPWR`: the power is about to fail.
    PowerFail,
}

impl StopSignal {
    /// The signal's number (signal(7)).
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Terminate => libc::SIGTERM,
            Self::Interrupt => libc::SIGINT,
            Self::HangUp => libc::SIGHUP,
            Self::PowerFail => libc::SIGPWR,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::HangUp => "SIGHUP",
            Self::PowerFail => "SIGPWR",
        })
    }
}

/// What is ignored, beside the real-time signals. The default of most of these
/// is to end the process, whatever its outputs are.
const IGNORED: [i32; 11] = [
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGPIPE,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGSTKFLT,
];

/// Installs all of the above, for the whole process.
///
/// # Errors
/// Those of sigaction(2); none is expected.
pub fn install() -> Result<(), Errno> {
    for signal in [
        StopSignal::Terminate,
        StopSignal::Interrupt,
        StopSignal::HangUp,
        StopSignal::PowerFail,
    ] {
        sys::set_disposition(signal.number(), Disposition::RequestStop)?;
    }
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    for signal in IGNORED.into_iter().chain(real_time) {
        sys::set_disposition(signal, Disposition::Ignore)?;
    }
    note_panics();
    crate::sys::fault::install()
}

/// Puts the place and the words of a panic on record before the abort, which
/// alone would be a `SIGABRT` without either. Outputs are made safe first: to
/// print takes time.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A build that unwinds, a test, may go on after a panic.
            if cfg!(panic = "abort") {
                emergency::lines();
                let mut note = heapless::String::<{ cause::NOTE_BYTES }>::new();
                // What does not fit is cut off.
                let _ = write!(Cut(&mut note), "{}", Panic(panic));
                cause::cell().record(Kind::Panic, 0, 0, note.as_bytes());
            }
            if cfg!(not(panic = "abort")) || crate::sys::stderr_has_room() {
                before(panic);
            }
        }));
    });
}

/// A panic as `file:line: message`.
struct Panic<'a, 'b>(&'a std::panic::PanicHookInfo<'b>);

impl fmt::Display for Panic<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.0.location() {
            write!(f, "{}:{}: ", at.file(), at.line())?;
        }
        let payload = self.0.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        f.write_str(text.unwrap_or("panic"))
    }
}

/// Takes as much as there is room for.
struct Cut<'a, const N: usize>(&'a mut heapless::String<N>);

impl<const N: usize> fmt::Write for Cut<'_, N> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for letter in part.chars() {
            self.0.push(letter).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

/// The signal that asked the run to end, the first if there were more.
#[inline]
#[must_use]
pub fn stop_requested() -> Option<StopSignal> {
    sys::stop_signal().map(|number| match number {
        libc::SIGINT => StopSignal::Interrupt,
        libc::SIGHUP => StopSignal::HangUp,
        libc::SIGPWR => StopSignal::PowerFail,
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
