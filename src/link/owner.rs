//! Who may command what: each group of commands has one owner at a time.
//!
//! A client claims a group, refreshes it at least once in its timeout, and releases it. Another
//! client is refused by the name of the owner. The commands of a client that is lost (its
//! process ended, its cable is broken) are stale at once; those of a client that is there but
//! silent are stale after the timeout, which the loop measures itself. Either way the group stays
//! stale, and nothing moves, until a client claims it again.

use core::fmt;

use super::mailbox::Sender;
use super::parameters::{ChangeLog, Fixed, Parameters};
use super::saved::{self, Keep, Store};
use crate::cycle::image::InputError;
use crate::cycle::received::{Group, MAX_GROUPS, MAX_RECEIVED};
use crate::telemetry::changes::{CHANGES, Lost, Noted};
use crate::time::Instant;

/// A client of a link: its number, from 1. The link gives them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Client(pub u32);

impl Client {
    /// The master on the CAN bus.
    pub const CAN: Self = Self(u32::MAX);
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CAN => f.write_str("the CAN master"),
            Self(number) => write!(f, "client {number}"),
        }
    }
}

/// Why a command was refused.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The machine has no such group.
    NoSuchGroup,
    /// Another client owns the group.
    Owned(Client),
    /// The client has not claimed the group.
    NotClaimed,
    /// The group has another number of commands.
    Count {
        /// How many it has.
        expected: u8,
    },
    /// A value is not finite or out of its range.
    OutOfRange {
        /// The number of the value in the group, from 0.
        number: u8,
        /// Its range.
        min: f64,
        /// Its range.
        max: f64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchGroup => f.write_str("there is no such group of commands"),
            Self::Owned(client) => write!(f, "{client} commands it"),
            Self::NotClaimed => f.write_str("it was not claimed; claim it first"),
            Self::Count { expected } => write!(f, "it has {expected} commands"),
            Self::OutOfRange { number, min, max } => {
                write!(f, "value {number} must be finite and from {min} to {max}")
            }
        }
    }
}

/// The commands of a group, fixed at the start.
#[derive(Copy, Clone, Debug)]
struct Part {
    first: u8,
    count: u8,
    owner: Option<Client>,
    /// It was revoked, and not claimed since.
    revoked: bool,
}

/// All groups, their owners and their newest values.
pub struct Owners<'m> {
    parts: heapless::Vec<Part, MAX_GROUPS>,
    groups: heapless::Vec<Group, MAX_GROUPS>,
    values: heapless::Vec<f64, MAX_RECEIVED>,
    ranges: heapless::Vec<(f64, f64), MAX_RECEIVED>,
    sender: Sender<'m>,
    /// The parameters that clients may change.
    pub parameters: Box<dyn Parameters>,
    /// Their changes.
    pub(super) changes: ChangeLog,
    /// Where they are saved; `None` if the board file names no file.
    pub store: Option<Store<'m>>,
    /// Whether the newest state was not yet handed to the loop.
    changed: bool,
    /// Number of the last hand-over.
    sent: u64,
    /// Number of the newest one that the loop has taken, as far as this side has seen.
    taken: u64,
}

impl<'m> Owners<'m> {
    /// The groups with these first commands and counts, and the ranges of all commands.
    pub fn new(
        sender: Sender<'m>,
        groups: impl IntoIterator<Item = (u8, u8)>,
        ranges: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let parts: heapless::Vec<Part, MAX_GROUPS> = groups
            .into_iter()
            .take(MAX_GROUPS)
            .map(|(first, count)| Part {
                first,
                count,
                owner: None,
                revoked: false,
            })
            .collect();
        let ranges: heapless::Vec<_, MAX_RECEIVED> =
            ranges.into_iter().take(MAX_RECEIVED).collect();
        Self {
            groups: parts.iter().map(|_| Group::NONE).collect(),
            values: ranges.iter().map(|_| 0.0).collect(),
            parts,
            ranges,
            sender,
            parameters: Box::new(Fixed),
            changes: ChangeLog::default(),
            store: None,
            changed: false,
            sent: 0,
            taken: 0,
        }
    }

