//! The stall guard: a second real-time thread that makes the outputs safe if the loop stalls.
//!
//! A transfer that hangs in the kernel, a control law that never returns, or a debugger can stop
//! the loop. So a thread above the loop's priority polls when the loop finished its last cycle
//! ([`cause::Cell::finished_ns`]). After [`Limit::gap`] without a finished cycle it sets the
//! lines safe, records the cause, prints one line, sends the safe frames (last those for a file
//! in which the loop is blocked), and ends the process with code 4 ([`emergency::end`]). Cost:
//! the loop stores one number per cycle; the guard wakes four times within the gap.
//!
//! # Promises
//!
//! The guard acts between three quarters of the gap and the whole gap, if it is itself late by
//! less than a quarter of the gap. It runs on all CPUs of the process, so it also runs if the
//! loop spins on its CPU. On a single CPU it preempts the loop by its priority, and in regular
//! operation it wakes half a period away from the loop's releases. [`Watch::end`] wakes it, so
//! the end of a run does not wait for it. After a crash, which sets the safe-state latch first
//! and ends the process by its own signal, the guard waits for the time that the frames may
//! take, and acts only if the process has not ended by then.
//!
//! # Limits
//!
//! A stop of the whole process (SIGSTOP) or of the machine stops the guard as well. If the guard
//! was late by a quarter of the gap or more, it gives the loop time to finish a cycle; the
//! overrun ladder then judges the gap. Until then only the hardware watchdog acts. A transfer
//! that hangs in the kernel and takes no signals keeps the process alive: its lines stay
//! requested, at their safe values.

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

/// The longest time without a finished cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Longest time without a finished cycle.
    pub gap: Duration,
    /// The loop's period.
    pub period: Duration,
}

impl Limit {
    /// How late the guard itself may be: a quarter of the gap.
    fn quarter(self) -> Duration {
        Duration::from_nanos(self.gap.as_nanos() / 4)
    }

    /// Time without a finished cycle after which the guard acts: three quarters of the gap. A
    /// guard that is late by less than a quarter still acts within the gap.
    fn patience(self) -> Duration {
        self.gap.saturating_sub(self.quarter())
    }

    /// The regular interval of the guard: a quarter of the gap, rounded down to whole periods if
    /// that is at least one.
    fn interval(self) -> Duration {
        match self.quarter() / self.period {
            0 => self.quarter(),
            periods => self.period * periods,
        }
    }
}

/// The guard's policy for a loop under `scheduler`: FIFO, one above the loop's priority. No FIFO
/// priority is above SCHED_DEADLINE; then the guard needs another CPU than the loop.
#[must_use]
pub const fn policy_above(scheduler: Scheduler) -> Policy {
    match scheduler {
        Scheduler::Fifo { priority } => Policy::Fifo {
            priority: priority + 1,
        },
        Scheduler::Deadline { .. } => Policy::Fifo { priority: 98 },
    }
}

/// State shared by the loop and its guard.
#[derive(Debug, Default)]
pub struct Watch {
    /// Start of the supervision, ns; 0 while the loop is not supervised.
    from_ns: AtomicU64,
    /// Number of the loop's thread.
    thread: AtomicI32,
    /// The guard's policy: 0 not known yet, the FIFO priority read back, or [`REFUSED`] with the
    /// error number.
    granted: AtomicU32,
    /// Number of the guard's own thread.
    guard: AtomicI32,
    /// Address and length of the used part of its stack, and of its signal stack; 0 while not
    /// known.
    stack: [AtomicUsize; 2],
    signal_stack: [AtomicUsize; 2],
    /// 1 when the guard has to end.
    ended: AtomicU32,
}

const REFUSED: u32 = 1 << 31;

/// Longest time until the guard's thread has its policy. The thread exists by then, and waits
/// only for a CPU.
pub const STARTS_WITHIN: Duration = Duration::from_secs(10);

impl Watch {
    /// Without supervision so far.
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

    /// Starts the supervision of the calling thread, the loop, with its first release at `epoch`.
    pub fn begin(&self, epoch: Instant) {
        self.thread.store(scheduler::thread_id(), Ordering::Relaxed);
        self.from_ns.store(epoch.as_nanos(), Ordering::Release);
    }

    /// Stops the supervision: the outputs are safe.
    pub fn rest(&self) {
        self.from_ns.store(0, Ordering::Release);
    }

    /// Wakes and ends the guard's thread.
    pub fn end(&self) {
        self.ended.store(1, Ordering::Release);
        futex::wake(&self.ended);
    }

    /// Since when the loop, which finished its last cycle at `finished_ns`, has finished no
    /// cycle; `None` without supervision.
    fn silent_since(&self, finished_ns: u64) -> Option<Instant> {
        match self.from_ns.load(Ordering::Acquire) {
            0 => None,
            from => Some(Instant::from_nanos(from.max(finished_ns))),
        }
    }

