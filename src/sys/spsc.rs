//! A single-producer, single-consumer queue of plain values, in memory that may be shared and
//! may outlive the process.
//!
//! A value that was taken stays in memory until it is overwritten: after a crash the last `N -
//! 1` values can still be read from the file behind the memory. Values are copied as a whole
//! and not word by word as atomics: this saves 20 instructions in every cycle, and is why the
//! code is unsafe.
//!
//! Cost of `enqueue`: two loads, a comparison, the copy, one store. `tests/interleavings` tries
//! every interleaving of both ends.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use super::shared::Shareable;
use crate::cycle::record::CycleRecord;

mod ends;

pub use ends::{Consumer, Producer, Queue};

/// Bytes before the values: three numbers, each in a cache line of its own.
pub const CONTROL_BYTES: usize = 192;
/// Offset of the number of the slot written next.
pub const NEXT: usize = 0;
/// Offset of the count of dropped values.
pub const DROPPED: usize = 128;

/// Values that are plain bytes.
///
/// # Safety
/// The type must have no padding and no pointers, every pattern of bytes must be a valid value,
/// and its alignment must be at most 8 bytes.
pub unsafe trait Pod: Copy + Send {}

// SAFETY: `repr(C)` and numbers only; the assertion below checks that there is no padding.
unsafe impl Pod for CycleRecord {}

const _: () = assert!(size_of::<CycleRecord>() == 8 + 3 * 4 + 2 * 2 + 8 * 4);

/// The memory of one value.
#[derive(Debug)]
#[repr(transparent)]
struct Slot<T>(UnsafeCell<T>);

impl<T: Copy> Slot<T> {
    /// # Safety
    /// No other thread may read or write the slot meanwhile.
    #[inline]
    unsafe fn write(&self, value: &T) {
        // SAFETY: as the caller promises.
        unsafe { *self.0.get() = *value };
    }

    /// # Safety
    /// No other thread may write the slot meanwhile.
    unsafe fn read(&self) -> T {
        // SAFETY: as the caller promises.
        unsafe { *self.0.get() }
    }
}

// SAFETY: the numbers are atomics, the values are plain, and the claim gives each end to one
// owner in this process.
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

    /// Empties the queue and returns both ends.
    pub fn split(&mut self) -> (Producer<'_, T, N>, Consumer<'_, T, N>) {
        // `&mut self` proves that no end is alive.
        *self.claimed.get_mut() = 0;
        let ends = self.claim();
        ends.expect("the queue was released above")
    }
}

impl<T: Pod, const N: usize> Default for Queue<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
