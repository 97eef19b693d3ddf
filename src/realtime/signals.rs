//! Signal handling: requests to stop, ignored signals and fatal signals.
//!
//! A request to stop is kept from [`install`] until [`take_stop`], which the caller of a run
//! calls after its end. Before [`install`], while the board file is read and no device is open,
//! the default action ends the process. The handlers run on the main thread: the real-time
//! thread and the helpers block these signals. The loop polls with one relaxed atomic load.
//!
//! | signal | effect after [`install`] |
//! |---|---|
//! | `SIGTERM`, `SIGINT`, `SIGHUP` | a request to end the run regularly ([`stop_requested`]) |
//! | `SIGINT` after any of these | safe outputs at once, the process dies by `SIGINT` |
//! | `SIGTSTP`, `SIGTTIN`, `SIGTTOU` | ignored: a terminal must not stop a moving axis |
//! | `SIGPIPE` | ignored: the reader of a report may end first |
//! | `SIGUSR1`, `SIGUSR2`, `SIGALRM`, `SIGVTALRM`, `SIGPROF`, `SIGIO`, `SIGSTKFLT`, real-time signals | ignored: by default they would end the process without making its outputs safe |
//! | `SIGPWR` | as `SIGTERM` |
//! | `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGABRT`, `SIGXCPU`, `SIGQUIT`, `SIGTRAP`, `SIGSYS`, `SIGXFSZ` | one line, safe outputs, death by the signal ([`crate::sys::fault`]) |
//!
//! `SIGKILL` and `SIGSTOP` cannot be handled (signal(7)); the watchdog and the heartbeat line
//! protect against them. A repeated `SIGTERM` has no further effect, because supervisors may
//! repeat it.

use core::fmt;
use std::sync::Once;

use super::text::cut;
use crate::sys::cause::{self, Kind};
use crate::sys::signal::{self as sys, Disposition};
use crate::sys::{Errno, emergency};

/// The signal that requested a stop.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum StopSignal {
    /// `SIGTERM`, from a supervisor.
    Terminate,
    /// `SIGINT`, from the terminal (Ctrl-C).
    Interrupt,
    /// `SIGHUP`: the terminal was closed.
    HangUp,
    /// `SIGPWR`: a power failure is imminent.
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

/// The ignored signals, without the real-time signals. The default action of most of them ends
/// the process without making its outputs safe.
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

/// Installs all handlers of the table above, for the whole process.
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

/// Longest time for printing a panic, us: a reader that blocks in the middle of a backtrace must
/// not delay the end of the process.
const WORDS_US: u32 = 1_000_000;

/// Records place and message of a panic before the abort, which would only record `SIGABRT`.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A build that unwinds, such as a test, may continue after a panic.
            if cfg!(panic = "abort") {
                end_safe(panic, before.as_ref());
            } else {
                before(panic);
            }
        }));
    });
}

/// Makes the outputs safe, converters included, then records `panic`, then prints it. Printing is
/// last, because its reader may be slow.
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

/// The first signal that requested a stop; `None` without a request.
#[inline]
#[must_use]
pub fn stop_requested() -> Option<StopSignal> {
    sys::stop_signal().map(StopSignal::of)
}

/// Takes the request to stop after the end of a run. The next run does not stop for this request,
/// but for later ones.
pub fn take_stop() -> Option<StopSignal> {
    sys::take_stop().map(StopSignal::of)
}

/// Requests a stop, as `signal` would. For programs that embed the runner.
pub fn request_stop(signal: StopSignal) {
    sys::request_stop(signal.number());
}

/// Removes a request, taken or not.
pub fn clear_stop() {
    sys::clear_stop();
}

/// Called before a run, so that its first interrupt does not count as the second one after that of
/// the previous run.
pub(super) fn forget_answered_stop() {
    sys::forget_answered_stop();
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;

    /// Environment variable that makes this test panic when it starts itself.
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
