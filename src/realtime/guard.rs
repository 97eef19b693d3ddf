//! The stall guard: a second real-time thread that makes the outputs safe when
//! the loop has stopped.
//!
//! A transfer that hangs in the kernel holds the loop inside of an ioctl, a
//! control law that never returns holds it outside of one, and a debugger can
//! stop its thread alone. In none of these can the loop do anything, and the
//! outputs would stay as they are. So a thread above the loop's priority looks
//! at the count of finished cycles ([`cause::Cell::finished`]) a few times within
//! the longest gap that is allowed. When the count stands still it sets the
//! lines safe, puts the cause on record, says so in one line, sends the safe
//! frames as far as their bus still works, and ends the process with code 4
//! ([`emergency::end`]). Nobody feeds the hardware watchdog from then on.
//!
//! Promises: it acts before the gap is [`Limit::gap`] long, and not before three
//! quarters of it: gaps are timed from the guard's own looks. It runs wherever
//! the process may, not on the loop's CPU alone: a loop that spins there is
//! seen from another. Where there is one CPU it comes first because of its
//! priority, half a period away from the loop's releases.
//!
//! A crash takes the outputs first and ends the process by its own signal, even where
//! its frames hang; the guard leaves it the time for that, and is behind it too.
//!
//! What it cannot see: a stop of the whole process (SIGSTOP) or of the machine
//! stops the guard as well. It notices its own lateness, and leaves the verdict
//! to the overrun ladder, which the loop meets in its first cycle after the gap;
//! until then the hardware watchdog is what counts. A transfer that hangs in the
//! kernel without taking signals keeps the process from disappearing: its lines
//! stay requested, at their safe values.
//!
//! Cost: for the loop one load and one store a cycle; for the machine a wake
//! every quarter of the gap, which reads one number.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::fmt::Write as _;

use super::clock::{Monotonic, first_release};
use super::scheduler::{self, Policy, ScheduleError};
use super::wanted::Scheduler;
use crate::cycle::ports::Clock;
use crate::sys::cause::{self, Kind};
use crate::sys::{self, Errno, emergency};
use crate::time::{Duration, Instant};

/// How long the loop may be silent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Longest time without a finished cycle.
    pub gap: Duration,
    /// The loop's period.
    pub period: Duration,
}

impl Limit {
    /// Time between two looks: a quarter of the gap in whole periods.
    fn interval(self) -> Duration {
        self.period * (self.gap / self.period / 4).max(1)
    }
}

/// The guard's policy for a loop that is scheduled as `scheduler`: FIFO, one
/// above it. No FIFO priority is above SCHED_DEADLINE; such a guard needs a CPU
/// that the loop does not have.
#[must_use]
pub const fn policy_above(scheduler: Scheduler) -> Policy {
    match scheduler {
        Scheduler::Fifo { priority } => Policy::Fifo {
            priority: priority + 1,
        },
        Scheduler::Deadline { .. } => Policy::Fifo { priority: 98 },
    }
}

/// What the loop and its guard know of each other.
#[derive(Debug, Default)]
pub struct Watch {
    /// From when on the loop is watched, ns; 0 while it is not.
    from_ns: AtomicU64,
    /// The loop's thread, by the kernel's number.
    thread: AtomicI32,
    /// What the guard got: 0 not known yet, the FIFO priority that was read
    /// back, or [`REFUSED`] and the error number.
    granted: AtomicU32,
    ended: AtomicBool,
}

const REFUSED: u32 = 1 << 31;

impl Watch {
    /// Nobody is watched.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            from_ns: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            granted: AtomicU32::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Watches the loop, which is the calling thread and whose first release is
    /// at `epoch`.
    pub fn begin(&self, epoch: Instant) {
        self.thread.store(scheduler::thread_id(), Ordering::Relaxed);
        self.from_ns.store(epoch.as_nanos(), Ordering::Release);
    }

    /// Watches no longer: the outputs are safe.
    pub fn rest(&self) {
        self.from_ns.store(0, Ordering::Release);
    }

    /// Ends the guard's thread at its next look.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// The policy that the guard got, `None` while it has not got that far.
    pub fn granted(&self) -> Option<Result<Policy, Errno>> {
        match self.granted.load(Ordering::Acquire) {
            0 => None,
            refused if refused & REFUSED != 0 => Some(Err(Errno((refused & !REFUSED) as i32))),
            priority => Some(Ok(Policy::Fifo {
                priority: priority as u8,
            })),
        }
    }

