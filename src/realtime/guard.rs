//! The stall guard: a second real-time thread that makes the outputs safe when
//! the loop has stopped.
//!
//! A transfer that hangs in the kernel holds the loop inside of an ioctl, a
//! control law that never returns holds it outside of one, and a debugger can
//! stop its thread alone. In none of these can the loop do anything, and the
//! outputs would stay as they are. So a thread above the loop's priority polls, a few
//! times within the longest gap that is allowed, when the loop finished its last
//! cycle ([`cause::Cell::finished_ns`]). When that is too long ago it sets the
//! lines safe, puts the cause on record, says so in one line, sends the safe
//! frames as far as their bus still works, those for a file that the loop is blocked in
//! after all others, and ends the process with code 4
//! ([`emergency::end`]). Nobody feeds the hardware watchdog from then on.
//!
//! Promises: it acts before the gap is [`Limit::gap`] long, and never before three
//! quarters of it, as long as it is late itself by less than a quarter of it. The loop
//! writes down when it finished a cycle, so neither bound depends on when the guard
//! polled before. It runs wherever the process may, not on the loop's CPU alone: a
//! loop that spins there is seen from another. Where there is one CPU it comes first
//! because of its priority, and while all is well half a period away from the loop's
//! releases. [`Watch::end`] wakes it: the end of a run does not wait for it.
//!
//! A crash takes the outputs first and ends the process by its own signal, even where
//! its frames hang; the guard leaves it the time for that, and is behind it too.
//!
//! What it cannot see: a stop of the whole process (SIGSTOP) or of the machine
//! stops the guard as well. Late by a quarter of the gap or more, it gives the loop the
//! time to finish a cycle, and leaves the verdict to the overrun ladder, which the loop
//! meets in its first cycle after the gap;
//! until then the hardware watchdog is what counts. A transfer that hangs in the
//! kernel without taking signals keeps the process from disappearing: its lines
//! stay requested, at their safe values.
//!
//! Cost: for the loop one store a cycle; for the machine a wake
//! every quarter of the gap, which reads two numbers.

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::fmt::Write as _;

use super::clock::{Monotonic, first_release};
use super::memory::{self, Range};
use super::required::Scheduler;
use super::scheduler::{self, Policy, ScheduleError};
use crate::cycle::ports::Clock;
use crate::sys::cause::{self, Kind};
use crate::sys::emergency::End;
use crate::sys::futex::{self, Woken};
use crate::sys::signal::alternate_stack;
use crate::sys::waiting::BlockedIn;
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
    /// How late the guard itself may be.
    fn quarter(self) -> Duration {
        Duration::from_nanos(self.gap.as_nanos() / 4)
    }

    /// How long the loop must have been silent: three quarters of the gap. A guard that
    /// polls then, late by less than a quarter, acts within the gap.
    fn patience(self) -> Duration {
        self.gap.saturating_sub(self.quarter())
    }

    /// Time between two polls while all is well: a quarter of the gap, in whole periods
    /// where it has one.
    fn interval(self) -> Duration {
        match self.quarter() / self.period {
            0 => self.quarter(),
            periods => self.period * periods,
        }
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
    /// The guard's own thread, by the kernel's number.
    guard: AtomicI32,
    /// Address and length of what it uses of its stack, and of its signal stack; 0
    /// where that is not known.
    stack: [AtomicUsize; 2],
    signal_stack: [AtomicUsize; 2],
    /// 1 when the guard is to end.
    ended: AtomicU32,
}

const REFUSED: u32 = 1 << 31;

/// How long the guard's thread may take to come to its policy. It has then been created
/// long ago and waits for a CPU.
pub const STARTS_WITHIN: Duration = Duration::from_secs(10);

impl Watch {
    /// Nobody is watched.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            from_ns: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            granted: AtomicU32::new(0),
            guard: AtomicI32::new(0),
            stack: [const { AtomicUsize::new(0) }; 2],
            signal_stack: [const { AtomicUsize::new(0) }; 2],
            ended: AtomicU32::new(0),
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

