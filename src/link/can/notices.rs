//! Events of the bus in the log: each once in a run, since a bad cable repeats them for ever.

use crate::telemetry::say;

/// What is noticed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Notice {
    /// The controller is bus-off.
    Off,
    /// The interface is down.
    Down,
    /// The controller is error passive.
    Passive,
    /// Another node has this node's id.
    SameId,
    /// The axes hold because SYNC is missing.
    Hold,
}

/// What was noticed so far.
#[derive(Clone, Debug)]
pub(super) struct Notices(u8);

impl Notices {
    /// Nothing.
    pub(super) const NONE: Self = Self(0);

    /// Logs the first `notice` of its kind.
    pub(super) fn add(&mut self, notice: Notice) {
        if !self.is_first(notice) {
            return;
        }
        let text = match notice {
            Notice::Off => "the CAN controller is bus-off; check cable, termination, bit rate",
            Notice::Down => "the CAN interface is down; it is used again when it is up",
            Notice::Passive => {
                "the CAN controller is error passive; check cable, termination, bit rate"
            }
            Notice::SameId => "another node on the CAN bus has the `node_id` of this one",
            Notice::Hold => {
                "SYNC is missing; the axes that follow it hold until it comes back (2001h)"
            }
        };
        say(format_args!("steadfast: {text}; this is said once"));
    }

    fn is_first(&mut self, notice: Notice) -> bool {
        let bit = 1 << notice as u8;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once() {
        let mut notices = Notices::NONE;
        for notice in [Notice::Off, Notice::Hold, Notice::SameId] {
            assert!(notices.is_first(notice));
            assert!(!notices.is_first(notice));
        }
        assert!(notices.is_first(Notice::Down));
    }
}
