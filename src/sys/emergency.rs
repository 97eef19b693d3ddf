//! What is still done when the process dies: ioctls prepared in advance.
//!
//! A fatal signal leaves no time for the control loop and no right to anything
//! but async-signal-safe calls (signal-safety(7)). So the way to safe outputs is
//! put down here while all is well, as finished ioctls on descriptors that are
//! open, and [`run`] only executes them. It takes no lock, allocates nothing,
//! and may run on any thread, in any handler, more than once.

use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::Errno;

/// Most actions that can be registered.
pub const CAPACITY: usize = 8;

/// Longest argument of an action, in bytes.
pub const ARGUMENT_MAX: usize = 32;

const WORDS: usize = ARGUMENT_MAX / 8;

const FREE: u8 = 0;
const FILLING: u8 = 1;
const READY: u8 = 2;

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
            entry.state.store(READY, Ordering::Release);
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
}

/// Runs every registered action in order, whatever becomes of each.
/// Async-signal-safe; changes errno.
pub fn run() -> Outcome {
    let mut outcome = Outcome::default();
    for entry in &TABLE {
        if entry.state.load(Ordering::Acquire) != READY {
            continue;
        }
        let mut argument = [0_u64; WORDS];
        for (to, from) in argument.iter_mut().zip(&entry.argument) {
            *to = from.load(Ordering::Relaxed);
        }
        let fd = entry.fd.load(Ordering::Relaxed);
        let request = entry.request.load(Ordering::Relaxed);
        // SAFETY: whoever registered the action vouches that it touches only
        // the argument, which is copied here, live and writable.
        let answer = unsafe { libc::ioctl(fd, request as libc::Ioctl, argument.as_mut_ptr()) };
        if answer < 0 {
            outcome.refused += 1;
        } else {
            outcome.done += 1;
        }
    }
    outcome
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
        };
        assert_eq!(run(), expected, "a socket has no lines");
        let read = socket.read(&mut [0]);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(run(), expected, "twice is as good as once");

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
    }

    #[test]
    fn an_argument_that_is_too_long_is_refused() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        // SAFETY: it is refused before anything is registered.
        let slot = unsafe { register(socket.as_fd(), 0, &[0; ARGUMENT_MAX + 1]) };
        assert_eq!(slot, Err(Errno(libc::EMSGSIZE)));
    }
}
