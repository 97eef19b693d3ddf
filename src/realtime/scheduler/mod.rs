//! Sets and reads back the scheduling of threads: policy, CPU, idle states, runaway limit
//! (sched(7)).
//!
//! [`policy`] and [`affinity`] read what the kernel has granted; the result of a setting call is
//! not relied on. Real-time policies are set with `SCHED_FLAG_RESET_ON_FORK`, so threads that
//! are started later run under `SCHED_OTHER`. Helpers are started before nevertheless
//! ([`super::helper`]).

mod cpus;
mod error;
mod latency;
mod partition;
mod refusal;
mod runaway;

pub use crate::sys::sched::{CpuSet, MAX_CPUS, current_cpu, thread_id};
pub use cpus::{BadCpuList, CpuList, default_cpu, parse_cpu_list};
pub use error::ScheduleError;
pub use latency::{DEVICE as CPU_DMA_LATENCY, DmaLatency};
pub use partition::{Partition, partitioned};
pub use runaway::{RunawayLimit, limit_runaway};

use core::fmt;

use crate::sys::Errno;
use crate::sys::limits::{self, Resource};
use crate::sys::sched::{self as sys, FLAG_RESET_ON_FORK, SchedAttr};
use crate::time::Duration;

/// A scheduling policy with its parameters (sched(7)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `SCHED_OTHER`: ordinary time sharing.
    Other,
    /// `SCHED_BATCH`.
    Batch,
    /// `SCHED_IDLE`.
    Idle,
    /// `SCHED_FIFO`: runs until it blocks.
    Fifo {
        /// 1 (lowest) to 99.
        priority: u8,
    },
    /// `SCHED_RR`: as FIFO, with time slices among threads of one priority.
    RoundRobin {
        /// 1 (lowest) to 99.
        priority: u8,
    },
    /// `SCHED_DEADLINE`: `runtime` in each `period`, by `deadline`, with
    /// 1,024 ns <= runtime <= deadline <= period. The thread must be allowed on every CPU of
    /// its scheduling domain: use an exclusive cpuset, not [`pin_to`].
    Deadline {
        /// CPU time granted in each period.
        runtime: Duration,
        /// Deadline, from the start of the period.
        deadline: Duration,
        /// Length of the period.
        period: Duration,
    },
    /// An unknown policy, by the kernel's number.
    Unknown(u32),
}

const SCHED_OTHER: u32 = 0;
const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;
const SCHED_BATCH: u32 = 3;
const SCHED_IDLE: u32 = 5;
const SCHED_DEADLINE: u32 = 6;

impl Policy {
    fn attributes(self) -> SchedAttr {
        let real_time = |policy, priority| SchedAttr {
            policy,
            priority: u32::from(priority),
            flags: FLAG_RESET_ON_FORK,
            ..SchedAttr::default()
        };
        let ordinary = |policy| SchedAttr {
            policy,
            ..SchedAttr::default()
        };
        match self {
            Self::Other => ordinary(SCHED_OTHER),
            Self::Batch => ordinary(SCHED_BATCH),
            Self::Idle => ordinary(SCHED_IDLE),
            Self::Unknown(policy) => ordinary(policy),
            Self::Fifo { priority } => real_time(SCHED_FIFO, priority),
            Self::RoundRobin { priority } => real_time(SCHED_RR, priority),
            Self::Deadline {
                runtime,
                deadline,
                period,
            } => SchedAttr {
                runtime: runtime.as_nanos(),
                deadline: deadline.as_nanos(),
                period: period.as_nanos(),
                ..real_time(SCHED_DEADLINE, 0)
            },
        }
    }

