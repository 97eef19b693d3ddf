//! `telemetry::seqlock` with loom's atomics.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../../src/telemetry/seqlock.rs"]
#[expect(unreachable_pub, reason = "it is public in the product")]
pub(crate) mod seqlock;
