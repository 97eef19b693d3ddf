//! What is read back from the kernel about this process and this machine, and
//! how it is obtained.

use std::path::Path;
use std::sync::Arc;

use super::memory::{Essential, LockError};
use super::platform::{Kernel, Throttling};
use super::required::{Cpu, Lock, LoopConfig, Scheduler};
use super::scheduler::{self, DmaLatency, Policy, RunawayLimit, ScheduleError};
use super::text::Text;
use crate::sys::memory::Range;
use crate::sys::{Errno, arena, objects};

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

/// Where what the loop touches is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The first thing that is not in static memory.
    pub outside: Option<&'static str>,
    /// Bytes in use of the buffer for devices, laws and controller.
    pub used: usize,
}

impl Placement {
    /// Of the things in `own`.
    #[must_use]
    pub fn of(own: &[(&'static str, Range)]) -> Self {
        let mut outside = own.iter().filter(|(_, range)| !objects::has(*range));
        Self {
            outside: outside.next().map(|(what, _)| *what),
            used: arena::used(),
        }
    }
}

/// Everything that the contract judges.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Release and version of the kernel.
    pub kernel: Text,
    /// Whether the kernel is PREEMPT_RT.
    pub preempt_rt: bool,
    /// What locking answered.
    pub locked: Result<(), LockError>,
    /// Locked memory, kB.
    pub vm_lck_kb: u64,
    /// Resident memory, kB.
    pub vm_rss_kb: u64,
    /// What of the memory that loop, guard and handlers use is not locked, read back;
    /// `None` when all of it is.
    pub unlocked: Result<Option<&'static str>, Errno>,
    /// The policy read back, or why it was refused.
    pub policy: Result<Policy, ScheduleError>,
    /// The one CPU that the affinity allows, `None` when it allows several, or
    /// why it was refused.
    pub cpu: Result<Option<usize>, ScheduleError>,
    /// The highest isolated CPU that is online.
    pub isolated_cpu: Option<usize>,
    /// What `/dev/cpu_dma_latency` reads back, us.
    pub dma_latency_us: Result<i32, Errno>,
    /// Resolution of CLOCK_MONOTONIC, ns.
    pub timer_resolution_ns: Result<u64, Errno>,
    /// Real-time throttling; `None` where the kernel does not say.
    pub throttling: Option<Throttling>,
    /// Whether the kernel may move locked pages; `None` where it moves none.
    pub moves_locked_pages: Option<bool>,
    /// RLIMIT_RTTIME, the last resort against a loop that never waits, as read
    /// back, or why it was refused.
    pub runaway: Result<RunawayLimit, Errno>,
    /// The policy of the stall guard, read back, or why it was refused; `None`
    /// where there is none.
    pub guard: Option<Result<Policy, Errno>>,
    /// The loop's thread, by the kernel's number; 0 while there is none.
    pub thread: i32,
    /// Where the controller is; `None` where there is none (`doctor`).
    pub placement: Option<Placement>,
    /// What the rehearsal showed; `None` when there was none (`doctor`).
    pub rehearsal: Option<Rehearsal>,
}

impl Observed {
    /// What can be known before anything is locked: the machine, the CPU
    /// latency. Reads files and allocates. Nothing is locked as yet.
    #[must_use]
    pub fn of_process(
        root: &Path,
        latency: &std::io::Result<Arc<DmaLatency>>,
        runaway: Result<RunawayLimit, Errno>,
    ) -> Self {
        let kernel = Kernel::read(root);
        let isolated_cpu = match (&kernel.isolated, &kernel.online) {
            (Some(isolated), Some(online)) => scheduler::default_cpu(isolated, online),
            _ => None,
        };
        Self {
            kernel: Text::of(format_args!(
                "{}",
                kernel.name.as_deref().unwrap_or("unknown")
            )),
            preempt_rt: kernel.preempt_rt,
            locked: Ok(()),
            vm_lck_kb: 0,
            vm_rss_kb: 0,
            unlocked: Ok(None),
            policy: scheduler::policy().map_err(ScheduleError::Other),
            cpu: scheduler::pinned_cpu().map_err(ScheduleError::Other),
            isolated_cpu,
            dma_latency_us: match latency {
                Ok(held) => held.read_back().map_err(|error| error.into()),
                Err(error) => Err(error.into()),
            },
            timer_resolution_ns: crate::sys::clock::monotonic_resolution_ns(),
            throttling: kernel.throttling,
            moves_locked_pages: kernel.moves_locked_pages,
            runaway,
            guard: None,
            thread: 0,
            placement: None,
            rehearsal: None,
        }
    }

    /// Locks `essential` where that is all to be locked, reads back whether it is,     /// hands it on. Allocates nothing.
    pub(super) fn lock_essential(
        &mut self,
        lock: Lock,
        essential: Result<Essential, Errno>,
    ) -> Essential {
        match essential {
            Ok(essential) => {
                if lock == Lock::Selective {
                    self.locked = essential.lock();
                }
                // With all of it locked VmLck says so against VmRSS: /proc/self/smaps,
                // which costs more than all other readings of a start, is read where that
                // cannot tell.
                if lock == Lock::Selective || self.locked.is_err() {
                    self.unlocked = essential.first_unlocked("/");
                }
                essential
            }
            Err(errno) => {
                if lock == Lock::Selective {
                    self.locked = Err(LockError::Other(errno));
                }
                self.unlocked = Err(errno);
                Essential::default()
            }
        }
    }

    /// Takes CPU and policy for the calling thread as `config` requires them,     /// reads both back. Allocates nothing.
    pub fn take_schedule(&mut self, config: &LoopConfig) {
        let pinned = match (config.cpu, self.isolated_cpu) {
            (Cpu::Number(cpu), _) => scheduler::pin_to(cpu as usize),
            (Cpu::Isolated, Some(cpu)) => scheduler::pin_to(cpu),
            (Cpu::Isolated, None) | (Cpu::Any, _) => Ok(()),
        };
        self.cpu = pinned.and_then(|()| scheduler::pinned_cpu().map_err(ScheduleError::Other));
        let policy = match config.scheduler {
            Scheduler::Fifo { priority } => Policy::Fifo { priority },
            Scheduler::Deadline { runtime } => Policy::Deadline {
                runtime,
                deadline: config.deadline,
                period: config.period,
            },
        };
        self.policy = scheduler::set_policy(policy)
            .and_then(|()| scheduler::policy().map_err(ScheduleError::Other));
    }
}
