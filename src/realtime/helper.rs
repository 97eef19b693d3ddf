//! Starts helper threads, such as the reporter and the stall guard.
//!
//! They must not disturb the loop. So they start before memory is locked and before any thread
//! is real-time, on small stacks (the default of 8 MiB would be locked as a whole, and would
//! exceed a small `RLIMIT_MEMLOCK`), with all signals blocked except those of faults.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::clock::Monotonic;
use super::memory;
use super::scheduler::{self, CpuSet, Policy};
use crate::cycle::ports::Clock;
use crate::sys::signal::{SignalSet, set_mask};
use crate::time::{Duration, Instant};

/// Smallest stack of a helper, bytes: 64 KiB. The standard library raises it to glibc's
/// `PTHREAD_STACK_MIN` if that is larger: 16 KiB on x86-64, 128 KiB on arm64.
pub const MIN_STACK_BYTES: usize = 64 * 1024;

/// A barrier at which helpers wait until memory is locked. Only then can they release the unused
/// part of their stacks.
#[derive(Debug, Default)]
pub struct Barrier {
    state: Mutex<BarrierState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct BarrierState {
    open: bool,
    /// The CPUs of helpers, if they have to leave that of the loop.
    cpus: Option<CpuSet>,
    /// Number of helpers that have arrived.
    arrived: usize,
}

impl Barrier {
    /// A closed barrier.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: Mutex::new(BarrierState {
                open: false,
                cpus: None,
                arrived: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Opens the barrier for all helpers, permanently.
    pub fn open(&self) {
        self.lock().open = true;
        self.changed.notify_all();
    }

    /// As [`Barrier::open`]; with `cpus` the helpers run on these CPUs only.
    pub fn open_on(&self, cpus: Option<CpuSet>) {
        self.lock().cpus = cpus;
        self.open();
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

    /// Called by a helper: notes that it has arrived, and waits until the barrier opens. Gives
    /// the CPUs on which it has to run.
    fn pass(&self) -> Option<CpuSet> {
        self.lock().arrived += 1;
        self.changed.notify_all();
        self.wait_until(|state| state.open);
        self.lock().cpus
    }
}

/// Sleeps until the next whole multiple of `interval`. Helpers poll with it: their timers then
/// expire with the kernel's tick, half a period away from the loop's releases
/// (`clock::release_phase`).
pub fn pause(interval: Duration) {
    let mut clock = Monotonic;
    let interval = interval.as_nanos().max(1);
    let next = (clock.now().as_nanos() / interval + 1) * interval;
    clock.wait_until(Instant::from_nanos(next));
}

/// Starts `job` on a thread of `scope` named `name` (the kernel shows the first 15 bytes) with a
/// stack of `stack_bytes`, at least [`MIN_STACK_BYTES`].
///
/// The thread blocks all signals except those of faults. It runs under `SCHED_OTHER` even if the
/// caller does not: a helper that inherits FIFO would starve the loop. After `barrier` opens, it
/// releases the unused part of its stack, and calls `job`. Returns when the thread has arrived
/// at `barrier`. Allocates; not for the loop.
///
/// # Errors
/// Those of pthread_create(3): `EAGAIN` at the limit of threads, or if `MCL_FUTURE` is set and
/// the stack would exceed `RLIMIT_MEMLOCK`.
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
                // A thread may always leave a real-time policy (sched(7)).
                let _ = scheduler::set_policy(Policy::Other);
            }
            if let Some(cpus) = barrier.pass() {
                // A failure leaves it on the CPUs of the process.
                let _ = scheduler::run_on(&cpus);
            }
            // A failure leaves more memory locked, which the contract judges.
            let _ = memory::release_unused_stack();
            job()
        });
    set_mask(&before)?;
    if spawned.is_ok() {
        // The standard library allocates on the new thread before the job, which must not
        // happen after the seal.
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
    fn a_helper_runs_on_the_cpus_that_the_barrier_gives_it() {
        let all = scheduler::affinity().unwrap();
        let mut one = CpuSet::EMPTY;
        one.insert(all.iter().next_back().unwrap());
        for (given, expected) in [(Some(one), one), (None, all)] {
            let barrier = Barrier::new();
            barrier.open_on(given);
            let cpus = scope(|scope| {
                let helper = spawn(scope, "helper", 0, &barrier, scheduler::affinity);
                helper.unwrap().join().unwrap()
            });
            assert_eq!(cpus, Ok(expected));
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
