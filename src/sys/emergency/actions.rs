//! The table of prepared system calls, and their execution.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::super::gpio;
use super::super::i2c::{self, Address};
use super::super::spi::{self, Transfer};
use super::super::waiting::BlockedIn;
use super::super::{Errno, check};

/// Most actions that can be registered: a board has at most 16 chips of each kind, and few
/// steps in its shutdown order.
pub const CAPACITY: usize = 48;

/// Longest frame or text of an action, bytes.
pub const FRAME_MAX: usize = 1_024;

/// Longest argument of an ioctl, bytes.
pub const ARGUMENT_MAX: usize = 32;

/// Room for the bytes of all registered actions together.
pub const POOL_BYTES: usize = 4_096;

const WORDS: usize = ARGUMENT_MAX / 8;

/// Whether an action may block.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum When {
    /// It cannot block. Executed first.
    Immediate = LINES,
    /// It may block on a bus or a lock. Executed last, under [`end_within`](super::end_within).
    MayBlock = FRAME,
}

const FREE: u8 = 0;
const FILLING: u8 = 1;
pub(super) const LINES: u8 = 2;
pub(super) const FRAME: u8 = 3;

/// The system call of an action.
#[derive(Copy, Clone)]
enum Call {
    /// ioctl(2) with this request; the argument is a copy of the bytes.
    Ioctl(u32),
    /// Sends the bytes as one message on an SPI device.
    Spi,
    /// Sends the bytes as one message to this chip on an I2C adapter.
    I2c(Address),
    /// Writes the bytes at the start of a file.
    Write,
    /// Sends the bytes on the bus at this place of [`DIRECT`].
    Direct(u32),
}

/// A bus that this process drives itself, without a descriptor.
pub trait DirectBus: Sync {
    /// Sends `frame` as one message, and takes the bus from whoever drives it. It may wait for
    /// the bus, but not without end. Async-signal-safe.
    ///
    /// # Errors
    /// Those of the bus.
    fn send(&self, frame: &[u8]) -> Result<(), Errno>;
}

/// Most buses of [`register_direct`]: a board has at most 16 SPI devices.
const DIRECT_MAX: usize = 16;

