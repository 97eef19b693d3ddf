//! What was read back from the kernel about this process and this machine.

use super::contract::Text;
use super::memory::LockError;
use crate::sys::Errno;

/// A scheduling policy as read back (sched_getattr(2)).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Any of the ordinary ones.
    Other,
    /// SCHED_FIFO with its priority.
    Fifo(u8),
    /// SCHED_DEADLINE.
    Deadline,
}

/// What the rehearsal showed of the real-time thread.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Cycles in which faults were counted.
    pub cycles: u64,
    /// Minor page faults of the real-time thread in them.
    pub minor_faults: u64,
    /// Major page faults of the real-time thread in them.
    pub major_faults: u64,
    /// Whether the sealed allocator is installed and sealed.
    pub sealed: bool,
    /// Allocations since the seal.
    pub allocations: u64,
    /// The real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// How much of it was ever used, bytes.
    pub stack_used: usize,
}

/// Everything that the contract judges.
#[derive(Clone, Debug)]
pub struct Facts {
    /// As in `uname -r`.
    pub kernel_release: Text,
    /// Whether the kernel is PREEMPT_RT.
    pub preempt_rt: bool,
    /// What locking answered.
    pub locked: Result<(), LockError>,
    /// Locked memory, kB.
    pub vm_lck_kb: u64,
    /// Resident memory, kB.
    pub vm_rss_kb: u64,
    /// The policy read back, or why it was refused.
    pub policy: Result<Policy, Errno>,
    /// Soft RLIMIT_RTPRIO.
    pub rtprio_limit: u64,
    /// The one CPU that the affinity allows, `None` when it allows several, or
    /// why setting it was refused.
    pub cpu: Result<Option<u32>, Errno>,
    /// The highest isolated CPU.
    pub isolated_cpu: Option<u32>,
    /// CPUs online, as the kernel lists them: `0-3`.
    pub cpus_online: Text,
    /// What `/dev/cpu_dma_latency` is held at, us.
    pub dma_latency: Result<u32, Errno>,
    /// Resolution of CLOCK_MONOTONIC, ns.
    pub timer_resolution_ns: u64,
    /// Runtime and period of real-time throttling, us; `None` when it is off.
    pub rt_throttling: Option<(u64, u64)>,
    /// What the rehearsal showed; `None` when there was none (`doctor`).
    pub rehearsal: Option<Rehearsal>,
}
