//! The two ends. `tests/interleavings` compiles this file against atomics and
//! cells whose every interleaving is tried.

use super::{AtomicU64, Ordering, Pod, Slot};

/// The memory of a queue of at most `N - 1` values.
#[derive(Debug)]
#[repr(C)]
pub struct Queue<T, const N: usize> {
    /// The slot that is written next; the producer's.
    pub(super) next: AtomicU64,
    /// Whether both ends are somebody's.
    pub(super) claimed: AtomicU64,
    pub(super) _line: [AtomicU64; 6],
    /// The slot that is read next; the consumer's.
    pub(super) first: AtomicU64,
    pub(super) _line2: [AtomicU64; 7],
    /// Values that found no room; the producer's.
    pub(super) dropped: AtomicU64,
    pub(super) _line3: [AtomicU64; 7],
    pub(super) slots: [Slot<T>; N],
}

// SAFETY: a slot is written by the one producer while the consumer may not
// read it, and read by the one consumer while the producer may not write it:
// `next` and `first`, acquired and released, say whose it is.
unsafe impl<T: Pod, const N: usize> Sync for Queue<T, N> {}

/// The producer's end.
pub struct Producer<'m, T, const N: usize>(&'m Queue<T, N>);

/// The consumer's end.
pub struct Consumer<'m, T, const N: usize>(&'m Queue<T, N>);

impl<T: Pod, const N: usize> Queue<T, N> {
    const WITHIN: u64 = {
        assert!(N.is_power_of_two());
        N as u64 - 1
    };

    /// Both ends of the emptied queue, once in its life; `None` when they were
    /// claimed before.
    pub fn claim(&self) -> Option<(Producer<'_, T, N>, Consumer<'_, T, N>)> {
        if self.claimed.swap(1, Ordering::AcqRel) != 0 {
            return None;
        }
        for word in [&self.next, &self.first, &self.dropped] {
            word.store(0, Ordering::Relaxed);
        }
        Some((Producer(self), Consumer(self)))
    }
}

impl<T: Pod, const N: usize> Producer<'_, T, N> {
    /// Puts `value` in; when there is no room, counts it as dropped.
    #[inline]
    pub fn enqueue(&mut self, value: &T) {
        let queue = self.0;
        let slot = queue.next.load(Ordering::Relaxed) & Queue::<T, N>::WITHIN;
        let next = (slot + 1) & Queue::<T, N>::WITHIN;
        // Acquire: the consumer is done with the slot before it is written.
        if next == queue.first.load(Ordering::Acquire) {
            // One slot stays empty, to tell full from empty.
            self.drop_one();
            return;
        }
        // SAFETY: there is one producer, and the consumer reads no slot from
        // `next` on until it is published below.
        unsafe { queue.slots[slot as usize].write(value) };
        // Release: who sees the number sees the value.
        queue.next.store(next, Ordering::Release);
    }

    #[cold]
    #[inline(never)]
    fn drop_one(&self) {
        let dropped = self.0.dropped.load(Ordering::Relaxed);
        self.0.dropped.store(dropped + 1, Ordering::Relaxed);
    }
}

impl<T: Pod, const N: usize> Consumer<'_, T, N> {
    /// Takes the oldest value out.
    pub fn dequeue(&mut self) -> Option<T> {
        let queue = self.0;
        let slot = queue.first.load(Ordering::Relaxed) & Queue::<T, N>::WITHIN;
        if slot == queue.next.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: there is one consumer, and the producer writes no slot from
        // `first` to `next` until it is given back below.
        let value = unsafe { queue.slots[slot as usize].read() };
        let first = (slot + 1) & Queue::<T, N>::WITHIN;
        queue.first.store(first, Ordering::Release);
        Some(value)
    }

    /// Values that found no room so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
