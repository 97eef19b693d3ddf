//! Memory locking: what is locked, what it took, and why it was refused.
//!
//! A page that is not locked may be missing when the loop needs it, and a
//! missing page costs from microseconds to a disk access. [`lock_all`] with
//! [`LockFlags::CurrentAndFuture`] makes the whole process resident and keeps
//! it so; [`lock`] does it for one range where the limit cannot be raised
//! (`lock = "selective"`).
//!
//! Promises: nothing falls back; a refusal says which number was short and how
//! to raise it ([`LockError`]); reading the state allocates nothing
//! ([`StatusReader`]). Locking costs the time to make every page resident once;
//! afterwards nothing. mlock(2), mlockall(2).

mod error;
mod essential;
mod limits;
mod status;

pub use crate::sys::arena::release_unused as release_unused_buffer;
pub use crate::sys::memory::{LockFlags, Mapping, Range, Sharing, page_size, trim_heap};
pub use crate::sys::unused_stack::release as release_unused_stack;
pub use crate::sys::unwind_tables::release as release_unwind_tables;
pub use error::LockError;
pub use essential::{Essential, own_stack};
pub use limits::{Raised, raise_locked_memory, raise_realtime_priority};
pub use status::{Status, StatusReader};

use crate::sys::memory::{self as sys, MallocOption};

/// Locks the process: mlockall(2).
///
/// With `MCL_CURRENT` every page is resident when this returns. With
/// `MCL_FUTURE` later growth is locked as well, and fails when it would go over
/// the limit: mmap(2) with `EAGAIN` ([`LockError::of_mapping`]), and with it
/// the creation of threads and larger allocations. Stack growth over it is
/// `SIGSEGV`, which is why the loop has a stack of its own.
///
/// # Errors
/// [`LockError`], with the number that was short.
pub fn lock_all(flags: LockFlags) -> Result<(), LockError> {
    sys::lock_all(flags).map_err(|errno| LockError::of_lock_all(errno, flags))
}

/// Removes every lock and cancels `MCL_FUTURE`: munlockall(2). Needs no
/// privilege.
///
/// # Errors
/// [`LockError::Other`]; none is expected since Linux 2.6.9.
pub fn unlock_all() -> Result<(), LockError> {
    sys::unlock_all().map_err(LockError::Other)
}

/// Locks the pages that hold `range`: mlock(2). They are resident when this
/// returns.
///
/// # Errors
/// [`LockError`], with the number that was short.
pub fn lock(range: Range) -> Result<(), LockError> {
    sys::lock(range).map_err(|errno| LockError::of_lock(errno, range))
}

/// Unlocks the pages that hold `range`, however often they were locked:
/// munlock(2).
///
/// # Errors
/// [`LockError::NotMapped`].
pub fn unlock(range: Range) -> Result<(), LockError> {
    sys::unlock(range).map_err(|errno| match errno.0 {
        libc::ENOMEM => LockError::NotMapped { range },
        _ => LockError::Other(errno),
    })
}

/// An option that the C library's allocator did not accept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MallocRefused(pub MallocOption);

/// Makes the C library's allocator keep what it has: it never gives memory back
/// to the kernel, never maps a block of its own, and has one heap for all
/// threads (mallopt(3)). To be called before any other thread allocates.
///
/// # Errors
/// The first option that was refused.
pub fn keep_heap() -> Result<(), MallocRefused> {
    for (option, value) in [
        (MallocOption::TrimThreshold, -1),
        (MallocOption::TopPad, 0),
        (MallocOption::MmapMax, 0),
        (MallocOption::ArenaMax, 1),
    ] {
        if !sys::set_malloc_option(option, value) {
            return Err(MallocRefused(option));
        }
    }
    Ok(())
}

/// Kilobytes that hold `bytes`, rounded up.
const fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}
