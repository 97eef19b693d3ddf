//! What is still done when the process dies: calls prepared in advance.
//!
//! A fatal signal leaves no time for the control loop and no right to anything
//! but async-signal-safe calls (signal-safety(7)). So the way to safe outputs is
//! put down here while all is well, as finished calls on descriptors of their own
//! ([`Slot`]), and [`run`] only executes them. It takes no lock, allocates nothing,
//! and may run on any thread, in any handler, more than once. The loop executes
//! single ones of the same table by [`Slot::execute`].
//!
//! Two kinds, run in this order whatever order they were registered in, each in the
//! order of its registration:
//!
//! 1. [`When::Immediate`]: lines, which the kernel sets without waiting for anybody;
//! 2. [`When::MayBlock`]: frames on a bus and files of a driver that sleeps. They wait
//!    for the bus: for ever, when the loop hangs in a transfer on it. Where that is known,
//!    its frames come after all others ([`send_last`]). Who runs them
//!    first sets [`end_within`], so that the end comes all the same, and the lines are
//!    set once more after them, in case a loop that still ran has set them meanwhile.
//!    [`latched`] tells such a loop.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use super::waiting::BlockedIn;
use super::{Errno, check, crash_message, disposition};

mod actions;

use actions::{ALL, Entry, FRAME, LINES, each, on_file};
pub use actions::{
    ARGUMENT_MAX, CAPACITY, FRAME_MAX, POOL_BYTES, Slot, When, register, register_frame,
    register_i2c, register_line_values, register_witness, register_write,
};

/// How [`run`] went.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Actions that the kernel accepted.
    pub done: u32,
    /// Actions that it refused.
    pub refused: u32,
    /// Whether there were frames among them.
    frames_sent: bool,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.frames_sent |= other.frames_sent;
    }

    fn count<T>(&mut self, answer: &Result<T, Errno>) {
        match answer {
            Ok(_) => self.done += 1,
            Err(_) => self.refused += 1,
        }
    }
}

/// The safe-state latch: set once [`run`] has begun.
static LATCHED: AtomicBool = AtomicBool::new(false);

/// Whether the safe-state latch is set: the loop must not drive the outputs any more.
/// One relaxed load.
#[inline]
#[must_use]
pub fn latched() -> bool {
    LATCHED.load(Ordering::Relaxed)
}

/// Releases the safe-state latch: before another run in the same process.
pub fn release_latch() {
    LATCHED.store(false, Ordering::SeqCst);
    LAST.store(0, Ordering::SeqCst);
}

/// Frames that are sent last, one bit for each place in the table.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The loop hangs in `file`: frames for it are sent after all others, which they would
/// keep from being sent. Async-signal-safe.
pub fn send_last(file: BlockedIn) {
    LAST.store(on_file(file), Ordering::SeqCst);
}

/// Sets the safe-state latch and runs every registered action, whatever
/// becomes of each: lines in the order of their slots, frames in theirs, and the
/// lines again. Async-signal-safe; changes errno. Frames may wait: see
/// [`end_within`].
pub fn run() -> Outcome {
    let mut outcome = lines();
    outcome.add(frames());
    if outcome.frames_sent {
        let _ = lines();
    }
    outcome
}

/// Sets the safe-state latch and the lines alone, which wait for nobody.
pub fn lines() -> Outcome {
    LATCHED.store(true, Ordering::SeqCst);
    let mut outcome = Outcome::default();
    each(LINES, ALL, |entry| outcome.count(&entry.perform()));
    outcome
}

fn frames() -> Outcome {
    let mut outcome = Outcome::default();
    each_frame(|entry| {
        outcome.count(&entry.perform());
        outcome.frames_sent = true;
    });
    outcome
}

fn each_frame(mut action: impl FnMut(&Entry)) {
    let last = LAST.load(Ordering::SeqCst);
    each(FRAME, !last, &mut action);
    each(FRAME, last, &mut action);
}

/// For a loop that finds the safe-state latch set ([`latched`]) after it has driven one of them:
/// what it sent may have come after the safe frame. Runs every action again.
/// Async-signal-safe; whoever set the latch sees to it that the process ends.
#[cold]
pub fn repeat() {
    run();
}

