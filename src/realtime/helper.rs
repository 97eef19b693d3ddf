//! Helper threads: the reporter, the stall guard.
//!
//! Whatever they do must not touch the loop: they are started before memory is
//! locked and before any thread is real-time, on small stacks of a stated size
//! (the default of 8 MiB would be locked whole, and fail as soon as
//! `RLIMIT_MEMLOCK` is small), and take no signals.

use std::io;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::scheduler::{self, Policy};
use crate::sys::signal::{SignalSet, set_mask};

/// Smallest stack of a helper, in bytes: 64 KiB. The standard library raises it
/// to what glibc asks for, `PTHREAD_STACK_MIN`: 16 KiB on x86-64, 128 KiB on
/// arm64.
pub const MIN_STACK_BYTES: usize = 64 * 1024;

/// Starts `job` on a thread of `scope` named `name` (its first 15 bytes show in
/// the kernel) with a stack of `stack_bytes`, at least [`MIN_STACK_BYTES`].
///
/// It blocks every signal but those of faults, and it runs under `SCHED_OTHER`
/// even if the caller does not: a helper that inherits FIFO starves the loop.
/// Allocates; never for the loop.
///
/// # Errors
/// pthread_create(3): `EAGAIN` when there may be no more threads, or when
/// `MCL_FUTURE` is set and the stack would go over `RLIMIT_MEMLOCK`.
pub fn spawn<'scope, T, F>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    stack_bytes: usize,
    job: F,
) -> io::Result<ScopedJoinHandle<'scope, T>>
where
    T: Send + 'scope,
    F: FnOnce() -> T + Send + 'scope,
{
    let before = set_mask(&SignalSet::all_but_synchronous())?;
    let spawned = Builder::new()
        .name(name.to_owned())
        .stack_size(stack_bytes.max(MIN_STACK_BYTES))
        .spawn_scoped(scope, move || {
            if !matches!(scheduler::policy(), Ok(Policy::Other)) {
                // Giving up a real-time policy is always allowed (sched(7)).
                let _ = scheduler::set_policy(Policy::Other);
            }
            job()
        });
    set_mask(&before)?;
    spawned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal::mask;
    use std::thread::scope;

    #[test]
    fn a_helper_takes_no_signals_and_is_ordinary() {
        let (blocked, policy) = scope(|scope| {
            let helper = spawn(scope, "helper", 0, || {
                (mask().unwrap(), scheduler::policy())
            });
            helper.unwrap().join().unwrap()
        });
        assert!(blocked.contains(libc::SIGTERM) && blocked.contains(libc::SIGINT));
        assert!(!blocked.contains(libc::SIGSEGV));
        assert_eq!(policy, Ok(Policy::Other));
        assert!(!mask().unwrap().contains(libc::SIGTERM));
    }

    #[test]
    fn a_helper_does_not_inherit_fifo() {
        let policy = std::thread::spawn(|| {
            if scheduler::set_policy(Policy::Fifo { priority: 1 }).is_err() {
                // Without the privilege there is nothing to inherit.
                return Ok(Policy::Other);
            }
            scope(|scope| {
                spawn(scope, "helper", 0, scheduler::policy)
                    .unwrap()
                    .join()
                    .unwrap()
            })
        });
        assert_eq!(policy.join().unwrap(), Ok(Policy::Other));
    }
}