/// The buses of [`register_direct`], from the first place on.
static DIRECT: [OnceLock<&'static dyn DirectBus>; DIRECT_MAX] =
    [const { OnceLock::new() }; DIRECT_MAX];

impl Call {
    /// The kind, and its number of 32 bits.
    const fn pack(self) -> (u8, u32) {
        match self {
            Self::Ioctl(request) => (0, request),
            Self::Spi => (1, 0),
            Self::I2c(address) => (2, address.pack()),
            Self::Write => (3, 0),
            Self::Direct(place) => (4, place),
        }
    }

    const fn unpack(kind: u8, number: u32) -> Self {
        match kind {
            0 => Self::Ioctl(number),
            1 => Self::Spi,
            2 => Self::I2c(Address::unpack(number)),
            3 => Self::Write,
            _ => Self::Direct(number),
        }
    }
}

pub(super) struct Entry {
    state: AtomicU8,
    call: AtomicU8,
    fd: AtomicI32,
    argument: AtomicU32,
    /// Its bytes in [`POOL`]: index of the first, and count.
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

/// The bytes of all actions. The bytes of an entry are written while its state is [`FILLING`],
/// by the one thread that holds [`REGISTERING`], and only read after that.
struct Pool(UnsafeCell<[u8; POOL_BYTES]>);

// SAFETY: a reader of an entry's bytes has seen its state, which was published after they were
// written. The bytes are not given to another entry before `clear` has waited for all readers.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; POOL_BYTES]));

/// One registration at a time.
static REGISTERING: Mutex<()> = Mutex::new(());

/// Number of calls of [`each`] that have not returned, on all threads.
static RUNNING: AtomicU32 = AtomicU32::new(0);

impl Entry {
    fn range(&self) -> core::ops::Range<usize> {
        let at = usize::from(self.at.load(Ordering::Relaxed));
        at..at + usize::from(self.length.load(Ordering::Relaxed))
    }

    /// The bytes of the action, which must stay registered meanwhile.
    pub(super) fn bytes(&self) -> &[u8] {
        let range = self.range();
        // SAFETY: the bytes are inside of the pool and initialised, and are not written while
        // the action is registered.
        unsafe {
            core::slice::from_raw_parts(POOL.0.get().cast::<u8>().add(range.start), range.len())
        }
    }

    /// Its descriptor.
    pub(super) fn number(&self) -> libc::c_int {
        self.fd.load(Ordering::Relaxed)
    }

    /// Executes the action, which must stay registered meanwhile. Async-signal-safe.
    pub(super) fn perform(&self) -> Result<(), Errno> {
        let bytes = self.bytes();
        let call = Call::unpack(
            self.call.load(Ordering::Relaxed),
            self.argument.load(Ordering::Relaxed),
        );
        if let Call::Direct(place) = call {
            let bus = DIRECT.get(place as usize).and_then(OnceLock::get);
            return bus.ok_or(Errno(libc::ENODEV))?.send(bytes);
        }
        // SAFETY: the descriptor belongs to the action, and is not closed before `clear`.
        let fd = unsafe { BorrowedFd::borrow_raw(self.number()) };
        let whole = match call {
            Call::Ioctl(request) => {
                let mut argument = [0_u64; WORDS];
                // SAFETY: `argument` is at least as long as what is copied, and they are two
                // different objects.
                unsafe {
                    core::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        argument.as_mut_ptr().cast(),
                        bytes.len().min(ARGUMENT_MAX),
                    );
                }
                let request = request as libc::Ioctl;
                // SAFETY: the caller of `register` has promised that the ioctl accesses only
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
            Call::Direct(_) => false,
        };
        if whole { Ok(()) } else { Err(Errno(libc::EIO)) }
    }
}

/// A registered action with a duplicate of its descriptor (`F_DUPFD_CLOEXEC`, fcntl(2)); the
/// original may be closed at any time. It stays registered until [`Slot::clear`]. Dropping a
/// slot does not remove the action, because a forgotten action is safer than a missing one.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Slot {
    /// Executes this action alone. The loop uses it to drive the same safe value as a crash
    /// handler would. One system call; the loop keeps the outputs.
    ///
    /// # Errors
    /// The kernel's; `EIO` when only a part was transferred.
    pub fn execute(&self) -> Result<(), Errno> {
        // `clear` consumes the slot, so it cannot run meanwhile.
        TABLE[self.0].perform()
    }

    /// Removes the action and closes its descriptor. Waits until no thread executes the table,
    /// because the descriptor's number may then be reused. An execution ends within 50 ms
    /// ([`FRAMES_US`](super::FRAMES_US)) or ends the process. Not async-signal-safe.
    pub fn clear(self) {
        let entry = &TABLE[self.0];
        // Sequentially consistent, here and in `each`: either this sees that the table is being
        // executed, or the executing thread sees that the entry is gone.
        entry.state.store(FILLING, Ordering::SeqCst);
        while RUNNING.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        close(entry.fd.swap(-1, Ordering::Relaxed));
        entry.state.store(FREE, Ordering::Release);
    }
}

/// The descriptor of an action without one.
const NO_FILE: libc::c_int = -1;

fn close(fd: libc::c_int) {
    if fd == NO_FILE {
        return;
    }
    // SAFETY: the duplicate was made here and is not used any more.
    unsafe { libc::close(fd) };
}

/// Registers `ioctl(fd, request, argument)`; actions run in the order of registration. `fd` is
/// duplicated, `argument` copied.
///
/// # Errors
/// `EMSGSIZE` when the argument is longer than [`ARGUMENT_MAX`], `EINVAL` when it is empty,
/// `EBUSY` when all [`CAPACITY`] slots are in use, `ENOSPC` when there is no room for its bytes
/// ([`POOL_BYTES`]), `EMFILE` when the process has no free descriptor.
///
/// # Safety
/// The ioctl must be sound at any time and on any thread. It must access no more than the
/// `argument.len()` bytes of the argument, and no memory that these bytes point to.
pub unsafe fn register(fd: BorrowedFd<'_>, request: u32, argument: &[u8]) -> Result<Slot, Errno> {
    if argument.len() > ARGUMENT_MAX {
        return Err(Errno(libc::EMSGSIZE));
    }
    enter(When::Immediate, Call::Ioctl(request), Some(fd), argument)
}

fn enter(when: When, call: Call, fd: Option<BorrowedFd<'_>>, bytes: &[u8]) -> Result<Slot, Errno> {
    if bytes.len() > FRAME_MAX {
        return Err(Errno(libc::EMSGSIZE));
    }
    if bytes.is_empty() {
        return Err(Errno(libc::EINVAL));
    }
    let _alone = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    // After the last one in use, otherwise a later action could run earlier.
    let in_use = |entry: &Entry| entry.state.load(Ordering::Acquire) != FREE;
    let index = TABLE.iter().rposition(in_use).map_or(0, |last| last + 1);
    let entry = TABLE.get(index).ok_or(Errno(libc::EBUSY))?;
    let at = free_offset(bytes.len()).ok_or(Errno(libc::ENOSPC))?;
    let own = match fd {
        // SAFETY: takes no pointer.
        Some(fd) => unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) },
        None => NO_FILE,
    };
    if own < 0 && fd.is_some() {
        return Err(Errno::last());
    }
    // SAFETY: the bytes from `at` on are inside of the pool and belong to no registered action,
    // so no thread reads them; the lock keeps other registrations away.
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