    fn of(attr: SchedAttr) -> Self {
        let priority = attr.priority as u8;
        match attr.policy {
            SCHED_OTHER => Self::Other,
            SCHED_BATCH => Self::Batch,
            SCHED_IDLE => Self::Idle,
            SCHED_FIFO => Self::Fifo { priority },
            SCHED_RR => Self::RoundRobin { priority },
            SCHED_DEADLINE => Self::Deadline {
                runtime: Duration::from_nanos(attr.runtime),
                deadline: Duration::from_nanos(attr.deadline),
                period: Duration::from_nanos(attr.period),
            },
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for Policy {
    /// As chrt(1) names it: `FIFO 80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Other => f.write_str("OTHER"),
            Self::Batch => f.write_str("BATCH"),
            Self::Idle => f.write_str("IDLE"),
            Self::Fifo { priority } => write!(f, "FIFO {priority}"),
            Self::RoundRobin { priority } => write!(f, "RR {priority}"),
            Self::Deadline {
                runtime,
                deadline,
                period,
            } => write!(f, "DEADLINE {runtime} in {period}, by {deadline}"),
            Self::Unknown(number) => write!(f, "policy {number}"),
        }
    }
}

/// Sets the calling thread's policy (sched_setattr(2)).
///
/// # Errors
/// [`ScheduleError`].
pub fn set_policy(policy: Policy) -> Result<(), ScheduleError> {
    sys::set_attributes(0, policy.attributes()).map_err(|errno| match (errno.0, policy) {
        (libc::EPERM, Policy::Fifo { priority } | Policy::RoundRobin { priority }) => {
            let limit = limits::get(Resource::RtPrio).ok();
            let limit = limit.and_then(|limit| limit.soft);
            refusal::of_priority(priority, limit, "/")
        }
        (libc::EPERM, _) => ScheduleError::NotPermitted,
        (libc::EBUSY, _) => ScheduleError::NoBandwidth,
        _ => ScheduleError::Other(errno),
    })
}

/// Sets `SCHED_FIFO` at `priority` (1 to 99) for another thread, such as the kernel's interrupt
/// thread of a device.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`; `ESRCH`: there is no such thread; `EINVAL`: the priority is
/// out of range.
pub fn set_fifo_of(tid: i32, priority: u8) -> Result<(), Errno> {
    let attr = SchedAttr {
        policy: SCHED_FIFO,
        priority: u32::from(priority),
        ..SchedAttr::default()
    };
    sys::set_attributes(tid, attr)
}

/// Sets `SCHED_OTHER` for another thread of this process.
///
/// # Errors
/// `ESRCH`: there is no such thread.
pub fn set_ordinary(tid: i32) -> Result<(), Errno> {
    sys::set_attributes(tid, Policy::Other.attributes())
}

/// Reads the calling thread's policy from the kernel (sched_getattr(2)).
///
/// # Errors
/// Those of sched_getattr(2); none is expected.
pub fn policy() -> Result<Policy, Errno> {
    policy_of(0)
}

/// Reads the policy of the thread `tid` of any process; 0 is the calling thread.
///
/// # Errors
/// `ESRCH`: there is no such thread.
pub fn policy_of(tid: i32) -> Result<Policy, Errno> {
    sys::attributes(tid).map(Policy::of)
}

/// Pins the calling thread to `cpu` (sched_setaffinity(2)).
///
/// # Errors
/// [`ScheduleError::NoSuchCpu`].
pub fn pin_to(cpu: usize) -> Result<(), ScheduleError> {
    let mut set = CpuSet::EMPTY;
    if !set.insert(cpu) {
        return Err(ScheduleError::NoSuchCpu { cpu });
    }
    sys::set_affinity(&set).map_err(|errno| match errno.0 {
        libc::EINVAL => ScheduleError::NoSuchCpu { cpu },
        _ => ScheduleError::Other(errno),
    })
}

/// Lets the calling thread run on all of `cpus` (sched_setaffinity(2)).
///
/// # Errors
/// `EINVAL`: the process may use none of them.
pub fn run_on(cpus: &CpuSet) -> Result<(), Errno> {
    sys::set_affinity(cpus)
}

/// Reads the CPUs that the calling thread may run on (sched_getaffinity(2)).
///
/// # Errors
/// `EINVAL`: the kernel supports more than 1,024 CPUs.
pub fn affinity() -> Result<CpuSet, Errno> {
    affinity_of(0)
}

/// Reads the CPUs that the thread `tid` of any process may run on; 0 is the calling thread.
///
/// # Errors
/// As [`affinity`]; `ESRCH`: there is no such thread.
pub fn affinity_of(tid: i32) -> Result<CpuSet, Errno> {
    sys::affinity(tid)
}

/// The only CPU that the calling thread may run on; `None` if there are several.
///
/// # Errors
/// As [`affinity`].
pub fn pinned_cpu() -> Result<Option<usize>, Errno> {
    let set = affinity()?;
    let first = set.iter().next();
    Ok(first.filter(|_| set.len() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;

    #[test]
    fn a_missing_thread_and_a_priority_out_of_range_have_different_errors() {
        let missing = set_fifo_of(i32::MAX, 50);
        if missing.is_err_and(|errno| emulation::lacks(errno.0)) {
            return;
        }
        assert_eq!(missing, Err(Errno(libc::ESRCH)));
        assert_eq!(set_fifo_of(0, 100), Err(Errno(libc::EINVAL)));
    }

    #[test]
    fn policies_convert_to_the_kernel_form_and_back() {
        for policy in [
            Policy::Other,
            Policy::Idle,
            Policy::Fifo { priority: 80 },
            Policy::RoundRobin { priority: 99 },
            Policy::Deadline {
                runtime: Duration::from_micros(200),
                deadline: Duration::from_micros(900),
                period: Duration::from_millis(1),
            },
        ] {
            assert_eq!(Policy::of(policy.attributes()), policy);
        }
    }

    #[test]
    fn the_granted_policy_is_read_back() {
        if policy().is_err_and(|errno| emulation::lacks(errno.0)) {
            return;
        }
        let deadline = Policy::Deadline {
            runtime: Duration::from_micros(100),
            deadline: Duration::from_micros(900),
            period: Duration::from_millis(1),
        };
        for expected in [Policy::Fifo { priority: 2 }, deadline, Policy::Batch] {
            let thread = std::thread::spawn(move || (set_policy(expected), policy().unwrap()));
            match thread.join().unwrap() {
                (Ok(()), read) => assert_eq!(read, expected),
                (Err(_), read) => assert_ne!(read, expected),
            }
        }
    }

    #[test]
    fn pinning_reads_back_and_an_absent_cpu_is_named() {
        let thread = std::thread::spawn(|| {
            let last = affinity().unwrap().iter().next_back().unwrap();
            pin_to(last).unwrap();
            (
                last,
                pinned_cpu(),
                current_cpu(),
                pin_to(MAX_CPUS - 1),
                pin_to(MAX_CPUS),
            )
        });
        let (last, pinned, current, absent, beyond) = thread.join().unwrap();
        assert_eq!(pinned, Ok(Some(last)));
        assert_eq!(current, Ok(last));
        assert_eq!(absent, Err(ScheduleError::NoSuchCpu { cpu: MAX_CPUS - 1 }));
        assert_eq!(beyond, Err(ScheduleError::NoSuchCpu { cpu: MAX_CPUS }));
    }

    #[test]
    fn a_priority_out_of_range_is_refused() {
        assert!(set_policy(Policy::Fifo { priority: 100 }).is_err());
        assert!(set_policy(Policy::Fifo { priority: 0 }).is_err());
    }
}
