//! The stall guard on a clock that the test moves, with loops that stall at chosen times.

use super::*;
use crate::sim::Random;
use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::sync::mpsc;
use std::vec::Vec;

const LIMIT: Limit = Limit {
    gap: Duration::from_millis(20),
    period: Duration::from_millis(1),
};

/// Much longer than any test here takes, so that a hanging test fails.
const NEVER: std::time::Duration = std::time::Duration::from_secs(60);

const fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// Limits from short to long gaps, each with periods of several lengths.
fn limits() -> Vec<Limit> {
    let mut limits = Vec::new();
    for gap_us in [
        3_000, 4_000, 7_000, 9_999, 20_000, 100_001, 1_000_000, 12_000_000,
    ] {
        for periods in [3, 4, 7, 20, 1_000] {
            limits.push(Limit {
                gap: Duration::from_micros(gap_us),
                period: Duration::from_nanos(gap_us * 1_000 / periods),
            });
        }
    }
    limits
}

/// A loop that finishes a cycle in every period until `last`, and then stalls.
struct Stalling {
    limit: Limit,
    phase_ns: u64,
    last: Instant,
}

impl Stalling {
    /// When it finished its last cycle before `now`.
    fn finished(&self, now: Instant) -> Instant {
        let now = now.min(self.last).as_nanos();
        let period = self.limit.period.as_nanos();
        let cycles = now.saturating_sub(self.phase_ns) / period;
        if now == self.last.as_nanos() {
            self.last
        } else {
            Instant::from_nanos(self.phase_ns + cycles * period)
        }
    }
}

/// Polls `stalling` with a guard whose lateness at each poll is given by `late`. Gives when the
/// guard acts.
fn acts(stalling: &Stalling, mut late: impl FnMut(Instant) -> Duration) -> Instant {
    let mut poller = Poller::new(stalling.limit, Instant::from_nanos(1_000));
    let from = Instant::from_nanos(1);
    loop {
        let planned = poller.next;
        let now = planned + late(planned);
        let since = stalling.finished(now).max(from);
        if let Some(silent) = poller.poll(now, Some(since)) {
            assert_eq!(silent, now.since(since.max(poller.excused)));
            return now;
        }
        assert!(poller.next > now, "a poll that is past");
        let longest = stalling.limit.interval();
        assert!(poller.next.since(now) <= longest, "a gap between polls");
        assert!(
            now.since(stalling.last) < stalling.limit.gap * 8,
            "it never acts"
        );
    }
}

fn assert_within(limit: Limit, since: Instant, acted: Instant) {
    let silent = acted.since(since).as_nanos();
    let gap = limit.gap.as_nanos();
    assert!(silent * 4 >= gap * 3, "{limit:?}: early, after {silent} ns");
    assert!(silent <= gap, "{limit:?}: late, after {silent} ns");
}

#[test]
fn a_guard_late_by_less_than_a_quarter_gap_acts_between_three_quarters_and_one_gap() {
    let mut random = Random::new(10);
    for limit in limits() {
        let quarter = limit.quarter().as_nanos();
        for turn in 0..200 {
            let stalling = Stalling {
                limit,
                phase_ns: 1 + random.bits() % limit.period.as_nanos(),
                last: Instant::from_nanos(
                    limit.gap.as_nanos() + random.bits() % (2 * limit.gap.as_nanos()),
                ),
            };
            // Never late, always by the same time, always by the tolerated maximum, at random.
            let acted = acts(&stalling, |_| {
                Duration::from_nanos(match turn % 4 {
                    0 => 0,
                    1 => quarter * (turn / 4) / 50,
                    2 => quarter - 1,
                    _ => random.bits() % quarter,
                })
            });
            assert_within(limit, stalling.last, acted);
        }
    }
}

#[test]
fn a_guard_that_was_stopped_too_gives_the_loop_another_gap() {
    let mut random = Random::new(11);
    for limit in limits() {
        let (gap, quarter) = (limit.gap.as_nanos(), limit.quarter().as_nanos());
        for _ in 0..100 {
            let stalling = Stalling {
                limit,
                phase_ns: 1 + random.bits() % limit.period.as_nanos(),
                last: Instant::from_nanos(gap + random.bits() % gap),
            };
            let stop = quarter + random.bits() % (3 * gap);
            let stopped = Cell::new(None);
            let acted = acts(&stalling, |planned| {
                let stops = planned > stalling.last && stopped.get().is_none();
                let late = Duration::from_nanos(if stops { stop } else { random.bits() % quarter });
                if stops {
                    stopped.set(Some(planned + late));
                }
                late
            });
            match stopped.get() {
                Some(resumed) if acted > resumed => assert_within(limit, resumed, acted),
                // It acted before the stop, or directly after it.
                _ => assert_within(limit, stalling.last, acted),
            }
        }
    }
}

