//! Monotonic time and absolute sleep.
//!
//! `CLOCK_MONOTONIC` never jumps, and absolute sleeps do not accumulate errors from cycle to
//! cycle. Reading costs some tens of nanoseconds through the vDSO (vdso(7)), a sleep one
//! system call.

use crate::cycle::ports::Clock;
use crate::cycle::wake::{Spin, Wake, Wakes};
use crate::sys::Errno;
use crate::sys::clock as sys;
use crate::time::{Duration, Instant};

/// The resolution of the clock and of sleeps on it (clock_getres(2)): 1 ns with high resolution
/// timers; without them a tick of 1 to 10 ms, which is too coarse for a fast loop.
///
/// # Errors
/// Those of clock_getres(2); none is expected.
pub fn resolution() -> Result<Duration, Errno> {
    sys::monotonic_resolution_ns().map(Duration::from_nanos)
}

/// The kernel's `CLOCK_MONOTONIC` (clock_gettime(2)).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Monotonic;

impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> Instant {
        Instant::from_nanos(sys::monotonic_ns())
    }

    /// Sleeps until `release` (clock_nanosleep(2), `TIMER_ABSTIME`), and sleeps again if a
    /// signal handler interrupted it. Other errors are not possible for a valid absolute time;
    /// one would end only the wait, and the record would show an early cycle.
    #[inline]
    fn wait_until(&mut self, release: Instant) -> Instant {
        while let Err(errno) = sys::sleep_until_ns(release.as_nanos()) {
            if errno.0 != libc::EINTR {
                break;
            }
        }
        self.now()
    }
}

/// The loop's clock: [`Monotonic`], which waits as the board file asks for.
pub(super) struct LoopClock {
    spin: Option<Spin>,
}

impl LoopClock {
    /// The clock of a loop that waits with `wake`.
    pub(super) fn new(wake: Wake) -> Self {
        let spin = Spin::new(wake);
        Self { spin }
    }

    /// Forgets the wakes of the rehearsal.
    pub(super) fn restart(&mut self) {
        if let Some(spin) = &mut self.spin {
            spin.restart();
        }
    }

    /// What the waits have shown; `None` for a loop that only sleeps.
    pub(super) fn wakes(&self) -> Option<Wakes> {
        self.spin.as_ref().map(Spin::wakes)
    }
}

impl Clock for LoopClock {
    #[inline]
    fn now(&self) -> Instant {
        Monotonic.now()
    }

    #[inline]
    fn wait_until(&mut self, release: Instant) -> Instant {
        match &mut self.spin {
            None => Monotonic.wait_until(release),
            Some(spin) => watched(spin, release),
        }
    }
}

// Not inlined, so that a loop that only sleeps is as short as without it.
#[inline(never)]
fn watched(spin: &mut Spin, release: Instant) -> Instant {
    spin.wait(&mut Monotonic, release)
}

/// Offset of the releases from whole multiples of the period: half a period, at most 500 us.
///
/// The kernel's tick comes at multiples of its length, which are whole milliseconds at the
/// usual HZ of 1000, 250 and 100 (`kernel/time/tick-common.c`), and so do the timers of most
/// programs. A loop released at whole milliseconds would wake after them; the offset puts the
/// releases between them.
pub(super) const fn release_phase(period: Duration) -> Duration {
    const LONGEST: u64 = 500_000;
    let half = period.as_nanos() / 2;
    Duration::from_nanos(if half < LONGEST { half } else { LONGEST })
}

/// The first release with the offset of `release_phase` that is at least 100 us away, or a quarter
/// of a shorter period: that leaves time to go to sleep, which takes microseconds. All runs of a
/// machine have the same phase, and rehearsal and run continue the same schedule.
pub(super) fn first_release(now: Instant, period: Duration) -> Instant {
    let phase = release_phase(period).as_nanos();
    let period = period.as_nanos();
    const LONGEST: u64 = 100_000;
    let margin = if period / 4 < LONGEST {
        period / 4
    } else {
        LONGEST
    };
    let periods = (now.as_nanos() + margin)
        .saturating_sub(phase)
        .div_ceil(period);
    Instant::from_nanos(periods * period + phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back_and_a_wait_never_ends_early() {
        let mut clock = Monotonic;
        let mut last = clock.now();
        for _ in 0..5 {
            let release = last + Duration::from_millis(2);
            let woken = clock.wait_until(release);
            assert!(woken >= release);
            assert!(clock.now() >= woken);
            last = woken;
        }
    }

    #[test]
    fn a_loop_that_watches_the_clock_never_begins_early() {
        for wake in [Wake::Sleep, Wake::Spin(Duration::from_micros(300))] {
            let mut clock = LoopClock::new(wake);
            for _ in 0..5 {
                let release = clock.now() + Duration::from_millis(2);
                assert!(clock.wait_until(release) >= release);
            }
            let wakes = clock.wakes().map(|wakes| wakes.longest > Duration::ZERO);
            assert_eq!(wakes, (wake != Wake::Sleep).then_some(true));
            clock.restart();
            assert!(
                clock
                    .wakes()
                    .is_none_or(|wakes| wakes.longest == Duration::ZERO)
            );
        }
    }

    #[test]
    fn the_clock_resolution_is_at_most_a_tick() {
        let resolution = resolution().unwrap();
        assert!(resolution > Duration::ZERO && resolution <= Duration::from_millis(10));
    }

    #[test]
    fn a_release_in_the_past_returns_at_once() {
        let mut clock = Monotonic;
        let now = clock.now();
        assert!(clock.wait_until(Instant::from_nanos(1)) >= now);
    }

    #[test]
    fn the_first_release_is_in_phase_and_leaves_time_to_sleep() {
        let period = Duration::from_micros(1_000);
        let release = |us: u64| {
            let now = Instant::from_nanos(us * 1_000);
            first_release(now, period).as_nanos() / 1_000
        };
        assert_eq!(release(5_500), 6_500, "never now");
        // After a cycle that ends in time, no slot is left out.
        assert_eq!(release(5_501), 6_500);
        assert_eq!(release(6_400), 6_500);
        assert_eq!(release(6_401), 7_500);
        assert_eq!(release(6_499), 7_500);
        assert_eq!(release(0), 500);
        let short = Duration::from_micros(100);
        let release = |ns: u64| first_release(Instant::from_nanos(ns), short).as_nanos();
        assert_eq!((release(25_000), release(25_001)), (50_000, 150_000));
    }

    #[test]
    fn releases_avoid_the_kernel_tick() {
        for period_us in [100, 250, 500, 1_000, 2_000, 5_000, 10_000] {
            let period = Duration::from_micros(period_us);
            let mut release = first_release(Instant::from_nanos(7_123_456), period);
            for _ in 0..1_000 {
                assert_ne!(release.as_nanos() % 1_000_000, 0, "{period_us} us");
                release += period;
            }
        }
    }
}
