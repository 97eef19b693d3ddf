//! One flag for all that the loop has to look at: a stop request, an allocation on its thread, a
//! broken promise. So a cycle in which nothing has happened costs one load.
//!
//! The code that stores one of these facts then sets the flag. The flag stays set: from then on each
//! cycle reads the facts themselves. Async-signal-safe.

use core::sync::atomic::{AtomicBool, Ordering};

static RAISED: AtomicBool = AtomicBool::new(false);

/// Raises the flag, after the fact was stored.
pub fn raise() {
    // Release: a loop that sees the flag sees the fact.
    RAISED.store(true, Ordering::Release);
}

/// Whether the flag was ever raised.
#[inline]
#[must_use]
pub fn is_raised() -> bool {
    RAISED.load(Ordering::Acquire)
}
