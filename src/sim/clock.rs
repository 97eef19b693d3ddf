//! A clock that runs as fast as it is asked.

use crate::cycle::ports::Clock;
use crate::time::{Duration, Instant};

/// Time that passes only by waiting, and by a fixed cost of each cycle.
///
/// [`Clock::wait_until`] jumps to the release; every [`Clock::now`] after it is
/// later by the cost, however often it is called, so the execution time of a
/// simulated cycle is a number that repeats. With a cost above the period,
/// cycles come late as they would on a board that is too slow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct VirtualClock {
    woken: Instant,
    /// What the cycle since then has cost: nothing before the first.
    spent: Duration,
    cost: Duration,
}

impl VirtualClock {
    /// A clock at time zero, with this cost of a cycle.
    #[must_use]
    pub const fn new(cost: Duration) -> Self {
        Self {
            woken: Instant::from_nanos(0),
            spent: Duration::ZERO,
            cost,
        }
    }

    /// Changes the cost of the cycles after the current one, to simulate slow
    /// ones.
    pub const fn set_cost(&mut self, cost: Duration) {
        self.cost = cost;
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
    fn waiting_jumps_to_the_release_and_working_takes_the_cost() {
        let mut clock = VirtualClock::new(Duration::from_micros(20));
        assert_eq!(clock.wait_until(at_us(1_000)), at_us(1_000));
        assert_eq!((clock.now(), clock.now()), (at_us(1_020), at_us(1_020)));
        assert_eq!(clock.wait_until(at_us(2_000)), at_us(2_000));
    }

    #[test]
    fn a_release_in_the_past_is_late_by_what_the_cycle_cost() {
        let mut clock = VirtualClock::new(Duration::from_micros(1_500));
        assert_eq!(clock.now(), at_us(0));
        assert_eq!(clock.wait_until(at_us(1_000)), at_us(1_000));
        clock.set_cost(Duration::from_micros(100));
        assert_eq!(clock.wait_until(at_us(2_000)), at_us(2_500));
        assert_eq!(clock.wait_until(at_us(3_000)), at_us(3_000));
    }
}
