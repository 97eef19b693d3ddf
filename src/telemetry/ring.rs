//! The ring between the loop and the reporter.
//!
//! Single producer, single consumer, fixed memory ([`heapless::spsc`]). When the
//! reporter does not keep up, the newest record is dropped and counted: the loop
//! never waits.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use heapless::spsc::{Consumer, Producer, Queue};

use crate::cycle::ports::Record;
use crate::cycle::record::CycleRecord;

/// Records that fit: at 1 kHz the reporter may be away for half a second.
pub const CAPACITY: usize = 512;

/// The memory of a ring.
#[derive(Debug)]
pub struct Ring {
    queue: Queue<CycleRecord, CAPACITY>,
    dropped: AtomicU64,
}

impl Ring {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            queue: Queue::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// The two ends of the emptied ring.
    pub fn split(&mut self) -> (Writer<'_>, Reader<'_>) {
        while self.queue.dequeue().is_some() {}
        *self.dropped.get_mut() = 0;
        let (producer, consumer) = self.queue.split();
        let writer = Writer {
            producer,
            dropped: &self.dropped,
        };
        let reader = Reader {
            consumer,
            dropped: &self.dropped,
        };
        (writer, reader)
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

/// The loop's end of the ring.
pub struct Writer<'r> {
    producer: Producer<'r, CycleRecord>,
    dropped: &'r AtomicU64,
}

impl Record for Writer<'_> {
    #[inline]
    fn record(&mut self, record: &CycleRecord) {
        if self.producer.enqueue(*record).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The reporter's end of the ring.
pub struct Reader<'r> {
    consumer: Consumer<'r, CycleRecord>,
    dropped: &'r AtomicU64,
}

impl Reader<'_> {
    /// The oldest record that was not read yet.
    pub fn take(&mut self) -> Option<CycleRecord> {
        self.consumer.dequeue()
    }

    /// Records dropped because the ring was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Keeps no records: for runs that nobody watches.
#[derive(Copy, Clone, Debug, Default)]
pub struct Discard;

impl Record for Discard {
    fn record(&mut self, _: &CycleRecord) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_the_newest_and_counts_them() {
        let mut ring = Ring::new();
        let (mut writer, mut reader) = ring.split();
        for slot in 0..CAPACITY as u64 + 9 {
            writer.record(&CycleRecord {
                slot,
                ..CycleRecord::default()
            });
        }
        // One place of the queue stays empty, to tell full from empty.
        assert_eq!(reader.dropped(), 10);
        let kept: Vec<_> = std::iter::from_fn(|| reader.take())
            .map(|r| r.slot)
            .collect();
        assert_eq!(kept, (0..CAPACITY as u64 - 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_ring_split_again_is_empty() {
        let mut ring = Ring::new();
        ring.split().0.record(&CycleRecord::default());
        assert_eq!(ring.split().1.take(), None);
    }
}
