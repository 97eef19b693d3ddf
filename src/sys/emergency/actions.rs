//! The table of prepared calls, and how each is executed.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use super::super::i2c::{self, Address};
use super::super::spi::{self, Transfer};
use super::super::waiting::BlockedIn;
use super::super::{Errno, check};

/// Most actions that can be registered: a board has at most 16 chips of each
/// kind, and few places in its order of shutting down.
pub const CAPACITY: usize = 48;

/// Longest frame or text of an action, in bytes.
pub const FRAME_MAX: usize = 1_024;

/// Longest argument of an ioctl, in bytes.
pub const ARGUMENT_MAX: usize = 32;

/// Bytes of all registered actions together.
pub const POOL_BYTES: usize = 4_096;

const WORDS: usize = ARGUMENT_MAX / 8;

/// Whether an action may wait.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum When {
    /// It waits for nobody: executed first.
    Immediate = LINES,
    /// It may wait for a bus or a lock: executed last, under
    /// [`end_within`](super::end_within).
    MayBlock = FRAME,
}

const FREE: u8 = 0;
const FILLING: u8 = 1;
pub(super) const LINES: u8 = 2;
pub(super) const FRAME: u8 = 3;

/// The call that an action is.
#[derive(Copy, Clone)]
enum Call {
    /// ioctl(2) with this request, pointed at a copy of the bytes.
    Ioctl(u32),
    /// The bytes as one message on an SPI device.
    Spi,
    /// The bytes as one message to this chip on an I2C adapter.
    I2c(Address),
    /// The bytes at the start of a file.
    Write,
}

impl Call {
    /// The kind above 32 bits of its number.
    const fn pack(self) -> (u8, u32) {
        match self {
            Self::Ioctl(request) => (0, request),
            Self::Spi => (1, 0),
            Self::I2c(address) => (2, address.pack()),
            Self::Write => (3, 0),
        }
    }

    const fn unpack(kind: u8, number: u32) -> Self {
        match kind {
            0 => Self::Ioctl(number),
            1 => Self::Spi,
            2 => Self::I2c(Address::unpack(number)),
            _ => Self::Write,
        }
    }
}

/// `GPIO_V2_LINE_SET_VALUES_IOCTL`: `_IOWR(0xB4, 0x0F, struct
/// gpio_v2_line_values)`, of 16 bytes (linux/gpio.h).
const LINE_SET_VALUES: u32 = 0xC010_B40F;

pub(super) struct Entry {
    state: AtomicU8,
    call: AtomicU8,
    fd: AtomicI32,
    argument: AtomicU32,
    /// Its bytes in [`POOL`]: the first one, and how many.
    at: AtomicU16,
    length: AtomicU16,
}

static TABLE: [Entry; CAPACITY] = [const {
    Entry {
        state: AtomicU8::new(FREE),
        call: AtomicU8::new(0),
        fd: AtomicI32::new(-1),
        argument: AtomicU32::new(0),
        at: AtomicU16::new(0),
        length: AtomicU16::new(0),
    }
}; CAPACITY];

/// The bytes of all actions. Those of an entry are written while its state is
/// [`FILLING`], by the one thread that holds [`REGISTERING`], and only read from then on.
struct Pool(UnsafeCell<[u8; POOL_BYTES]>);

// SAFETY: see above: whoever reads an entry's bytes has seen its state published after
// they were written, and they are not given to another entry before `clear` has waited
// for all readers.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; POOL_BYTES]));

/// One registration at a time.
static REGISTERING: Mutex<()> = Mutex::new(());

/// Calls of [`each`] that have not returned, on any thread.
static RUNNING: AtomicU32 = AtomicU32::new(0);

impl Entry {
    fn range(&self) -> core::ops::Range<usize> {
        let at = usize::from(self.at.load(Ordering::Relaxed));
        at..at + usize::from(self.length.load(Ordering::Relaxed))
    }

    /// What is sent. The action must be registered and stay so meanwhile.
    pub(super) fn bytes(&self) -> &[u8] {
        let range = self.range();
        // SAFETY: the bytes lie in the pool, are initialised, and nobody writes to them
        // while the action is registered.
        unsafe {
            core::slice::from_raw_parts(POOL.0.get().cast::<u8>().add(range.start), range.len())
        }
    }

    /// Its descriptor.
    pub(super) fn number(&self) -> libc::c_int {
        self.fd.load(Ordering::Relaxed)
    }

