//! [`Observed`]: the values that the contract judges, read back from the kernel, and how they
//! are obtained.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::interrupts::Disturbances;
use super::memory::{Essential, LockError};
use super::platform::{Kernel, Throttling};
use super::required::{Cpu, Lock, LoopConfig, Scheduler};
use super::scheduler::{self, CpuSet, DmaLatency, Partition, Policy, RunawayLimit, ScheduleError};
use super::text::Text;
use crate::sys::memory::Range;
use crate::sys::{Errno, arena, objects};
use crate::time::Duration;

/// Measurements of the real-time thread during the rehearsal.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Number of cycles in which faults were counted.
    pub cycles: u64,
    /// Minor page faults of the real-time thread in these cycles.
    pub minor_faults: u64,
    /// Major page faults of the real-time thread in these cycles.
    pub major_faults: u64,
    /// Whether the sealed allocator is installed and sealed.
    pub sealed: bool,
    /// Allocations on all threads since the seal.
    pub allocations: u64,
    /// Size of the real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// Deepest use of that stack, bytes.
    pub stack_used: usize,
    /// The longest execution of these cycles.
    pub longest: Duration,
}

/// Whether the loop's objects are in static memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The first object that is not in static memory; `None` if all are.
    pub outside: Option<&'static str>,
    /// Used bytes of the buffer for devices, laws and controller.
    pub used: usize,
}

