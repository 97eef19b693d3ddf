//! A start beside the [`runner`](super::runner)'s own way: why there was none, what one
//! would be granted, and who is to be asked before the first cycle.

use std::path::Path;
use std::sync::Arc;

use super::audit;
use super::contract::Contract;
use super::guard;
use super::memory::{self, Essential, LockFlags, Status};
use super::observed::Observed;
use super::required::{Lock, LoopConfig};
use super::scheduler::{self, DmaLatency};
use super::signals;
use super::stack::{Stack, StackError};
use crate::cycle::ports::Tick;
use crate::sys::{self, Errno, cause, emergency};

/// Why nothing was run at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The real-time thread's stack.
    Stack(StackError),
    /// The kernel's own files about this process could not be read.
    Proc(Errno),
    /// The signal handlers.
    Signals(Errno),
    /// [`Feed::arm`] refused: nothing was energised.
    NotArmed,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stack(error) => write!(f, "{error}"),
            Self::Proc(errno) => {
                write!(f, "this process cannot be examined ({errno}); mount /proc")
            }
            Self::Signals(errno) => write!(f, "signal handlers were refused: {errno}"),
            Self::NotArmed => f.write_str("the watchdog could not be armed"),
        }
    }
}

/// Who keeps a watchdog, which outlives what it watches. Everything here is called on the
/// real-time thread and must not allocate.
pub trait Feed {
    /// A cycle of the rehearsal is finished: a watchdog that runs already may be fed.
    fn rehearsed(&mut self) {}

    /// The contract allows the run, and the next thing is its first cycle: a watchdog is
    /// armed now, as nothing slow comes any more. `false` refuses the run.
    fn arm(&mut self) -> bool {
        true
    }

    /// A cycle met its deadline.
    fn deadline_met(&mut self, tick: &Tick);
}

impl<F: FnMut(&Tick)> Feed for F {
    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        self(tick);
    }
}

/// Makes the process ready, before its first helper thread is started: signal handlers,
/// limits, and one heap for all threads, which is kept. (A thread that allocated before
/// would have a heap of its own: 64 MiB of glibc's, all of it locked.) A request to stop
/// that was not answered ([`signals::take_stop`]) stays: the run then stops at once.
///
/// # Errors
/// When the signal handlers were refused.
pub fn prepare() -> Result<(), StartError> {
    signals::forget_answered_stop();
    signals::install().map_err(StartError::Signals)?;
    sys::output::open_stderr();
    audit::clear();
    cause::cell().clear();
    emergency::release_latch();
    // What was granted is judged by what locking and scheduling answer, and a
    // heap that is not kept shows as page faults.
    let _ = memory::raise_locked_memory();
    let _ = memory::raise_realtime_priority();
    let _ = memory::keep_heap();
    Ok(())
}

/// Judges what this machine grants to a loop as `config` wants it, without
/// running one. What it takes to find out is given back: nothing is changed.
///
/// # Errors
/// When the real-time stack cannot be had.
pub fn examine(config: &LoopConfig) -> Result<Box<Contract>, StartError> {
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
    let taken = stack.run(|| {
        observed.guard = config.stall.map(|_| guard::try_policy(config.scheduler));
        observed.take_schedule(config);
    });
    drop(latency);
    let _ = memory::unlock_all();
    taken.map_err(StartError::Stack)?;
    contract.judge(config, &observed);
    Ok(contract)
}