/// Registers the setting of GPIO lines (`GPIO_V2_LINE_SET_VALUES_IOCTL`, linux/gpio.h): the
/// lines of `mask`, by their index in the line request `lines`, get the logical levels of
/// `bits`.
///
/// # Errors
/// As for [`register`].
pub fn register_line_values(lines: BorrowedFd<'_>, bits: u64, mask: u64) -> Result<Slot, Errno> {
    let mut values = [0; 16];
    values[..8].copy_from_slice(&bits.to_ne_bytes());
    values[8..].copy_from_slice(&mask.to_ne_bytes());
    // SAFETY: the request encodes a size of 16 bytes, which hold two numbers and no pointer;
    // for a descriptor of another kind the kernel returns ENOTTY.
    unsafe { register(lines, gpio::SET_VALUES, &values) }
}

/// Registers a transfer of `frame` as one message on the SPI device `spi`. It may block.
///
/// # Errors
/// `EMSGSIZE` when the frame is longer than [`FRAME_MAX`], `EINVAL` when it is empty; otherwise
/// as for [`register`]. The size of spidev's buffer is not checked.
pub fn register_frame(spi: BorrowedFd<'_>, frame: &[u8]) -> Result<Slot, Errno> {
    enter(When::MayBlock, Call::Spi, Some(spi), frame)
}

/// Registers a transfer of `frame` as one message on `bus`. It counts as an action that may
/// block.
///
/// # Errors
/// As for [`register_frame`].
pub fn register_direct(bus: &'static dyn DirectBus, frame: &[u8]) -> Result<Slot, Errno> {
    let same = |known: &&dyn DirectBus| core::ptr::addr_eq(*known, bus);
    let place = DIRECT
        .iter()
        .position(|place| same(place.get_or_init(|| bus)));
    let place = place.ok_or(Errno(libc::EBUSY))?;
    enter(When::MayBlock, Call::Direct(place as u32), None, frame)
}

/// Registers a transfer of `bytes` as one message to the chip at `address` on the I2C adapter
/// `adapter`. It may block.
///
/// # Errors
/// As for [`register_frame`].
pub fn register_i2c(
    adapter: BorrowedFd<'_>,
    address: Address,
    bytes: &[u8],
) -> Result<Slot, Errno> {
    enter(When::MayBlock, Call::I2c(address), Some(adapter), bytes)
}

/// Registers `pwrite(file, bytes, 0)`, for an attribute of a driver in sysfs such as the duty
/// of a PWM channel. `when` says whether that driver can sleep; if unknown, use
/// [`When::MayBlock`].
///
/// # Errors
/// As for [`register_frame`]. A file without positions (a pipe) fails only when the action is
/// executed.
pub fn register_write(file: BorrowedFd<'_>, bytes: &[u8], when: When) -> Result<Slot, Errno> {
    enter(when, Call::Write, Some(file), bytes)
}

/// For tests: registers an action that is visible from outside of a dead process without
/// hardware. It makes `fd`'s open file non-blocking (`FIONBIO`, ioctl_tty(2)), which other
/// holders of the file see in `/proc/PID/fdinfo`.
///
/// # Errors
/// `EBUSY` when all [`CAPACITY`] slots are in use.
pub fn register_witness(fd: BorrowedFd<'_>) -> Result<Slot, Errno> {
    // SAFETY: the request reads one int.
    unsafe { register(fd, libc::FIONBIO as u32, &1_i32.to_ne_bytes()) }
}

/// All places of the table, one bit each.
pub(super) const ALL: u64 = u64::MAX;
const _: () = assert!(CAPACITY <= 64);

/// Calls `action` for each action of `kind` at the places `among`, in the order of the slots.
pub(super) fn each(kind: u8, among: u64, mut action: impl FnMut(&Entry)) {
    RUNNING.fetch_add(1, Ordering::SeqCst);
    for (place, entry) in TABLE.iter().enumerate() {
        if among >> place & 1 == 1 && entry.state.load(Ordering::SeqCst) == kind {
            action(entry);
        }
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
}

/// The places of the frames whose descriptor refers to `file`.
pub(super) fn on_file(file: BlockedIn) -> u64 {
    let mut places = 0;
    for place in 0..CAPACITY {
        each(FRAME, 1 << place, |entry| {
            places |= u64::from(file.is(entry.number())) << place;
        });
    }
    places
}