    /// Number of the guard's own thread (gettid(2)). Valid when [`Watch::granted`] is known.
    pub fn guard_thread(&self) -> i32 {
        self.guard.load(Ordering::Relaxed)
    }

    /// The used part of the guard's stack, and its signal stack if it has one. Valid when
    /// [`Watch::granted`] is known.
    ///
    /// # Errors
    /// `ENOENT`: the guard did not find its stack in `/proc/self/maps`.
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

    /// The guard's policy, read back, or why it was refused; `None` while not known.
    pub fn granted(&self) -> Option<Result<Policy, Errno>> {
        match self.granted.load(Ordering::Acquire) {
            0 => None,
            refused if refused & REFUSED != 0 => Some(Err(Errno((refused & !REFUSED) as i32))),
            priority => Some(Ok(Policy::Fifo {
                priority: priority as u8,
            })),
        }
    }

    /// Waits until [`Watch::granted`] is known. Not for the real-time thread.
    ///
    /// # Errors
    /// The policy was refused; `ETIMEDOUT`: it is not known after [`STARTS_WITHIN`].
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
        // A stack that is not found breaks the contract's row "locked memory".
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

/// Sets the policy of a guard for a loop under `scheduler` on the calling thread, which keeps
/// it, and reads it back.
///
/// # Errors
/// Those of sched_setattr(2); `EPERM` also for other refusals.
pub fn try_policy(scheduler: Scheduler) -> Result<Policy, Errno> {
    set(policy_above(scheduler))
}

/// Runs the guard on the calling thread: sets `policy`, then polls until [`Watch::end`]. Does not
/// return if the loop stalls: it then ends the process.
pub fn run(watch: &Watch, limit: Limit, policy: Policy) {
    use_stack();
    // If this is refused, the guard wakes up to 50 us late, which is within its tolerance.
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

/// A clock whose sleep another thread can end.
trait Alarm: Clock {
    /// Sleeps until `time`, or until `ended` is not 0. Gives whether it is not 0.
    fn wait_unless(&mut self, ended: &AtomicU32, time: Instant) -> bool;
}

impl Alarm for Monotonic {
    fn wait_unless(&mut self, ended: &AtomicU32, time: Instant) -> bool {
        while ended.load(Ordering::Acquire) == 0 {
            match futex::wait_until(ended, 0, time.as_nanos()) {
                Ok(Woken::Time) => break,
                Ok(Woken::Called) => {}
                // A sandbox without futex(2): the end is then seen at the next wake.
                Err(_) => {
                    self.wait_until(time);
                    break;
                }
            }
        }
        ended.load(Ordering::Acquire) != 0
    }
}

/// Polls the loop, which finished its last cycle at `finished_ns`, until it stalls. Gives the time
/// without a finished cycle, or `None` when `watch` was ended. `latched`: a crash has set the
/// safe-state latch.
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

/// Whether a crash, which has set the safe-state latch (`latched`), still has time to end the
/// process by its own signal: the time that its frames may take. After that the guard acts.
fn is_crash_ending(limit: Limit, silent: Duration, latched: bool) -> bool {
    let frames = Duration::from_micros(u64::from(emergency::FRAMES_US));
    latched && silent <= limit.gap + frames
}

/// Bytes of stack that making the outputs safe may need.
const STACK: usize = 8 * 1024;

/// Touches the stack that making the outputs safe will need. It then stays resident, because it
/// is locked.
#[inline(never)]
fn use_stack() {
    let block = core::hint::black_box([0_u8; STACK]);
    core::hint::black_box(&block);
}

#[cold]
fn end_stalled(silent: Duration, thread: i32) -> ! {
    emergency::lines();
    // A spinning loop would keep the interrupt thread of the bus controller, which carries the
    // frames, from its CPU. A failure means that the thread has ended.
    let _ = scheduler::set_ordinary(thread);
    let us = u32::try_from(silent.as_nanos() / 1_000).unwrap_or(u32::MAX);
    cause::record(Kind::Stalled, us, 0);
    // Set before /proc is read below, which may need kernel memory: the end then comes in any
    // case. If the alarm is refused, `end` sends no frames.
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
        Some(path) => writeln!(line, "blocked on {path}; check cable, bus and driver"),
        None => writeln!(
            line,
            "check for a blocked transfer (cable, bus, driver) or an endless loop in the control law"
        ),
    };
    sys::write_stderr(line.as_bytes());
    emergency::end(4)
}

/// Plans the guard's polls, and evaluates them.
struct Poller {
    limit: Limit,
    /// The next poll.
    next: Instant,
    /// The next regular poll, half a period away from the loop's releases.
    regular: Instant,
    /// When the guard was last late itself. It was then stopped together with the loop, which
    /// gets time to finish a cycle.
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

    /// Evaluates the poll that was planned for [`Poller::next`] and happens at `now`. The loop has
    /// finished no cycle `since` then; `None` without supervision. Gives the time without a
    /// finished cycle, if that is too long.
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

    /// Plans the regular poll after `now`. Missed polls are skipped, not made up for.
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
