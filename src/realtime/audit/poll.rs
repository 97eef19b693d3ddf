//! Reads the kernel's present values, and compares them with the baseline.

use core::fmt::Write as _;
use core::sync::atomic::Ordering;
use std::path::Path;

use super::{Audit, FOUND_BYTES, INTERVAL, Promise, Promises, Reaction, TRIES, promise_broken};
use crate::cycle::ports::Clock;
use crate::realtime::allocator;
use crate::realtime::clock::Monotonic;
use crate::realtime::contract::Contract;
use crate::realtime::contract::leaves_enough;
use crate::realtime::faults::{FaultReader, Faults};
use crate::realtime::interrupts::{Disturbances, FEW};
use crate::realtime::memory::{Essential, StatusReader};
use crate::realtime::observed::Observed;
use crate::realtime::platform::Throttling;
use crate::realtime::scheduler::{self, CpuList, CpuSet, Policy};
use crate::realtime::text::cut;
use crate::sys::procfs::{ProcFile, word};
use crate::sys::{Errno, emergency, output};
use crate::time::Instant;

/// The values that were granted when the contract was judged.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The folder of `proc`, with a slash at its end: `/`, except in tests.
    pub root: &'static str,
    /// The promises to audit.
    pub promises: Promises,
    /// The reaction to a breach.
    pub reaction: Reaction,
    /// Values of the loop's thread.
    pub realtime: Granted,
    /// Values of the stall guard's thread; `None` without a guard.
    pub guard: Option<Granted>,
    /// The loop's CPU, if it is isolated for it.
    pub own_cpu: Option<usize>,
    /// VmLck, kB.
    pub vm_lck_kb: u64,
    /// The memory that has to be locked.
    pub essential: Essential,
}

/// The scheduling of a thread.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The thread's number (gettid(2)).
    pub thread: i32,
    /// Its policy.
    pub policy: Policy,
    /// The CPUs that it may use.
    pub cpus: CpuSet,
}

impl Granted {
    /// Reads the present scheduling of `thread`.
    ///
    /// # Errors
    /// `ESRCH`: there is no such thread.
    pub fn now(thread: i32) -> Result<Self, Errno> {
        Ok(Self {
            thread,
            policy: scheduler::policy_of(thread)?,
            cpus: scheduler::affinity_of(thread)?,
        })
    }
}

impl Baseline {
    /// The baseline of `observed` for the promises that `contract` found kept. `guard` is the
    /// number of the stall guard's thread, `essential` the memory that has to stay locked.
    ///
    /// # Errors
    /// `ESRCH`: a thread has ended.
    pub fn of(
        observed: &Observed,
        contract: &Contract,
        guard: Option<i32>,
        reaction: Reaction,
        essential: Essential,
    ) -> Result<Self, Errno> {
        let mut promises = contract.audited();
        if observed.throttling.is_none() {
            promises = promises.without(Promise::Throttling);
        }
        if observed.moves_locked_pages.is_none() {
            promises = promises.without(Promise::Compaction);
        }
        Ok(Self {
            root: "/",
            promises,
            reaction,
            realtime: Granted::now(observed.thread)?,
            guard: guard.map(Granted::now).transpose()?,
            own_cpu: observed.own_cpu(),
            vm_lck_kb: observed.vm_lck_kb,
            essential,
        })
    }
}

/// A short text of what was found, cut off where it does not fit.
type Found = heapless::String<FOUND_BYTES>;

/// A failed reading: its subject, and the error.
type Unread = (&'static str, Errno);

/// Reads the promises, with the files that it keeps open.
pub(super) struct Auditor<'a> {
    audit: &'a Audit,
    baseline: &'a Baseline,
    status: Option<StatusReader>,
    faults: Option<FaultReader>,
    runtime: Option<ProcFile<32>>,
    period: Option<ProcFile<32>>,
    compaction: Option<ProcFile<32>>,
    /// What has disturbed the loop on its own CPU, and when it was read.
    disturbed: Option<(Disturbances, Instant)>,
    /// Failures in a row, for each promise.
    failures: [u8; Promise::ALL.len()],
    /// Whether the safe-state latch is set.
    latched: fn() -> bool,
}