    /// Executes the action, which must be registered and stay so meanwhile.
    /// Async-signal-safe.
    pub(super) fn perform(&self) -> Result<(), Errno> {
        let bytes = self.bytes();
        // SAFETY: the action's own descriptor, which nobody closes before `clear`.
        let fd = unsafe { BorrowedFd::borrow_raw(self.number()) };
        let call = Call::unpack(
            self.call.load(Ordering::Relaxed),
            self.argument.load(Ordering::Relaxed),
        );
        let whole = match call {
            Call::Ioctl(request) => {
                let mut argument = [0_u64; WORDS];
                // SAFETY: at most as long, see `enter`; two different objects.
                unsafe {
                    core::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        argument.as_mut_ptr().cast(),
                        bytes.len().min(ARGUMENT_MAX),
                    );
                }
                let request = request as libc::Ioctl;
                // SAFETY: whoever registered the action vouches that it touches only
                // the argument, which is live and writable.
                let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument.as_mut_ptr()) };
                return check(answer.min(0));
            }
            Call::Spi => {
                let transfer = Transfer::write(bytes).map_err(|_| Errno(libc::EMSGSIZE))?;
                spi::message(fd, &mut [transfer])? == bytes.len()
            }
            Call::I2c(address) => {
                let message =
                    i2c::Message::write(address, bytes).map_err(|_| Errno(libc::EMSGSIZE))?;
                i2c::transfer(fd, &mut [message])? == 1
            }
            Call::Write => {
                // SAFETY: `bytes` is live and only read.
                let written =
                    unsafe { libc::pwrite(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
                if written < 0 {
                    return Err(Errno::last());
                }
                written as usize == bytes.len()
            }
        };
        if whole { Ok(()) } else { Err(Errno(libc::EIO)) }
    }
}

/// A registered action, with a duplicate of its descriptor (`F_DUPFD_CLOEXEC`,
/// fcntl(2)): whoever registered it may close the original at any time. It stays until
/// [`Slot::clear`]: dropping this does not remove it, because a forgotten action is
/// safer than a missing one.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Slot {
    /// Executes this action alone: the loop's way to the safe value that a crash
    /// handler would set too. One system call; the outputs stay the loop's.
    ///
    /// # Errors
    /// What the kernel answers; `EIO` when it took only a part.
    pub fn execute(&self) -> Result<(), Errno> {
        // `clear` takes the slot: it cannot happen meanwhile.
        TABLE[self.0].perform()
    }

    /// Removes the action and closes its descriptor, once nobody executes the table
    /// any more: its number may then be that of another file. Whoever executes it has
    /// 50 ms ([`FRAMES_US`](super::FRAMES_US)) or ends the process. Not for signal handlers.
    pub fn clear(self) {
        let entry = &TABLE[self.0];
        // Sequentially consistent, here and in `each`: either this sees that the table
        // is being executed, or who executes it sees that the entry is gone.
        entry.state.store(FILLING, Ordering::SeqCst);
        while RUNNING.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        close(entry.fd.swap(-1, Ordering::Relaxed));
        entry.state.store(FREE, Ordering::Release);
    }
}

fn close(fd: libc::c_int) {
    // SAFETY: a duplicate that was made here, which nobody uses any more.
    unsafe { libc::close(fd) };
}

/// Registers `ioctl(fd, request, argument)`, run in the order of registration.
/// `fd` is duplicated, `argument` copied.
///
/// # Errors
/// `EMSGSIZE` when the argument is longer than [`ARGUMENT_MAX`], `EBUSY` when
/// all [`CAPACITY`] slots are taken, `ENOSPC` when there is no room for its bytes
/// ([`POOL_BYTES`]), `EMFILE` when the process may have no more descriptors.
///
/// # Safety
/// The ioctl must be sound at any time, from any thread: it reads and writes no
/// more than the `argument.len()` bytes it is pointed at, and no memory that
/// those bytes point at.
pub unsafe fn register(fd: BorrowedFd<'_>, request: u32, argument: &[u8]) -> Result<Slot, Errno> {
    if argument.len() > ARGUMENT_MAX {
        return Err(Errno(libc::EMSGSIZE));
    }
    enter(When::Immediate, Call::Ioctl(request), fd, argument)
}