    /// Waits for [`Watch::granted`]. Not for the real-time thread.
    pub fn wait_granted(&self) -> Result<Policy, Errno> {
        loop {
            match self.granted() {
                Some(granted) => return granted,
                None => std::thread::yield_now(),
            }
        }
    }

    fn take(&self, policy: Policy) {
        let number = match set(policy) {
            Ok(Policy::Fifo { priority }) => u32::from(priority),
            Ok(_) => REFUSED | libc::EPERM as u32,
            Err(errno) => REFUSED | errno.0 as u32,
        };
        self.granted.store(number, Ordering::Release);
    }
}

fn set(policy: Policy) -> Result<Policy, Errno> {
    scheduler::set_policy(policy).map_err(|error| match error {
        ScheduleError::Other(errno) => errno,
        _ => Errno(libc::EPERM),
    })?;
    scheduler::policy()
}

/// The policy that a guard of a loop under `scheduler` would get, tried on the
/// calling thread, which keeps it.
pub fn try_policy(scheduler: Scheduler) -> Result<Policy, Errno> {
    set(policy_above(scheduler))
}

/// The guard's thread: takes `policy`, then looks until [`Watch::end`]. Comes
/// back then, and never when it found the loop stalled.
pub fn run(watch: &Watch, limit: Limit, policy: Policy) {
    use_stack();
    watch.take(policy);
    let mut clock = Monotonic;
    let mut looks = Looks::new(limit);
    let half = Duration::from_nanos(limit.period.as_nanos() / 2);
    let mut next = first_release(clock.now(), limit.period) + half;
    loop {
        next += limit.interval();
        let now = clock.wait_until(next);
        if watch.ended.load(Ordering::Acquire) {
            return;
        }
        let on_time = now.since(next) < limit.interval();
        let from = watch.from_ns.load(Ordering::Acquire);
        let from = (from != 0).then(|| Instant::from_nanos(from));
        // By the plan, not by the clock: looks that come a little sooner or later
        // must not add up to one more.
        let finished = cause::cell().finished();
        if let Some(silent) = looks.look(next, on_time, from, finished)
            && !is_crash_ending(limit, silent, emergency::taken())
        {
            end_stalled(silent, watch.thread.load(Ordering::Relaxed));
        }
        if !on_time {
            // In step again, not a burst of looks.
            let missed = now.since(next) / limit.period;
            next += limit.period * missed;
        }
    }
}

/// Whether a crash, which has `taken` the outputs, is to end the process by its own
/// signal: it has the time that its frames may take. Should it not end in that, it is
/// the guard's turn after all.
fn is_crash_ending(limit: Limit, silent: Duration, taken: bool) -> bool {
    let frames = Duration::from_micros(u64::from(emergency::FRAMES_US));
    taken && silent <= limit.gap + frames
}

/// Bytes of stack that the way to safe outputs may need.
const STACK: usize = 8 * 1024;

/// Touches what the emergency will need of the stack while all is well: it stays
/// resident, as it is locked.
#[inline(never)]
fn use_stack() {
    let block = core::hint::black_box([0_u8; STACK]);
    core::hint::black_box(&block);
}

#[cold]
fn end_stalled(silent: Duration, thread: i32) -> ! {
    emergency::lines();
    // A loop that spins would keep whoever carries the frames, the controller's
    // interrupt thread, from its CPU. If it is gone by now there is no need.
    let _ = scheduler::set_ordinary(thread);
    let us = u32::try_from(silent.as_nanos() / 1_000).unwrap_or(u32::MAX);
    cause::record(Kind::Stalled, us, 0);
    let mut line = heapless::String::<192>::new();
    let _ = writeln!(
        line,
        "steadfast: the loop has finished no cycle for {silent}: outputs made safe, exit 4; \
         see what hangs: a transfer (cable, bus, driver) or the control law"
    );
    sys::write_stderr(line.as_bytes());
    emergency::end(4)
}

/// What the guard concludes from its looks.
struct Looks {
    limit: Limit,
    finished: u64,
    from: Option<Instant>,
    /// When the count was first seen as it is; `None` while nobody is watched.
    since: Option<Instant>,
}

