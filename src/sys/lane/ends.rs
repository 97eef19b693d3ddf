//! The two ends. `tests/interleavings` compiles this file against atomics and
//! cells whose every interleaving is tried.

use super::{AtomicU64, Ordering, Place, Plain};

/// The memory of a queue of at most `N - 1` values.
#[derive(Debug)]
#[repr(C)]
pub struct Lane<T, const N: usize> {
    /// The place that is written next; the producer's.
    pub(super) next: AtomicU64,
    /// Whether both ends are somebody's.
    pub(super) claimed: AtomicU64,
    pub(super) _line: [AtomicU64; 6],
    /// The place that is read next; the consumer's.
    pub(super) first: AtomicU64,
    pub(super) _line2: [AtomicU64; 7],
    /// Values that found no room; the producer's.
    pub(super) dropped: AtomicU64,
    pub(super) _line3: [AtomicU64; 7],
    pub(super) places: [Place<T>; N],
}

// SAFETY: a place is written by the one producer while the consumer may not
// read it, and read by the one consumer while the producer may not write it:
// `next` and `first`, acquired and released, say whose it is.
unsafe impl<T: Plain, const N: usize> Sync for Lane<T, N> {}

/// The producer's end.
pub struct Producer<'m, T, const N: usize>(&'m Lane<T, N>);

/// The consumer's end.
pub struct Consumer<'m, T, const N: usize>(&'m Lane<T, N>);

impl<T: Plain, const N: usize> Lane<T, N> {
    const WITHIN: u64 = {
        assert!(N.is_power_of_two());
        N as u64 - 1
    };

    /// Both ends of the emptied lane, once in its life; `None` when they were
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

impl<T: Plain, const N: usize> Producer<'_, T, N> {
    /// Puts `value` in; when there is no room, counts it as dropped.
    #[inline]
    pub fn put(&mut self, value: &T) {
        let lane = self.0;
        let place = lane.next.load(Ordering::Relaxed) & Lane::<T, N>::WITHIN;
        let next = (place + 1) & Lane::<T, N>::WITHIN;
        // Acquire: the consumer is done with the place before it is written.
        if next == lane.first.load(Ordering::Acquire) {
            // One place stays empty, to tell full from empty.
            self.drop_one();
            return;
        }
        // SAFETY: there is one producer, and the consumer reads no place from
        // `next` on until it is published below.
        unsafe { lane.places[place as usize].write(value) };
        // Release: who sees the number sees the value.
        lane.next.store(next, Ordering::Release);
    }

    #[cold]
    #[inline(never)]
    fn drop_one(&self) {
        let dropped = self.0.dropped.load(Ordering::Relaxed);
        self.0.dropped.store(dropped + 1, Ordering::Relaxed);
    }
}

impl<T: Plain, const N: usize> Consumer<'_, T, N> {
    /// Takes the oldest value out.
    pub fn take(&mut self) -> Option<T> {
        let lane = self.0;
        let place = lane.first.load(Ordering::Relaxed) & Lane::<T, N>::WITHIN;
        if place == lane.next.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: there is one consumer, and the producer writes no place from
        // `first` to `next` until it is given back below.
        let value = unsafe { lane.places[place as usize].read() };
        let first = (place + 1) & Lane::<T, N>::WITHIN;
        lane.first.store(first, Ordering::Release);
        Some(value)
    }

    /// Values that found no room so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