impl<'a> Auditor<'a> {
    /// An auditor without open files.
    pub(super) fn new(audit: &'a Audit, baseline: &'a Baseline, latched: fn() -> bool) -> Self {
        Self {
            audit,
            baseline,
            latched,
            status: None,
            faults: None,
            runtime: None,
            period: None,
            compaction: None,
            disturbed: None,
            failures: [0; Promise::ALL.len()],
        }
    }

    /// Checks every audited promise.
    pub(super) fn poll(&mut self) {
        for promise in self.baseline.promises.iter() {
            let found = self.examine(promise);
            self.conclude(promise, found);
        }
    }

    /// Checks every audited promise on the loop's own thread after the loop has ended. Its page
    /// faults are given by `during`, because the check itself may cause some.
    pub(super) fn last_poll(&mut self, during: Faults) {
        for promise in self.baseline.promises.iter() {
            let found = match promise {
                Promise::PageFaults => Ok(faulted(during)),
                // What happened since the last reading of the other thread is not known here.
                Promise::OwnCpu => continue,
                other => self.examine(other),
            };
            self.conclude(promise, found);
        }
    }

    fn conclude(&mut self, promise: Promise, found: Result<Option<Found>, Unread>) {
        // Checked after the reading: a reading is void if the loop has ended meanwhile, or if
        // the safe-state latch is set. Then the process is about to end, and the stall guard
        // has lowered the loop's priority.
        let from = self.audit.watched_from();
        let Some(from) = from.filter(|_| !(self.latched)()) else {
            return;
        };
        let failures = &mut self.failures[promise as usize];
        let reaction = match promise {
            // Allocations of other threads do not endanger the loop, so they are only reported.
            Promise::Allocator
                if allocator::sealed().is_some() && allocator::counts().realtime == 0 =>
            {
                Reaction::Report
            }
            // A loop that is too late for it is stopped by the overrun ladder.
            Promise::OwnCpu => Reaction::Report,
            _ => self.baseline.reaction,
        };
        let note = |promise, found: &str| self.audit.note(promise, from, found, reaction);
        match found {
            Ok(None) => *failures = 0,
            Ok(Some(found)) => note(promise, &found),
            Err((what, errno)) => {
                *failures = failures.saturating_add(1);
                if *failures >= TRIES {
                    let mut found = Found::new();
                    let _ = write!(
                        found,
                        "{what} could not be read {TRIES} times in a row: {errno}"
                    );
                    note(Promise::Audit, &found);
                }
            }
        }
    }

    /// The deviation from `promise`; `None` if it is kept.
    fn examine(&mut self, promise: Promise) -> Result<Option<Found>, Unread> {
        let Baseline {
            root,
            realtime,
            guard,
            ..
        } = self.baseline;
        match promise {
            Promise::Scheduler => scheduler::policy_of(realtime.thread)
                .map(|now| other_policy(now, realtime.policy))
                .map_err(|errno| ("the policy of the loop", errno)),
            Promise::Cpu => scheduler::affinity_of(realtime.thread)
                .map(|now| other_cpus(&now, &realtime.cpus))
                .map_err(|errno| ("the CPUs of the loop", errno)),
            Promise::Guard => {
                let Some(guard) = guard else {
                    return Ok(None);
                };
                match Granted::now(guard.thread) {
                    Ok(now) => Ok(other_policy(now.policy, guard.policy)
                        .or_else(|| other_cpus(&now.cpus, &guard.cpus))),
                    Err(Errno(libc::ESRCH)) => Ok(Some(cut(format_args!("its thread is gone")))),
                    Err(errno) => Err(("policy and CPUs of the stall guard", errno)),
                }
            }
            Promise::LockedMemory => self.locked_memory(),
            Promise::PageFaults => {
                let reader = opened(&mut self.faults, || {
                    FaultReader::of_thread(root, realtime.thread)
                });
                let now = reader.and_then(FaultReader::read);
                let now = now.map_err(|errno| ("the page faults of the loop", errno))?;
                Ok(faulted(now.since(self.audit.faults_before())))
            }
            Promise::CpuLatency => Ok(self.latency()),
            Promise::Throttling => self.throttling(),
            Promise::Allocator => {
                let counts = allocator::counts();
                let count = counts.realtime + counts.others;
                let unsealed = allocator::sealed().is_none();
                Ok((count > 0 || unsealed).then(|| match unsealed {
                    true => cut(format_args!("no longer sealed")),
                    false => cut(format_args!(
                        "{count} allocations, {} by the loop",
                        counts.realtime
                    )),
                }))
            }
            Promise::Compaction => {
                let file = "sys/vm/compact_unevictable_allowed";
                let allowed = number(&mut self.compaction, root, file)
                    .map_err(|errno| ("vm.compact_unevictable_allowed", errno))?;
                Ok((allowed != 0)
                    .then(|| cut(format_args!("vm.compact_unevictable_allowed is {allowed}"))))
            }
            Promise::OwnCpu => self.own_cpu(),
            // Noted by `conclude` and by `Audit::suspended`.
            Promise::Audit | Promise::Awake => Ok(None),
        }
    }