    /// Ends the guard's thread, at once.
    pub fn end(&self) {
        self.ended.store(1, Ordering::Release);
        futex::wake(&self.ended);
    }

    /// Since when a loop that finished its last cycle at `finished_ns` is silent; `None`
    /// while it is not watched.
    fn silent_since(&self, finished_ns: u64) -> Option<Instant> {
        match self.from_ns.load(Ordering::Acquire) {
            0 => None,
            from => Some(Instant::from_nanos(from.max(finished_ns))),
        }
    }

    /// The guard's own thread, by the kernel's number. Known when
    /// [`Watch::granted`] is.
    pub fn guard_thread(&self) -> i32 {
        self.guard.load(Ordering::Relaxed)
    }

    /// What the guard uses of its stack, and its signal stack if it has one. Known
    /// when [`Watch::granted`] is.
    ///
    /// # Errors
    /// `ENOENT` when the guard did not find its stack in `/proc/self/maps`.
    pub fn stacks(&self) -> Result<(Range, Option<Range>), Errno> {
        let range = |[address, length]: &[AtomicUsize; 2]| {
            let length = length.load(Ordering::Relaxed);
            (length > 0).then(|| Range {
                address: address.load(Ordering::Relaxed),
                length,
            })
        };
        let stack = range(&self.stack).ok_or(Errno(libc::ENOENT))?;
        Ok((stack, range(&self.signal_stack)))
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
    ///
    /// # Errors
    /// Why the policy was refused; `ETIMEDOUT` when the thread has not come that far
    /// within [`STARTS_WITHIN`].
    pub fn wait_granted(&self) -> Result<Policy, Errno> {
        self.granted_until(Monotonic.now() + STARTS_WITHIN)
    }

    fn granted_until(&self, end: Instant) -> Result<Policy, Errno> {
        loop {
            if let Some(granted) = self.granted() {
                return granted;
            }
            if futex::wait_until(&self.granted, 0, end.as_nanos())? == Woken::Time {
                return self.granted().unwrap_or(Err(Errno(libc::ETIMEDOUT)));
            }
        }
    }

    fn take(&self, policy: Policy) {
        let put = |to: &[AtomicUsize; 2], range: Range| {
            to[0].store(range.address, Ordering::Relaxed);
            to[1].store(range.length, Ordering::Relaxed);
        };
        self.guard.store(scheduler::thread_id(), Ordering::Relaxed);
        // One that is not found breaks the contract's row "locked memory".
        if let Ok(stack) = memory::own_stack(STACK) {
            put(&self.stack, stack);
        }
        if let Some(stack) = alternate_stack() {
            put(&self.signal_stack, stack);
        }
        let number = match set(policy) {
            Ok(Policy::Fifo { priority }) => u32::from(priority),
            Ok(_) => REFUSED | libc::EPERM as u32,
            Err(errno) => REFUSED | errno.0 as u32,
        };
        self.granted.store(number, Ordering::Release);
        futex::wake(&self.granted);
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

/// The guard's thread: takes `policy`, then polls until [`Watch::end`]. Comes
/// back then, and never when it found the loop stalled.
pub fn run(watch: &Watch, limit: Limit, policy: Policy) {
    use_stack();
    // Refused, it is up to 50 us later, of the quarter of the gap that it has.
    let _ = sys::sched::set_timer_slack_ns(1);
    watch.take(policy);
    let finished_ns = || cause::cell().finished_ns();
    if let Some(silent) = watch_over(
        watch,
        limit,
        &mut Monotonic,
        finished_ns,
        emergency::latched,
    ) {
        end_stalled(silent, watch.thread.load(Ordering::Relaxed));
    }
}

/// A clock whose sleep can be ended by another thread.
trait Alarm: Clock {
    /// Sleeps until `time`, or until `ended` is not 0; whether it is.
    fn wait_unless(&mut self, ended: &AtomicU32, time: Instant) -> bool;
}

impl Alarm for Monotonic {
    fn wait_unless(&mut self, ended: &AtomicU32, time: Instant) -> bool {
        while ended.load(Ordering::Acquire) == 0 {
            match futex::wait_until(ended, 0, time.as_nanos()) {
                Ok(Woken::Time) => break,
                Ok(Woken::Called) => {}
                // A sandbox without futex(2): the end then comes with the next poll.
                Err(_) => {
                    self.wait_until(time);
                    break;
                }
            }
        }
        ended.load(Ordering::Acquire) != 0
    }
}

/// Polls a loop that finished its last cycle at `finished_ns` until it is found
/// stalled, and for how long then; `None` when `watch` was ended. `latched` tells that a
/// crash has set the safe-state latch.
fn watch_over(
    watch: &Watch,
    limit: Limit,
    clock: &mut impl Alarm,
    finished_ns: impl Fn() -> u64,
    latched: impl Fn() -> bool,
) -> Option<Duration> {
    let half = Duration::from_nanos(limit.period.as_nanos() / 2);
    let mut poller = Poller::new(limit, first_release(clock.now(), limit.period) + half);
    loop {
        if clock.wait_unless(&watch.ended, poller.next) {
            return None;
        }
        let since = watch.silent_since(finished_ns());
        if let Some(silent) = poller.poll(clock.now(), since)
            && !is_crash_ending(limit, silent, latched())
        {
            return Some(silent);
        }
    }
}

/// Whether a crash, which has set the safe-state latch if `latched`, is to end the process by its own
/// signal: it has the time that its frames may take. Should it not end in that, it is
/// the guard's turn after all.
fn is_crash_ending(limit: Limit, silent: Duration, latched: bool) -> bool {
    let frames = Duration::from_micros(u64::from(emergency::FRAMES_US));
    latched && silent <= limit.gap + frames
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
    // To ask may take memory of the kernel's: where there is none, the end still comes. If
    // the alarm is refused, `end` sends no frames.
    let _ = emergency::end_within(emergency::FRAMES_US, End::Exit(4));
    let hangs = BlockedIn::of(thread);
    if let Some(file) = hangs {
        emergency::send_last(file);
    }
    let mut buffer = [0; 64];
    let mut line = heapless::String::<256>::new();
    let _ = write!(
        line,
        "steadfast: the loop has finished no cycle for {silent}: outputs made safe, exit 4; "
    );
    let _ = match hangs.and_then(|file| file.path(&mut buffer)) {
        Some(path) => writeln!(line, "it waits for {path}: check cable, bus and driver"),
        None => writeln!(
            line,
            "see what hangs: a transfer (cable, bus, driver) or the control law"
        ),
    };
    sys::write_stderr(line.as_bytes());
    emergency::end(4)
}

/// When the guard polls, and what it concludes.
struct Poller {
    limit: Limit,
    /// The next poll.
    next: Instant,
    /// The next poll while all is well, half a period away from the loop's releases.
    regular: Instant,
    /// When the guard last was late itself: it was stopped together with the loop,
    /// which gets the time to finish a cycle.
    excused: Instant,
}

impl Poller {
    fn new(limit: Limit, first: Instant) -> Self {
        Self {
            limit,
            next: first,
            regular: first,
            excused: Instant::from_nanos(0),
        }
    }

    /// The poll that was planned for [`Poller::next`] and comes at `now`, of a loop that
    /// is silent `since` then, `None` while it is not watched. How long it has been
    /// silent, if that is too long.
    fn poll(&mut self, now: Instant, since: Option<Instant>) -> Option<Duration> {
        if now.since(self.next) >= self.limit.quarter() {
            self.excused = now;
        }
        self.plan(now);
        let since = since?.max(self.excused);
        let due = since + self.limit.patience();
        if now >= due {
            return Some(now.since(since));
        }
        self.next = self.next.min(due);
        None
    }

    /// Plans the regular poll after `now`: in step, not a burst of polls that were missed.
    fn plan(&mut self, now: Instant) {
        if self.regular <= now {
            let interval = self.limit.interval();
            self.regular += interval * (now.since(self.regular) / interval + 1);
        }
        self.next = self.regular;
    }
}

#[cfg(test)]
mod tests;
