//! The safe plan: system calls that are prepared in advance and executed when the process dies.
//!
//! After a fatal signal the control loop cannot run, and only async-signal-safe calls are
//! allowed (signal-safety(7)). So the calls that make the outputs safe are registered at the
//! start, with descriptors of their own ([`Slot`]), and [`run`] only executes them. It takes no
//! lock and allocates nothing; it may run on any thread, in any handler, more than once. The
//! loop executes single actions of the same table by [`Slot::execute`].

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use super::waiting::BlockedIn;
use super::{Errno, check, crash_message, disposition};

mod actions;

use actions::{ALL, Entry, FRAME, LINES, each, on_file};
pub use actions::{
    ARGUMENT_MAX, CAPACITY, DirectBus, FRAME_MAX, POOL_BYTES, Slot, When, register,
    register_direct, register_frame, register_i2c, register_line_values, register_witness,
    register_write,
};

/// The result of [`run`].
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Number of actions that the kernel accepted.
    pub done: u32,
    /// Number of actions that it refused.
    pub refused: u32,
    /// Whether frames were among them.
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

/// The safe-state latch: set when [`run`] or [`lines`] begins. From then on the loop must not
/// drive the outputs.
static LATCHED: AtomicBool = AtomicBool::new(false);

/// Whether the safe-state latch is set: the loop must not drive the outputs any more. One
/// relaxed load.
#[inline]
#[must_use]
pub fn latched() -> bool {
    LATCHED.load(Ordering::Relaxed)
}

/// Releases the safe-state latch, before another run in the same process.
pub fn release_latch() {
    LATCHED.store(false, Ordering::SeqCst);
    LAST.store(0, Ordering::SeqCst);
}

/// Frames that are sent last, one bit for each place in the table.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Declares that the loop hangs in `file`: frames for it are sent after all others, because
/// they would block them. Async-signal-safe.
pub fn send_last(file: BlockedIn) {
    LAST.store(on_file(file), Ordering::SeqCst);
}

/// Sets the safe-state latch and runs every registered action, even if others fail, in this
/// order, each kind in the order of registration:
///
/// 1. [`When::Immediate`]: GPIO lines, which the kernel sets without waiting;
/// 2. [`When::MayBlock`]: frames on a bus, and files of a driver that sleeps. They wait for the
///    bus, without end if the loop hangs in a transfer on it; if that is known, its frames come
///    last ([`send_last`]). Call [`end_within`] first, so that the process ends in any case;
/// 3. the lines again, in case a loop that still ran has changed them. Such a loop stops driving
///    when it reads [`latched`].
///
/// Async-signal-safe; changes errno.
pub fn run() -> Outcome {
    let mut outcome = lines();
    outcome.add(frames());
    if outcome.frames_sent {
        let _ = lines();
    }
    outcome
}

/// Sets the safe-state latch and the lines, which cannot block. Async-signal-safe.
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

/// Runs every action again. The loop calls it when it finds the safe-state latch set
/// ([`latched`]) after it drove an output: its write may have come after the safe frame.
/// Async-signal-safe. The code that set the latch ends the process.
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

/// The last argument of [`end_within`]: the exit code, or the negative number of the signal.
static LATEST_END: AtomicI32 = AtomicI32::new(0);

/// Ends the process as `end` says after at most `microseconds`, even if the caller hangs
/// (setitimer(2)). It needs a thread that does not block `SIGALRM`: the main thread, unless the
/// main thread is the one that hangs. Async-signal-safe.
///
/// # Errors
/// Those of sigaction(2) and setitimer(2), for example from a sandbox. Then nothing ends a
/// caller that hangs.
pub fn end_within(microseconds: u32, end: End) -> Result<(), Errno> {
    let number = match end {
        End::Exit(code) => i32::from(code),
        End::Signal(signal) => -signal,
    };
    LATEST_END.store(number, Ordering::SeqCst);
    // SAFETY: sigaction consists of numbers and addresses, for which all zeros is a valid
    // value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = on_alarm as extern "C" fn(libc::c_int) as usize;
    // SAFETY: `action` is live; its handler makes async-signal-safe calls only.
    check(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, core::ptr::null_mut()) })?;
    // The kernel's own itimerval, of two times with two longs each: interval and value.
    let once = [
        0,
        0,
        (microseconds / 1_000_000) as libc::c_long,
        (microseconds % 1_000_000) as libc::c_long,
    ];
    // SAFETY: `once` is live, and the old value is not requested. A direct call, because not
    // every C library has a function for setitimer(2).
    let answer = unsafe {
        libc::syscall(
            libc::SYS_setitimer,
            libc::ITIMER_REAL,
            once.as_ptr(),
            core::ptr::null_mut::<libc::c_long>(),
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

/// Time for all actions that may block together, us; then the process ends without the rest. It
/// is ten times what 16 frames of 2 bytes take at 100 kHz, and about three times 16 frames of
/// 132 bytes at 1 MHz. Code that registers long frames or uses slow buses must add up their
/// times.
pub const FRAMES_US: u32 = 50_000;

/// Makes the outputs safe and ends the process with `code` at once: nothing is closed, flushed
/// or released (`_exit(2)`). Never returns, even if a bus hangs: see [`end_within`].
/// Async-signal-safe.
pub fn end(code: u8) -> ! {
    lines();
    frames_before(End::Exit(code));
    exit(i32::from(code))
}

/// Makes the outputs safe before the caller ends the process by `signal`. Async-signal-safe.
pub fn before_signal(signal: libc::c_int) {
    lines();
    frames_before(End::Signal(signal));
}

/// Whether the message of a panic is not yet printed.
static PANIC_PENDING: AtomicBool = AtomicBool::new(false);

/// Makes the outputs safe before a panic is printed, on the way to an end by SIGABRT. If a bus
/// hangs, only the recorded cause is printed. Async-signal-safe.
pub fn before_message() {
    PANIC_PENDING.store(true, Ordering::SeqCst);
    before_signal(libc::SIGABRT);
    PANIC_PENDING.store(false, Ordering::SeqCst);
}

/// Sends the frames on the way to `end`. If the timer cannot be set they are not sent: a bus
/// that hangs would then keep the process from ending, and the lines have removed the power
/// already.
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
