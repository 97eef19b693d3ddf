//! RLIMIT_MEMLOCK and RLIMIT_RTPRIO, raised as far as they go.
//!
//! What setrlimit(2) answers proves nothing: with `CAP_IPC_LOCK` the limit does
//! not bind at all, and without `CAP_SYS_RESOURCE` the hard limit stays and may
//! yet be enough. So these never fail: they do what they can and tell what the
//! limits are. What counts is the answer of mlockall(2) and sched_setattr(2).

use crate::sys::Errno;
use crate::sys::limits::{Limit, Resource, get, set};

/// A limit before and after it was raised.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What it was.
    pub before: Limit,
    /// What it is.
    pub after: Limit,
    /// Why the hard limit stayed where it was, if it did.
    pub hard_refused: Option<Errno>,
}

/// Raises `RLIMIT_MEMLOCK`: hard to infinity where that is allowed, soft to
/// hard in any case.
///
/// # Errors
/// Those of getrlimit(2); none is expected.
pub fn raise_locked_memory() -> Result<Raised, Errno> {
    raise(Resource::MemLock, None)
}

/// Raises `RLIMIT_RTPRIO`: hard to 99, the highest priority there is, where
/// that is allowed, soft to hard in any case.
///
/// # Errors
/// Those of getrlimit(2); none is expected.
pub fn raise_realtime_priority() -> Result<Raised, Errno> {
    raise(Resource::RtPrio, Some(99))
}

fn raise(resource: Resource, goal: Option<u64>) -> Result<Raised, Errno> {
    let before = get(resource)?;
    let reaches = |hard: Option<u64>| match (hard, goal) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(hard), Some(goal)) => hard >= goal,
    };
    let hard_refused = if reaches(before.hard) {
        None
    } else {
        let all = Limit {
            soft: goal,
            hard: goal,
        };
        set(resource, all).err()
    };
    let reached = get(resource)?;
    if reached.soft != reached.hard {
        // Always allowed by setrlimit(2); what came of it is read back.
        let _ = set(
            resource,
            Limit {
                soft: reached.hard,
                hard: reached.hard,
            },
        );
    }
    Ok(Raised {
        before,
        after: get(resource)?,
        hard_refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_a_limit_sets_soft_to_hard_and_never_lowers() {
        for raised in [raise_locked_memory(), raise_realtime_priority()] {
            let Raised { before, after, .. } = raised.unwrap();
            let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
            assert!(number(after.hard) >= number(before.hard));
            assert!(number(after.soft) >= number(before.soft));
            assert_eq!(after.soft, after.hard);
        }
    }
}
