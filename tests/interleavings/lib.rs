//! Ring and live status under every interleaving of their threads that the memory model
//! allows, with loom: the source files of the product, compiled with loom's atomics and
//! cells.
#![cfg(test)]

mod spsc;
mod telemetry;

use core::convert::Infallible;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use telemetry::seqlock;

#[test]
fn producer_and_consumer_never_access_the_same_slot() {
    loom::model(|| {
        // Loom's threads have the lifetime 'static.
        let queue: &'static spsc::ends::Queue<u64, 2> = Box::leak(Box::new(spsc::empty()));
        let (mut producer, mut consumer) = queue.claim().unwrap();
        assert!(queue.claim().is_none(), "the ends are there once");
        let writer = thread::spawn(move || {
            for value in 1..=3 {
                producer.enqueue(&value);
            }
        });
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.extend(consumer.dequeue());
            thread::yield_now();
        }
        writer.join().unwrap();
        while let Some(value) = consumer.dequeue() {
            taken.push(value);
        }
        assert!(taken.is_sorted() && taken.first() == Some(&1), "{taken:?}");
        assert_eq!(taken.len() as u64 + consumer.dropped(), 3, "{taken:?}");
    });
}

/// A block in shared memory.
struct Block {
    sequence: AtomicU64,
    words: [AtomicU64; 2],
}

/// A reader of it.
struct Reader<'b>(&'b Block);

impl seqlock::Source<2> for Reader<'_> {
    type Error = Infallible;

    fn sequence(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.sequence.load(Ordering::Acquire))
    }

    fn words(&mut self) -> Result<[u64; 2], Infallible> {
        Ok([0, 1].map(|at| self.0.words[at].load(Ordering::Relaxed)))
    }
}

#[test]
fn a_status_read_is_consistent() {
    // Not loom's atomics, because they count over all interleavings.
    static BEFORE: AtomicBool = AtomicBool::new(false);
    static BETWEEN: AtomicBool = AtomicBool::new(false);
    static GAVE_UP: AtomicBool = AtomicBool::new(false);
    loom::model(|| {
        let block = Arc::new(Block {
            sequence: AtomicU64::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
        });
        let theirs = Arc::clone(&block);
        let writer = thread::spawn(move || {
            for value in 1..=2 {
                seqlock::write(&theirs.sequence, &theirs.words, &[value, value]);
            }
        });
        match seqlock::read(&mut Reader(&block), 2) {
            Ok(Some([one, other])) => {
                assert_eq!(one, other, "half of one and half of another");
                let seen = if one == 0 { &BEFORE } else { &BETWEEN };
                seen.store(true, Relaxed);
            }
            Ok(None) => GAVE_UP.store(true, Relaxed),
        }
        writer.join().unwrap();
        let last = seqlock::read(&mut Reader(&block), 1);
        assert_eq!(last, Ok(Some([2, 2])));
    });
    for (seen, what) in [
        (&BEFORE, "read before the first write"),
        (&BETWEEN, "read after a write"),
        (&GAVE_UP, "not read, because of a writer"),
    ] {
        assert!(seen.load(Relaxed), "no interleaving in which it was {what}");
    }
}
