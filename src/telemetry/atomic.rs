//! The atomics that [`seqlock`](super::seqlock) is made of. Named here once, so that `tests/interleavings` can put those
//! in their place whose every interleaving is tried.

pub(super) use core::sync::atomic::{AtomicU64, Ordering, fence};