#[test]
fn a_guard_late_by_exactly_a_quarter_gap_counts_as_stopped() {
    let quarter = LIMIT.quarter();
    let excuses = |late: Duration| {
        let mut poller = Poller::new(LIMIT, at(100));
        poller.poll(at(100) + late, Some(at(1))).is_none()
    };
    assert!(!excuses(quarter.saturating_sub(Duration::from_nanos(1))));
    assert!(excuses(quarter));
}

#[test]
fn a_running_loop_is_not_stopped_however_late_the_guard_is() {
    let mut random = Random::new(12);
    for limit in limits() {
        let stalling = Stalling {
            limit,
            phase_ns: 1,
            last: Instant::from_nanos(u64::MAX / 2),
        };
        let mut poller = Poller::new(limit, Instant::from_nanos(1_000));
        for _ in 0..2_000 {
            let now =
                poller.next + Duration::from_nanos(random.bits() % (2 * limit.gap.as_nanos()));
            assert_eq!(poller.poll(now, Some(stalling.finished(now))), None);
        }
    }
}

#[test]
fn the_guard_polls_between_the_releases() {
    // Half a period after every fifth release, also after it was late.
    let mut poller = Poller::new(LIMIT, at(0));
    for late_us in [0, 200, 4_900, 0, 5_000, 63_700, 0, 0] {
        let now = poller.next + Duration::from_micros(late_us);
        assert_eq!(poller.poll(now, Some(now)), None);
        assert_eq!(poller.next.as_nanos() % LIMIT.period.as_nanos(), 0);
        let ahead = poller.next.since(now);
        assert!(
            ahead > Duration::ZERO && ahead <= LIMIT.interval(),
            "{ahead}"
        );
    }
}

#[test]
fn a_deciding_poll_that_finds_a_cycle_is_followed_by_the_regular_poll() {
    let mut poller = Poller::new(LIMIT, at(5));
    for (poll, finished) in [(5, 4), (10, 4), (15, 4), (19, 18)] {
        assert_eq!(poller.next, at(poll));
        assert_eq!(poller.poll(at(poll), Some(at(finished))), None);
    }
    assert_eq!(poller.next, at(20));
}

#[test]
fn a_loop_that_never_finished_a_cycle_is_detected() {
    let mut poller = Poller::new(LIMIT, at(5));
    // The first release is 2 ms after the first poll.
    assert_eq!(poller.poll(at(5), Some(at(7))), None);
    for poll in [10, 15, 20] {
        assert_eq!(poller.next, at(poll));
        assert_eq!(poller.poll(at(poll), Some(at(7))), None);
    }
    assert_eq!(
        poller.next,
        at(22),
        "three quarters of 20 ms after its release"
    );
    assert_eq!(
        poller.poll(at(22), Some(at(7))),
        Some(Duration::from_millis(15))
    );
}

#[test]
fn a_loop_that_does_not_run_is_not_guarded() {
    let mut poller = Poller::new(LIMIT, at(5));
    for _ in 0..100 {
        let now = poller.next;
        assert_eq!(poller.poll(now, None), None);
        assert_eq!(poller.next, now + LIMIT.interval());
    }
}

/// A clock that the test moves: `wakes` gives when a sleep ends, and does what happens meanwhile.
struct Stage<F> {
    now: Cell<Instant>,
    wakes: F,
}

impl<F: FnMut(Instant) -> Instant> Clock for Stage<F> {
    fn now(&self) -> Instant {
        self.now.get()
    }
    fn wait_until(&mut self, release: Instant) -> Instant {
        let woken = (self.wakes)(release);
        self.now.set(woken);
        woken
    }
}

impl<F: FnMut(Instant) -> Instant> Alarm for Stage<F> {
    fn wait_unless(&mut self, ended: &AtomicU32, time: Instant) -> bool {
        self.wait_until(time);
        ended.load(Ordering::Acquire) != 0
    }
}

/// Runs a guard on the test's clock: `wakes` gets the planned time of a poll, and gives its actual
/// time.
fn guard(
    watch: &Watch,
    finished_ns: impl Fn() -> u64,
    latched: impl Fn() -> bool,
    wakes: impl FnMut(Instant) -> Instant,
) -> (Option<Duration>, Instant) {
    let mut stage = Stage {
        now: Cell::new(at(3)),
        wakes,
    };
    let found = watch_over(watch, LIMIT, &mut stage, finished_ns, latched);
    (found, stage.now.get())
}

