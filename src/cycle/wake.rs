//! How the loop waits for a release: it sleeps until the release, or until some time before it, and
//! then watches the clock.
//!
//! A sleep ends late by what the kernel takes to wake the thread. A loop that wakes earlier than
//! it has to, and reads the clock until the release, begins at the release itself, as long as the
//! wake takes less than that. Its price is one CPU for that share of every period.

use super::ports::Clock;
use crate::time::{Duration, Instant};

/// How the loop waits for a release.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Wake {
    /// It sleeps until the release.
    #[default]
    Sleep,
    /// It sleeps until this long before the release, then watches the clock.
    Spin(Duration),
    /// As `Spin`, with a margin that follows the wakes that were observed, up to this long.
    Adaptive(Duration),
}

impl Wake {
    /// The longest time for which the clock is watched in each period; zero with `Sleep`.
    #[must_use]
    pub const fn most(self) -> Duration {
        match self {
            Self::Sleep => Duration::ZERO,
            Self::Spin(most) | Self::Adaptive(most) => most,
        }
    }

    /// The most of one CPU that watching the clock takes from a loop with `period`, in percent,
    /// rounded up.
    #[must_use]
    pub const fn percent(self, period: Duration) -> u64 {
        (self.most().as_nanos() * 100).div_ceil(period.as_nanos())
    }

    /// Its name in a board file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sleep => "sleep",
            Self::Spin(_) => "spin",
            Self::Adaptive(_) => "adaptive",
        }
    }
}

/// What the waits of a run have shown.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Wakes {
    /// The longest time from the programmed end of a sleep until the loop ran.
    pub longest: Duration,
    /// Wakes that came after the release: the margin was shorter than the wake.
    pub late: u64,
    /// Cycles that ended within the margin before the next release, and slept until the release.
    pub crowded: u64,
    /// The present margin: that of the board file, or that of `Adaptive`.
    pub margin: Duration,
}

/// The waits of a loop that watches the clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Spin {
    wake: Wake,
    wakes: Wakes,
}

/// An adaptive margin is this many times the longest wake that it has to cover.
const HEADROOM: u64 = 2;

/// By this much an adaptive margin shrinks in each cycle: 1 us in a second at 1 kHz.
const SHRINKS: Duration = Duration::from_nanos(1);

impl Spin {
    /// The waits of a loop with `wake`; `None` if it only sleeps. The first margin is the longest
    /// one: nothing is known of the machine yet.
    #[must_use]
    pub fn new(wake: Wake) -> Option<Self> {
        let wakes = Wakes {
            margin: wake.most(),
            ..Wakes::default()
        };
        (wake != Wake::Sleep).then_some(Self { wake, wakes })
    }

    /// What the waits have shown.
    #[must_use]
    pub const fn wakes(&self) -> Wakes {
        self.wakes
    }

    /// Forgets what was counted, and keeps the margin: after the rehearsal.
    pub fn restart(&mut self) {
        self.wakes = Wakes {
            margin: self.wakes.margin,
            ..Wakes::default()
        };
    }

    /// Waits until `release`, never shorter, and returns the time then.
    ///
    /// A cycle that ended within the margin sleeps until the release: a loop that watched the
    /// clock without ever sleeping would take its CPU from all others, until the kernel stops it
    /// (`RLIMIT_RTTIME`, getrlimit(2); `sched_rt_runtime_us`, sched(7)).
    pub fn wait(&mut self, clock: &mut impl Clock, release: Instant) -> Instant {
        let ended = clock.now();
        let mut planned = release - self.wakes.margin;
        if ended >= planned {
            self.wakes.crowded += 1;
            planned = release;
        }
        let mut now = clock.wait_until(planned);
        // Without a sleep there was no wake.
        if ended < planned {
            self.woke(now.since(planned), planned < release && now > release);
        }
        while now < release {
            // ISB on ARMv8, PAUSE on x86.
            core::hint::spin_loop();
            now = clock.now();
        }
        now
    }

