//! A single-producer, single-consumer queue over memory that somebody else has:
//! a file in memory, which outlives the process.
//!
//! Nothing but atomic words, so every pattern of bytes is a queue: whatever a
//! crash or another process left there, nothing worse than a wrong number comes
//! out. What was taken out stays where it is until it is overwritten: after a
//! crash the last `N` items are still there to be read.
//!
//! Cost: `put` is one load, `W + 1` stores and a comparison. `tests/interleavings`
//! tries every interleaving of both ends.

use super::atomic::{AtomicU64, Ordering};

/// Words of the control block: three numbers, each in a cache line of its own.
pub const CONTROL_WORDS: usize = 24;
/// Word of the control block: items put in since the beginning.
pub const PUT: usize = 0;
/// Word of the control block: items taken out since the beginning.
pub const TAKEN: usize = 8;
/// Word of the control block: items that found no room.
pub const DROPPED: usize = 16;

/// The producer's end.
pub struct Producer<'m, const N: usize, const W: usize> {
    control: &'m [AtomicU64; CONTROL_WORDS],
    items: &'m [[AtomicU64; W]; N],
    put: u64,
}

/// The consumer's end.
pub struct Consumer<'m, const N: usize, const W: usize> {
    control: &'m [AtomicU64; CONTROL_WORDS],
    items: &'m [[AtomicU64; W]; N],
    taken: u64,
}

/// Both ends of the emptied queue. There must be no others: a second producer
/// would mix up items, though nothing worse.
pub fn split<'m, const N: usize, const W: usize>(
    control: &'m [AtomicU64; CONTROL_WORDS],
    items: &'m [[AtomicU64; W]; N],
) -> (Producer<'m, N, W>, Consumer<'m, N, W>) {
    const { assert!(N.is_power_of_two()) };
    for word in [PUT, TAKEN, DROPPED] {
        control[word].store(0, Ordering::Relaxed);
    }
    let producer = Producer {
        control,
        items,
        put: 0,
    };
    let consumer = Consumer {
        control,
        items,
        taken: 0,
    };
    (producer, consumer)
}

impl<const N: usize, const W: usize> Producer<'_, N, W> {
    /// Puts `item` in; when there is no room, counts it as dropped.
    #[inline]
    pub fn put(&mut self, item: &[u64; W]) {
        // Acquire: the consumer is done with the place before it is written.
        let taken = self.control[TAKEN].load(Ordering::Acquire);
        if self.put.wrapping_sub(taken) >= N as u64 {
            self.drop_one();
            return;
        }
        let place = &self.items[self.put as usize & (N - 1)];
        for (to, from) in place.iter().zip(item) {
            to.store(*from, Ordering::Relaxed);
        }
        self.put += 1;
        // Release: who sees the number sees the item.
        self.control[PUT].store(self.put, Ordering::Release);
    }

    #[cold]
    #[inline(never)]
    fn drop_one(&self) {
        let dropped = &self.control[DROPPED];
        dropped.store(dropped.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl<const N: usize, const W: usize> Consumer<'_, N, W> {
    /// Takes the oldest item out.
    pub fn take(&mut self) -> Option<[u64; W]> {
        if self.control[PUT].load(Ordering::Acquire) == self.taken {
            return None;
        }
        let place = &self.items[self.taken as usize & (N - 1)];
        let mut item = [0; W];
        for (to, from) in item.iter_mut().zip(place) {
            *to = from.load(Ordering::Relaxed);
        }
        self.taken += 1;
        self.control[TAKEN].store(self.taken, Ordering::Release);
        Some(item)
    }

    /// Items that found no room so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.control[DROPPED].load(Ordering::Relaxed)
    }
}
