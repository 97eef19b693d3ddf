//! [`LockError`]: why memory could not be locked.

use core::fmt;

use super::{LockFlags, Range, Status, kilobytes};
use crate::sys::Errno;
use crate::sys::limits::{self, Resource};

/// Why memory could not be locked, with the limit in kB, the unit of `/proc/PID/status` and
/// `ulimit -l`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum LockError {
    /// `ENOMEM` of mlock(2) and mlockall(2), `EAGAIN` of mmap(2): the total would exceed the soft
    /// `RLIMIT_MEMLOCK`, and the process has no `CAP_IPC_LOCK`. mlockall(2) counts all mapped
    /// memory (VmSize), resident or not.
    LimitTooSmall {
        /// Total memory to be locked, kB.
        needed_kb: u64,
        /// The soft limit, kB.
        limit_kb: u64,
    },
    /// `EPERM`: the soft `RLIMIT_MEMLOCK` is 0, and the process has no `CAP_IPC_LOCK`.
    NotPermitted {
        /// Total memory to be locked, kB.
        needed_kb: u64,
    },
    /// `EAGAIN` of mlock(2) and mlockall(2): pages could not be made resident.
    NotResident {
        /// Memory to be made resident, kB.
        needed_kb: u64,
        /// Resident memory of the process (VmRSS), kB.
        resident_kb: u64,
    },
    /// `ENOMEM` within the limit: the kernel has no memory, or the address space has no room.
    OutOfMemory {
        /// Requested memory, kB.
        needed_kb: u64,
    },
    /// `ENOMEM` of mlock(2): part of the range is not mapped or not accessible, such as a guard
    /// page.
    NotMapped {
        /// The range.
        range: Range,
    },
    /// Any other error number.
    Other(Errno),
}

impl LockError {
    pub(super) fn of_lock_all(errno: Errno, flags: LockFlags) -> Self {
        let status = Status::now().unwrap_or_default();
        // MCL_FUTURE alone locks nothing yet.
        let needed_kb = if flags.includes_current() {
            status.vm_size_kb
        } else {
            status.vm_lck_kb
        };
        Self::tell_apart(
            errno,
            needed_kb,
            needed_kb,
            status,
            Self::OutOfMemory { needed_kb },
        )
    }

    pub(super) fn of_lock(errno: Errno, range: Range) -> Self {
        let status = Status::now().unwrap_or_default();
        let asked_kb = kilobytes(range.length as u64);
        Self::tell_apart(
            errno,
            status.vm_lck_kb + asked_kb,
            asked_kb,
            status,
            Self::NotMapped { range },
        )
    }

    /// Why mmap(2) of `bytes` failed with `errno` while `MCL_FUTURE` is set: it gives `EAGAIN`
    /// if the limit would be exceeded.
    #[must_use]
    pub fn of_mapping(errno: Errno, bytes: usize) -> Self {
        let status = Status::now().unwrap_or_default();
        let asked_kb = kilobytes(bytes as u64);
        let needed_kb = status.vm_lck_kb + asked_kb;
        match (errno.0, soft_limit_kb()) {
            (libc::EAGAIN, Some(limit_kb)) if needed_kb > limit_kb => Self::LimitTooSmall {
                needed_kb,
                limit_kb,
            },
            (libc::EAGAIN | libc::ENOMEM, _) => Self::OutOfMemory {
                needed_kb: asked_kb,
            },
            _ => Self::Other(errno),
        }
    }

    /// `short_otherwise` is the meaning of ENOMEM within the limit.
    fn tell_apart(
        errno: Errno,
        needed_kb: u64,
        asked_kb: u64,
        status: Status,
        short_otherwise: Self,
    ) -> Self {
        match errno.0 {
            libc::EPERM => Self::NotPermitted { needed_kb },
            libc::EAGAIN => Self::NotResident {
                needed_kb: asked_kb,
                resident_kb: status.vm_rss_kb,
            },
            libc::ENOMEM => match soft_limit_kb() {
                Some(limit_kb) if needed_kb > limit_kb => Self::LimitTooSmall {
                    needed_kb,
                    limit_kb,
                },
                _ => short_otherwise,
            },
            _ => Self::Other(errno),
        }
    }
}

