//! A sequence lock: a block of words with one writer and any number of readers, none of which
//! waits for another.
//!
//! The sequence is odd while the words change. A reader that finds it odd, or changed, reads
//! again. The writer is the reporter, never the loop. `tests/interleavings` tries every
//! interleaving.

use super::atomic::{AtomicU64, Ordering, fence};

/// Writes `values`. There must be one writer only: two at the same time corrupt the block.
/// Wait-free.
pub fn write<const N: usize>(sequence: &AtomicU64, words: &[AtomicU64; N], values: &[u64; N]) {
    let before = sequence.load(Ordering::Relaxed) & !1;
    sequence.store(before + 1, Ordering::Relaxed);
    // A reader that sees a new word also sees the odd sequence.
    fence(Ordering::Release);
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
    sequence.store(before + 2, Ordering::Release);
}

/// Where a reader reads the block: mapped memory, or a file.
pub trait Source<const N: usize> {
    /// The error of a read.
    type Error;

    /// Reads the sequence, with acquire ordering.
    ///
    /// # Errors
    /// The source cannot be read.
    fn sequence(&mut self) -> Result<u64, Self::Error>;

    /// Reads the words.
    ///
    /// # Errors
    /// The source cannot be read.
    fn words(&mut self) -> Result<[u64; N], Self::Error>;
}

/// Reads a consistent block in at most `tries` attempts. `None` when each attempt met a writer,
/// or a writer died while it wrote.
///
/// # Errors
/// The error of `source`.
pub fn read<const N: usize, S: Source<N>>(
    source: &mut S,
    tries: u32,
) -> Result<Option<[u64; N]>, S::Error> {
    for _ in 0..tries {
        let before = source.sequence()?;
        if before % 2 == 0 {
            let values = source.words()?;
            // The words must be read before the sequence is read again.
            fence(Ordering::Acquire);
            if source.sequence()? == before {
                return Ok(Some(values));
            }
        }
    }
    Ok(None)
}
