//! [`LoopConfig`]: what a board file requires of the kernel and of its loop. The
//! [`contract`](super::contract) judges it.

use crate::cycle::wake::Wake;
use crate::time::Duration;

/// Which CPU the loop runs on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// The highest online CPU of the process's isolated partition, or, outside of one, in
    /// `/sys/devices/system/cpu/isolated`. Without one the contract is broken, and the loop is not
    /// pinned.
    Isolated,
    /// The CPU with this number.
    Number(u32),
    /// Any CPU, as the kernel chooses.
    Any,
}

/// How the kernel schedules the loop (sched(7)).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// SCHED_FIFO at this priority.
    Fifo {
        /// 1 to 98; 99 is for the kernel's own threads.
        priority: u8,
    },
    /// SCHED_DEADLINE with the loop's period and deadline and this budget.
    Deadline {
        /// CPU time in each period, at most the deadline.
        runtime: Duration,
    },
}

/// Which memory is locked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// All present and future memory: `mlockall(MCL_CURRENT | MCL_FUTURE)`.
    All,
    /// Only the memory of loop, guard and handlers, for processes whose RLIMIT_MEMLOCK cannot be
    /// raised. Only if configured, never as a fallback.
    Selective,
}

/// Timing, scheduling and memory of the loop: `[loop]` of a board file.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LoopConfig {
    /// Time between releases; from a board file 20 us to 1 s.
    pub period: Duration,
    /// Time from the release by which the outputs must be written, at most the period.
    pub deadline: Duration,
    /// How the loop waits for a release.
    pub wake: Wake,
    /// Which CPU the loop runs on.
    pub cpu: Cpu,
    /// How the kernel schedules the loop.
    pub scheduler: Scheduler,
    /// Size of the real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// Which memory is locked.
    pub lock: Lock,
    /// Most locked memory, kB; more breaks the contract.
    pub max_locked_kb: u64,
    /// Cycles of the rehearsal in which page faults are counted.
    pub warm_up_cycles: u64,
    /// Longest time to come to rest at the end of a run.
    pub stop_time: Duration,
    /// Cycles in a row with failed outputs that are a fault.
    pub output_failures: u32,
    /// Longest time without a finished cycle before the stall guard makes the outputs safe;
    /// `None` without a guard.
    pub stall: Option<Duration>,
}

impl Default for LoopConfig {
    /// 1 kHz on the highest isolated CPU at FIFO 80, everything locked.
    fn default() -> Self {
        Self {
            period: Duration::from_millis(1),
            deadline: Duration::from_millis(1),
            wake: Wake::Sleep,
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
    /// `time` in periods, rounded up, at least 1.
    #[must_use]
    pub fn slots(&self, time: Duration) -> u64 {
        time.as_nanos().div_ceil(self.period.as_nanos()).max(1)
    }
}