impl Looks {
    const fn new(limit: Limit) -> Self {
        Self {
            limit,
            finished: 0,
            from: None,
            since: None,
        }
    }

    /// One look at `now`, when the loop, watched since `from`, has finished
    /// `finished` cycles. How long it has been silent, if that is too long: at
    /// least so long, as it may have finished its last cycle any time between
    /// two looks.
    fn look(
        &mut self,
        now: Instant,
        on_time: bool,
        from: Option<Instant>,
        finished: u64,
    ) -> Option<Duration> {
        let Some(from) = from else {
            self.since = None;
            return None;
        };
        let moved = finished != self.finished || self.from != Some(from);
        (self.finished, self.from) = (finished, Some(from));
        match self.since {
            // A guard that was late itself was stopped together with the loop,
            // which gets the time to finish a cycle.
            Some(since) if !moved && on_time => {
                let silent = now.since(since);
                (silent + self.limit.interval() >= self.limit.gap).then_some(silent)
            }
            _ => {
                self.since = Some(if from > now { from } else { now });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        gap: Duration::from_millis(20),
        period: Duration::from_millis(1),
    };

    const fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_loop_that_moves_is_left_alone() {
        let mut looks = Looks::new(LIMIT);
        for look in 0..1000 {
            let now = at(5 * look);
            assert_eq!(looks.look(now, true, Some(at(0)), 5 * look), None);
        }
    }

    #[test]
    fn a_loop_that_stands_still_is_found_within_the_gap_and_not_before_three_quarters_of_it() {
        // It finishes its last cycle at any time between two looks.
        let mut looks = Looks::new(LIMIT);
        assert_eq!(looks.look(at(5), true, Some(at(1)), 4), None);
        assert_eq!(looks.look(at(10), true, Some(at(1)), 5), None, "moved");
        assert_eq!(looks.look(at(15), true, Some(at(1)), 5), None);
        assert_eq!(looks.look(at(20), true, Some(at(1)), 5), None);
        let found = looks.look(at(25), true, Some(at(1)), 5);
        assert_eq!(found, Some(Duration::from_millis(15)));
    }

    #[test]
    fn a_loop_that_never_finished_a_cycle_is_found() {
        let mut looks = Looks::new(LIMIT);
        // Released for the first time 2 ms after the first look.
        assert_eq!(looks.look(at(5), true, Some(at(7)), 0), None);
        for look in [10, 15, 20] {
            assert_eq!(looks.look(at(look), true, Some(at(7)), 0), None);
        }
        assert!(looks.look(at(25), true, Some(at(7)), 0).is_some());
    }

    #[test]
    fn a_loop_that_rests_is_not_watched() {
        let mut looks = Looks::new(LIMIT);
        for look in 0..100 {
            assert_eq!(looks.look(at(5 * look), true, None, 7), None);
        }
    }

    #[test]
    fn a_guard_that_was_stopped_as_well_gives_the_loop_its_time() {
        let mut looks = Looks::new(LIMIT);
        assert_eq!(looks.look(at(5), true, Some(at(1)), 4), None);
        assert_eq!(looks.look(at(1005), false, Some(at(1)), 4), None);
        assert_eq!(looks.look(at(1010), true, Some(at(1)), 4), None);
        assert_eq!(looks.look(at(1015), true, Some(at(1)), 4), None);
        assert!(looks.look(at(1020), true, Some(at(1)), 4).is_some());
    }

    #[test]
    fn a_crash_ends_by_itself_unless_it_does_not_come_to_its_end() {
        let ends = |ms, taken| is_crash_ending(LIMIT, Duration::from_millis(ms), taken);
        assert!(!ends(15, false), "no crash");
        assert!(ends(15, true));
        assert!(ends(70, true), "its frames have 50 ms");
        assert!(!ends(75, true));
    }

    #[test]
    fn the_guard_comes_before_the_loop() {
        let above = policy_above(Scheduler::Fifo { priority: 98 });
        assert_eq!(above, Policy::Fifo { priority: 99 });
    }

    #[test]
    fn short_gaps_are_looked_at_every_period() {
        let short = Limit {
            gap: Duration::from_millis(3),
            ..LIMIT
        };
        assert_eq!(short.interval(), Duration::from_millis(1));
        assert_eq!(LIMIT.interval(), Duration::from_millis(5));
    }
}
