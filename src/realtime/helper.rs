//! Helper threads: the reporter, the stall guard.
//!
//! Whatever they do must not touch the loop: they are started before memory is
//! locked and before any thread is real-time, on small stacks of a stated size
//! (the default of 8 MiB would be locked whole, and fail as soon as
//! `RLIMIT_MEMLOCK` is small), and take no signals.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::clock::Monotonic;
use super::memory;
use super::scheduler::{self, Policy};
use crate::cycle::ports::Clock;
use crate::sys::signal::{SignalSet, set_mask};
use crate::time::{Duration, Instant};

/// Smallest stack of a helper, in bytes: 64 KiB. The standard library raises it
/// to what glibc asks for, `PTHREAD_STACK_MIN`: 16 KiB on x86-64, 128 KiB on
/// arm64.
pub const MIN_STACK_BYTES: usize = 64 * 1024;

/// A barrier at which helpers wait until memory is locked: only then can they give
/// back the part of their stacks that they do not use.
#[derive(Debug, Default)]
pub struct Barrier {
    state: Mutex<BarrierState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct BarrierState {
    open: bool,
    /// Helpers that have arrived here.
    arrived: usize,
}

impl Barrier {
    /// A closed barrier.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: Mutex::new(BarrierState {
                open: false,
                arrived: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Lets every helper go, now and later.
    pub fn open(&self) {
        self.lock().open = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BarrierState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, reached: impl Fn(&BarrierState) -> bool) {
        let mut state = self.lock();
        while !reached(&state) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A helper's side: it has arrived, and waits.
    fn pass(&self) {
        self.lock().arrived += 1;
        self.changed.notify_all();
        self.wait_until(|state| state.open);
    }
}

/// Sleeps to the next whole multiple of `interval`, which is the rhythm of a helper:
/// its timer then ends together with the kernel's tick, and not while the loop, half
/// a period away (`clock::release_phase`), moves its frames.
pub fn pause(interval: Duration) {
    let mut clock = Monotonic;
    let interval = interval.as_nanos().max(1);
    let next = (clock.now().as_nanos() / interval + 1) * interval;
    clock.wait_until(Instant::from_nanos(next));
}

/// Starts `job` on a thread of `scope` named `name` (its first 15 bytes show in
/// the kernel) with a stack of `stack_bytes`, at least [`MIN_STACK_BYTES`].
///
/// It blocks every signal but those of faults, and it runs under `SCHED_OTHER`
/// even if the caller does not: a helper that inherits FIFO starves the loop.
/// Past `barrier` it first gives back the part of its stack that it does not use.
/// Allocates; never for the loop.
///
/// # Errors
/// pthread_create(3): `EAGAIN` when there may be no more threads, or when
/// `MCL_FUTURE` is set and the stack would go over `RLIMIT_MEMLOCK`.
pub fn spawn<'scope, T, F>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    stack_bytes: usize,
    barrier: &'scope Barrier,
    job: F,
) -> io::Result<ScopedJoinHandle<'scope, T>>
where
    T: Send + 'scope,
    F: FnOnce() -> T + Send + 'scope,
{
    let before = set_mask(&SignalSet::all_but_synchronous())?;
    let arrived = barrier.lock().arrived;
    let spawned = Builder::new()
        .name(name.to_owned())
        .stack_size(stack_bytes.max(MIN_STACK_BYTES))
        .spawn_scoped(scope, move || {
            if !matches!(scheduler::policy(), Ok(Policy::Other)) {
                // Giving up a real-time policy is always allowed (sched(7)).
                let _ = scheduler::set_policy(Policy::Other);
            }
            barrier.pass();
            // What is not given back is locked, which the contract judges.
            let _ = memory::release_unused_stack();
            job()
        });
    set_mask(&before)?;
    if spawned.is_ok() {
        // The standard library still allocates on the new thread before the job:
        // that must not come after the seal.
        barrier.wait_until(|state| state.arrived > arrived);
    }
    spawned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;
    use crate::sys::signal::mask;
    use std::thread::scope;

    #[test]
    fn a_helper_blocks_signals_and_has_the_default_policy() {
        let barrier = Barrier::new();
        barrier.open();
        let (blocked, policy) = scope(|scope| {
            let helper = spawn(scope, "helper", 0, &barrier, || {
                (mask().unwrap(), scheduler::policy())
            });
            helper.unwrap().join().unwrap()
        });
        assert!(blocked.contains(libc::SIGTERM) && blocked.contains(libc::SIGINT));
        assert!(!blocked.contains(libc::SIGSEGV));
        if !policy.is_err_and(|errno| emulation::lacks(errno.0)) {
            assert_eq!(policy, Ok(Policy::Other));
        }
        assert!(!mask().unwrap().contains(libc::SIGTERM));
    }

    #[test]
    fn a_pause_ends_at_the_next_interval() {
        let turn = |now: Instant| now.as_nanos() / 2_000_000;
        for _ in 0..5 {
            let before = Monotonic.now();
            pause(Duration::from_millis(2));
            assert!(turn(Monotonic.now()) > turn(before));
        }
    }

    #[test]
    fn a_helper_does_not_inherit_fifo() {
        let policies = std::thread::spawn(|| {
            scheduler::set_policy(Policy::Fifo { priority: 1 }).ok()?;
            let barrier = Barrier::new();
            barrier.open();
            let helpers = scope(|scope| {
                let helper = spawn(scope, "helper", 0, &barrier, scheduler::policy);
                helper.unwrap().join().unwrap()
            });
            Some((scheduler::policy(), helpers))
        });
        match policies.join().unwrap() {
            Some((own, helpers)) => {
                assert_eq!(own, Ok(Policy::Fifo { priority: 1 }));
                assert_eq!(helpers, Ok(Policy::Other));
            }
            None => emulation::not_run("no real-time policy is granted here: nothing to inherit"),
        }
    }

    #[test]
    fn a_helper_starts_its_work_after_the_barrier_opens() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let (barrier, opened) = (Barrier::new(), AtomicBool::new(false));
        let seen = scope(|scope| {
            let helper = spawn(scope, "helper", 0, &barrier, || {
                opened.load(Ordering::SeqCst)
            });
            opened.store(true, Ordering::SeqCst);
            barrier.open();
            helper.unwrap().join().unwrap()
        });
        assert!(seen);
    }
}
