//! The runner: this process made real-time in the order of the design, the
//! contract judged, the loop run, and everything given back.
//!
//! The caller calls [`prepare`], opens its devices with their outputs at their safe
//! values, starts its helper threads, and calls [`run()`]. What happens there, in this
//! order: stack reserved, memory locked, CPU latency held; on the real-time thread: CPU,
//! policy, seal, rehearsal with safe outputs, contract; then, if the contract allows it,
//! the watchdog armed ([`Feed::arm`]) and the loop; then safe outputs, seal and locks lifted.

use std::path::Path;
use std::sync::Arc;

use crate::cycle::overrun::LadderConfig;
use crate::cycle::ports::{Act, Clock, Decide, Record, Rewind, Sense};
use crate::cycle::run::{self, Limit, Plan, Plant};
use crate::cycle::stages::{Cycle, Drive};
use crate::cycle::timing::Timing;
use crate::sys::Errno;
use crate::sys::cause;
use crate::time::{Duration, Instant};

use super::allocator::{self, RealtimeThread, SEAL_OF_BUILD};
use super::audit::{Audit, Baseline, Reaction};
use super::clock::{Monotonic, first_release};
use super::contract::Contract;
use super::faults;
use super::guard::Watch;
use super::handshake::Handshake;
use super::helper::Barrier;
use super::memory::{self, Essential, LockFlags, Range, Status};
use super::observed::{Observed, Placement, Rehearsal};
use super::required::{Lock, LoopConfig};
use super::scheduler::{self, DmaLatency};
use super::stack::{self, Stack};
use super::supervise::{Rehearsed, Rehearsing, Seal, Supervisor, Watched};

pub use super::start::{Feed, StartError, examine, prepare};

/// Whether a broken contract is refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing is energised without a kept contract.
    Required,
    /// The loop runs all the same, and says NOT REAL-TIME.
    BestEffort,
}

/// What is to be run, and how.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    /// What is required of kernel and loop.
    pub config: &'a LoopConfig,
    /// The overrun ladder.
    pub ladder: LadderConfig,
    /// Whether a broken contract is refused.
    pub requirement: Requirement,
    /// What a promise leads to that breaks while the loop runs.
    pub on_broken: Reaction,
    /// When to end.
    pub limit: Limit,
    /// The shortest time that an output may be held without a fresh decision.
    pub max_hold: Duration,
    /// What the plant does while slots are skipped.
    pub plant: Plant,
}

/// Memory and faults of a run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Locked while the loop ran, kB.
    pub vm_lck_kb: u64,
    /// Resident while the loop ran, kB.
    pub vm_rss_kb: u64,
    /// Locked after everything was unlocked, kB: 0.
    pub vm_lck_after_kb: u64,
    /// Minor faults of the real-time thread since the rehearsal.
    pub minor_faults: u64,
    /// Major faults of the real-time thread since the rehearsal.
    pub major_faults: u64,
    /// Allocations on any thread since the seal; `None` without the sealed
    /// allocator.
    pub allocations: Option<u64>,
    /// The real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// How much of it was ever used, bytes.
    pub stack_used: usize,
}

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The contract as it was judged.
    pub contract: Box<Contract>,
    /// What the run was; `None` when the contract was refused.
    pub ran: Option<run::Summary>,
    /// Memory and faults.
    pub usage: Usage,
}

/// What a run works on.
pub struct Parts<'p, 'l, P, D: Decide, R, F> {
    /// The controller.
    pub cycle: &'p mut Cycle<'l, P, D>,
    /// Where its times go.
    pub timing: &'p mut Timing,
    /// Where its records go.
    pub record: &'p mut R,
    /// The memory that `record` points to, for `lock = "selective"`.
    pub buffers: Option<Range>,
    /// Told of every cycle that met its deadline, and when to arm a watchdog.
    pub deadline_met: &'p mut F,
    /// Where the helper threads wait until memory is locked.
    pub barrier: &'p Barrier,
    /// Told of the contract before anything is energised by it, on the thread that
    /// called [`run()`]. It must not allocate.
    pub judged: &'p (dyn Fn(&Contract) + Sync),
    /// Where what breaks while the loop runs is noted; `None` without an auditor.
    pub audit: Option<&'p Audit>,
    /// Where the stall guard looks; `None` without one.
    pub watch: Option<&'p Watch>,
}