    fn part(&mut self, group: u8) -> Result<&mut Part, Refusal> {
        let part = self.parts.get_mut(usize::from(group));
        part.ok_or(Refusal::NoSuchGroup)
    }

    /// The owner of each group.
    pub fn owners(&self) -> impl Iterator<Item = Option<Client>> + '_ {
        self.parts.iter().map(|part| part.owner)
    }

    /// Makes `client` the owner of `group`; its commands have no value until the first write.
    ///
    /// # Errors
    /// [`Refusal::Owned`], [`Refusal::NoSuchGroup`].
    pub fn claim(&mut self, client: Client, group: u8) -> Result<(), Refusal> {
        let part = self.part(group)?;
        match part.owner {
            Some(owner) if owner != client => Err(Refusal::Owned(owner)),
            Some(_) => Ok(()),
            None => {
                part.owner = Some(client);
                part.revoked = false;
                self.set(group, Err(InputError::NotRead), Instant::from_nanos(0));
                Ok(())
            }
        }
    }

    /// Whether `group` was taken from its owner ([`Owners::revoke`]) and not claimed since.
    #[must_use]
    pub fn is_revoked(&self, group: u8) -> bool {
        let part = self.parts.get(usize::from(group));
        part.is_some_and(|part| part.revoked)
    }

    /// The first command of `group`; `None` while it has no value.
    #[must_use]
    pub fn first(&self, group: u8) -> Option<f64> {
        let number = usize::from(group);
        let valid = self.groups.get(number)?.valid.is_ok();
        let first = self.parts.get(number)?.first;
        self.values
            .get(usize::from(first))
            .copied()
            .filter(|_| valid)
    }

    /// Sets all commands of `group`, and refreshes it.
    ///
    /// # Errors
    /// The group is not the client's, or a value is not permitted; then nothing changes.
    pub fn write(
        &mut self,
        client: Client,
        group: u8,
        values: &[f64],
        now: Instant,
    ) -> Result<(), Refusal> {
        let part = *self.part(group)?;
        match part.owner {
            None => return Err(Refusal::NotClaimed),
            Some(owner) if owner != client => return Err(Refusal::Owned(owner)),
            Some(_) => {}
        }
        if values.len() != usize::from(part.count) {
            return Err(Refusal::Count {
                expected: part.count,
            });
        }
        let first = usize::from(part.first);
        let ranges = self.ranges.iter().skip(first);
        for ((value, (min, max)), number) in values.iter().zip(ranges).zip(0..) {
            if !(*min..=*max).contains(value) {
                return Err(Refusal::OutOfRange {
                    number,
                    min: *min,
                    max: *max,
                });
            }
        }
        for (to, from) in self.values.iter_mut().skip(first).zip(values) {
            *to = *from;
        }
        self.set(group, Ok(()), now);
        Ok(())
    }

    /// Refreshes all groups of `client` that have been written.
    pub fn refresh(&mut self, client: Client, now: Instant) {
        for group in 0..self.parts.len() as u8 {
            self.refresh_group(client, group, now);
        }
    }

    /// Refreshes `group` if it is the client's and has been written.
    pub fn refresh_group(&mut self, client: Client, group: u8, now: Instant) {
        let number = usize::from(group);
        if let (Some(part), Some(group)) = (self.parts.get(number), self.groups.get_mut(number))
            && part.owner == Some(client)
            && group.valid.is_ok()
        {
            group.at = now;
            self.changed = true;
        }
    }

    /// The loop did not take the commands of `client` for `group` in time, which the client was
    /// told: they are stale, also for a loop that resumes, until the client writes again.
    pub fn withdraw(&mut self, client: Client, group: u8, now: Instant) {
        let number = usize::from(group);
        let (part, commands) = (self.parts.get(number), self.groups.get(number));
        let is_owned = part.is_some_and(|part| part.owner == Some(client));
        if is_owned && commands.is_some_and(|commands| commands.valid.is_ok()) {
            self.set(group, Err(InputError::Stale), now);
        }
    }

    /// Gives `group` up: its commands have no value any more.
    ///
    /// # Errors
    /// The group is not the client's.
    pub fn release(&mut self, client: Client, group: u8) -> Result<(), Refusal> {
        let part = self.part(group)?;
        match part.owner {
            Some(owner) if owner == client => {
                part.owner = None;
                self.set(group, Err(InputError::NotRead), Instant::from_nanos(0));
                Ok(())
            }
            Some(owner) => Err(Refusal::Owned(owner)),
            None => Err(Refusal::NotClaimed),
        }
    }

    /// Takes `group` from its owner: its commands have no value any more.
    ///
    /// # Errors
    /// [`Refusal::NoSuchGroup`].
    pub fn revoke(&mut self, group: u8) -> Result<(), Refusal> {
        let part = self.part(group)?;
        part.owner = None;
        part.revoked = true;
        self.set(group, Err(InputError::NotRead), Instant::from_nanos(0));
        Ok(())
    }

    /// `client` is gone without releasing its groups: their commands are stale at once. Gives
    /// the number of groups that it commanded.
    pub fn lost(&mut self, client: Client, now: Instant) -> usize {
        let groups = 0..self.parts.len() as u8;
        groups
            .filter(|group| self.lost_group(client, *group, Lost::Gone, now))
            .count()
    }

    /// The commands of `client` for `group` are no longer valid: they are stale at once, and it is
    /// noted in the black box. Gives whether it commanded the group.
    pub fn lost_group(&mut self, client: Client, group: u8, why: Lost, now: Instant) -> bool {
        let number = usize::from(group);
        let owned = (self.parts.get_mut(number)).filter(|part| part.owner == Some(client));
        let Some(part) = owned else {
            return false;
        };
        part.owner = None;
        let commanded = self.groups[number].valid.is_ok();
        if commanded {
            self.set(group, Err(InputError::Stale), now);
            // Without room it is in the log alone.
            let _ = CHANGES.add(Noted::Lost {
                client: client.0 as u16,
                group,
                why,
            });
        }
        commanded
    }

    /// Begins to keep parameters for the next start, as `client` asks for; [`Owners::take_kept`]
    /// tells what became of it.
    ///
    /// # Errors
    /// [`saved::Refusal`]; with one of them, what was saved before is unchanged.
    pub fn keep(
        &mut self,
        client: Client,
        what: Keep<'_>,
        now: Instant,
    ) -> Result<(), saved::Refusal> {
        let store = self.store.as_mut().ok_or(saved::Refusal::NoFile)?;
        store.keep(what, &mut *self.parameters, (client.0, &client), now)
    }

    /// Looks whether the disk has taken what is to be kept. Never waits.
    pub fn look_kept(&mut self) {
        if let Some(store) = &mut self.store {
            store.look(&mut *self.parameters);
        }
    }

    /// Whether the disk has not taken it yet.
    #[must_use]
    pub fn is_keeping(&self) -> bool {
        self.store.as_ref().is_some_and(Store::is_pending)
    }

    /// How many parameters of the machine are saved by the last request of `client`, once, when the
    /// disk has them.
    ///
    /// # Errors
    /// [`saved::Refusal`], within the result; what was saved before is unchanged.
    pub fn take_kept(&mut self, client: Client) -> Option<Result<u32, saved::Refusal>> {
        self.store.as_mut()?.take(client.0)
    }

    fn set(&mut self, group: u8, valid: Result<(), InputError>, at: Instant) {
        if let Some(group) = self.groups.get_mut(usize::from(group)) {
            *group = Group { at, valid };
            self.changed = true;
        }
    }

    /// The number of the next hand-over to the loop, which has what was written until now.
    #[must_use]
    pub const fn next_hand_over(&self) -> u64 {
        self.sent + self.changed as u64
    }

    /// Hands the state to the loop once more, to see that it runs a cycle.
    pub fn hand_over_again(&mut self) {
        self.changed = true;
    }

    /// The number of the newest hand-over that the loop has taken for certain.
    pub fn taken(&mut self) -> u64 {
        if self.sender.is_taken() {
            self.taken = self.sent;
        }
        self.taken
    }

    /// Hands the newest state to the loop, if it has changed.
    pub fn send(&mut self) {
        if self.changed {
            self.changed = false;
            self.sent += 1;
            self.sender.send(&self.values, &self.groups);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::{Mailbox, Receiver};
    use super::*;
    use crate::cycle::received::Received;
    use crate::time::Duration;

    const FIRST: Client = Client(1);
    const SECOND: Client = Client(2);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    /// Two groups with a timeout of 10 ms: one with two commands, one with one.
    fn machine(mailbox: &'static Mailbox) -> (Owners<'static>, Receiver) {
        let timeouts = [Duration::from_millis(10); 2];
        let (sender, receiver) = mailbox.open(timeouts);
        let ranges = [(-1.0, 1.0), (0.0, 9.0), (-5.0, 5.0)];
        (Owners::new(sender, [(0, 2), (2, 1)], ranges), receiver)
    }

    #[test]
    fn a_group_has_one_owner() {
        let mailbox = Mailbox::leaked();
        let (mut owners, mut receiver) = machine(mailbox);
        let mut received = Received::NONE;
        assert_eq!(
            owners.write(FIRST, 0, &[0.5, 1.0], at(1)),
            Err(Refusal::NotClaimed)
        );
        assert_eq!(owners.claim(FIRST, 0), Ok(()));
        assert_eq!(owners.claim(FIRST, 0), Ok(()));
        assert_eq!(owners.claim(SECOND, 0), Err(Refusal::Owned(FIRST)));
        assert_eq!(owners.claim(SECOND, 1), Ok(()));
        assert_eq!(owners.claim(FIRST, 2), Err(Refusal::NoSuchGroup));
        assert_eq!(owners.write(FIRST, 0, &[0.5, 1.0], at(1)), Ok(()));
        assert_eq!(
            owners.write(SECOND, 0, &[0.0, 0.0], at(1)),
            Err(Refusal::Owned(FIRST))
        );
        owners.send();
        receiver.receive(at(2), &mut received);
        assert_eq!(received.get(0, 0).value, Ok(0.5));
        assert_eq!(received.get(2, 1).value, Err(InputError::NotRead));
        assert_eq!(owners.release(FIRST, 0), Ok(()));
        owners.send();
        receiver.receive(at(3), &mut received);
        assert_eq!(received.get(0, 0).value, Err(InputError::NotRead));
        assert_eq!(owners.claim(SECOND, 0), Ok(()));
    }

    #[test]
    fn values_out_of_range_change_nothing() {
        let mailbox = Mailbox::leaked();
        let (mut owners, mut receiver) = machine(mailbox);
        let mut received = Received::NONE;
        owners.claim(FIRST, 0).unwrap();
        owners.write(FIRST, 0, &[0.5, 1.0], at(1)).unwrap();
        for values in [
            [f64::NAN, 0.0],
            [0.0, f64::INFINITY],
            [1.1, 0.0],
            [0.0, -0.1],
        ] {
            let refused = owners.write(FIRST, 0, &values, at(1));
            assert!(matches!(refused, Err(Refusal::OutOfRange { .. })));
        }
        let refused = owners.write(FIRST, 0, &[0.0], at(1));
        assert_eq!(refused, Err(Refusal::Count { expected: 2 }));
        owners.send();
        receiver.receive(at(2), &mut received);
        assert_eq!(
            [0, 1].map(|at| received.get(at, 0).value),
            [Ok(0.5), Ok(1.0)]
        );
    }

    #[test]
    fn commands_of_a_lost_client_are_stale_at_once_and_its_groups_are_free() {
        let mailbox = Mailbox::leaked();
        let (mut owners, mut receiver) = machine(mailbox);
        let mut received = Received::NONE;
        owners.claim(FIRST, 0).unwrap();
        owners.claim(FIRST, 1).unwrap();
        owners.write(FIRST, 0, &[0.5, 1.0], at(1)).unwrap();
        owners.refresh(FIRST, at(9));
        owners.send();
        receiver.receive(at(12), &mut received);
        assert_eq!(received.get(1, 0).value, Ok(1.0));
        assert_eq!(owners.lost(FIRST, at(13)), 1, "the other was never written");
        owners.send();
        receiver.receive(at(13), &mut received);
        assert_eq!(received.get(1, 0).value, Err(InputError::Stale));
        assert_eq!(owners.claim(SECOND, 0), Ok(()));
    }
}
