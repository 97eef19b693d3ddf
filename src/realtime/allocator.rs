//! The allocator's seal: proof that the loop does not allocate.
//!
//! A binary installs [`SealedAllocator`]; the library never does:
//!
//! ```
//! use steadfast::realtime::allocator::{self, SealedAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: SealedAllocator = SealedAllocator;
//!
//! fn main() {
//!     assert!(allocator::is_installed());
//! }
//! ```
//!
//! After the seal, the real-time thread and the other threads are counted separately:
//!
//! | after the seal | real-time thread | other threads |
//! |---|---|---|
//! | allocate, reallocate | a fault: counted, or `SIGABRT` | counted, or `SIGABRT` |
//! | free | counted | not counted |
//!
//! Freeing memory is not a fault: a loop that never allocates can only free memory that was
//! moved to it before the seal. The cost is one relaxed atomic addition per allocation.
//! Direct calls of the C library's `malloc` are not counted; the loop's system calls make
//! none.

pub use crate::sys::alloc::{
    AllocationCounts, Seal, SealedAllocator, counts, is_realtime_thread, realtime_allocations,
    seal, sealed, unseal,
};

use crate::sys::alloc::set_realtime_thread;

/// The seal for this build: [`Seal::Abort`] with debug assertions, so that a test cannot miss
/// an allocation; otherwise [`Seal::Count`], because a late cycle of a moving axis is safer than
/// an abort.
pub const SEAL_OF_BUILD: Seal = if cfg!(debug_assertions) {
    Seal::Abort
} else {
    Seal::Count
};

/// Whether [`SealedAllocator`] is this binary's allocator. Makes one allocation, and checks
/// whether it was counted. Call it before the seal.
#[must_use]
pub fn is_installed() -> bool {
    let before = counts().total;
    drop(core::hint::black_box(Box::new(0_u8)));
    counts().total != before
}

/// Marks a thread as the real-time thread until this is dropped.
#[derive(Debug)]
pub struct RealtimeThread(core::marker::PhantomData<*const ()>);

impl RealtimeThread {
    /// Marks the calling thread.
    #[must_use = "the mark ends when this value is dropped"]
    pub fn mark() -> Self {
        set_realtime_thread(true);
        Self(core::marker::PhantomData)
    }
}

impl Drop for RealtimeThread {
    fn drop(&mut self) {
        set_realtime_thread(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_without_the_sealed_allocator_is_detected() {
        assert!(!is_installed());
        assert_eq!(counts(), AllocationCounts::default());
    }

    #[test]
    fn the_real_time_mark_belongs_to_its_thread_and_ends_with_its_value() {
        let mark = RealtimeThread::mark();
        assert!(is_realtime_thread());
        assert!(!std::thread::spawn(is_realtime_thread).join().unwrap());
        drop(mark);
        assert!(!is_realtime_thread());
    }
}
