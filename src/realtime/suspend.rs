//! Detects a suspend of the machine while the loop runs.
//!
//! `CLOCK_MONOTONIC` stops during a suspend, so the loop's next release is on time, although
//! devices may have lost power and settings, and the plant has moved. `CLOCK_BOOTTIME` continues
//! (clock_gettime(2)), so the difference of the two clocks grows by the suspended time. For a
//! thread that is not real-time; a reading takes three calls of the vDSO.

use crate::sys::clock::{boottime_ns, monotonic_ns};
use crate::time::Duration;

/// Smallest detected suspend: shorter than any suspend, and longer than rounding differences of the
/// clocks.
const SHORTEST: Duration = Duration::from_millis(1);

/// A reading of both clocks: the monotonic clock before and after the other one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    before_ns: u64,
    boot_ns: u64,
    after_ns: u64,
}

impl Reading {
    /// Reads both clocks.
    #[must_use]
    pub fn take() -> Self {
        Self {
            before_ns: monotonic_ns(),
            boot_ns: boottime_ns(),
            after_ns: monotonic_ns(),
        }
    }

    /// Bounds of the suspended time since boot, ns. They differ, because the thread may have been
    /// preempted between two clocks.
    const fn suspended_ns(self) -> (u64, u64) {
        (
            self.boot_ns.saturating_sub(self.after_ns),
            self.boot_ns.saturating_sub(self.before_ns),
        )
    }
}

/// Detects suspends between successive readings.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Suspends {
    /// Upper bound of the suspended time before the last reading, ns.
    known_ns: u64,
}

impl Suspends {
    /// Detects suspends after the reading `now`.
    #[must_use]
    pub const fn since(now: Reading) -> Self {
        Self {
            known_ns: now.suspended_ns().1,
        }
    }

    /// The suspended time between the previous reading and `now`; `None` below 1 ms.
    pub fn poll(&mut self, now: Reading) -> Option<Duration> {
        let (shortest, longest) = now.suspended_ns();
        let length = Duration::from_nanos(shortest.saturating_sub(self.known_ns));
        if length >= SHORTEST {
            self.known_ns = longest;
            return Some(length);
        }
        // Keeps the tightest bound of all readings.
        self.known_ns = self.known_ns.min(longest);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A reading after `awake_ns` awake and `suspended_ns` suspended, with `took_ns` between the
    /// clocks.
    const fn reading(awake_ns: u64, suspended_ns: u64, took_ns: [u64; 2]) -> Reading {
        Reading {
            before_ns: awake_ns,
            boot_ns: awake_ns + took_ns[0] + suspended_ns,
            after_ns: awake_ns + took_ns[0] + took_ns[1],
        }
    }

    #[test]
    fn a_suspend_is_reported_once_with_its_duration() {
        let earlier = 77 * SECOND;
        let mut suspends = Suspends::since(reading(SECOND, earlier, [100, 100]));
        assert_eq!(
            suspends.poll(reading(2 * SECOND, earlier, [100, 100])),
            None
        );
        let later = earlier + 3 * SECOND;
        let found = suspends.poll(reading(2 * SECOND, later, [100, 100]));
        let short_by = Duration::from_secs(3).saturating_sub(found.unwrap());
        assert!(short_by <= Duration::from_nanos(200), "{short_by}");
        assert_eq!(suspends.poll(reading(3 * SECOND, later, [100, 100])), None);
        let later = later + 2_000_000;
        assert!(
            suspends
                .poll(reading(4 * SECOND, later, [100, 100]))
                .is_some()
        );
    }

    #[test]
    fn a_delay_between_two_clock_readings_is_no_suspend_and_hides_none() {
        for took in [[SECOND, 0], [0, SECOND], [SECOND, SECOND]] {
            let mut suspends = Suspends::since(reading(SECOND, 0, took));
            assert_eq!(
                suspends.poll(reading(9 * SECOND, 0, [0, 0])),
                None,
                "{took:?}"
            );
            assert_eq!(
                suspends.poll(reading(19 * SECOND, 0, took)),
                None,
                "{took:?}"
            );
            let found = suspends.poll(reading(29 * SECOND, 10_000_000, [0, 0]));
            assert_eq!(found, Some(Duration::from_millis(10)), "{took:?}");
        }
    }

    #[test]
    fn the_clocks_of_this_machine_show_no_suspend() {
        let mut suspends = Suspends::since(Reading::take());
        for _ in 0..1_000 {
            assert_eq!(suspends.poll(Reading::take()), None);
        }
    }
}
