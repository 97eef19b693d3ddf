//! [`ScheduleError`]: why a policy or a CPU was refused.

use core::fmt;

use crate::sys::Errno;

/// Why a policy or a CPU was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScheduleError {
    /// The priority is above `RLIMIT_RTPRIO`, and the process has no `CAP_SYS_NICE`.
    PriorityTooHigh {
        /// The requested priority.
        priority: u8,
        /// The soft limit.
        limit: u64,
    },
    /// `EPERM` with sufficient privileges: the control group has no real-time budget
    /// (CONFIG_RT_GROUP_SCHED, `cpu.rt_runtime_us` is 0).
    NoGroupBudget,
    /// `EPERM` with sufficient privileges, for an unknown reason: no real-time budget that the
    /// kernel shows, a seccomp filter, or a security module.
    Forbidden,
    /// `EPERM` for another policy. Deadline scheduling: no `CAP_SYS_NICE`, or the thread is
    /// pinned.
    NotPermitted,
    /// `EBUSY`: deadline admission found no CPU time left.
    NoBandwidth,
    /// There is no such CPU, or this process may not use it.
    NoSuchCpu {
        /// The requested CPU.
        cpu: usize,
    },
    /// Any other error number; `EINVAL` for parameters out of range.
    Other(Errno),
}

impl fmt::Display for ScheduleError {
    /// One line, `what; remedy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PriorityTooHigh { priority, limit } => write!(
                f,
                "priority {priority} is above RLIMIT_RTPRIO, which is {limit}; \
                 setcap cap_sys_nice=ep on the binary, or LimitRTPRIO={priority} in the unit, \
                 or ulimit -r {priority}"
            ),
            Self::NoGroupBudget => f.write_str(
                "the control group has no real-time budget (CONFIG_RT_GROUP_SCHED); write 950000 \
                 to its cpu.rt_runtime_us and its parents', or start this in the root group, or \
                 boot with rt_group_sched=0",
            ),
            Self::Forbidden => f.write_str(
                "refused although RLIMIT_RTPRIO or CAP_SYS_NICE suffices; a kernel with \
                 CONFIG_RT_GROUP_SCHED needs a real-time budget for this control group or \
                 rt_group_sched=0, otherwise see seccomp and security modules",
            ),
            Self::NotPermitted => f.write_str(
                "not permitted; deadline scheduling needs CAP_SYS_NICE and cpu = \"any\"",
            ),
            Self::NoBandwidth => f.write_str(
                "no CPU time left for this deadline schedule; lower [loop] runtime_us, or end another deadline thread",
            ),
            Self::NoSuchCpu { cpu } => write!(
                f,
                "there is no CPU {cpu} for this process; see /sys/devices/system/cpu/online and \
                 the unit's AllowedCPUs="
            ),
            Self::Other(errno) => write!(f, "the scheduler refused ({errno}); see sched_setattr(2)"),
        }
    }
}

impl std::error::Error for ScheduleError {}
