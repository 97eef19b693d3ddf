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
//! From the seal on, what each kind of thread does counts apart:
//!
//! | after the seal | real-time thread | other threads |
//! |---|---|---|
//! | allocate, reallocate | a fault: counted, or `SIGABRT` | counted, or `SIGABRT` |
//! | free | counted | not counted |
//!
//! A free is no fault: it can take the allocator's lock, but a loop that never
//! allocates has nothing of its own to free, so the count only points at what
//! was moved in before the seal. The counts cost one relaxed atomic addition an
//! allocation while open; nothing is counted twice and nothing allocates.
//!
//! Calls of the C library's own `malloc` do not pass here: the loop's system
//! calls make none.

pub use crate::sys::alloc::{
    AllocationCounts, Seal, SealedAllocator, counts, is_realtime_thread, realtime_allocations,
    seal, sealed, unseal,
};

use crate::sys::alloc::set_realtime_thread;

/// The seal for this build: [`Seal::Abort`] with debug assertions, so that a
/// test run cannot overlook an allocation; [`Seal::Count`] without, because a
/// moving axis is safer with a late cycle than with no controller.
pub const SEAL_OF_BUILD: Seal = if cfg!(debug_assertions) {
    Seal::Abort
} else {
    Seal::Count
};

/// Whether [`SealedAllocator`] is this binary's allocator: makes one allocation
/// and looks whether it was counted. To be asked before the seal.
#[must_use]
pub fn is_installed() -> bool {
    let before = counts().total;
    drop(core::hint::black_box(Box::new(0_u8)));
    counts().total != before
}

/// While this lives, the calling thread counts as the real-time one.
#[derive(Debug)]
pub struct RealtimeThread(core::marker::PhantomData<*const ()>);

impl RealtimeThread {
    /// Marks the calling thread.
    #[must_use = "the mark goes with this value"]
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
