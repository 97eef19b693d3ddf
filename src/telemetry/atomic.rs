//! The atomics of [`seqlock`](super::seqlock). `tests/interleavings` replaces this module by
//! the atomics of loom, which tries every interleaving.

pub(super) use core::sync::atomic::{AtomicU64, Ordering, fence};
