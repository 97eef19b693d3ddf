//! The newest commands, from the link thread to the loop.
//!
//! Three buffers: one belongs to the writer, one to the reader, and one lies between them. Each
//! side exchanges its buffer for the one between by one atomic operation, so neither waits or
//! repeats, and a writer that dies half-way leaves what the reader has.

mod atomic;
mod exchange;

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use self::exchange::Exchange;
use crate::cycle::image::InputError;
use crate::cycle::received::{Group, MAX_GROUPS, MAX_RECEIVED, Received};
use crate::time::{Duration, Instant};

/// One buffer. A group is two words: its time, and its validity.
struct Buffer {
    values: [AtomicU64; MAX_RECEIVED],
    groups: [[AtomicU64; 2]; MAX_GROUPS],
}

impl Buffer {
    const fn new() -> Self {
        Self {
            values: [const { AtomicU64::new(0) }; MAX_RECEIVED],
            groups: [const { [const { AtomicU64::new(0) }; 2] }; MAX_GROUPS],
        }
    }
}

/// The buffers between link thread and loop.
pub struct Mailbox {
    buffers: [Buffer; 3],
    exchange: Exchange,
    /// The buffers of the writer and of the reader, for the next [`Mailbox::open`].
    writer: AtomicUsize,
    reader: AtomicUsize,
}

/// The writer's side.
pub struct Sender<'m> {
    mailbox: &'m Mailbox,
    own: usize,
}

/// The loop's side.
pub struct Receiver<'m> {
    mailbox: &'m Mailbox,
    own: usize,
    /// Numbers of values and of groups in use.
    values: usize,
    timeouts: heapless::Vec<Duration, MAX_GROUPS>,
    /// When the first valid group becomes stale.
    expires: Instant,
}

/// No group is valid.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Mailbox {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffers: [const { Buffer::new() }; 3],
            exchange: Exchange::new(AtomicUsize::new(1)),
            writer: AtomicUsize::new(0),
            reader: AtomicUsize::new(2),
        }
    }

    /// Both sides, for `values` commands and groups with these `timeouts`. One pair at a time:
    /// the caller drops the pair before it opens another.
    #[must_use]
    pub fn open(
        &self,
        values: usize,
        timeouts: impl IntoIterator<Item = Duration>,
    ) -> (Sender<'_>, Receiver<'_>) {
        // What the last run left is not read.
        self.exchange.forget();
        let sender = Sender {
            mailbox: self,
            own: self.writer.load(Ordering::Relaxed),
        };
        let receiver = Receiver {
            mailbox: self,
            own: self.reader.load(Ordering::Relaxed),
            values: values.min(MAX_RECEIVED),
            timeouts: timeouts.into_iter().take(MAX_GROUPS).collect(),
            expires: NEVER,
        };
        (sender, receiver)
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

const VALID: u64 = 0;
const NOT_READ: u64 = 1;
const STALE: u64 = 2;

impl Sender<'_> {
    /// Hands `values` and `groups` to the loop, in place of those before. Those beyond the image
    /// are left out. Wait-free.
    pub fn send(&mut self, values: &[f64], groups: &[Group]) {
        let buffer = &self.mailbox.buffers[self.own % 3];
        for (word, value) in buffer.values.iter().zip(values) {
            word.store(value.to_bits(), Ordering::Relaxed);
        }
        for ([at, valid], group) in buffer.groups.iter().zip(groups) {
            at.store(group.at.as_nanos(), Ordering::Relaxed);
            let code = match group.valid {
                Ok(()) => VALID,
                Err(InputError::Stale) => STALE,
                Err(_) => NOT_READ,
            };
            valid.store(code, Ordering::Relaxed);
        }
        self.own = self.mailbox.exchange.give(self.own);
        self.mailbox.writer.store(self.own, Ordering::Relaxed);
    }

    /// Whether the loop has taken what was sent last.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        !self.mailbox.exchange.is_fresh()
    }
}

