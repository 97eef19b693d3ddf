//! Commands from outside: the part of the process image that links fill.
//!
//! A *group* is a set of command signals that have one owner, one timeout and one time: those of
//! an axis, or a `[command.X]`. A command is a sample: its time is that of the last refresh, and
//! a command that is not refreshed within its timeout is [`InputError::Stale`]. Before the first
//! command, and after its owner has released the group, it is [`InputError::NotRead`].

use super::sample::{InputError, Sample};
use crate::time::{Duration, Instant};

/// Most values that a machine can be commanded by from outside: four for each of 32 axes, and 16
/// of `[command.X]`.
pub const MAX_RECEIVED: usize = 144;
/// Most groups: one for each of 32 axes, and 16 of `[command.X]`.
pub const MAX_GROUPS: usize = 48;

/// One group in a cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// When its commands were refreshed.
    pub at: Instant,
    /// Whether its commands are valid, or why they are not.
    pub valid: Result<(), InputError>,
}

impl Group {
    /// A group without an owner.
    pub const NONE: Self = Self {
        at: Instant::from_nanos(0),
        valid: Err(InputError::NotRead),
    };
}

/// All commands of a cycle.
#[derive(Copy, Clone, Debug)]
pub struct Received {
    /// The values, in the unit of the signal; a flag is 0 or 1.
    pub values: [f64; MAX_RECEIVED],
    /// The groups.
    pub groups: [Group; MAX_GROUPS],
}

impl Received {
    /// No command.
    pub const NONE: Self = Self {
        values: [0.0; MAX_RECEIVED],
        groups: [Group::NONE; MAX_GROUPS],
    };

    /// The value with the number `index`, of the group `group`.
    #[inline]
    #[must_use]
    pub const fn get(&self, index: u8, group: u8) -> Sample<f64> {
        let group = self.groups[group as usize % MAX_GROUPS];
        let value = match group.valid {
            Ok(()) => Ok(self.values[index as usize % MAX_RECEIVED]),
            Err(error) => Err(error),
        };
        Sample {
            value,
            at: group.at,
        }
    }

    /// Marks each valid group of `timeouts` as stale that was not refreshed within its timeout
    /// before `now`. Gives the instant at which the next of them will be stale, if none is
    /// refreshed before; `None` when there is no valid group.
    pub fn expire(&mut self, timeouts: &[Duration], now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for (group, timeout) in self.groups.iter_mut().zip(timeouts) {
            if group.valid.is_err() {
                continue;
            }
            let end = group.at + *timeout;
            if now > end {
                group.valid = Err(InputError::Stale);
            } else {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_command_is_stale_only_after_its_timeout() {
        let mut received = Received::NONE;
        let timeouts = [Duration::from_millis(10), Duration::from_millis(50)];
        received.values[3] = 1.5;
        for group in &mut received.groups[..2] {
            *group = Group {
                at: at(100),
                valid: Ok(()),
            };
        }
        assert_eq!(received.expire(&timeouts, at(110)), Some(at(110)));
        assert_eq!(received.get(3, 0).value, Ok(1.5));
        assert_eq!(received.expire(&timeouts, at(111)), Some(at(150)));
        assert_eq!(received.get(3, 0).value, Err(InputError::Stale));
        assert_eq!(received.get(3, 1).value, Ok(1.5));
        assert_eq!(received.get(3, 1).at, at(100));
        assert_eq!(received.expire(&timeouts, at(151)), None);
        assert_eq!(received.get(3, 2).value, Err(InputError::NotRead));
    }
}
