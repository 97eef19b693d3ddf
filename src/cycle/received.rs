//! Commands from outside: the part of the process image that links fill.
//!
//! A *group* is a set of command signals that have one owner, one timeout and one time: those of
//! an axis, or a `[command.X]`. A command is a sample: its time is that of the last refresh, and
//! a command that is not refreshed within its timeout is [`InputError::Stale`]. Before the first
//! command, and after its owner has released the group, it is [`InputError::NotRead`].
//!
//! The image has no copy of the commands: it refers to the buffer in which the link handed them
//! over, which is the loop's until it takes the next one.

use super::sample::{InputError, Sample};
use super::word::{self, Word};
use crate::time::{Duration, Instant};

/// Most values that a machine can be commanded by from outside: four for each of 32 axes, and 16
/// of `[command.X]`.
pub const MAX_RECEIVED: usize = 144;
/// Commands that are copied together.
pub const PIECE: usize = 4;
const _: () = assert!(MAX_RECEIVED.is_multiple_of(PIECE));
/// Most groups: one for each of 32 axes, and 16 of `[command.X]`.
pub const MAX_GROUPS: usize = 48;

// One bit of a word for each group.
const _: () = assert!(MAX_GROUPS <= 64);

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

/// No group is valid.
pub const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// All commands, as a link hands them over.
#[derive(Debug)]
pub struct Handed {
    values: [Word; MAX_RECEIVED],
    /// When each group was refreshed, ns.
    at: [Word; MAX_GROUPS],
    /// A bit for each group whose commands are valid, and for each that was lost.
    valid: Word,
    stale: Word,
    /// When the first valid group becomes stale, ns.
    expires: Word,
}

impl Handed {
    /// No command.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            values: [const { Word::new(0) }; MAX_RECEIVED],
            at: [const { Word::new(0) }; MAX_GROUPS],
            valid: Word::new(0),
            stale: Word::new(0),
            expires: Word::new(NEVER.as_nanos()),
        }
    }

    /// Writes `values` and `groups` with these `timeouts`. Those beyond the image are left out, and
    /// so are groups without a timeout.
    pub fn write(&self, values: &[f64], groups: &[Group], timeouts: &[Duration]) {
        for (word, value) in self.values.iter().zip(values) {
            word::put(word, *value);
        }
        let (mut valid, mut stale, mut expires) = (0, 0, NEVER);
        for ((at, number), (group, timeout)) in
            self.at.iter().zip(0..).zip(groups.iter().zip(timeouts))
        {
            word::store(at, group.at.as_nanos());
            match group.valid {
                Ok(()) => {
                    valid |= 1 << number;
                    expires = expires.min(group.at + *timeout);
                }
                Err(InputError::Stale) => stale |= 1 << number,
                Err(_) => {}
            }
        }
        word::store(&self.valid, valid);
        word::store(&self.stale, stale);
        word::store(&self.expires, expires.as_nanos());
    }

    /// When the first valid group becomes stale; [`NEVER`] if no group is valid.
    #[inline]
    #[must_use]
    pub fn expires(&self) -> Instant {
        Instant::from_nanos(word::load(&self.expires))
    }
}

impl Default for Handed {
    fn default() -> Self {
        Self::new()
    }
}

/// All commands of a cycle.
#[derive(Copy, Clone, Debug)]
pub struct Received {
    from: Option<&'static Handed>,
    /// A bit for each group that has become stale since they were handed over.
    expired: u64,
}

impl Received {
    /// No command.
    pub const NONE: Self = Self {
        from: None,
        expired: 0,
    };

    /// The commands that were handed over in `from`, which is not written again while this image
    /// is in use.
    #[inline]
    #[must_use]
    pub const fn of(from: &'static Handed) -> Self {
        Self {
            from: Some(from),
            expired: 0,
        }
    }

    /// The `N` commands of `group` from the number `first` on, each in the unit of its signal; a
    /// flag is 0 or 1.
    ///
    /// # Errors
    /// They are not valid.
    #[inline]
    pub fn commands<const N: usize>(&self, first: u8, group: u8) -> Result<&[Word; N], InputError> {
        let Some(from) = self.from else {
            return Err(InputError::NotRead);
        };
        if (word::load(&from.valid) & !self.expired) >> (group % 64) & 1 == 0 {
            return Err(self.why(from, group));
        }
        (from.values.get(usize::from(first)..))
            .and_then(|values| values.first_chunk())
            .ok_or(InputError::NotRead)
    }

