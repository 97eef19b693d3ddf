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
//! A request is kept from the first instant of [`install`] until [`take_stop`], which
//! whoever ran the controller calls when it has ended. Before that, while a board file
//! is read, the default of these signals ends the process; nothing is open yet.
//!
//! The handlers run on the main thread: the real-time thread and the helpers
//! block these signals. Asking costs one relaxed atomic load.

use core::fmt;
use std::sync::Once;

use super::text::cut;
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

    const fn of(number: i32) -> Self {
        match number {
            libc::SIGINT => Self::Interrupt,
            libc::SIGHUP => Self::HangUp,
            libc::SIGPWR => Self::PowerFail,
            _ => Self::Terminate,
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

/// How long the words of a panic may take, us: a reader that stands still in the middle
/// of a backtrace must not keep the process from its end.
const WORDS_US: u32 = 1_000_000;

/// Puts the place and the words of a panic on record before the abort, which
/// alone would be a `SIGABRT` without either.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A build that unwinds, a test, may go on after a panic.
            if cfg!(panic = "abort") {
                end_safe(panic, before.as_ref());
            } else {
                before(panic);
            }
        }));
    });
}

/// Makes the outputs safe, converters included, then puts `panic` on record, then has
/// it printed: that takes as long as whoever reads it.
fn end_safe<'p>(
    panic: &std::panic::PanicHookInfo<'p>,
    print: &dyn Fn(&std::panic::PanicHookInfo<'p>),
) {
    emergency::lines();
    let note = cut::<{ cause::NOTE_BYTES }>(format_args!("{}", Panic(panic)));
    cause::cell().record(Kind::Panic, 0, 0, note.as_bytes());
    emergency::before_message();
    let end = emergency::End::Signal(libc::SIGABRT);
    if emergency::end_within(WORDS_US, end).is_ok() && crate::sys::stderr_has_room() {
        print(panic);
    }
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

/// The signal that asked the run to end, the first if there were more.
#[inline]
#[must_use]
pub fn stop_requested() -> Option<StopSignal> {
    sys::stop_signal().map(StopSignal::of)
}

/// Answers the request to stop, when the run has ended: what asked, if anything did.
/// The next run does not stop for it, but for any request that comes from now on.
pub fn take_stop() -> Option<StopSignal> {
    sys::take_stop().map(StopSignal::of)
}

/// Asks the run to end as `signal` would. For whoever embeds the runner.
pub fn request_stop(signal: StopSignal) {
    sys::request_stop(signal.number());
}

/// Forgets a request, answered or not.
pub fn clear_stop() {
    sys::clear_stop();
}

/// Before a run: an interrupt that comes in it is the first one, not the second after
/// the one that ended the run before.
pub(super) fn forget_answered_stop() {
    sys::forget_answered_stop();
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;

    /// Tells this test, when it is started by itself, to panic.
    const CHILD: &str = "STEADFAST_TEST_PANIC";

    #[test]
    fn a_panic_is_printed_after_the_safe_frames_were_sent() {
        if std::env::var_os(CHILD).is_some() {
            std::panic::set_hook(Box::new(|panic| {
                let print = |_: &std::panic::PanicHookInfo<'_>| {
                    let sent = emergency::FRAMES_SENT.load(Ordering::SeqCst);
                    println!("prints, frames sent: {sent}");
                };
                end_safe(panic, &print);
            }));
            panic!("asked to");
        }
        let test = "realtime::signals::tests::a_panic_is_printed_after_the_safe_frames_were_sent";
        let output = crate::emulation::start(&std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("prints, frames sent: true\n"), "{output:?}");
    }
}
