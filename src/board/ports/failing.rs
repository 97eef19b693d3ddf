//! Decides when a failed transfer is retried, and when a failing device is lost.
//!
//! # The budget of a retry
//!
//! A failed transfer is retried once, if the retry and the rest of the cycle would end before the
//! deadline at twice the mean time of a call so far in this cycle. The time of a call is
//! measured, not configured, because it is not known in advance: a frame of two bytes at 1 MHz
//! takes 16 us on the wire, and the kernel adds 10 us to 200 us, depending on controller, kernel
//! and load. The clock is read only after a failure; the start of the cycle is in its [`Tick`].
//! A transfer that hung has used up the time and is not retried. Lines are not retried: a
//! line that cannot be read was removed.
//!
//! An angle after a retry is a present one, while others are one period old. The time of its
//! sample says so, as does that of the next sample, which is only one frame younger.
//!
//! # Debounce counters
//!
//! Consecutive failures are counted for each device by the slot of its last failure, so a
//! success costs nothing: a failure is consecutive if the last failure was in the previous
//! cycle. In a simulation that waits for a late loop, skipped slots restart the count.

use crate::cycle::ports::Tick;
use crate::time::{Duration, Instant};

/// Whether a cycle has time for a retry.
#[derive(Copy, Clone, Debug)]
pub(super) struct Budget {
    /// From the release to the deadline; zero for no retries.
    pub(super) deadline: Duration,
    /// Number of calls in a cycle without failures.
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

    /// Whether one more call fits, at `now`, after `done` calls of the cycle (at least 1,
    /// including the failed one).
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

/// A debounce counter: counts the consecutive failures of one device.
#[derive(Copy, Clone, Debug)]
pub(in crate::board) struct DebounceCounter {
    tolerated: Option<u16>,
    count: u16,
    /// Slot of the last failure; `None` before the first.
    last_slot: Option<u64>,
}

impl DebounceCounter {
    /// No failure so far. More than `tolerated` consecutive failures are too many; with `None`
    /// there is no limit.
    pub(in crate::board) const fn tolerating(tolerated: Option<u16>) -> Self {
        Self {
            tolerated,
            count: 0,
            last_slot: None,
        }
    }

    /// Counts a failure in the cycle of `tick`. Gives whether the count exceeds the tolerated
    /// failures.
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
