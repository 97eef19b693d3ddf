//! The static stack of the real-time thread.
//!
//! An ordinary stack grows as it is used, so deeper calls cause page faults, and locking all of it
//! would lock megabytes. So the loop runs on a static stack of the board file's size: resident
//! and painted before the loop starts, with an inaccessible guard below. It has no page fault
//! down to the guard. An overrun into the guard makes the outputs safe and is reported with the
//! size ([`crate::sys::fault`], after [`super::signals::install`]). The guard counts neither as
//! locked nor as resident. Cost: the size, and 32 KiB for the thread's signal handlers.
//!
//! ```
//! use steadfast::realtime::stack;
//!
//! let numbers = [1, 2, 3];
//! let sum = stack::on_stack(64 * 1024, || numbers.iter().sum::<i32>());
//! assert_eq!(sum, Ok(6));
//! assert!(stack::high_water_bytes() < 32 * 1024);
//! ```

use core::fmt;

use super::memory::{self, LockError, Range, page_size};
use crate::sys::Errno;
use crate::sys::stack as sys;

/// Smallest size, bytes: 16 KiB, or one page on a kernel with larger pages. An idle thread uses
/// 4.5 KiB of it on x86-64 and 5.1 KiB on arm64 (measured with glibc), for its descriptor,
/// thread-local storage and frames of the C library. Signal frames are on the alternate stack;
/// a signal before that is set up needs up to 5 KiB here (sigaltstack(2), `MINSIGSTKSZ` on
/// arm64).
pub const MIN_BYTES: usize = 16 * 1024;

/// Largest size, bytes: 1 MiB.
pub const MAX_BYTES: usize = sys::MAX;

/// Why a stack could not be reserved or used.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum StackError {
    /// The size is not from [`MIN_BYTES`] to [`MAX_BYTES`], or not a multiple of the page size.
    Size {
        /// The requested size, bytes.
        bytes: usize,
        /// The kernel's page size, bytes.
        page_bytes: usize,
    },
    /// The stack is in use; a process has only one.
    Busy,
    /// A call of the kernel or the C library failed.
    Refused(Errno),
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size { bytes, page_bytes } => write!(
                f,
                "a stack of {bytes} bytes is not a multiple of the page size, {page_bytes}, from \
                 {MIN_BYTES} to {MAX_BYTES}; set [loop] stack_kb accordingly"
            ),
            Self::Busy => {
                f.write_str("the real-time stack is in use; run one loop at a time in a process")
            }
            Self::Refused(errno) => write!(
                f,
                "the real-time thread could not be started ({errno}); raise the limits on processes and memory"
            ),
        }
    }
}

impl std::error::Error for StackError {}

/// The reserved stack: resident, painted and guarded, until this is dropped.
///
/// Reserve it before memory is locked, so that the guard's pages do not become resident. The
/// guard is unlocked when the thread starts in any case.
#[derive(Debug)]
pub struct Stack(sys::StaticStack);

impl Stack {
    /// Reserves a stack of `bytes`, a multiple of the page size from [`MIN_BYTES`] to
    /// [`MAX_BYTES`].
    ///
    /// # Errors
    /// [`StackError`].
    pub fn reserve(bytes: usize) -> Result<Self, StackError> {
        let page_bytes = page_size();
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes) || !bytes.is_multiple_of(page_bytes) {
            return Err(StackError::Size { bytes, page_bytes });
        }
        match sys::StaticStack::claim(bytes) {
            Ok(stack) => Ok(Self(stack)),
            Err(Errno(libc::EBUSY)) => Err(StackError::Busy),
            Err(errno) => Err(StackError::Refused(errno)),
        }
    }

    /// Locks the stack and that of its signal handlers. Has no effect after
    /// [`lock_all`](memory::lock_all).
    ///
    /// # Errors
    /// [`LockError`].
    pub fn lock(&self) -> Result<(), LockError> {
        memory::lock(sys::usable())?;
        memory::lock(sys::signal_stack())
    }

    /// Unlocks the guard, so that it counts neither as locked nor as resident. Call it after
    /// [`lock_all`](memory::lock_all) for a correct VmLck before [`Stack::run`], which also
    /// unlocks it.
    ///
    /// # Errors
    /// [`StackError::Refused`]; none is expected.
    pub fn unlock_guard(&mut self) -> Result<(), StackError> {
        self.0.drop_guard().map_err(StackError::Refused)
    }

    /// Runs `job` on a new thread on this stack and waits for it; `job` may borrow from the
    /// caller.
    ///
    /// The thread blocks all signals except those of faults, `SIGABRT` and `SIGXCPU`. It
    /// inherits the caller's policy and affinity. It is not a thread of the standard library, so
    /// `std::thread::current()` allocates once on it. A panic in `job` aborts the process.
    ///
    /// # Errors
    /// [`StackError::Refused`]; `job` did not run.
    pub fn run<T, F>(&mut self, job: F) -> Result<T, StackError>
    where
        T: Send,
        F: FnOnce() -> T + Send,
    {
        self.run_beside(job, || {})
    }

    /// As [`Stack::run`], and calls `beside` on the calling thread meanwhile. A panic in
    /// `beside` aborts the process.
    ///
    /// # Errors
    /// [`StackError::Refused`]: `job` did not run, and possibly `beside` neither.
    pub fn run_beside<T, F>(&mut self, job: F, beside: impl FnOnce()) -> Result<T, StackError>
    where
        T: Send,
        F: FnOnce() -> T + Send,
    {
        self.0.run(job, beside).map_err(StackError::Refused)
    }
}

