//! When a transfer is made once more, and when a device that fails is lost.
//!
//! # The budget of a retry
//!
//! A failed transfer is made once more, once, if that and all that is still to
//! be done in the cycle would end before the deadline at twice the mean time of
//! a call so far in this very cycle. The figure is not configured, because nobody
//! knows it beforehand: a frame of two bytes at 1 MHz is 16 us on the wire, and
//! the kernel adds from 10 us to 200 us, by controller, kernel and load. It needs
//! no clock while nothing fails: the cycle's beginning is in its
//! [`Tick`], and the clock is read when something has failed. A transfer that
//! failed because it hung has used its time up, and is not repeated. Lines are
//! not repeated either: a line that cannot be read has been taken away.
//!
//! An angle after a retry is that of now where others are one period old. Its sample
//! says so, and the one of the next cycle too, which is a frame younger only.
//!
//! # Debounce counters
//!
//! Consecutive failures are counted for each device by the slot of its last failure, so
//! that a success costs nothing: a failure is consecutive if the last one was in the
//! cycle before. In a simulation that waits for a late loop skipped slots restart the
//! count.

use crate::cycle::ports::Tick;
use crate::time::{Duration, Instant};

/// What a cycle may spend on retries.
#[derive(Copy, Clone, Debug)]
pub(super) struct Budget {
    /// From the release to the deadline; zero for no retries.
    pub(super) deadline: Duration,
    /// Calls of a cycle in which nothing fails.
    calls: usize,
}

impl Budget {
    /// No retries in cycles of `calls` calls.
    pub(super) const fn none(calls: usize) -> Self {
        Self {
            deadline: Duration::from_nanos(0),
            calls,
        }
    }

    /// Whether one more call fits, at `now`, after `done` calls (at least 1) of
    /// the cycle, the failed one included.
    #[cold]
    pub(super) fn allows(&self, now: Instant, tick: &Tick, done: usize) -> bool {
        let spent = now.since(tick.now).as_nanos();
        // The retry itself may take two frames.
        let left = self.calls.saturating_sub(done) + 2;
        let needed = spent
            .saturating_mul(2)
            .saturating_mul(left as u64)
            .div_ceil(done.max(1) as u64);
        let end = tick.release + self.deadline;
        now < end && end.since(now).as_nanos() >= needed
    }
}

/// A debounce counter: counts consecutive failures against a limit.
#[derive(Copy, Clone, Debug)]
pub(in crate::board) struct DebounceCounter {
    tolerated: Option<u16>,
    count: u16,
    /// Slot of the last failure; none before the first.
    last_slot: Option<u64>,
}

impl DebounceCounter {
    /// No failure yet. Up to `tolerated` consecutive failures are tolerated; all of them
    /// where it is `None`.
    pub(in crate::board) const fn tolerating(tolerated: Option<u16>) -> Self {
        Self {
            tolerated,
            count: 0,
            last_slot: None,
        }
    }

    /// Counts a failure in the cycle of `tick`; whether the limit is exceeded.
    pub(in crate::board) fn exceeded(&mut self, tick: &Tick) -> bool {
        let before = tick.slot.checked_sub(u64::from(tick.elapsed_slots));
        self.count = if self.last_slot.is_some() && self.last_slot == before {
            self.count.saturating_add(1)
        } else {
            1
        };
        self.last_slot = Some(tick.slot);
        self.tolerated
            .is_some_and(|tolerated| self.count > tolerated)
    }
}
