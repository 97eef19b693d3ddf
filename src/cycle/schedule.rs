//! The absolute schedule: slot `k` is released at `epoch + k * period`.
//!
//! The next release is never computed from the end of a cycle, so the phase does not drift. A
//! slot whose release passed while the loop was busy is skipped and counted, never run late in
//! a burst. At all times `slots run + slots skipped == (next release - epoch) / period`.

use crate::time::{Duration, Instant};

/// The position in the schedule.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    epoch: Instant,
    period: Duration,
    release: Instant,
    slot: u64,
    skipped: u64,
}

impl Schedule {
    /// A schedule whose slot 0 is released at `epoch`.
    ///
    /// # Panics
    /// If `period` is zero.
    #[must_use]
    pub fn new(epoch: Instant, period: Duration) -> Self {
        assert!(period > Duration::ZERO, "a period of zero has no slots");
        Self {
            epoch,
            period,
            release: epoch,
            slot: 0,
            skipped: 0,
        }
    }

    /// The release of the current slot.
    #[must_use]
    pub const fn release(&self) -> Instant {
        self.release
    }

    /// Number of the current slot.
    #[must_use]
    pub const fn slot(&self) -> u64 {
        self.slot
    }

    /// Slots run so far.
    #[must_use]
    pub const fn run(&self) -> u64 {
        self.slot - self.skipped
    }

    /// Slots skipped so far.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The planned time of all slots run and skipped so far.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.release.since(self.epoch)
    }

    /// Goes on with `slot`, which is released at `release`: the slots before it were all run.
    pub fn go_on(&mut self, slot: u64, release: Instant) {
        self.slot = slot;
        self.release = release;
    }

    /// Ends the current slot, whose cycle ended at `now`, and moves to the first slot that is
    /// not released before `now`. Returns the number of slots skipped.
    #[inline]
    pub fn advance(&mut self, now: Instant) -> u32 {
        self.slot += 1;
        self.release += self.period;
        if now <= self.release {
            return 0;
        }
        self.skip(now)
    }

    /// Skips the slots that are released before `now`; there is at least one.
    #[cold]
    #[inline(never)]
    fn skip(&mut self, now: Instant) -> u32 {
        let missed = now
            .since(self.release)
            .as_nanos()
            .div_ceil(self.period.as_nanos());
        self.slot += missed;
        self.skipped += missed;
        self.release += self.period * missed;
        u32::try_from(missed).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(1);
    const EPOCH: Instant = Instant::from_nanos(7_000_123);

    fn at(us: u64) -> Instant {
        EPOCH + Duration::from_micros(us)
    }

    #[test]
    fn a_cycle_in_time_is_followed_by_the_next_slot() {
        let mut schedule = Schedule::new(EPOCH, PERIOD);
        assert_eq!(schedule.advance(at(300)), 0);
        assert_eq!((schedule.slot(), schedule.release()), (1, at(1000)));
        assert_eq!(
            schedule.advance(at(2000)),
            0,
            "the release itself is in time"
        );
        assert_eq!((schedule.slot(), schedule.release()), (2, at(2000)));
    }

    #[test]
    #[cfg_attr(panic = "abort", ignore = "unwinds, and this build aborts instead")]
    #[should_panic(expected = "no slots")]
    fn a_period_of_zero_is_refused() {
        let _ = Schedule::new(EPOCH, Duration::ZERO);
    }

    #[test]
    fn a_late_wake_skips_slots_and_keeps_phase() {
        let mut schedule = Schedule::new(EPOCH, PERIOD);
        assert_eq!(schedule.advance(at(3_529)), 3);
        assert_eq!((schedule.slot(), schedule.release()), (4, at(4000)));
        assert_eq!((schedule.run(), schedule.skipped()), (1, 3));
    }

    #[test]
    fn slots_run_plus_slots_skipped_equal_the_elapsed_periods() {
        let mut schedule = Schedule::new(EPOCH, PERIOD);
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..10_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let took = Duration::from_nanos(random % 4_500_000);
            schedule.advance(schedule.release() + took);
            assert_eq!(
                schedule.run() + schedule.skipped(),
                schedule.elapsed() / PERIOD
            );
            assert_eq!(schedule.elapsed().as_nanos() % PERIOD.as_nanos(), 0);
        }
        assert!(schedule.skipped() > 1000, "the test must have seen skips");
    }
}
