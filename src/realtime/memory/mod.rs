//! Locks memory, and reads back what is locked (mlock(2), mlockall(2)).
//!
//! A page that is not locked may be missing when the loop needs it, which costs from
//! microseconds to a disk access. [`lock_all`] with [`LockFlags::CurrentAndFuture`] makes the
//! whole process resident and keeps it so. [`lock`] locks one range, for processes whose limit
//! cannot be raised (`lock = "selective"`).
//!
//! There is no fallback: a refusal names the limit and how to raise it ([`LockError`]). Reading
//! the state does not allocate ([`StatusReader`]). Locking costs the time to make every page
//! resident once.

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
/// With `MCL_CURRENT` every page is resident when this returns. With `MCL_FUTURE` later growth
/// is locked as well, and fails if it would exceed the limit: mmap(2) with `EAGAIN`
/// ([`LockError::of_mapping`]), and so the creation of threads and larger allocations. Stack
/// growth beyond it ends in `SIGSEGV`, so the loop has a static stack.
///
/// # Errors
/// [`LockError`], with the limit.
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

/// Locks the pages that contain `range`: mlock(2). They are resident when this returns.
///
/// # Errors
/// [`LockError`], with the limit.
pub fn lock(range: Range) -> Result<(), LockError> {
    sys::lock(range).map_err(|errno| LockError::of_lock(errno, range))
}

/// Unlocks the pages that contain `range`: munlock(2). Locks do not nest.
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

/// Configures the C library's allocator (mallopt(3)) to never return memory to the kernel, to map
/// no separate blocks, and to use one heap for all threads. Call it before any other thread
/// allocates.
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

/// `bytes` in kB, rounded up.
const fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}
