//! A block of words that one writes and any number read, without waiting for
//! each other: a sequence lock.
//!
//! The sequence is odd while the words change. A reader that sees it odd, or
//! changed, reads again. The writer never waits; it is the reporter, never the
//! loop. `tests/interleavings` tries every interleaving.

use super::atomic::{AtomicU64, Ordering, fence};

/// Writes `values` under the sequence `sequence`. One writer only.
pub fn write<const N: usize>(sequence: &AtomicU64, words: &[AtomicU64; N], values: &[u64; N]) {
    let before = sequence.load(Ordering::Relaxed) & !1;
    sequence.store(before + 1, Ordering::Relaxed);
    // The odd sequence is seen by whoever sees a new word.
    fence(Ordering::Release);
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
    sequence.store(before + 2, Ordering::Release);
}

/// Where a reader gets its words from: memory that is mapped, or a file.
pub trait Source<const N: usize> {
    /// What it can fail with.
    type Error;

    /// The sequence, before (acquire) and after the words.
    ///
    /// # Errors
    /// When it cannot be read.
    fn sequence(&mut self) -> Result<u64, Self::Error>;

    /// The words.
    ///
    /// # Errors
    /// When they cannot be read.
    fn words(&mut self) -> Result<[u64; N], Self::Error>;
}

/// Reads a block that was whole at one time, in at most `tries`; `None` when a
/// writer was always at it, or died in the middle.
///
/// # Errors
/// What `source` answers.
pub fn read<const N: usize, S: Source<N>>(
    source: &mut S,
    tries: u32,
) -> Result<Option<[u64; N]>, S::Error> {
    for _ in 0..tries {
        let before = source.sequence()?;
        if before % 2 == 0 {
            let values = source.words()?;
            // The words are read before the sequence is read again.
            fence(Ordering::Acquire);
            if source.sequence()? == before {
                return Ok(Some(values));
            }
        }
    }
    Ok(None)
}