    fn locked_memory(&mut self) -> Result<Option<Found>, Unread> {
        let Baseline {
            root,
            vm_lck_kb,
            essential,
            ..
        } = self.baseline;
        let status = opened(&mut self.status, || StatusReader::below(root))
            .and_then(StatusReader::read)
            .map_err(|errno| ("VmLck", errno))?;
        if status.vm_lck_kb >= *vm_lck_kb {
            return Ok(None);
        }
        // VmLck also shrinks when a helper ends, with its stack. Only the memory of loop,
        // guard and handlers counts.
        let unlocked = essential
            .first_unlocked(root)
            .map_err(|errno| ("/proc/self/smaps", errno))?;
        Ok(unlocked.map(|what| {
            cut(format_args!(
                "{what} not locked any more, VmLck {} kB of {vm_lck_kb} kB",
                status.vm_lck_kb
            ))
        }))
    }

    /// From one reading to the next, about a second.
    fn own_cpu(&mut self) -> Result<Option<Found>, Unread> {
        let Some(cpu) = self.baseline.own_cpu else {
            return Ok(None);
        };
        let thread = self.baseline.realtime.thread;
        let seen = Disturbances::of(Path::new(self.baseline.root), cpu, thread);
        let seen = seen.map_err(|errno| ("the interrupts of the loop's CPU", errno))?;
        let now = Monotonic.now();
        let Some((earlier, at)) = self.disturbed.replace((seen, now)) else {
            return Ok(None);
        };
        let Disturbances {
            interrupts,
            preemptions,
        } = seen.since(earlier);
        let passed = now.since(at);
        let seconds = passed.as_nanos().div_ceil(1_000_000_000).max(1);
        let few = FEW * seconds;
        Ok((interrupts > few || preemptions > few).then(|| {
            cut(format_args!(
                "{interrupts} interrupts of devices, {preemptions} times another thread in {seconds} s"
            ))
        }))
    }

    fn latency(&self) -> Option<Found> {
        match self.audit.latency.get()?.read_back() {
            Ok(0) => None,
            Ok(us) => Some(cut(format_args!("{us} us"))),
            // Displaying an io::Error allocates, which would break a promise itself.
            Err(error) => Some(cut(format_args!(
                "its descriptor was closed or reused ({})",
                Errno::from(error)
            ))),
        }
    }

    fn throttling(&mut self) -> Result<Option<Found>, Unread> {
        let root = self.baseline.root;
        let unread = |errno| ("kernel.sched_rt_runtime_us", errno);
        let runtime = number(&mut self.runtime, root, "sys/kernel/sched_rt_runtime_us");
        let runtime = runtime.map_err(unread)?;
        let period = number(&mut self.period, root, "sys/kernel/sched_rt_period_us");
        let now = Throttling::of(runtime, period.unwrap_or(1_000_000));
        Ok((!leaves_enough(Some(now))).then(|| {
            cut(format_args!(
                "{runtime} us of each period (sched_rt_runtime_us)"
            ))
        }))
    }
}

fn other_policy(now: Policy, promised: Policy) -> Option<Found> {
    (now != promised).then(|| cut(format_args!("{now} instead of {promised}")))
}

