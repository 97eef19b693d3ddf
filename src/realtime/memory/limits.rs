//! Raises RLIMIT_MEMLOCK and RLIMIT_RTPRIO as far as permitted.
//!
//! The result of setrlimit(2) does not decide: with `CAP_IPC_LOCK` the limit does not apply, and
//! without `CAP_SYS_RESOURCE` the hard limit stays and may still be enough. So a refusal is not
//! an error here; the results of mlockall(2) and sched_setattr(2) decide.

use crate::sys::Errno;
use crate::sys::limits::{Limit, Resource, get, set};

/// A limit before and after it was raised.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The limit before.
    pub before: Limit,
    /// The limit after.
    pub after: Limit,
    /// Why the hard limit was not raised; `None` if it was, or was high enough.
    pub hard_refused: Option<Errno>,
}

/// Raises `RLIMIT_MEMLOCK`: the hard limit to infinity if permitted, and the soft limit to the
/// hard limit.
///
/// # Errors
/// Those of getrlimit(2); none is expected.
pub fn raise_locked_memory() -> Result<Raised, Errno> {
    raise(Resource::MemLock, None)
}

/// Raises `RLIMIT_RTPRIO`: the hard limit to 99, the highest priority, if permitted, and the soft
/// limit to the hard limit.
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
        // Always permitted by setrlimit(2); the result is read back below.
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