#[test]
fn the_guard_waits_for_a_run_and_acts_when_it_stalls() {
    let watch = Watch::new();
    let finished = Cell::new(0);
    let polls = RefCell::new(Vec::new());
    let (found, acted) = guard(
        &watch,
        || finished.get(),
        || false,
        |planned| {
            // 0.7 ms late at every poll.
            let now = planned + Duration::from_micros(700);
            polls.borrow_mut().push(planned);
            // Supervised from 500 ms on, with a cycle every millisecond until 1 s.
            if now >= at(500) {
                watch.begin(at(501));
                finished.set((now.as_nanos() / 1_000_000 * 1_000_000).min(at(1_000).as_nanos()));
            }
            now
        },
    );
    assert_within(LIMIT, at(1_000), acted);
    assert_eq!(found, Some(acted.since(at(1_000))));
    assert_eq!(polls.borrow()[0], at(4), "half a period from a release");
    let thread = watch.thread.load(Ordering::Relaxed);
    assert_eq!(
        thread,
        scheduler::thread_id(),
        "which gives way to the frames"
    );
}

#[test]
fn a_loop_that_hangs_in_its_first_cycle_is_detected_one_gap_after_its_first_release() {
    let watch = Watch::new();
    watch.begin(at(100));
    // The last finished cycle is one of the rehearsal.
    let last = || at(50).as_nanos();
    let (found, acted) = guard(&watch, last, || false, |planned| planned);
    assert_within(LIMIT, at(100), acted);
    assert_eq!(found, Some(acted.since(at(100))));
}

#[test]
fn the_guard_ignores_a_paused_run_and_ends_on_request() {
    let watch = Watch::new();
    watch.begin(at(1));
    let mut polls = 0;
    let (found, ended) = guard(
        &watch,
        || at(3).as_nanos(),
        || false,
        |planned| {
            polls += 1;
            match polls {
                1 => watch.rest(),
                100 => watch.end(),
                _ => {}
            }
            planned
        },
    );
    assert_eq!((found, polls), (None, 100));
    assert!(ended > at(400), "polling until then");
}

#[test]
fn the_guard_acts_when_a_crash_handler_does_not_end() {
    let watch = Watch::new();
    watch.begin(at(1));
    let (found, _) = guard(&watch, || 0, || true, |planned| planned);
    let frames = Duration::from_micros(u64::from(emergency::FRAMES_US));
    let latest = LIMIT.gap + frames;
    assert!(found.is_some_and(|silent| silent > latest && silent <= latest + LIMIT.interval()));
}

#[test]
fn the_end_of_a_run_does_not_wait_for_the_next_poll() {
    let hour = Limit {
        gap: Duration::from_secs(4 * 3_600),
        period: Duration::from_millis(1),
    };
    // Leaked, so that they outlive a thread that does not end.
    let watch: &Watch = Box::leak(Box::new(Watch::new()));
    let (told, ended) = mpsc::channel();
    std::thread::spawn(move || {
        run(watch, hour, Policy::Other);
        told.send(()).unwrap();
    });
    // `Other` is not a policy of a guard, so it is refused.
    assert!(watch.wait_granted().is_err());
    // After its first poll, which is immediate, it sleeps for an hour.
    std::thread::sleep(std::time::Duration::from_millis(50));
    watch.end();
    assert_eq!(ended.recv_timeout(NEVER), Ok(()));
}

#[test]
fn waiting_for_the_guard_to_start_is_bounded() {
    let watch = Watch::new();
    let end = Monotonic.now() + Duration::from_millis(2);
    assert_eq!(watch.granted_until(end), Err(Errno(libc::ETIMEDOUT)));
    assert!(Monotonic.now() >= end);
}

#[test]
fn the_start_waits_until_the_guard_has_its_scheduling_policy() {
    let watch: &Watch = Box::leak(Box::new(Watch::new()));
    let (told, waited) = mpsc::channel();
    std::thread::spawn(move || {
        let hours = Monotonic.now() + Duration::from_secs(4 * 3_600);
        told.send(watch.granted_until(hours)).unwrap();
    });
    std::thread::sleep(std::time::Duration::from_millis(20));
    watch.take(Policy::Other);
    assert_eq!(waited.recv_timeout(NEVER), Ok(Err(Errno(libc::EPERM))));
}

#[test]
fn a_crash_handler_has_time_to_end_by_itself() {
    let ends = |ms, latched| is_crash_ending(LIMIT, Duration::from_millis(ms), latched);
    assert!(!ends(15, false), "no crash");
    assert!(ends(15, true));
    assert!(ends(70, true), "its frames have 50 ms");
    assert!(!ends(71, true));
}

#[test]
fn the_guard_has_a_higher_priority_than_the_loop() {
    let above = policy_above(Scheduler::Fifo { priority: 98 });
    assert_eq!(above, Policy::Fifo { priority: 99 });
}

#[test]
fn it_polls_four_times_per_gap_in_whole_periods_where_possible() {
    let short = Limit {
        gap: Duration::from_millis(3),
        ..LIMIT
    };
    assert_eq!(short.interval(), Duration::from_micros(750));
    assert_eq!(short.patience(), Duration::from_micros(2_250));
    assert_eq!(LIMIT.interval(), Duration::from_millis(5));
    let odd = Limit {
        gap: Duration::from_millis(11),
        ..LIMIT
    };
    assert_eq!(odd.interval(), Duration::from_millis(2));
}
