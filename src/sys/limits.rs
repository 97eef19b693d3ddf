//! Resource limits: getrlimit(2), setrlimit(2).

use super::Errno;

/// Resources whose limits matter to a real-time process (getrlimit(2)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `RLIMIT_MEMLOCK`: bytes that may be locked without `CAP_IPC_LOCK`.
    MemLock,
    /// `RLIMIT_RTPRIO`: highest real-time priority without `CAP_SYS_NICE`.
    RtPrio,
    /// `RLIMIT_RTTIME`: CPU time under a real-time policy without a blocking system call, us.
    RtTime,
    /// `RLIMIT_STACK`: largest size of the main thread's stack, bytes.
    Stack,
}

/// A soft and a hard limit; `None` means no limit (`RLIM_INFINITY`).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// The limit that the kernel enforces.
    pub soft: Option<u64>,
    /// The largest soft limit that can be set without `CAP_SYS_RESOURCE`.
    pub hard: Option<u64>,
}

/// The kernel's number of a resource, in glibc's type.
const fn number(resource: Resource) -> libc::__rlimit_resource_t {
    match resource {
        Resource::MemLock => libc::RLIMIT_MEMLOCK,
        Resource::RtPrio => libc::RLIMIT_RTPRIO,
        Resource::RtTime => libc::RLIMIT_RTTIME,
        Resource::Stack => libc::RLIMIT_STACK,
    }
}

/// `getrlimit(resource)`: the limits of this process.
///
/// # Errors
/// Those of getrlimit(2); none is expected on Linux.
pub fn get(resource: Resource) -> Result<Limit, Errno> {
    let mut raw = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `raw` is a live, writable rlimit64.
    super::check(unsafe { libc::getrlimit64(number(resource), &raw mut raw) })?;
    Ok(Limit {
        soft: decode(raw.rlim_cur),
        hard: decode(raw.rlim_max),
    })
}

/// `setrlimit(resource, limit)`: sets the limits of this process.
///
/// # Errors
/// `EPERM` when the hard limit would rise without `CAP_SYS_RESOURCE`, `EINVAL` when soft is
/// above hard.
pub fn set(resource: Resource, limit: Limit) -> Result<(), Errno> {
    let raw = libc::rlimit64 {
        rlim_cur: encode(limit.soft),
        rlim_max: encode(limit.hard),
    };
    // SAFETY: `raw` is a live rlimit64.
    super::check(unsafe { libc::setrlimit64(number(resource), &raw const raw) })
}

/// `RLIM64_INFINITY` (`linux/resource.h`): no limit.
const INFINITY: u64 = u64::MAX;

fn decode(raw: libc::rlim64_t) -> Option<u64> {
    (raw != INFINITY).then_some(raw)
}

fn encode(limit: Option<u64>) -> libc::rlim64_t {
    limit.unwrap_or(INFINITY)
}