impl Placement {
    /// The placement of the objects in `own`.
    #[must_use]
    pub fn of(own: &[(&'static str, Range)]) -> Self {
        let mut outside = own.iter().filter(|(_, range)| !objects::has(*range));
        Self {
            outside: outside.next().map(|(what, _)| *what),
            used: arena::used(),
        }
    }
}

/// The values that the contract judges.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Release and version of the kernel.
    pub kernel: Text,
    /// Whether the kernel is PREEMPT_RT.
    pub preempt_rt: bool,
    /// The result of locking memory.
    pub locked: Result<(), LockError>,
    /// Locked memory (VmLck), kB.
    pub vm_lck_kb: u64,
    /// Resident memory (VmRSS), kB.
    pub vm_rss_kb: u64,
    /// The first part of the memory of loop, guard and handlers that is not locked, read back;
    /// `None` if all of it is.
    pub unlocked: Result<Option<&'static str>, Errno>,
    /// The policy, read back, or why it was refused.
    pub policy: Result<Policy, ScheduleError>,
    /// The only CPU of the affinity, read back; `None` if there are several; or why it was
    /// refused.
    pub cpu: Result<Option<usize>, ScheduleError>,
    /// The isolated CPUs: those of the process's isolated partition, else those of `isolcpus=`.
    pub isolated: CpuSet,
    /// The highest of them that is online.
    pub isolated_cpu: Option<usize>,
    /// Whether they are those of a partition, in which all threads of the process run.
    pub in_partition: bool,
    /// Disturbances of the loop's thread on its isolated CPU: at first since the start of the
    /// machine, then, by [`Observed::count_disturbances`], since [`Observed::take_schedule`].
    /// `None` on another CPU; an error if `/proc/interrupts` cannot be read.
    pub disturbances: Option<Result<Disturbances, Errno>>,
    /// The value of `/dev/cpu_dma_latency`, read back, us; `None` where the CPUs have no idle states
    /// whose exit takes time.
    pub dma_latency_us: Result<Option<i32>, Errno>,
    /// Resolution of CLOCK_MONOTONIC, ns.
    pub timer_resolution_ns: Result<u64, Errno>,
    /// Real-time throttling; `None` if the kernel does not show it.
    pub throttling: Option<Throttling>,
    /// Whether the kernel may move locked pages; `None` for a kernel without compaction.
    pub moves_locked_pages: Option<bool>,
    /// RLIMIT_RTTIME, read back, or why it was refused.
    pub runaway: Result<RunawayLimit, Errno>,
    /// The policy of the stall guard, read back, or why it was refused; `None` without a guard.
    pub guard: Option<Result<Policy, Errno>>,
    /// Number of the loop's thread (gettid(2)); 0 without one.
    pub thread: i32,
    /// Placement of the controller; `None` without one (`doctor`).
    pub placement: Option<Placement>,
    /// Measurements of the rehearsal; `None` without one (`doctor`).
    pub rehearsal: Option<Rehearsal>,
}

/// Whether the kernel has no idle states (`CONFIG_CPU_IDLE`, as Debian's for 32-bit ARM): it then shows
/// no folder for them, and has no device to limit their latency.
fn has_no_idle_states(root: &Path) -> bool {
    let cpus = root.join("sys/devices/system/cpu");
    cpus.is_dir() && !cpus.join("cpuidle").exists()
}

impl Observed {
    /// Reads the values that are known before memory is locked: machine and CPU latency. Reads
    /// files below `root`, and allocates.
    #[must_use]
    pub fn of_process(
        root: &Path,
        latency: &std::io::Result<Arc<DmaLatency>>,
        runaway: Result<RunawayLimit, Errno>,
    ) -> Self {
        let kernel = Kernel::read(root);
        let (isolated, in_partition) = match kernel.partition {
            Partition::Isolated(cpus) => (Some(cpus), true),
            Partition::None | Partition::Invalid(_) => (kernel.isolated, false),
        };
        let isolated_cpu = match (&isolated, &kernel.online) {
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
            isolated: isolated.unwrap_or(CpuSet::EMPTY),
            isolated_cpu,
            in_partition,
            disturbances: None,
            dma_latency_us: match latency {
                Ok(held) => held.read_back().map(Some).map_err(|error| error.into()),
                Err(error) if error.kind() == ErrorKind::NotFound && has_no_idle_states(root) => {
                    Ok(None)
                }
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

    /// Locks `essential` with [`Lock::Selective`], reads back whether it is locked, and returns
    /// it. Does not allocate.
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
                // After mlockall, VmLck and VmRSS show the same. Reading /proc/self/smaps costs
                // more than all other readings of a start, so it is read only otherwise.
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

    /// The CPU to which `config` pins the loop, if it does and there is one.
    fn cpu_of_loop(&self, config: &LoopConfig) -> Option<usize> {
        match config.cpu {
            Cpu::Number(cpu) => Some(cpu as usize),
            Cpu::Isolated => self.isolated_cpu,
            Cpu::Any => None,
        }
    }

    /// Takes the CPU of the loop away from the calling thread, an ordinary one, and gives the CPUs
    /// that are left, for its helpers. Nothing else would: in an isolated partition the kernel does
    /// not move threads. `None` if they do not use that CPU, or have no other.
    pub(super) fn leave_cpu(&self, config: &LoopConfig) -> Option<CpuSet> {
        let cpu = self.cpu_of_loop(config)?;
        let mut cpus = scheduler::affinity().ok()?;
        if !cpus.contains(cpu) || cpus.len() == 1 {
            return None;
        }
        cpus.remove(cpu);
        scheduler::run_on(&cpus).ok().map(|()| cpus)
    }

    /// Sets CPU and policy of the calling thread as required by `config`, and reads both back.
    /// Does not allocate.
    pub fn take_schedule(&mut self, config: &LoopConfig) {
        self.thread = scheduler::thread_id();
        let pinned = match self.cpu_of_loop(config) {
            Some(cpu) => scheduler::pin_to(cpu),
            None => Ok(()),
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
        self.disturbances = self.present_disturbances();
    }

    /// Counts what disturbed the calling thread since [`Observed::take_schedule`]. Does not
    /// allocate.
    pub fn count_disturbances(&mut self) {
        if let (Some(Ok(before)), Some(now)) = (self.disturbances, self.present_disturbances()) {
            self.disturbances = Some(now.map(|now| now.since(before)));
        }
    }

    /// The CPU of the loop, if it is isolated for it.
    #[must_use]
    pub fn own_cpu(&self) -> Option<usize> {
        self.cpu.ok()?.filter(|cpu| self.isolated.contains(*cpu))
    }

    fn present_disturbances(&self) -> Option<Result<Disturbances, Errno>> {
        let cpu = self.own_cpu()?;
        Some(Disturbances::on(Path::new("/"), cpu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_idle_states_needs_no_latency_device() {
        let root = std::env::temp_dir().join(format!("steadfast-idle-{}", std::process::id()));
        let cpus = root.join("sys/devices/system/cpu");
        let latency = || {
            let missing = std::io::Error::from(ErrorKind::NotFound);
            Observed::of_process(&root, &Err(missing), Err(Errno(libc::ENOENT))).dma_latency_us
        };
        // Not known without sysfs.
        let unknown = latency();
        std::fs::create_dir_all(cpus.join("cpuidle")).unwrap();
        let has = latency();
        std::fs::remove_dir(cpus.join("cpuidle")).unwrap();
        let has_not = latency();
        std::fs::remove_dir_all(&root).unwrap();
        assert!(unknown.is_err() && has.is_err(), "{unknown:?} {has:?}");
        assert_eq!(has_not, Ok(None));
    }
}
