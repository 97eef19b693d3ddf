//! Parts of a start that the [`runner`](super::runner) shares with others: preparing the process,
//! judging the contract without a run, the watchdog's interface, and errors.

use std::path::Path;
use std::sync::Arc;

use super::audit;
use super::clock::{Monotonic, first_release};
use super::contract::Contract;
use super::guard;
use super::memory::{self, Essential, LockFlags, Status};
use super::observed::Observed;
use super::required::{Lock, LoopConfig};
use super::scheduler::{self, DmaLatency};
use super::signals;
use super::stack::{Stack, StackError};
use crate::cycle::ports::{Clock, Tick};
use crate::sys::{self, Errno, cause, emergency};
use crate::time::Duration;

/// Why a run did not start. Only [`StartError::Proc`] can also come after the loop.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The real-time thread's stack could not be reserved, or the thread not be started.
    Stack(StackError),
    /// `/proc/self` could not be read.
    Proc(Errno),
    /// The signal handlers could not be installed.
    Signals(Errno),
    /// [`Feed::arm`] refused; no output was driven.
    NotArmed,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stack(error) => write!(f, "{error}"),
            Self::Proc(errno) => {
                write!(f, "/proc/self could not be read ({errno}); mount /proc")
            }
            Self::Signals(errno) => write!(
                f,
                "signal handlers could not be installed ({errno}); see sigaction(2) and seccomp"
            ),
            Self::NotArmed => {
                f.write_str("the watchdog could not be armed; see [watchdog] in the board file")
            }
        }
    }
}

/// Arms and feeds a watchdog. All methods are called on the real-time thread and must not
/// allocate.
pub trait Feed {
    /// Called after each cycle of the rehearsal, to feed a watchdog that is already running.
    fn rehearsed(&mut self) {}

    /// Called once, directly before the first cycle of a permitted run, to arm the watchdog:
    /// no slow step follows. `false` refuses the run.
    fn arm(&mut self) -> bool {
        true
    }

    /// Called after each cycle that met its deadline.
    fn deadline_met(&mut self, tick: &Tick);
}

impl<F: FnMut(&Tick)> Feed for F {
    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        self(tick);
    }
}

/// Prepares the process: installs signal handlers, raises limits, and configures one heap for all
/// threads. Call it before the first helper thread starts: a thread that allocates earlier gets
/// a heap of its own, 64 MiB with glibc, all of it locked. A request to stop that was not taken
/// ([`signals::take_stop`]) stays, and the run stops at once.
///
/// # Errors
/// The signal handlers could not be installed.
pub fn prepare() -> Result<(), StartError> {
    signals::forget_answered_stop();
    signals::install().map_err(StartError::Signals)?;
    sys::output::open_stderr();
    audit::clear();
    cause::cell().clear();
    emergency::release_latch();
    // Failures show later: in the results of locking and scheduling, and as page faults of a
    // heap that is not kept.
    let _ = memory::raise_locked_memory();
    let _ = memory::raise_realtime_priority();
    let _ = memory::keep_heap();
    Ok(())
}

/// What [`examine`] found.
pub struct Examined {
    /// The judged contract.
    pub contract: Box<Contract>,
    /// The longest time from the programmed end of a sleep until the loop's thread ran.
    pub longest_wake: Duration,
    /// The number of sleeps, one after the other within about a second.
    pub sleeps: u64,
}

/// Time for which wakes are measured, and the longest sleep in it.
const MEASURED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(1));

/// The longest of the wakes of the calling thread after `sleeps` sleeps, in steps of `period`.
/// Does not allocate.
fn longest_wake(period: Duration, sleeps: u64) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..sleeps {
        let release = first_release(Monotonic.now(), period);
        longest = longest.max(Monotonic.wait_until(release).since(release));
    }
    longest
}

/// Judges what this machine grants to a loop with `config`, and measures how long its wakes take
/// for a second, without running a loop. Locks and requests are removed again.
///
/// # Errors
/// Signal handlers, `/proc` or the real-time stack failed.
pub fn examine(config: &LoopConfig) -> Result<Examined, StartError> {
    prepare()?;
    let latency = DmaLatency::hold(Path::new(scheduler::CPU_DMA_LATENCY)).map(Arc::new);
    let runaway = scheduler::limit_runaway(config.period);
    let mut observed = Observed::of_process(Path::new("/"), &latency, runaway);
    let mut contract = Box::<Contract>::default();
    let mut stack = Stack::reserve(config.stack_bytes).map_err(StartError::Stack)?;
    memory::trim_heap();
    if config.lock == Lock::All {
        observed.locked = memory::lock_all(LockFlags::CurrentAndFuture);
    }
    stack.unlock_guard().map_err(StartError::Stack)?;
    let _ = memory::release_unused_stack();
    let _ = memory::release_unwind_tables();
    let _ = memory::release_unused_buffer();
    let _ = observed.lock_essential(config.lock, Essential::of_process());
    let status = Status::now().map_err(StartError::Proc)?;
    observed.vm_lck_kb = status.vm_lck_kb;
    observed.vm_rss_kb = status.vm_rss_kb;
    let period = config.period.min(MEASURED.1);
    let sleeps = MEASURED.0 / period;
    let taken = stack.run(|| {
        observed.guard = config.stall.map(|_| guard::try_policy(config.scheduler));
        observed.take_schedule(config);
        let longest = longest_wake(period, sleeps);
        observed.count_disturbances();
        longest
    });
    drop(latency);
    let _ = memory::unlock_all();
    let longest_wake = taken.map_err(StartError::Stack)?;
    contract.judge(config, &observed);
    Ok(Examined {
        contract,
        longest_wake,
        sleeps,
    })
}