    #[cold]
    #[inline(never)]
    fn why(&self, from: &Handed, group: u8) -> InputError {
        match (word::load(&from.stale) | self.expired) >> (group % 64) & 1 {
            0 => InputError::NotRead,
            _ => InputError::Stale,
        }
    }

    /// The value with the number `index`, of the group `group`.
    #[inline]
    #[must_use]
    pub fn get(&self, index: u8, group: u8) -> Sample<f64> {
        let at = self.from.map_or(0, |from| {
            word::load(&from.at[usize::from(group) % MAX_GROUPS])
        });
        let value = self.commands(index, group);
        Sample {
            value: value.map(|[value]| word::number(value)),
            at: Instant::from_nanos(at),
        }
    }

    /// All values if all of `groups` (a bit for each) are valid.
    #[inline]
    #[must_use]
    pub fn all(&self, groups: u64) -> Option<&[[Word; PIECE]]> {
        let from = self.from?;
        let missing = groups & !(word::load(&from.valid) & !self.expired);
        (missing == 0).then_some(from.values.as_chunks().0)
    }

    /// Marks each valid group of `timeouts` as stale that was not refreshed within its timeout
    /// before `now`. Gives the instant at which the next of them will be stale, if none is
    /// refreshed before; [`NEVER`] when there is no valid group.
    pub fn expire(&mut self, timeouts: &[Duration], now: Instant) -> Instant {
        let Some(from) = self.from else {
            return NEVER;
        };
        let mut next = NEVER;
        for ((at, timeout), group) in from.at.iter().zip(timeouts).zip(0..) {
            if (word::load(&from.valid) & !self.expired) >> group & 1 == 0 {
                continue;
            }
            let end = Instant::from_nanos(word::load(at)) + *timeout;
            if now > end {
                self.expired |= 1 << group;
            } else {
                next = next.min(end);
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

    const TIMEOUTS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(50)];

    fn handed(values: &[f64], groups: &[Group]) -> &'static Handed {
        let handed: &'static Handed = Box::leak(Box::new(Handed::new()));
        handed.write(values, groups, &TIMEOUTS);
        handed
    }

    const fn group(at: Instant, valid: Result<(), InputError>) -> Group {
        Group { at, valid }
    }

    #[test]
    fn a_command_is_stale_only_after_its_timeout() {
        let valid = group(at(100), Ok(()));
        let handed = handed(&[0.0, 0.0, 0.0, 1.5], &[valid; 2]);
        assert_eq!(handed.expires(), at(110));
        let mut received = Received::of(handed);
        assert_eq!(received.expire(&TIMEOUTS, at(110)), at(110));
        assert_eq!(received.get(3, 0).value, Ok(1.5));
        assert!(received.all(0b11).is_some());
        assert_eq!(received.expire(&TIMEOUTS, at(111)), at(150));
        assert_eq!(received.get(3, 0).value, Err(InputError::Stale));
        assert_eq!(received.get(3, 1).value, Ok(1.5));
        assert_eq!(received.get(3, 1).at, at(100));
        assert!(received.all(0b11).is_none());
        assert!(received.all(0b10).is_some());
        assert_eq!(received.expire(&TIMEOUTS, at(151)), NEVER);
        assert_eq!(received.get(3, 1).value, Err(InputError::Stale));
        assert_eq!(received.get(3, 2).value, Err(InputError::NotRead));
    }

    #[test]
    fn a_group_that_its_link_has_lost_or_given_up_has_no_value() {
        let lost = group(at(100), Err(InputError::Stale));
        let handed = handed(&[1.0], &[lost, Group::NONE]);
        assert_eq!(handed.expires(), NEVER);
        let received = Received::of(handed);
        assert_eq!(received.get(0, 0).value, Err(InputError::Stale));
        assert_eq!(received.get(0, 0).at, at(100));
        assert_eq!(received.get(0, 1).value, Err(InputError::NotRead));
        assert_eq!(Received::NONE.get(0, 0).value, Err(InputError::NotRead));
        assert_eq!(Received::NONE.get(0, 0).at, at(0));
    }
}