/// How the process ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By `_exit(2)` with this code.
    Exit(u8),
    /// By the default action of this signal.
    Signal(libc::c_int),
}

/// What [`end_within`] was told: the code, or the signal with a minus.
static LATEST_END: AtomicI32 = AtomicI32::new(0);

/// Sees to it that the process ends as `end` says after at most `microseconds`,
/// even if the caller hangs (setitimer(2)). It takes a thread that does not block
/// `SIGALRM`: the main thread, unless it is the one that hangs.
/// Async-signal-safe.
///
/// # Errors
/// Those of sigaction(2) and setitimer(2), such as a sandbox's: then nothing ends
/// a caller that hangs.
pub fn end_within(microseconds: u32, end: End) -> Result<(), Errno> {
    let number = match end {
        End::Exit(code) => i32::from(code),
        End::Signal(signal) => -signal,
    };
    LATEST_END.store(number, Ordering::SeqCst);
    // SAFETY: sigaction is plain numbers and addresses, zero is a value of each.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = on_alarm as extern "C" fn(libc::c_int) as usize;
    // SAFETY: `action` is live; its handler makes async-signal-safe calls only.
    check(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, core::ptr::null_mut()) })?;
    let once = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: libc::time_t::from(microseconds / 1_000_000),
            tv_usec: libc::suseconds_t::from(microseconds % 1_000_000),
        },
    };
    // SAFETY: `once` is live, the old value is not asked for. setitimer(2) is no
    // function of the C library's but a call as it stands.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_setitimer,
            libc::ITIMER_REAL,
            &raw const once,
            core::ptr::null_mut::<libc::itimerval>(),
        )
    };
    check(answer as libc::c_int)
}

extern "C" fn on_alarm(_: libc::c_int) {
    lines();
    if PANIC_PENDING.load(Ordering::SeqCst) {
        crash_message::write_panic();
    }
    match LATEST_END.load(Ordering::SeqCst) {
        code @ 0.. => exit(code),
        signal => {
            disposition::end_by(-signal);
            exit(1)
        }
    }
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process here; takes no pointer.
    unsafe { libc::_exit(code) }
}

/// Time that all that may block has together before the process ends without the rest,
/// us: ten times what 16 frames of 2 bytes take at 100 kHz, or 16 of 132 bytes at 1 MHz
/// and twice that. Slow buses and long frames are to be added up by whoever registers
/// them.
pub const FRAMES_US: u32 = 50_000;

/// Makes the outputs safe and ends the process with `code`, at once: nothing is
/// closed, flushed or given back (`_exit(2)`). It does not return, whatever
/// hangs: see [`end_within`]. Async-signal-safe.
pub fn end(code: u8) -> ! {
    lines();
    frames_before(End::Exit(code));
    exit(i32::from(code))
}

/// Makes the outputs safe on the way to an end by `signal`, which the caller
/// brings about. Async-signal-safe.
pub fn before_signal(signal: libc::c_int) {
    lines();
    frames_before(End::Signal(signal));
}

/// Whether the message of a panic waits for the frames.
static PANIC_PENDING: AtomicBool = AtomicBool::new(false);

/// Makes the outputs safe on the way to an end by SIGABRT, before a panic is printed. If
/// a bus hangs, the cause on record is all that is said of it. Async-signal-safe.
pub fn before_message() {
    PANIC_PENDING.store(true, Ordering::SeqCst);
    before_signal(libc::SIGABRT);
    PANIC_PENDING.store(false, Ordering::SeqCst);
}

/// Sends the frames on the way to `end`. Where nothing would end a bus that hangs
/// they are not sent: the lines have taken the power, and the end must come.
fn frames_before(end: End) {
    if end_within(FRAMES_US, end).is_ok() {
        frames();
        #[cfg(test)]
        FRAMES_SENT.store(true, Ordering::SeqCst);
        lines();
    }
}

/// Whether this process has sent its frames on the way to an end, for tests.
#[cfg(test)]
pub(crate) static FRAMES_SENT: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests;