impl Receiver<'_> {
    /// Takes the newest commands, if there are new ones, and marks those as stale that were not
    /// refreshed within their timeout before `now`. Wait-free.
    #[inline]
    pub fn receive(&mut self, now: Instant, received: &mut Received) {
        let fresh = self.mailbox.exchange.is_fresh();
        if fresh || now > self.expires {
            self.take(fresh, now, received);
        }
    }

    #[inline(never)]
    fn take(&mut self, fresh: bool, now: Instant, received: &mut Received) {
        if fresh {
            self.own = self.mailbox.exchange.take(self.own);
            self.mailbox.reader.store(self.own, Ordering::Relaxed);
            let buffer = &self.mailbox.buffers[self.own % 3];
            let values = received.values.iter_mut().zip(&buffer.values);
            for (value, word) in values.take(self.values) {
                *value = f64::from_bits(word.load(Ordering::Relaxed));
            }
            let groups = received.groups.iter_mut().zip(&buffer.groups);
            for (group, [at, valid]) in groups.take(self.timeouts.len()) {
                group.at = Instant::from_nanos(at.load(Ordering::Relaxed));
                group.valid = match valid.load(Ordering::Relaxed) {
                    VALID => Ok(()),
                    STALE => Err(InputError::Stale),
                    _ => Err(InputError::NotRead),
                };
            }
        }
        self.expires = received.expire(&self.timeouts, now).unwrap_or(NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    const fn valid(ms: u64) -> Group {
        Group {
            at: Instant::from_nanos(ms * 1_000_000),
            valid: Ok(()),
        }
    }

    #[test]
    fn the_loop_sees_the_newest_commands_until_they_are_stale() {
        let mailbox = Mailbox::new();
        let timeouts = [Duration::from_millis(10), Duration::from_millis(30)];
        let (mut sender, mut receiver) = mailbox.open(2, timeouts);
        let mut received = Received::NONE;
        receiver.receive(at(1), &mut received);
        assert_eq!(received.get(0, 0).value, Err(InputError::NotRead));
        sender.send(&[1.0, 2.0], &[valid(5), valid(5)]);
        sender.send(&[3.0, 4.0], &[valid(6), valid(6)]);
        assert!(!sender.is_taken());
        receiver.receive(at(7), &mut received);
        assert!(sender.is_taken());
        assert_eq!(received.get(0, 0).value, Ok(3.0));
        assert_eq!(received.get(1, 1).value, Ok(4.0));
        receiver.receive(at(16), &mut received);
        assert_eq!(received.get(0, 0).value, Ok(3.0));
        receiver.receive(at(17), &mut received);
        assert_eq!(received.get(0, 0).value, Err(InputError::Stale));
        assert_eq!(received.get(1, 1).value, Ok(4.0));
        sender.send(&[5.0, 4.0], &[valid(18), Group::NONE]);
        receiver.receive(at(18), &mut received);
        assert_eq!(received.get(0, 0).value, Ok(5.0));
        assert_eq!(received.get(1, 1).value, Err(InputError::NotRead));
    }

    #[test]
    fn a_new_run_does_not_see_the_commands_of_the_last() {
        let mailbox = Mailbox::new();
        let timeout = [Duration::from_millis(10)];
        let (mut sender, _) = mailbox.open(1, timeout);
        sender.send(&[1.0], &[valid(5)]);
        let (mut sender, mut receiver) = mailbox.open(1, timeout);
        let mut received = Received::NONE;
        receiver.receive(at(6), &mut received);
        assert_eq!(received.get(0, 0).value, Err(InputError::NotRead));
        for value in 0..9 {
            sender.send(&[f64::from(value)], &[valid(7)]);
            receiver.receive(at(7), &mut received);
            assert_eq!(received.get(0, 0).value, Ok(f64::from(value)));
        }
    }
}
