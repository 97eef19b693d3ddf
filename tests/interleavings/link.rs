//! `link::mailbox::exchange` with loom's atomics.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[path = "../../src/link/mailbox/exchange.rs"]
pub(crate) mod exchange;
