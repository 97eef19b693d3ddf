//! The atomics of [`exchange`](super::exchange). `tests/interleavings` replaces this module by
//! the atomics of loom, which tries every interleaving.

pub(super) use core::sync::atomic::{AtomicUsize, Ordering};
