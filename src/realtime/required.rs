//! What a board file requires of the kernel and of its loop: the left column of the
//! [`contract`](super::contract).

use crate::time::Duration;

/// Which CPU the loop runs on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// The highest in `/sys/devices/system/cpu/isolated`; without isolated CPUs,
    /// wherever the kernel puts it, and the contract says so.
    Isolated,
    /// This one.
    Number(u32),
    /// Wherever the kernel puts it.
    Any,
}

/// How the kernel schedules the loop (sched(7)).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// SCHED_FIFO at this priority, 1 to 98 (99 is the kernel's own threads').
    Fifo {
        /// The priority.
        priority: u8,
    },
    /// SCHED_DEADLINE with the loop's period and deadline and this budget.
    Deadline {
        /// CPU time granted in each period.
        runtime: Duration,
    },
}

/// What is locked into memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Everything, now and later: `mlockall(MCL_CURRENT | MCL_FUTURE)`.
    All,
    /// Only what the loop touches, for boards whose RLIMIT_MEMLOCK cannot be
    /// raised. Chosen, never fallen back to.
    Selective,
}

/// How the loop is to run.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LoopConfig {
    /// Time between releases.
    pub period: Duration,
    /// The outputs must have left this long after the release.
    pub deadline: Duration,
    /// Which CPU the loop runs on.
    pub cpu: Cpu,
    /// How the kernel schedules the loop.
    pub scheduler: Scheduler,
    /// Size of the real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// What is locked into memory.
    pub lock: Lock,
    /// More locked memory than this breaks the contract, kB.
    pub max_locked_kb: u64,
    /// Cycles rehearsed with safe outputs before the contract is judged.
    pub warm_up_cycles: u64,
    /// Time that coming to rest may take at the end of a run.
    pub stop_time: Duration,
    /// Cycles in a row whose outputs could not be written until it is a fault.
    pub output_failures: u32,
    /// Longest time without a finished cycle until the stall guard makes the
    /// outputs safe; `None` without a guard.
    pub stall: Option<Duration>,
}

impl Default for LoopConfig {
    /// 1 kHz on the highest isolated CPU at FIFO 80, everything locked.
    fn default() -> Self {
        Self {
            period: Duration::from_millis(1),
            deadline: Duration::from_millis(1),
            cpu: Cpu::Isolated,
            scheduler: Scheduler::Fifo { priority: 80 },
            stack_bytes: 64 * 1024,
            lock: Lock::All,
            max_locked_kb: 2048,
            warm_up_cycles: 100,
            stop_time: Duration::from_secs(2),
            output_failures: 3,
            stall: Some(Duration::from_millis(20)),
        }
    }
}

impl LoopConfig {
    /// Whole periods in `time`, at least one.
    #[must_use]
    pub fn slots(&self, time: Duration) -> u64 {
        time.as_nanos().div_ceil(self.period.as_nanos()).max(1)
    }
}