/// Reserves a stack of `bytes`, runs `job` on it, waits for it, and frees the stack.
///
/// # Errors
/// [`StackError`]; `job` did not run.
pub fn on_stack<T, F>(bytes: usize, job: F) -> Result<T, StackError>
where
    T: Send,
    F: FnOnce() -> T + Send,
{
    Stack::reserve(bytes)?.run(job)
}

/// Usable size of the last reserved stack, bytes; 0 before the first.
#[must_use]
pub fn size_bytes() -> usize {
    sys::usable().length
}

/// Deepest use of the stack since the thread started, bytes, including thread descriptor and
/// thread-local storage. May be called on any thread, during a run or after it. Costs one read
/// per unused word, without page faults.
#[must_use]
pub fn high_water_bytes() -> usize {
    sys::high_water()
}

/// The address range of the usable stack.
#[must_use]
pub fn range() -> Range {
    sys::usable()
}

/// The address range of the inaccessible guard below it.
#[must_use]
pub fn guard_range() -> Range {
    sys::guard()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hint::black_box;

    /// Waits for the only stack, which other tests use as well.
    fn reserve(bytes: usize) -> Stack {
        let begun = std::time::Instant::now();
        loop {
            match Stack::reserve(bytes) {
                Err(StackError::Busy) => {
                    assert!(
                        begun.elapsed().as_secs() < 60,
                        "the stack is still in use after 60 s"
                    );
                    std::thread::yield_now();
                }
                other => return other.unwrap(),
            }
        }
    }

    #[inline(never)]
    fn use_deep<const N: usize>() -> usize {
        let block = black_box([1_u8; N]);
        black_box(&block)
            .iter()
            .map(|&byte| usize::from(byte))
            .sum()
    }

    #[test]
    fn the_high_water_mark_follows_the_deepest_call() {
        let mut stack = reserve(256 * 1024);
        assert_eq!(stack.run(|| ()), Ok(()));
        let shallow = high_water_bytes();
        assert_eq!(stack.run(use_deep::<100_000>), Ok(100_000));
        let deep = high_water_bytes();
        assert!(shallow > 0 && shallow < MIN_BYTES, "{shallow}");
        assert!((100_000..140_000).contains(&deep), "{deep}");
        assert_eq!(stack.run(|| ()), Ok(()));
        // The first run may be a little deeper, because of one-time initialization.
        let again = high_water_bytes();
        assert!(again > 0 && again <= shallow, "{again}: it starts afresh");
    }

    #[test]
    fn a_thread_runs_on_the_smallest_stack() {
        let mut stack = reserve(MIN_BYTES.max(page_size()));
        let here = [3_u8; 4];
        let inside = stack.run(|| {
            let local = 1_u8;
            range().contains(Range::of(black_box(&local)).address) && here[0] == 3
        });
        assert_eq!(inside, Ok(true));
    }

    #[test]
    fn the_stack_is_reserved_once_and_freed_by_drop() {
        let held = reserve(64 * 1024);
        assert_eq!(on_stack(64 * 1024, || ()), Err(StackError::Busy));
        drop(held);
        drop(reserve(64 * 1024));
        drop(reserve(32 * 1024));
    }

    #[test]
    fn a_size_that_is_not_whole_pages_or_out_of_range_is_refused() {
        for bytes in [0, MIN_BYTES - 4096, MIN_BYTES + 1, MAX_BYTES + page_size()] {
            assert!(matches!(
                Stack::reserve(bytes),
                Err(StackError::Size { .. })
            ));
        }
    }

    #[test]
    fn the_thread_accepts_only_fault_signals() {
        use crate::sys::signal;
        let mut stack = reserve(64 * 1024);
        let before = signal::mask().unwrap();
        let inside = stack.run(|| signal::mask().unwrap()).unwrap();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGALRM, libc::SIGUSR1] {
            assert!(inside.contains(signal), "{signal}");
        }
        for signal in [libc::SIGSEGV, libc::SIGABRT, libc::SIGXCPU] {
            assert!(!inside.contains(signal), "{signal}");
        }
        let after = signal::mask().unwrap();
        assert_eq!(
            before.contains(libc::SIGTERM),
            after.contains(libc::SIGTERM)
        );
    }
}
