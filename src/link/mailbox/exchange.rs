//! Which of three buffers lies between the two sides. `tests/interleavings` compiles this file
//! with loom's atomics.

use super::atomic::{AtomicUsize, Ordering};

/// In [`Exchange::between`]: the buffer has not been read yet.
const FRESH: usize = 4;
/// In [`Exchange::between`]: the number of the buffer.
const NUMBER: usize = 3;

/// The number of the buffer between the sides. Each side has one of the other two, and exchanges
/// it by one atomic operation: no buffer ever belongs to both.
#[derive(Debug)]
pub(crate) struct Exchange {
    between: AtomicUsize,
}

impl Exchange {
    /// Begins with the buffer whose number is in `between`, which is not fresh.
    pub(crate) const fn new(between: AtomicUsize) -> Self {
        Self { between }
    }

    /// Whether the buffer between the sides was written, and not taken since.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        self.between.load(Ordering::Relaxed) & FRESH != 0
    }

    /// What was written is not read any more. Only while neither side is at work.
    pub(crate) fn forget(&self) {
        let between = self.between.load(Ordering::Relaxed) & NUMBER;
        self.between.store(between, Ordering::Relaxed);
    }

    /// The writer gives its buffer `own`, which it has written, and gets another one.
    pub(crate) fn give(&self, own: usize) -> usize {
        // Release: the reader sees what was written. Acquire: the reader has read the buffer that
        // comes back, before it is written again.
        self.between.swap(own | FRESH, Ordering::AcqRel) & NUMBER
    }

    /// The reader gives its buffer `own`, which it has read, and gets the one between.
    pub(crate) fn take(&self, own: usize) -> usize {
        self.between.swap(own, Ordering::AcqRel) & NUMBER
    }
}
