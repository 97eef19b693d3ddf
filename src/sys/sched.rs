//! Scheduling: sched_setattr(2), sched_getattr(2), sched_setaffinity(2),
//! sched_getaffinity(2), getcpu(2), gettid(2), getrusage(2).

use super::{Errno, check};

/// `struct sched_attr` (sched_setattr(2)). Times in nanoseconds.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedAttr {
    /// Length of this structure, bytes; set by [`set_attributes`].
    pub size: u32,
    /// `SCHED_OTHER` 0, `SCHED_FIFO` 1, `SCHED_RR` 2, `SCHED_DEADLINE` 6.
    pub policy: u32,
    /// Bits such as [`FLAG_RESET_ON_FORK`].
    pub flags: u64,
    /// Nice value, -20 to 19, under `SCHED_OTHER`.
    pub nice: i32,
    /// Priority, 1 to 99, under `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// CPU time granted in each period under `SCHED_DEADLINE`, ns.
    pub runtime: u64,
    /// Deadline of the grant, from the start of the period, ns.
    pub deadline: u64,
    /// Length of the period, ns.
    pub period: u64,
}

/// `SCHED_FLAG_RESET_ON_FORK`: children start under `SCHED_OTHER`.
pub const FLAG_RESET_ON_FORK: u64 = 0x01;

/// `sched_setattr(tid, attr, 0)`: sets the policy of thread `tid`, 0 for the calling thread.
///
/// # Errors
/// sched_setattr(2): `ESRCH` when there is no such thread; `EPERM` without privilege and above
/// `RLIMIT_RTPRIO`, or under `SCHED_DEADLINE` when the thread may not run on every CPU of its
/// scheduling domain; `EBUSY` when deadline admission refuses; `EINVAL` for numbers out of
/// range.
pub fn set_attributes(tid: i32, attr: SchedAttr) -> Result<(), Errno> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        ..attr
    };
    // SAFETY: `attr` is live, and its size field says how long it is.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, tid, &raw const attr, 0) };
    check(answer as libc::c_int)
}

/// `sched_getattr(tid)`: the policy of thread `tid`, 0 for the calling thread.
///
/// # Errors
/// sched_getattr(2): `ESRCH` when there is no such thread.
pub fn attributes(tid: i32) -> Result<SchedAttr, Errno> {
    let mut attr = SchedAttr::default();
    // SAFETY: `attr` is live and writable for the size given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            tid,
            &raw mut attr,
            size_of::<SchedAttr>(),
            0,
        )
    };
    check(answer as libc::c_int)?;
    Ok(attr)
}

/// Number of CPUs in a [`CpuSet`]: 0 to 1023, as in glibc's `cpu_set_t`.
pub const MAX_CPUS: usize = 1024;

/// A set of CPUs (CPU_SET(3)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct CpuSet([u64; MAX_CPUS / 64]);

impl CpuSet {
    /// No CPU.
    pub const EMPTY: Self = Self([0; MAX_CPUS / 64]);

    /// Adds `cpu`. Returns `false` and adds nothing when it is 1024 or above.
    pub fn insert(&mut self, cpu: usize) -> bool {
        match self.0.get_mut(cpu / 64) {
            Some(word) => {
                *word |= 1 << (cpu % 64);
                true
            }
            None => false,
        }
    }

    /// Removes `cpu`.
    pub fn remove(&mut self, cpu: usize) {
        if let Some(word) = self.0.get_mut(cpu / 64) {
            *word &= !(1 << (cpu % 64));
        }
    }

    /// Whether `cpu` is in the set.
    #[must_use]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0
            .get(cpu / 64)
            .is_some_and(|word| word & (1 << (cpu % 64)) != 0)
    }

    /// The CPUs in the set, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..MAX_CPUS).filter(|&cpu| self.contains(cpu))
    }

    /// Number of CPUs in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `sched_setaffinity(0, set)`: the CPUs on which the calling thread may run.
///
/// # Errors
/// sched_setaffinity(2): `EINVAL` when this thread may use no CPU of the set.
pub fn set_affinity(set: &CpuSet) -> Result<(), Errno> {
    // SAFETY: `cpu_set_t` is 1024 bits in words of `unsigned long`, which is the layout of
    // `CpuSet` on 64-bit Linux; the size passed is that of the set.
    check(unsafe {
        libc::sched_setaffinity(0, size_of::<CpuSet>(), core::ptr::from_ref(set).cast())
    })
}

/// `sched_getaffinity(tid)`: the CPUs on which thread `tid` may run, 0 for the calling thread.
///
/// # Errors
/// sched_setaffinity(2): `ESRCH` when there is no such thread, `EINVAL` when the kernel
/// supports more than 1024 CPUs.
pub fn affinity(tid: i32) -> Result<CpuSet, Errno> {
    let mut set = CpuSet::EMPTY;
    // SAFETY: as for `set_affinity`, and the set is writable.
    check(unsafe {
        libc::sched_getaffinity(
            tid,
            size_of::<CpuSet>(),
            core::ptr::from_mut(&mut set).cast(),
        )
    })?;
    Ok(set)
}

/// `sched_getcpu()`: the CPU of the calling thread at this moment.
///
/// # Errors
/// getcpu(2): `ENOSYS` when the kernel does not have the call.
pub fn current_cpu() -> Result<usize, Errno> {
    // SAFETY: takes no pointer.
    let answer = unsafe { libc::sched_getcpu() };
    usize::try_from(answer).map_err(|_| Errno::last())
}

/// `gettid()`: the kernel's id of the calling thread. Cannot fail.
///
/// A direct call, because the standard library refers to the C library's function weakly: in a
/// static program linked with `lto` the function is then missing, and calling it returns an
/// arbitrary value.
#[must_use]
pub fn thread_id() -> i32 {
    // SAFETY: takes no argument.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// `getrusage(RUSAGE_THREAD)`: minor and major page faults of the calling thread since its
/// start, in this order.
///
/// # Errors
/// Those of getrusage(2); none is expected on Linux.
pub fn thread_page_faults() -> Result<(u64, u64), Errno> {
    let usage = thread_usage()?;
    Ok((usage.ru_minflt as u64, usage.ru_majflt as u64))
}

/// `getrusage(RUSAGE_THREAD)`: how often the kernel has taken the CPU from the calling thread.
///
/// # Errors
/// Those of getrusage(2); none is expected on Linux.
pub fn thread_preemptions() -> Result<u64, Errno> {
    Ok(thread_usage()?.ru_nivcsw as u64)
}

fn thread_usage() -> Result<libc::rusage, Errno> {
    // SAFETY: rusage consists of numbers, for which all zeros is a valid value.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: `usage` is live and writable.
    check(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) })?;
    Ok(usage)
}

/// `prctl(PR_SET_TIMERSLACK)`: how late the calling thread may be woken after its timer, ns.
/// The default is 50 us, which kernels before 6.13 apply to futex(2) of real-time threads too.
///
/// # Errors
/// prctl(2): none is expected outside of a sandbox.
pub fn set_timer_slack_ns(ns: u32) -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, libc::c_ulong::from(ns)) })
}