/// Runs the controller as `request` says. The process has been made ready by
/// [`prepare`].
///
/// # Errors
/// When there was not even a contract to judge; nothing was run.
pub fn run<P, D, R, F>(
    request: &Request<'_>,
    mut parts: Parts<'_, '_, P, D, R, F>,
) -> Result<Outcome, StartError>
where
    P: Sense + Act + Send,
    D: Decide,
    D::Config: Sync,
    D::State: Rewind + Send,
    R: Record + Send,
    F: Feed + Send,
{
    let installed = allocator::is_installed();
    let latency = DmaLatency::hold(Path::new(scheduler::CPU_DMA_LATENCY)).map(Arc::new);
    let runaway = scheduler::limit_runaway(request.config.period);
    let mut observed = Observed::of_process(Path::new("/"), &latency, runaway);
    if let (Some(audit), Ok(latency)) = (parts.audit, &latency) {
        audit.hold(Arc::clone(latency));
    }
    let mut contract = Box::<Contract>::default();
    let mut stack = Stack::reserve(request.config.stack_bytes).map_err(StartError::Stack)?;
    memory::trim_heap();
    if request.config.lock == Lock::All {
        observed.locked = memory::lock_all(LockFlags::CurrentAndFuture);
    }
    stack.unlock_guard().map_err(StartError::Stack)?;
    // What is not given back is locked, which the contract judges.
    let _ = memory::release_unused_stack();
    let _ = memory::release_unwind_tables();
    let _ = memory::release_unused_buffer();
    parts.barrier.open();
    observed.guard = parts.watch.map(Watch::wait_granted);
    observed.placement = Some(parts.placement());
    let essential = observed.lock_essential(request.config.lock, parts.essential());

    let asked = Asked {
        request,
        judged: parts.judged,
        audit: parts.audit,
        watch: parts.watch,
    };
    let handshake = Handshake::new(observed);
    let mut compared = Ok(());
    let ran = stack.run_beside(
        || on_thread(request, installed, &mut parts, &handshake),
        || {
            let judged =
                handshake.answer(|observed| asked.judge(observed, &mut contract, essential));
            compared = judged.unwrap_or(Ok(()));
        },
    );
    drop(latency);
    // Judged below by what is still locked.
    let _ = memory::unlock_all();
    let (ran, mut usage) = ran.map_err(StartError::Stack)??;
    compared.map_err(StartError::Proc)?;
    if let Some(audit) = parts.audit {
        contract.broke(audit.breaches());
    }
    usage.vm_lck_after_kb = Status::now().map_err(StartError::Proc)?.vm_lck_kb;
    Ok(Outcome {
        contract,
        ran,
        usage,
    })
}

/// Runs the same loop on the calling thread and a clock that is not the
/// machine's: nothing is promised, so there is no contract, but the allocator is
/// sealed all the same.
///
/// # Errors
/// When the signal handlers were refused; nothing was run.
pub fn run_virtual<P, D, R, F, C>(
    request: &Request<'_>,
    parts: Parts<'_, '_, P, D, R, F>,
    clock: &mut C,
) -> Result<Outcome, StartError>
where
    P: Sense + Act,
    D: Decide,
    R: Record,
    F: Feed,
    C: Clock,
{
    let installed = allocator::is_installed();
    let mark = RealtimeThread::mark();
    allocator::seal(SEAL_OF_BUILD);
    let seal = Seal;
    let epoch = Instant::from_nanos(request.config.period.as_nanos());
    let ran = parts.run(request, epoch, clock);
    let usage = Usage {
        allocations: installed.then(allocations),
        ..Usage::default()
    };
    drop((seal, mark));
    Ok(Outcome {
        contract: Box::default(),
        ran: Some(ran),
        usage,
    })
}

