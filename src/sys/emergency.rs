//! What is still done when the process dies: ioctls prepared in advance.
//!
//! A fatal signal leaves no time for the control loop and no right to anything
//! but async-signal-safe calls (signal-safety(7)). So the way to safe outputs is
//! put down here while all is well, as finished ioctls on descriptors that are
//! open, and [`run`] only executes them. It takes no lock, allocates nothing,
//! and may run on any thread, in any handler, more than once.
//!
//! Two kinds, run in this order whatever order they were registered in:
//!
//! 1. lines, which the kernel sets without waiting for anybody;
//! 2. frames on a bus, which wait for the bus: for ever, when the loop hangs in a
//!    transfer on it. Who runs them first sets [`end_within`], so that the end
//!    comes all the same, and the lines are set once more after them, in case a
//!    loop that still ran has set them meanwhile. [`taken`] tells such a loop.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::spi::{self, Transfer};
use super::{Errno, check, signal};

/// Most actions that can be registered: a board has at most 16 chips of each
/// kind, and few places in its order of shutting down.
pub const CAPACITY: usize = 48;

/// Longest frame, in bytes.
pub const FRAME_MAX: usize = 8;

/// Longest argument of an action, in bytes.
pub const ARGUMENT_MAX: usize = 32;

const WORDS: usize = ARGUMENT_MAX / 8;

const FREE: u8 = 0;
const FILLING: u8 = 1;
/// An ioctl that waits for nobody.
const LINES: u8 = 2;
/// A frame, `request` bytes of `argument` long.
const FRAME: u8 = 3;

/// `GPIO_V2_LINE_SET_VALUES_IOCTL`: `_IOWR(0xB4, 0x0F, struct
/// gpio_v2_line_values)`, of 16 bytes (linux/gpio.h).
const LINE_SET_VALUES: u64 = 0xC010_B40F;

struct Entry {
    state: AtomicU8,
    fd: AtomicI32,
    request: AtomicU64,
    argument: [AtomicU64; WORDS],
}

static TABLE: [Entry; CAPACITY] = [const {
    Entry {
        state: AtomicU8::new(FREE),
        fd: AtomicI32::new(-1),
        request: AtomicU64::new(0),
        argument: [const { AtomicU64::new(0) }; WORDS],
    }
}; CAPACITY];

/// A registered action. It stays until [`Slot::clear`]: dropping this does not
/// remove it, because a forgotten action is safer than a missing one.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Slot {
    /// Removes the action. To be called before its descriptor is closed.
    pub fn clear(self) {
        TABLE[self.0].state.store(FREE, Ordering::Release);
    }
}

/// Registers `ioctl(fd, request, argument)`, run in the order of the slots.
/// `argument` is copied.
///
/// # Errors
/// `EMSGSIZE` when the argument is longer than [`ARGUMENT_MAX`], `EBUSY` when
/// all [`CAPACITY`] slots are taken.
///
/// # Safety
/// The ioctl must be sound at any time, from any thread: it reads and writes no
/// more than the `argument.len()` bytes it is pointed at, and no memory that
/// those bytes point at.
pub unsafe fn register(fd: BorrowedFd<'_>, request: u64, argument: &[u8]) -> Result<Slot, Errno> {
    enter(LINES, fd, request, argument)
}

fn enter(kind: u8, fd: BorrowedFd<'_>, request: u64, argument: &[u8]) -> Result<Slot, Errno> {
    if argument.len() > ARGUMENT_MAX {
        return Err(Errno(libc::EMSGSIZE));
    }
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(argument.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(padded);
    }
    for (index, entry) in TABLE.iter().enumerate() {
        let claimed =
            entry
                .state
                .compare_exchange(FREE, FILLING, Ordering::Acquire, Ordering::Relaxed);
        if claimed.is_ok() {
            entry.fd.store(fd.as_raw_fd(), Ordering::Relaxed);
            entry.request.store(request, Ordering::Relaxed);
            for (to, from) in entry.argument.iter().zip(words) {
                to.store(from, Ordering::Relaxed);
            }
            entry.state.store(kind, Ordering::Release);
            return Ok(Slot(index));
        }
    }
    Err(Errno(libc::EBUSY))
}

/// Registers the setting of GPIO lines: those of `mask`, by their index in the
/// line request `lines`, get the logical levels of `bits`
/// (`GPIO_V2_LINE_SET_VALUES_IOCTL`, linux/gpio.h).
///
/// # Errors
/// `EBUSY` when all [`CAPACITY`] slots are taken.
pub fn register_line_values(lines: BorrowedFd<'_>, bits: u64, mask: u64) -> Result<Slot, Errno> {
    let mut values = [0; 16];
    values[..8].copy_from_slice(&bits.to_ne_bytes());
    values[8..].copy_from_slice(&mask.to_ne_bytes());
    // SAFETY: the request encodes a size of 16 bytes, which hold two numbers
    // and no pointer; on a descriptor of another kind the kernel answers ENOTTY.
    unsafe { register(lines, LINE_SET_VALUES, &values) }
}

/// Registers the sending of `frame` as one message on the SPI device `spi`.
///
/// # Errors
/// `EMSGSIZE` when the frame is longer than [`FRAME_MAX`], `EBUSY` when all
/// [`CAPACITY`] slots are taken.
pub fn register_frame(spi: BorrowedFd<'_>, frame: &[u8]) -> Result<Slot, Errno> {
    if frame.len() > FRAME_MAX {
        return Err(Errno(libc::EMSGSIZE));
    }
    enter(FRAME, spi, frame.len() as u64, frame)
}

