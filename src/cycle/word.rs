//! A word that the loop exchanges with another thread, or shows to another program.
//!
//! Without an order between words: who reads several that belong together needs a sequence or an
//! exchange beside them. On a processor without 64-bit atomics, where there are no links, it is a
//! cell.

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::Ordering;

/// The word.
#[cfg(target_has_atomic = "64")]
pub type Word = core::sync::atomic::AtomicU64;
/// The word.
#[cfg(not(target_has_atomic = "64"))]
pub type Word = core::cell::Cell<u64>;

/// Writes a word.
#[inline]
pub fn store(word: &Word, value: u64) {
    #[cfg(target_has_atomic = "64")]
    word.store(value, Ordering::Relaxed);
    #[cfg(not(target_has_atomic = "64"))]
    word.set(value);
}

/// Reads a word.
#[inline]
#[must_use]
pub fn load(word: &Word) -> u64 {
    #[cfg(target_has_atomic = "64")]
    return word.load(Ordering::Relaxed);
    #[cfg(not(target_has_atomic = "64"))]
    return word.get();
}

/// Writes a number.
#[inline]
pub fn put(word: &Word, number: f64) {
    store(word, number.to_bits());
}

/// Reads a number.
#[inline]
#[must_use]
pub fn number(word: &Word) -> f64 {
    f64::from_bits(load(word))
}
