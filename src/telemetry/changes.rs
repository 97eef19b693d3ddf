//! What clients did, on its way from the link thread to the journal of the reporter: changes of
//! parameters, that they were saved, and that a client lost its commands.
//!
//! Both are ordinary threads, so a lock is enough: the loop has no part in it.

use core::fmt;
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
    /// The commands of a client are no longer valid, and what it commanded stops.
    Lost {
        /// The number of the client; its lower 16 bits.
        client: u16,
        /// The group of commands.
        group: u8,
        /// Why.
        why: Lost,
    },
}

/// Why the commands of a client are no longer valid.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Lost {
    /// The heartbeat of the CAN master did not come.
    Heartbeat = 1,
    /// SYNC did not come.
    Sync = 2,
    /// A PDO did not come within its event timer.
    Pdo = 3,
    /// The CAN controller is bus-off, or the interface is down.
    Bus = 4,
    /// The CAN master stopped or reset the node.
    Stopped = 5,
    /// The process is gone.
    Gone = 6,
}

impl Lost {
    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Heartbeat,
            Self::Sync,
            Self::Pdo,
            Self::Bus,
            Self::Stopped,
            Self::Gone,
        ];
        all.into_iter().find(|why| *why as u8 == number)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heartbeat => "its heartbeat did not come",
            Self::Sync => "SYNC did not come",
            Self::Pdo => "a PDO did not come in time",
            Self::Bus => "the bus is off",
            Self::Stopped => "it stopped or reset this node",
            Self::Gone => "it is gone",
        })
    }
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