    /// Notes a wake that took `took`, and the margin of the next wait: an adaptive one grows at
    /// once and shrinks slowly.
    fn woke(&mut self, took: Duration, late: bool) {
        let wakes = &mut self.wakes;
        wakes.longest = wakes.longest.max(took);
        wakes.late += u64::from(late);
        if let Wake::Adaptive(most) = self.wake {
            let needed = (took * HEADROOM).min(most);
            wakes.margin = wakes.margin.saturating_sub(SHRINKS).max(needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// A clock whose sleeps end late by `wake`; each reading takes 1 us.
    struct Machine {
        now: Cell<u64>,
        wake: u64,
        slept: Option<u64>,
        readings: Cell<u32>,
    }

    impl Machine {
        fn at_us(now: u64) -> Self {
            Self {
                now: Cell::new(now),
                wake: 0,
                slept: None,
                readings: Cell::new(0),
            }
        }

        /// One wait until `release`, for a cycle that ended at `ended`, with a wake of `wake`.
        /// Gives the lateness. All in us.
        fn wait(&mut self, spin: &mut Spin, ended: u64, release: u64, wake: u64) -> u64 {
            self.now.set(ended);
            self.readings.set(0);
            self.wake = wake;
            let release = us(release);
            let begins = spin.wait(self, release);
            assert!(begins >= release, "a wait ended early");
            begins.since(release).as_nanos() / 1_000
        }
    }

    fn us(us: u64) -> Instant {
        Instant::from_nanos(us * 1_000)
    }

    fn micros(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    impl Clock for Machine {
        fn now(&self) -> Instant {
            self.readings.set(self.readings.get() + 1);
            let now = self.now.get();
            self.now.set(now + 1);
            us(now)
        }

        fn wait_until(&mut self, release: Instant) -> Instant {
            let until = release.as_nanos() / 1_000;
            self.slept = Some(until);
            if self.now.get() < until {
                self.now.set(until + self.wake);
            }
            us(self.now.get())
        }
    }

    fn spinning(wake: Wake) -> (Spin, Machine) {
        (Spin::new(wake).unwrap(), Machine::at_us(0))
    }

    #[test]
    fn a_wake_within_the_margin_is_hidden() {
        let (mut spin, mut machine) = spinning(Wake::Spin(micros(30)));
        assert_eq!(machine.wait(&mut spin, 0, 1_000, 12), 0);
        assert_eq!(machine.slept, Some(970));
        // The end of the cycle, and one for each microsecond from 982 to 1,000.
        assert_eq!(machine.readings.get(), 20);
        assert_eq!(machine.wait(&mut spin, 1_100, 2_000, 30), 0);
        let expected = Wakes {
            longest: micros(30),
            late: 0,
            crowded: 0,
            margin: micros(30),
        };
        assert_eq!(spin.wakes(), expected);
    }

    #[test]
    fn a_wake_after_the_release_is_counted_and_does_not_spin() {
        let (mut spin, mut machine) = spinning(Wake::Spin(micros(30)));
        assert_eq!(machine.wait(&mut spin, 0, 1_000, 45), 15);
        assert_eq!(machine.readings.get(), 1, "only the end of the cycle");
        let wakes = spin.wakes();
        assert_eq!((wakes.longest, wakes.late), (micros(45), 1));
        assert_eq!(wakes.margin, micros(30), "a fixed margin stays");
    }

    #[test]
    fn a_cycle_that_ends_within_the_margin_sleeps_until_the_release() {
        let (mut spin, mut machine) = spinning(Wake::Spin(micros(30)));
        assert_eq!(machine.wait(&mut spin, 980, 1_000, 12), 12);
        assert_eq!(machine.slept, Some(1_000));
        let wakes = spin.wakes();
        assert_eq!((wakes.crowded, wakes.late), (1, 0));
        assert_eq!(wakes.longest, micros(12));
    }

    #[test]
    fn a_release_in_the_past_is_no_wake() {
        let (mut spin, mut machine) = spinning(Wake::Spin(micros(30)));
        // The reading of the clock takes 1 us.
        assert_eq!(machine.wait(&mut spin, 1_500, 1_000, 12), 501);
        assert_eq!(spin.wakes().longest, Duration::ZERO);
        assert_eq!(
            machine.wait(&mut spin, 0, 10, 3),
            3,
            "shorter than the margin"
        );
    }

    #[test]
    fn an_adaptive_margin_grows_at_once_up_to_its_limit_and_shrinks_slowly() {
        let (mut spin, mut machine) = spinning(Wake::Adaptive(micros(60)));
        let mut release = 0;
        let mut cycle = |spin: &mut Spin, wake| {
            release += 1_000;
            (
                machine.wait(spin, release - 900, release, wake),
                machine.slept,
                release,
            )
        };
        let (late, slept, release_0) = cycle(&mut spin, 5);
        assert_eq!((late, slept), (0, Some(release_0 - 60)), "begins with all");
        assert_eq!(spin.wakes().margin.as_nanos(), 59_999);
        for _ in 0..100_000 {
            cycle(&mut spin, 5);
        }
        assert_eq!(spin.wakes().margin, micros(10), "twice the wake at least");
        assert_eq!(cycle(&mut spin, 13).0, 3, "a longer wake is late once");
        assert_eq!(spin.wakes().margin, micros(26));
        assert_eq!(cycle(&mut spin, 13).0, 0);
        cycle(&mut spin, 1_000);
        assert_eq!(spin.wakes().margin, micros(60), "never above the limit");
        let wakes = spin.wakes();
        assert_eq!((wakes.late, wakes.longest), (2, micros(1_000)));
    }

    #[test]
    fn a_restart_keeps_only_the_margin() {
        let (mut spin, mut machine) = spinning(Wake::Adaptive(micros(60)));
        machine.wait(&mut spin, 0, 1_000, 200);
        machine.wait(&mut spin, 1_990, 2_000, 10);
        spin.restart();
        let kept = Wakes {
            margin: Duration::from_nanos(59_999),
            ..Wakes::default()
        };
        assert_eq!(spin.wakes(), kept);
    }

    #[test]
    fn a_loop_that_only_sleeps_has_no_spin() {
        assert_eq!(Spin::new(Wake::Sleep), None);
        let period = micros(1_000);
        let shares = [
            Wake::Sleep,
            Wake::Spin(micros(60)),
            Wake::Adaptive(micros(61)),
        ];
        assert_eq!(shares.map(|wake| wake.percent(period)), [0, 6, 7]);
    }
}
