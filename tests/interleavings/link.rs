//! `link::mailbox::exchange` with loom's atomics.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[path = "../../src/link/mailbox/exchange.rs"]
#[expect(unreachable_pub, reason = "its module is private in the product")]
pub(crate) mod exchange;
