//! The queue and its two ends. `tests/interleavings` compiles this file with the atomics and
//! cells of loom, which tries every interleaving.

use super::{AtomicU64, Ordering, Pod, Slot};

/// The memory of a queue of at most `N - 1` values.
#[derive(Debug)]
#[repr(C)]
pub struct Queue<T, const N: usize> {
    /// The slot written next; changed by the producer.
    pub(super) next: AtomicU64,
    /// Whether the ends were claimed.
    pub(super) claimed: AtomicU64,
    pub(super) _line: [AtomicU64; 6],
    /// The slot read next; changed by the consumer.
    pub(super) first: AtomicU64,
    pub(super) _line2: [AtomicU64; 7],
    /// Count of dropped values; changed by the producer.
    pub(super) dropped: AtomicU64,
    pub(super) _line3: [AtomicU64; 7],
    pub(super) slots: [Slot<T>; N],
}

// SAFETY: the one producer writes a slot only while the consumer may not read it, and the one
// consumer reads a slot only while the producer may not write it. `next` and `first`, stored
// with release and loaded with acquire, pass a slot from one end to the other.
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

    /// Empties the queue and returns both ends, once; `None` when they were claimed before.
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
    /// Adds `value`. If the queue is full, counts the value as dropped. Wait-free.
    #[inline]
    pub fn enqueue(&mut self, value: &T) {
        let queue = self.0;
        let slot = queue.next.load(Ordering::Relaxed) & Queue::<T, N>::WITHIN;
        let next = (slot + 1) & Queue::<T, N>::WITHIN;
        // Acquire: the consumer has finished with the slot before it is written.
        if next == queue.first.load(Ordering::Acquire) {
            // One slot stays empty, to tell full from empty.
            self.drop_one();
            return;
        }
        // SAFETY: there is one producer, and the consumer does not read from `next` on until
        // the new `next` is stored below.
        unsafe { queue.slots[slot as usize].write(value) };
        // Release: a consumer that sees the new number sees the value.
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
    /// Removes and returns the oldest value; `None` if the queue is empty. Wait-free.
    pub fn dequeue(&mut self) -> Option<T> {
        let queue = self.0;
        let slot = queue.first.load(Ordering::Relaxed) & Queue::<T, N>::WITHIN;
        if slot == queue.next.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: there is one consumer, and the producer does not write from `first` to `next`
        // until the new `first` is stored below.
        let value = unsafe { queue.slots[slot as usize].read() };
        let first = (slot + 1) & Queue::<T, N>::WITHIN;
        queue.first.store(first, Ordering::Release);
        Some(value)
    }

    /// Number of values dropped so far because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