fn other_cpus(now: &CpuSet, promised: &CpuSet) -> Option<Found> {
    (now != promised).then(|| {
        cut(format_args!(
            "CPU {} instead of CPU {}",
            CpuList(now),
            CpuList(promised)
        ))
    })
}

fn faulted(faults: Faults) -> Option<Found> {
    (!faults.is_zero()).then(|| {
        cut(format_args!(
            "{} minor, {} major",
            faults.minor, faults.major
        ))
    })
}

/// The reader in `place`, opened at its first use.
fn opened<R>(
    place: &mut Option<R>,
    open: impl FnOnce() -> Result<R, Errno>,
) -> Result<&mut R, Errno> {
    if place.is_none() {
        *place = Some(open()?);
    }
    place.as_mut().ok_or(Errno(libc::EBADF))
}

/// The number in `proc/FILE` below `root`.
fn number(place: &mut Option<ProcFile<32>>, root: &str, file: &str) -> Result<i64, Errno> {
    let file = opened(place, || {
        let mut path = heapless::String::<192>::new();
        write!(path, "{root}proc/{file}").map_err(|_| Errno(libc::ENAMETOOLONG))?;
        Ok(ProcFile::open(Path::new(path.as_str()))?)
    })?;
    let text = file.read()?;
    word(text, 0).ok_or(Errno(libc::EIO))
}

impl Audit {
    fn faults_before(&self) -> Faults {
        use core::sync::atomic::Ordering::Relaxed;
        Faults {
            minor: self.minor.load(Relaxed),
            major: self.major.load(Relaxed),
        }
    }
}

impl Audit {
    /// Ends the audit after the loop. Checks all promises a last time on the calling thread, to
    /// find breaches since the last check; `during` are the page faults of the loop's thread
    /// since [`Audit::begin`].
    ///
    /// Reads files into buffers of 8 kB on the stack; does not allocate.
    // Not inlined, so that its buffers are not part of the loop's frame.
    #[inline(never)]
    pub fn finish(&self, during: Faults) {
        if let Some(baseline) = self.baseline.get() {
            Auditor::new(self, baseline, || false).last_poll(during);
        }
        self.from_ns.store(0, Ordering::Release);
    }
}

/// Runs the audit on the thread that calls [`Poller::poll`].
pub struct Poller<'a> {
    audit: &'a Audit,
    auditor: Option<Auditor<'a>>,
    /// The second of the last check.
    second: u64,
    said: Promises,
}

impl<'a> Poller<'a> {
    /// An audit without a check so far.
    #[must_use]
    pub const fn new(audit: &'a Audit) -> Self {
        Self {
            audit,
            auditor: None,
            second: 0,
            said: Promises::from_bits(0),
        }
    }

    /// Checks the promises once per [`INTERVAL`], and prints new breaches. Call it several times
    /// per interval, and once after the loop has ended. It reads a clock in each call, uses
    /// buffers of 6 kB in this value, and does not allocate.
    pub fn poll(&mut self) {
        let second = Monotonic.now().as_nanos() / INTERVAL.as_nanos();
        if second != self.second && self.audit.watched_from().is_some() {
            self.second = second;
            if let Some(baseline) = self.audit.baseline.get() {
                let new = || Auditor::new(self.audit, baseline, emergency::latched);
                self.auditor.get_or_insert_with(new).poll();
            }
        }
        if self.audit.broken() != self.said {
            say(self.audit, &mut self.said);
        }
    }
}

/// Prints new breaches. If standard error has no room, the next turn tries again; report and
/// black box have the breach in any case.
fn say(audit: &Audit, said: &mut Promises) {
    for breach in audit.breaches() {
        if said.contains(breach.promise) {
            continue;
        }
        let mut line = heapless::String::<256>::new();
        // The capacity exceeds every text.
        let _ = writeln!(
            line,
            "steadfast: contract broken while running, {} after the start: {breach}{}",
            breach.at,
            if promise_broken() { "; quick stop" } else { "" }
        );
        if output::stderr().write_all(line.as_bytes(), 0).is_ok() {
            *said = said.with(breach.promise);
        }
    }
}