impl<P: Sense + Act, D: Decide, R: Record, F: Feed> Parts<'_, '_, P, D, R, F> {
    /// The loop in earnest.
    fn run<C: Clock>(self, request: &Request<'_>, epoch: Instant, clock: &mut C) -> run::Summary {
        let config = request.config;
        let plan = Plan {
            period: config.period,
            deadline: config.deadline,
            limit: request.limit,
            rest_slots: config.slots(config.stop_time),
            output_failures: config.output_failures,
            ladder: request.ladder,
            max_hold: request.max_hold,
            drive: Drive::Fresh,
            plant: request.plant,
        };
        let mut supervisor = Supervisor {
            deadline_met: self.deadline_met,
            cell: cause::cell(),
        };
        let _watched = Watched::begin(self.watch, epoch);
        run::run(
            self.cycle,
            &plan,
            epoch,
            clock,
            self.timing,
            self.record,
            &mut supervisor,
        )
    }
}

impl<'l, P, D: Decide, R, F> Parts<'_, 'l, P, D, R, F> {
    fn reborrow(&mut self) -> Parts<'_, 'l, P, D, R, F> {
        Parts {
            cycle: &mut *self.cycle,
            timing: &mut *self.timing,
            record: &mut *self.record,
            buffers: self.buffers,
            deadline_met: &mut *self.deadline_met,
            barrier: self.barrier,
            judged: self.judged,
            watch: self.watch,
            audit: self.audit,
        }
    }

    /// Where the loop's own memory is. The configuration of a [`Decide`] is left out: it is
    /// whoever's who calls, and the laws of a board file have none.
    fn placement(&self) -> Placement {
        Placement::of(&[
            ("the controller", Range::of(&*self.cycle)),
            ("the histograms", Range::of(&*self.timing)),
            ("the ring's writer", Range::of(&*self.record)),
        ])
    }

    /// What loop, guard and handlers use of the memory. Once the guard has its
    /// policy.
    fn essential(&self) -> Result<Essential, Errno> {
        let own = [
            ("the controller", Range::of(&*self.cycle)),
            ("the law's configuration", Range::of(self.cycle.config)),
            ("the histograms", Range::of(&*self.timing)),
            ("the ring's writer", Range::of(&*self.record)),
        ];
        essential(&own, self.buffers, self.watch)
    }
}

// Not generic, and so there once: each board's loop is code of its own.
#[inline(never)]
fn essential(
    own: &[(&'static str, Range)],
    buffers: Option<Range>,
    watch: Option<&Watch>,
) -> Result<Essential, Errno> {
    let mut essential = Essential::of_process()?;
    for (what, range) in own {
        essential.add(what, *range)?;
    }
    if let Some(buffers) = buffers {
        essential.add("the flight file", buffers)?;
    }
    if let Some(watch) = watch {
        let (stack, signals) = watch.stacks()?;
        essential.add("the guard's stack", stack)?;
        if let Some(signals) = signals {
            essential.add("the guard's signal stack", signals)?;
        }
    }
    Ok(essential)
}

struct Asked<'a> {
    request: &'a Request<'a>,
    judged: &'a (dyn Fn(&Contract) + Sync),
    audit: Option<&'a Audit>,
    watch: Option<&'a Watch>,
}

impl Asked<'_> {
    /// Judges `observed`: whether the loop may run; an error when what is to be audited
    /// could not be examined.
    #[inline(never)]
    fn judge(
        &self,
        observed: &Observed,
        contract: &mut Contract,
        essential: Essential,
    ) -> (bool, Result<(), Errno>) {
        contract.judge(self.request.config, observed);
        (self.judged)(contract);
        let allowed = contract.kept() || self.request.requirement == Requirement::BestEffort;
        let Some(audit) = self.audit.filter(|_| allowed) else {
            return (allowed, Ok(()));
        };
        let guard = self.watch.map(Watch::guard_thread);
        let baseline = Baseline::of(observed, contract, guard, self.request.on_broken, essential);
        let compared = baseline.map(|baseline| audit.compare_with(baseline));
        (compared.is_ok(), compared)
    }
}

