//! Ring, live status and mailbox under every interleaving of their threads that the memory model
//! allows, with loom: the source files of the product, compiled with loom's atomics and
//! cells.
#![cfg(test)]

mod link;
mod spsc;
mod telemetry;

use core::convert::Infallible;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use link::exchange::Exchange;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Three buffers, and which of them is between the sides. Loom detects two accesses at once.
struct Mailbox {
    exchange: Exchange,
    buffers: [UnsafeCell<[u64; 2]>; 3],
}

#[test]
fn the_loop_gets_whole_commands_and_never_older_ones() {
    static FIRST: AtomicBool = AtomicBool::new(false);
    static SKIPPED: AtomicBool = AtomicBool::new(false);
    static TAKEN: AtomicBool = AtomicBool::new(false);
    loom::model(|| {
        let mailbox = Arc::new(Mailbox {
            exchange: Exchange::new(AtomicUsize::new(1)),
            buffers: core::array::from_fn(|_| UnsafeCell::new([0; 2])),
        });
        mailbox.exchange.forget();
        let theirs = Arc::clone(&mailbox);
        let writer = thread::spawn(move || {
            let mut own = 0;
            for value in 1..=3 {
                // SAFETY: loom checks that no other thread accesses it.
                theirs.buffers[own].with_mut(|buffer| unsafe { *buffer = [value; 2] });
                own = theirs.exchange.give(own);
            }
            // What was given last is taken, if nothing fresh is left.
            if !theirs.exchange.is_fresh() {
                TAKEN.store(true, Relaxed);
            }
        });
        let mut own = 2;
        let mut last = 0;
        let mut look = || {
            if mailbox.exchange.is_fresh() {
                own = mailbox.exchange.take(own);
                // SAFETY: loom checks that no thread writes to it.
                let [one, other] = mailbox.buffers[own].with(|buffer| unsafe { *buffer });
                assert_eq!(one, other, "half of one and half of another");
                assert!(one > last, "{one} after {last}");
                last = one;
            }
            last
        };
        match look() {
            1 => FIRST.store(true, Relaxed),
            2 | 3 => SKIPPED.store(true, Relaxed),
            _ => {}
        }
        look();
        writer.join().unwrap();
        assert_eq!(look(), 3, "the newest is not lost");
    });
    for (seen, what) in [
        (&FIRST, "the first command was taken"),
        (&SKIPPED, "commands were replaced before they were taken"),
        (&TAKEN, "the writer saw that the last one was taken"),
    ] {
        assert!(seen.load(Relaxed), "no interleaving in which {what}");
    }
}