/// Registers an action that can be seen from outside of a dead process without
/// any hardware: `fd`'s open file becomes non-blocking (`FIONBIO`,
/// ioctl_tty(2)), which whoever shares it sees in `/proc/PID/fdinfo`. For tests
/// of the way here.
///
/// # Errors
/// `EBUSY` when all [`CAPACITY`] slots are taken.
pub fn register_witness(fd: BorrowedFd<'_>) -> Result<Slot, Errno> {
    // SAFETY: the request reads one int.
    unsafe { register(fd, libc::FIONBIO, &1_i32.to_ne_bytes()) }
}

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

/// Whether [`run`] has begun: the outputs are no longer the loop's.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the outputs were taken from the loop, which must not drive them any
/// more. One relaxed load.
#[inline]
#[must_use]
pub fn taken() -> bool {
    TAKEN.load(Ordering::Relaxed)
}

/// Gives the outputs back to the loop: before another run in the same process.
pub fn give_back() {
    TAKEN.store(false, Ordering::SeqCst);
}

/// Takes the outputs from the loop and runs every registered action, whatever
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

/// The lines alone, which wait for nobody; the outputs are taken from the loop.
pub fn lines() -> Outcome {
    TAKEN.store(true, Ordering::SeqCst);
    let mut outcome = Outcome::default();
    each(LINES, |fd, request, argument| {
        // SAFETY: whoever registered the action vouches that it touches only
        // the argument, which is copied here, live and writable.
        let answer = unsafe { libc::ioctl(fd, request as libc::Ioctl, argument.as_mut_ptr()) };
        outcome.count(&check(answer.min(0)));
    });
    outcome
}

fn frames() -> Outcome {
    let mut outcome = Outcome::default();
    each(FRAME, |fd, length, argument| {
        let bytes = argument[0].to_ne_bytes();
        // SAFETY: whoever registered the frame clears the slot before its
        // descriptor is closed.
        let spi = unsafe { BorrowedFd::borrow_raw(fd) };
        let sent = match Transfer::write(&bytes[..length as usize]) {
            Ok(transfer) => spi::message(spi, &mut [transfer]),
            Err(spi::TooLong) => Err(Errno(libc::EMSGSIZE)),
        };
        outcome.count(&sent);
        outcome.frames_sent = true;
    });
    outcome
}

/// Calls `action` with what is registered as `kind`, in the order of the slots.
fn each(kind: u8, mut action: impl FnMut(libc::c_int, u64, &mut [u64; WORDS])) {
    for entry in &TABLE {
        if entry.state.load(Ordering::Acquire) != kind {
            continue;
        }
        let mut argument = [0_u64; WORDS];
        for (to, from) in argument.iter_mut().zip(&entry.argument) {
            *to = from.load(Ordering::Relaxed);
        }
        let fd = entry.fd.load(Ordering::Relaxed);
        action(fd, entry.request.load(Ordering::Relaxed), &mut argument);
    }
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
    match LATEST_END.load(Ordering::SeqCst) {
        code @ 0.. => exit(code),
        signal => {
            signal::end_by(-signal);
            exit(1)
        }
    }
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process here; takes no pointer.
    unsafe { libc::_exit(code) }
}

/// Time that the frames may take before the process ends without them, us: ten
/// times what 16 frames of 2 bytes take at 100 kHz.
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

/// Sends the frames on the way to `end`. Where nothing would end a bus that hangs
/// they are not sent: the lines have taken the power, and the end must come.
fn frames_before(end: End) {
    if end_within(FRAMES_US, end).is_ok() {
        frames();
        lines();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn actions_run_in_order_until_cleared_and_a_refusal_stops_none() {
        let (mut socket, _peer) = UnixStream::pair().unwrap();
        let refused = register_line_values(socket.as_fd(), 0b01, 0b11).unwrap();
        let witness = register_witness(socket.as_fd()).unwrap();
        let expected = Outcome {
            done: 1,
            refused: 1,
            frames_sent: false,
        };
        assert!(!taken());
        assert_eq!(run(), expected, "a socket has no lines");
        assert!(taken(), "the loop can tell");
        give_back();
        let read = socket.read(&mut [0]);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(run(), expected, "twice is as good as once");

        let frame = register_frame(socket.as_fd(), &[0x30, 0x00]).unwrap();
        let with_frame = run();
        assert_eq!((with_frame.done, with_frame.refused), (1, 2), "nor a bus");
        frame.clear();
        give_back();

        let more: Vec<Slot> = (2..CAPACITY)
            .map(|_| register_witness(socket.as_fd()).unwrap())
            .collect();
        assert_eq!(
            register_witness(socket.as_fd()),
            Err(Errno(libc::EBUSY)),
            "the table is full"
        );
        for slot in more.into_iter().chain([refused, witness]) {
            slot.clear();
        }
        assert_eq!(run(), Outcome::default());
        give_back();
    }

    #[test]
    fn an_argument_that_is_too_long_is_refused() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        // SAFETY: it is refused before anything is registered.
        let slot = unsafe { register(socket.as_fd(), 0, &[0; ARGUMENT_MAX + 1]) };
        assert_eq!(slot, Err(Errno(libc::EMSGSIZE)));
        let frame = register_frame(socket.as_fd(), &[0; FRAME_MAX + 1]);
        assert_eq!(frame, Err(Errno(libc::EMSGSIZE)));
    }
}
