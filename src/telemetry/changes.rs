//! Changes of parameters, and that they were saved, on their way from the link thread to the journal of the reporter.
//!
//! Both are ordinary threads, so a lock is enough: the loop has no part in it.

use std::sync::{Mutex, PoisonError};

/// Most changes between two turns of the reporter, 20 ms: as many as the link logs at once.
pub const MAX_CHANGES: usize = 64;

/// A changed parameter.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Change {
    /// The number of the parameter: as over the local link.
    pub number: u16,
    /// The number of the client that changed it; its lower 16 bits.
    pub client: u16,
    /// The value before.
    pub before: f32,
    /// The value after.
    pub after: f32,
}

/// What is noted in the journal.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Noted {
    /// A parameter was changed.
    Changed(Change),
    /// Parameters were saved for the next start.
    Saved {
        /// The number of the client that asked for it; its lower 16 bits.
        client: u16,
        /// How many; 0: the saved ones were removed.
        count: u32,
    },
}

/// Changes on their way.
pub struct Changes(Mutex<heapless::Vec<Noted, MAX_CHANGES>>);

/// Those of the run.
pub static CHANGES: Changes = Changes::new();

impl Changes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(heapless::Vec::new()))
    }

    /// Adds a change. Returns whether there was room for it.
    pub fn add(&self, change: Noted) -> bool {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(change).is_ok()
    }

    /// Takes all changes out, the oldest first.
    pub fn take(&self, with: impl FnMut(Noted)) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().copied().for_each(with);
        changes.clear();
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}
