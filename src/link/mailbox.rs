//! The newest commands, from the link thread to the loop.
//!
//! Three buffers: one belongs to the writer, one to the reader, and one lies between them. Each
//! side exchanges its buffer for the one between by one atomic operation, so neither waits or
//! repeats, and a writer that dies half-way leaves what the reader has.

mod atomic;
mod exchange;

use core::sync::atomic::{AtomicUsize, Ordering};

use self::exchange::Exchange;
use crate::cycle::received::{Group, Handed, MAX_GROUPS, NEVER, Received};
use crate::time::{Duration, Instant};

/// The buffers between link thread and loop.
pub struct Mailbox {
    buffers: [Handed; 3],
    exchange: Exchange,
    /// The buffers of the writer and of the reader, for the next [`Mailbox::open`].
    writer: AtomicUsize,
    reader: AtomicUsize,
}

/// The timeout of each group.
type Timeouts = heapless::Vec<Duration, MAX_GROUPS>;

/// The writer's side.
pub struct Sender<'m> {
    mailbox: &'m Mailbox,
    own: usize,
    timeouts: Timeouts,
}

/// The loop's side.
pub struct Receiver {
    mailbox: &'static Mailbox,
    own: usize,
    timeouts: Timeouts,
    /// When the first valid group becomes stale.
    expires: Instant,
}

impl Mailbox {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffers: [const { Handed::new() }; 3],
            exchange: Exchange::new(AtomicUsize::new(1)),
            writer: AtomicUsize::new(0),
            reader: AtomicUsize::new(2),
        }
    }

    /// Both sides, for groups with these `timeouts`. One pair at a time: the caller drops the pair,
    /// and the images that refer to it, before it opens another.
    #[must_use]
    pub fn open(
        &'static self,
        timeouts: impl IntoIterator<Item = Duration>,
    ) -> (Sender<'static>, Receiver) {
        // What the last run left is not read.
        self.exchange.forget();
        let timeouts: Timeouts = timeouts.into_iter().take(MAX_GROUPS).collect();
        let sender = Sender {
            mailbox: self,
            own: self.writer.load(Ordering::Relaxed),
            timeouts: timeouts.clone(),
        };
        let receiver = Receiver {
            mailbox: self,
            own: self.reader.load(Ordering::Relaxed),
            timeouts,
            expires: NEVER,
        };
        (sender, receiver)
    }

    /// A mailbox of its own for a test.
    #[cfg(test)]
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::new(Self::new()))
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender<'_> {
    /// Hands `values` and `groups` to the loop, in place of those before. Those beyond the image
    /// are left out. Wait-free.
    pub fn send(&mut self, values: &[f64], groups: &[Group]) {
        self.mailbox.buffers[self.own % 3].write(values, groups, &self.timeouts);
        self.own = self.mailbox.exchange.give(self.own);
        self.mailbox.writer.store(self.own, Ordering::Relaxed);
    }

    /// Whether the loop has taken what was sent last.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        !self.mailbox.exchange.is_fresh()
    }
}

impl Receiver {
    /// Takes the newest commands, if there are new ones, and marks those as stale that were not
    /// refreshed within their timeout before `now`. Wait-free.
    #[inline]
    pub fn receive(&mut self, now: Instant, received: &mut Received) {
        if self.mailbox.exchange.is_fresh() {
            self.own = self.mailbox.exchange.take(self.own);
            self.mailbox.reader.store(self.own, Ordering::Relaxed);
            // There are no more than three.
            if let Some(taken) = self.mailbox.buffers.get(self.own) {
                *received = Received::of(taken);
                self.expires = taken.expires();
            }
        }
        if now > self.expires {
            self.expire(now, received);
        }
    }

    #[cold]
    #[inline(never)]
    fn expire(&mut self, now: Instant, received: &mut Received) {
        self.expires = received.expire(&self.timeouts, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::image::InputError;

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
        let mailbox = Mailbox::leaked();
        let timeouts = [Duration::from_millis(10), Duration::from_millis(30)];
        let (mut sender, mut receiver) = mailbox.open(timeouts);
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
        let mailbox = Mailbox::leaked();
        let timeout = [Duration::from_millis(10)];
        let (mut sender, _) = mailbox.open(timeout);
        sender.send(&[1.0], &[valid(5)]);
        let (mut sender, mut receiver) = mailbox.open(timeout);
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
