//! A single-producer, single-consumer queue of plain values, in memory that may
//! be shared and outlive the process.
//!
//! What was taken out stays where it is until it is overwritten: after a crash
//! the last `N - 1` values can still be read from the file that the memory is
//! of. A value is copied whole, not word by word as an atomic would be: that is
//! 20 instructions less in every cycle, and why this is unsafe code.
//!
//! Cost of `enqueue`: two loads, a comparison, the copy, one store.
//! `tests/interleavings` tries every interleaving of both ends.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use super::shared::Shareable;
use crate::cycle::record::CycleRecord;

mod ends;

pub use ends::{Consumer, Producer, Queue};

/// Bytes before the values of a queue: three numbers, each in a cache line of
/// its own.
pub const CONTROL_BYTES: usize = 192;
/// Offset of the slot that is written next.
pub const NEXT: usize = 0;
/// Offset of the count of values that found no room.
pub const DROPPED: usize = 128;

/// Plain old data: values that are nothing but their bytes.
///
/// # Safety
/// No padding, no pointers, every pattern of bytes a value, aligned to at most
/// 8 bytes.
pub unsafe trait Pod: Copy + Send {}

// SAFETY: `repr(C)` and numbers only; that they leave no gap is checked below.
unsafe impl Pod for CycleRecord {}

const _: () = assert!(size_of::<CycleRecord>() == 8 + 3 * 4 + 2 * 2 + 8 * 4);

/// Where one value is.
#[derive(Debug)]
#[repr(transparent)]
struct Slot<T>(UnsafeCell<T>);

impl<T: Copy> Slot<T> {
    /// # Safety
    /// Nobody else reads or writes the slot meanwhile.
    #[inline]
    unsafe fn write(&self, value: &T) {
        // SAFETY: as the caller promises.
        unsafe { *self.0.get() = *value };
    }

    /// # Safety
    /// Nobody writes the slot meanwhile.
    unsafe fn read(&self) -> T {
        // SAFETY: as the caller promises.
        unsafe { *self.0.get() }
    }
}

// SAFETY: the numbers are atomics, the values are plain data, and a claim keeps each
// end to one owner in this process.
unsafe impl<T: Pod, const N: usize> Shareable for Queue<T, N> {}

const _: () = {
    type Small = Queue<CycleRecord, 2>;
    assert!(core::mem::offset_of!(Small, slots) == CONTROL_BYTES);
    assert!(core::mem::offset_of!(Small, next) == NEXT);
    assert!(core::mem::offset_of!(Small, dropped) == DROPPED);
};

impl<T: Pod, const N: usize> Queue<T, N> {
    /// An empty queue, all zeros.
    #[must_use]
    pub const fn new() -> Self {
        // SAFETY: zero is a value of an atomic and of every Pod value.
        unsafe { core::mem::zeroed() }
    }

    /// Both ends of the emptied queue.
    pub fn split(&mut self) -> (Producer<'_, T, N>, Consumer<'_, T, N>) {
        // Whoever had the ends is gone, or there would be no such borrow.
        *self.claimed.get_mut() = 0;
        let ends = self.claim();
        ends.expect("a queue that nobody has claimed")
    }
}

impl<T: Pod, const N: usize> Default for Queue<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
