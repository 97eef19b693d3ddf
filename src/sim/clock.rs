//! A virtual clock that never waits.

use crate::cycle::ports::Clock;
use crate::time::{Duration, Instant};

/// A clock that advances only by waiting and by a fixed cost per cycle.
///
/// [`Clock::wait_until`] jumps to the release; [`Clock::now`] is then later by the cost,
/// however often it is called, so execution times are reproducible. With a cost above the
/// period, cycles are late, as on a board that is too slow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct VirtualClock {
    woken: Instant,
    /// Cost of the cycle since then; zero before the first cycle.
    spent: Duration,
    cost: Duration,
}

impl VirtualClock {
    /// A clock at time zero with the given cost per cycle.
    #[must_use]
    pub const fn new(cost: Duration) -> Self {
        Self {
            woken: Instant::from_nanos(0),
            spent: Duration::ZERO,
            cost,
        }
    }
}

impl Clock for VirtualClock {
    #[inline]
    fn now(&self) -> Instant {
        self.woken + self.spent
    }

    #[inline]
    fn wait_until(&mut self, release: Instant) -> Instant {
        self.woken = self.now().max(release);
        self.spent = self.cost;
        self.woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_us(us: u64) -> Instant {
        Instant::from_nanos(us * 1_000)
    }

    #[test]
    fn wait_jumps_to_the_release_and_work_advances_by_its_cost() {
        let mut clock = VirtualClock::new(Duration::from_micros(20));
        assert_eq!(clock.wait_until(at_us(1_000)), at_us(1_000));
        assert_eq!((clock.now(), clock.now()), (at_us(1_020), at_us(1_020)));
        assert_eq!(clock.wait_until(at_us(2_000)), at_us(2_000));
    }

    #[test]
    fn a_cycle_that_costs_more_than_a_period_makes_the_next_one_late() {
        let mut clock = VirtualClock::new(Duration::from_micros(1_500));
        assert_eq!(clock.now(), at_us(0));
        assert_eq!(clock.wait_until(at_us(1_000)), at_us(1_000));
        assert_eq!(clock.wait_until(at_us(2_000)), at_us(2_500));
        assert_eq!(clock.wait_until(at_us(3_000)), at_us(4_000));
        assert_eq!(clock.wait_until(at_us(6_000)), at_us(6_000));
    }
}
