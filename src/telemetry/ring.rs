//! The ring between the loop and the reporter.
//!
//! Single producer, single consumer, fixed memory ([`spsc`](crate::sys::spsc)). When the ring
//! is full the newest record is dropped and counted: the loop never waits. The caller supplies
//! the memory, which may outlive the process ([`flight`](super::flight)). Writing one record is
//! wait-free.

use crate::cycle::ports::{Record, TRACE_LEN};
use crate::cycle::record::CycleRecord;
use crate::sys::spsc::{Consumer, Producer, Queue};

/// Places of the ring, one of which stays empty. At 1 kHz the reporter may fall behind by half
/// a second.
pub const CAPACITY: usize = 512;
/// Length of a record, words of 8 bytes.
pub const RECORD_WORDS: usize = 7;
/// Length of a record, bytes.
pub const RECORD_BYTES: usize = RECORD_WORDS * 8;

/// The memory of a ring.
pub type Memory = Queue<CycleRecord, CAPACITY>;

/// A record as words. Their little-endian bytes are the format of the black box
/// (docs/blackbox-format.md).
#[inline]
#[must_use]
pub fn encode(record: &CycleRecord) -> [u64; RECORD_WORDS] {
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let trace = |at: usize| pair(record.trace[at].to_bits(), record.trace[at + 1].to_bits());
    let what = u32::from(record.fault) | u32::from(record.flags) << 16;
    [
        record.slot,
        pair(record.lateness_ns, record.execution_ns),
        pair(record.skipped, what),
        trace(0),
        trace(2),
        trace(4),
        trace(6),
    ]
}

/// The inverse of [`encode`]. Any words give a record.
#[must_use]
pub fn decode(words: &[u64; RECORD_WORDS]) -> CycleRecord {
    let mut trace = [0.0; TRACE_LEN];
    for (two, word) in trace.chunks_exact_mut(2).zip(&words[3..]) {
        two[0] = f32::from_bits(*word as u32);
        two[1] = f32::from_bits((*word >> 32) as u32);
    }
    CycleRecord {
        slot: words[0],
        lateness_ns: words[1] as u32,
        execution_ns: (words[1] >> 32) as u32,
        skipped: words[2] as u32,
        fault: (words[2] >> 32) as u16,
        flags: (words[2] >> 48) as u16,
        trace,
    }
}

/// A ring that owns its memory.
#[derive(Debug, Default)]
pub struct Ring(Memory);

impl Ring {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self(Memory::new())
    }

    /// Empties the ring and returns its two ends.
    pub fn split(&mut self) -> (Writer<'_>, Reader<'_>) {
        let (producer, consumer) = self.0.split();
        (Writer(producer), Reader(consumer))
    }
}

/// The two ends of a ring in memory that outlives the process. `None` when they were claimed
/// before.
#[must_use]
pub fn claim(memory: &Memory) -> Option<(Writer<'_>, Reader<'_>)> {
    let (producer, consumer) = memory.claim()?;
    Some((Writer(producer), Reader(consumer)))
}

/// The loop's end of the ring.
pub struct Writer<'r>(Producer<'r, CycleRecord, CAPACITY>);

impl Record for Writer<'_> {
    #[inline]
    fn record(&mut self, record: &CycleRecord) {
        self.0.enqueue(record);
    }
}

/// The reporter's end of the ring.
pub struct Reader<'r>(Consumer<'r, CycleRecord, CAPACITY>);

impl Reader<'_> {
    /// Removes and returns the oldest record, `None` when the ring is empty.
    pub fn dequeue(&mut self) -> Option<CycleRecord> {
        self.0.dequeue()
    }

    /// Records dropped so far because the ring was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

/// Discards all records, for runs that are not recorded.
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
        assert_eq!(reader.dropped(), 10);
        let kept: Vec<_> = std::iter::from_fn(|| reader.dequeue())
            .map(|r| r.slot)
            .collect();
        assert_eq!(kept, (0..CAPACITY as u64 - 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_ring_split_again_is_empty() {
        let mut ring = Ring::new();
        ring.split().0.record(&CycleRecord::default());
        assert_eq!(ring.split().1.dequeue(), None);
    }

    #[test]
    fn every_field_of_a_record_survives_the_ring() {
        let record = CycleRecord {
            slot: 0x0102_0304_0506_0708,
            lateness_ns: 0x1112_1314,
            execution_ns: 0x2122_2324,
            skipped: 0x3132_3334,
            fault: 0x4142,
            flags: 0x5152,
            trace: [1.0, -2.0, 3.5, f32::MAX, 0.0, -0.0, 1e-30, 8.0],
        };
        let mut ring = Ring::new();
        let (mut writer, mut reader) = ring.split();
        writer.record(&record);
        assert_eq!(reader.dequeue(), Some(record));
        assert_eq!(reader.dequeue(), None);
        assert_eq!(decode(&encode(&record)), record);
    }

    /// For tools that find data races: Miri and the thread sanitizer check this execution, loom
    /// (tests/interleavings) all interleavings.
    #[test]
    fn records_cross_threads_whole_and_in_order() {
        const RECORDS: u64 = if cfg!(miri) { 700 } else { 20_000 };
        let mut ring = Ring::new();
        let (mut writer, mut reader) = ring.split();
        let read = std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut read = Vec::new();
                while read.last() != Some(&RECORDS) {
                    match reader.dequeue() {
                        Some(record) => {
                            assert!(record.trace.iter().all(|v| *v == record.slot as f32));
                            read.push(record.slot);
                        }
                        None => std::thread::yield_now(),
                    }
                }
                (read, reader.dropped())
            });
            for slot in 1..RECORDS {
                writer.record(&CycleRecord {
                    slot,
                    trace: [slot as f32; TRACE_LEN],
                    ..CycleRecord::default()
                });
            }
            // The last record may be dropped; write it until it is read.
            while !reading.is_finished() {
                writer.record(&CycleRecord {
                    slot: RECORDS,
                    trace: [RECORDS as f32; TRACE_LEN],
                    ..CycleRecord::default()
                });
                std::thread::yield_now();
            }
            reading.join().expect("no record was torn")
        });
        let (slots, dropped) = read;
        assert!(slots.is_sorted(), "in the order of writing");
        assert!(slots.len() as u64 + dropped >= RECORDS, "or counted");
    }

    #[test]
    fn a_ring_in_shared_memory_is_claimed_only_once() {
        let memory = Memory::new();
        assert!(claim(&memory).is_some());
        assert!(claim(&memory).is_none());
    }
}