/// The soft `RLIMIT_MEMLOCK`, kB; `None`: no limit.
fn soft_limit_kb() -> Option<u64> {
    limits::get(Resource::MemLock)
        .ok()
        .and_then(|limit| limit.soft)
        .map(|bytes| bytes / 1024)
}

impl fmt::Display for LockError {
    /// One line, `what; remedy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LimitTooSmall {
                needed_kb,
                limit_kb,
            } => write!(
                f,
                "{needed_kb} kB would be locked, RLIMIT_MEMLOCK allows {limit_kb} kB; \
                 setcap cap_ipc_lock=ep on the binary, or LimitMEMLOCK=infinity in the unit, \
                 or ulimit -l {needed_kb}"
            ),
            Self::NotPermitted { needed_kb } => write!(
                f,
                "not permitted to lock memory, RLIMIT_MEMLOCK is 0 kB and {needed_kb} kB are \
                 needed; setcap cap_ipc_lock=ep on the binary, or LimitMEMLOCK=infinity in the \
                 unit, or ulimit -l {needed_kb}"
            ),
            Self::NotResident {
                needed_kb,
                resident_kb,
            } => write!(
                f,
                "{needed_kb} kB could not be made resident, VmRSS is {resident_kb} kB; free \
                 memory on this machine, or raise the unit's MemoryMax="
            ),
            Self::OutOfMemory { needed_kb } => write!(
                f,
                "no memory left for {needed_kb} kB, though within the limits; free memory on this \
                 machine, or raise the unit's MemoryMax="
            ),
            Self::NotMapped { range } => write!(
                f,
                "{} bytes at {:#x} are not all mapped and accessible, and cannot be locked",
                range.length, range.address
            ),
            Self::Other(errno) => {
                write!(f, "memory could not be locked ({errno}); see mlockall(2)")
            }
        }
    }
}

impl std::error::Error for LockError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line_with_errno_and_fix() {
        let limit = LockError::LimitTooSmall {
            needed_kb: 5678,
            limit_kb: 1234,
        };
        let permission = LockError::NotPermitted { needed_kb: 5678 };
        for (error, parts) in [
            (
                limit,
                ["5678 kB", "1234 kB", "cap_ipc_lock", "LimitMEMLOCK="],
            ),
            (
                permission,
                ["5678 kB", "0 kB", "cap_ipc_lock", "ulimit -l 5678"],
            ),
        ] {
            let line = error.to_string();
            assert!(!line.contains('\n') && !line.contains("  "), "{line}");
            for part in parts {
                assert!(line.contains(part), "{line}");
            }
        }
    }

    #[test]
    fn eagain_is_reported_as_lack_of_memory_and_not_of_the_limit() {
        let value = [0_u8; 2000];
        let range = Range::of(&value);
        assert!(matches!(
            LockError::of_lock(Errno(libc::EAGAIN), range),
            LockError::NotResident { needed_kb: 2, resident_kb } if resident_kb > 0
        ));
        assert!(matches!(
            LockError::of_lock_all(Errno(libc::EAGAIN), LockFlags::Current),
            LockError::NotResident { needed_kb, resident_kb } if needed_kb > resident_kb
        ));
    }

    #[test]
    fn a_mapping_refused_within_the_limit_is_not_reported_as_the_limit() {
        assert_eq!(
            LockError::of_mapping(Errno(libc::ENOMEM), 4096),
            LockError::OutOfMemory { needed_kb: 4 }
        );
        assert_eq!(
            LockError::of_mapping(Errno(libc::EINVAL), 0),
            LockError::Other(Errno(libc::EINVAL))
        );
    }
}