fn enter(when: When, call: Call, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<Slot, Errno> {
    if bytes.len() > FRAME_MAX {
        return Err(Errno(libc::EMSGSIZE));
    }
    if bytes.is_empty() {
        return Err(Errno(libc::EINVAL));
    }
    let _alone = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    // Behind the last one in use, or an action registered later would run earlier.
    let in_use = |entry: &Entry| entry.state.load(Ordering::Acquire) != FREE;
    let index = TABLE.iter().rposition(in_use).map_or(0, |last| last + 1);
    let entry = TABLE.get(index).ok_or(Errno(libc::EBUSY))?;
    let at = free_offset(bytes.len()).ok_or(Errno(libc::ENOSPC))?;
    // SAFETY: takes no pointer.
    let own = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if own < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the bytes from `at` on lie in the pool and are no registered action's, so
    // nobody reads them; nobody else registers meanwhile.
    unsafe {
        let to = POOL.0.get().cast::<u8>().add(at);
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
    }
    let (kind, number) = call.pack();
    entry.call.store(kind, Ordering::Relaxed);
    entry.argument.store(number, Ordering::Relaxed);
    entry.fd.store(own, Ordering::Relaxed);
    // At most POOL_BYTES.
    entry.at.store(at as u16, Ordering::Relaxed);
    entry.length.store(bytes.len() as u16, Ordering::Relaxed);
    entry.state.store(when as u8, Ordering::Release);
    Ok(Slot(index))
}

/// The first offset in the pool with `length` free bytes.
fn free_offset(length: usize) -> Option<usize> {
    let mut at = 0;
    loop {
        let overlaps = |entry: &&Entry| {
            let used = entry.range();
            entry.state.load(Ordering::Acquire) != FREE && used.start < at + length && at < used.end
        };
        match TABLE.iter().find(overlaps) {
            Some(entry) => at = entry.range().end,
            None => return (at + length <= POOL_BYTES).then_some(at),
        }
    }
}

/// Registers the setting of GPIO lines: those of `mask`, by their index in the
/// line request `lines`, get the logical levels of `bits`
/// (`GPIO_V2_LINE_SET_VALUES_IOCTL`, linux/gpio.h).
///
/// # Errors
/// As [`register`], for 16 bytes.
pub fn register_line_values(lines: BorrowedFd<'_>, bits: u64, mask: u64) -> Result<Slot, Errno> {
    let mut values = [0; 16];
    values[..8].copy_from_slice(&bits.to_ne_bytes());
    values[8..].copy_from_slice(&mask.to_ne_bytes());
    // SAFETY: the request encodes a size of 16 bytes, which hold two numbers
    // and no pointer; on a descriptor of another kind the kernel answers ENOTTY.
    unsafe { register(lines, LINE_SET_VALUES, &values) }
}

/// Registers the sending of `frame` as one message on the SPI device `spi`; it may
/// block.
///
/// # Errors
/// `EMSGSIZE` when the frame is longer than [`FRAME_MAX`], `EINVAL` when it is empty;
/// else as [`register`]. Whether it fits into spidev's buffer is not looked at.
pub fn register_frame(spi: BorrowedFd<'_>, frame: &[u8]) -> Result<Slot, Errno> {
    enter(When::MayBlock, Call::Spi, spi, frame)
}

/// Registers the writing of `bytes` to the chip at `address` on the I2C adapter
/// `adapter`, as one message; it may block.
///
/// # Errors
/// As [`register_frame`].
pub fn register_i2c(
    adapter: BorrowedFd<'_>,
    address: Address,
    bytes: &[u8],
) -> Result<Slot, Errno> {
    enter(When::MayBlock, Call::I2c(address), adapter, bytes)
}

/// Registers `pwrite(file, bytes, 0)`, for an attribute of a driver in sysfs, such as the
/// duty of a PWM channel. `when` says whether that driver may sleep; where it is not
/// known, it may.
///
/// # Errors
/// As [`register_frame`]. That the file cannot be written at a place (a pipe) is seen
/// only when the action is executed.
pub fn register_write(file: BorrowedFd<'_>, bytes: &[u8], when: When) -> Result<Slot, Errno> {
    enter(when, Call::Write, file, bytes)
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
    unsafe { register(fd, libc::FIONBIO as u32, &1_i32.to_ne_bytes()) }
}

/// All places of the table, one bit each.
pub(super) const ALL: u64 = u64::MAX;
const _: () = assert!(CAPACITY <= 64);

/// Calls `action` with what is registered as `kind` at the places `among`, in the order of
/// the slots.
pub(super) fn each(kind: u8, among: u64, mut action: impl FnMut(&Entry)) {
    RUNNING.fetch_add(1, Ordering::SeqCst);
    for (place, entry) in TABLE.iter().enumerate() {
        if among >> place & 1 == 1 && entry.state.load(Ordering::SeqCst) == kind {
            action(entry);
        }
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
}

/// The places of the frames whose descriptor is that of `file`.
pub(super) fn on_file(file: BlockedIn) -> u64 {
    let mut places = 0;
    for place in 0..CAPACITY {
        each(FRAME, 1 << place, |entry| {
            places |= u64::from(file.is(entry.number())) << place;
        });
    }
    places
}