fn on_thread<P, D, R, F>(
    request: &Request<'_>,
    installed: bool,
    parts: &mut Parts<'_, '_, P, D, R, F>,
    handshake: &Handshake<Observed>,
) -> Result<(Option<run::Summary>, Usage), StartError>
where
    P: Sense + Act,
    D: Decide,
    D::State: Rewind,
    R: Record,
    F: Feed,
{
    let config = request.config;
    let _guard = handshake.guard();
    let _mark = RealtimeThread::mark();
    handshake.value().take_schedule(config);
    allocator::seal(SEAL_OF_BUILD);
    let seal = Seal;

    let mut clock = Monotonic;
    let rehearsal = rehearse(request, installed, parts, &mut clock);
    let rehearsal = rehearsal.map_err(StartError::Proc)?;
    let status = Status::now().map_err(StartError::Proc)?;
    {
        let mut observed = handshake.value();
        observed.rehearsal = Some(rehearsal);
        observed.vm_lck_kb = status.vm_lck_kb;
        observed.vm_rss_kb = status.vm_rss_kb;
        observed.thread = scheduler::thread_id();
    }
    let allowed = handshake.ask();

    parts.timing.clear();
    // The last thing before the first cycle: from here on somebody has to feed it.
    if allowed && !parts.deadline_met.arm() {
        return Err(StartError::NotArmed);
    }
    let before = faults::own().map_err(StartError::Proc)?;
    let ran = allowed.then(|| {
        let epoch = first_release(clock.now(), config.period);
        if let Some(audit) = parts.audit {
            audit.begin(epoch, before);
        }
        parts.reborrow().run(request, epoch, &mut clock)
    });
    let during = faults::own().map_err(StartError::Proc)?.since(before);
    let usage = Usage {
        vm_lck_kb: status.vm_lck_kb,
        vm_rss_kb: status.vm_rss_kb,
        vm_lck_after_kb: 0,
        minor_faults: during.minor,
        major_faults: during.major,
        allocations: installed.then(allocations),
        stack_bytes: stack::size_bytes(),
        stack_used: stack::high_water_bytes(),
    };
    if let (Some(audit), true) = (parts.audit, allowed) {
        audit.finish(during);
    }
    drop(seal);
    Ok((ran, usage))
}

/// Runs the control law on a copy of its state with safe outputs: the same code
/// and data are touched, and nothing of it remains.
fn rehearse<P, D, R, F>(
    request: &Request<'_>,
    installed: bool,
    parts: &mut Parts<'_, '_, P, D, R, F>,
    clock: &mut Monotonic,
) -> Result<Rehearsal, Errno>
where
    P: Sense + Act,
    D: Decide,
    D::State: Rewind,
    F: Feed,
{
    let config = request.config;
    let saved = parts.cycle.state.save();
    let mut cycles = |limit| {
        let plan = Plan {
            period: config.period,
            deadline: config.deadline,
            limit: Limit::Cycles(limit),
            rest_slots: 0,
            output_failures: u32::MAX,
            ladder: LadderConfig {
                armed: false,
                ..request.ladder
            },
            max_hold: request.max_hold,
            drive: Drive::Safe,
            plant: request.plant,
        };
        let epoch = first_release(clock.now(), config.period);
        let _watched = Watched::begin(parts.watch, epoch);
        run::run(
            parts.cycle,
            &plan,
            epoch,
            clock,
            parts.timing,
            &mut Rehearsed(&mut *parts.deadline_met),
            &mut Rehearsing(cause::cell()),
        );
        faults::own()
    };
    let before = cycles(SETTLING_CYCLES)?;
    let during = cycles(config.warm_up_cycles)?.since(before);
    parts.cycle.state.rewind(saved);
    Ok(Rehearsal {
        cycles: config.warm_up_cycles,
        minor_faults: during.minor,
        major_faults: during.major,
        sealed: installed && allocator::sealed().is_some(),
        allocations: allocations(),
        stack_bytes: stack::size_bytes(),
        stack_used: stack::high_water_bytes(),
    })
}

/// Cycles before faults are counted: the first ones map pages of vDSO and drivers.
const SETTLING_CYCLES: u64 = 10;

/// How long the rehearsal of a loop takes that runs as `config`.
#[must_use]
pub fn rehearsal_time(config: &LoopConfig) -> Duration {
    config.period * (SETTLING_CYCLES + config.warm_up_cycles)
}

/// Allocations on any thread since the seal.
fn allocations() -> u64 {
    let counts = allocator::counts();
    counts.realtime + counts.others
}
