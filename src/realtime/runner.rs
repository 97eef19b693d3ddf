//! The runner: makes the process real-time, judges the contract, and runs the loop.
//!
//! The caller calls [`prepare`], opens its devices with safe outputs, starts its helper threads,
//! and calls [`run()`]. That reserves the stack, locks memory and holds the CPU latency. The
//! real-time thread then sets CPU and policy, seals the allocator, rehearses with safe outputs,
//! and has the contract judged. If the contract permits it, the watchdog is armed
//! ([`Feed::arm`]) and the loop runs. At the end the outputs are safe, and seal and locks are
//! removed.

use std::path::Path;
use std::sync::Arc;

use crate::cycle::overrun::LadderConfig;
use crate::cycle::ports::{Act, Clock, Decide, Record, Rewind, Sense};
use crate::cycle::run::{self, Limit, Plan, Plant};
use crate::cycle::stages::{Cycle, Drive};
use crate::cycle::timing::Timing;
use crate::cycle::wake::Wakes;
use crate::sys::Errno;
use crate::sys::cause;
use crate::time::{Duration, Instant};

use super::allocator::{self, RealtimeThread, SEAL_OF_BUILD};
use super::audit::{Audit, Baseline, Reaction};
use super::clock::{LoopClock, first_release};
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

pub use super::start::{Examined, Feed, StartError, examine, prepare};

/// Whether the loop may run with a broken contract.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// It may not: no output is driven without a kept contract.
    Required,
    /// It may; the report then says NOT REAL-TIME.
    BestEffort,
}

/// The parameters of a run.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    /// Requirements on kernel and loop.
    pub config: &'a LoopConfig,
    /// The overrun ladder.
    pub ladder: LadderConfig,
    /// Whether the loop may run with a broken contract.
    pub requirement: Requirement,
    /// The reaction to a promise that breaks while the loop runs.
    pub on_broken: Reaction,
    /// When the run ends by itself.
    pub limit: Limit,
    /// The shortest `max_hold` of all outputs.
    pub max_hold: Duration,
    /// Whether the plant continues while slots are skipped.
    pub plant: Plant,
}

/// Memory, faults and wakes of a run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Locked memory before the loop, kB.
    pub vm_lck_kb: u64,
    /// Resident memory before the loop, kB.
    pub vm_rss_kb: u64,
    /// Locked memory after unlocking, kB; 0 is expected.
    pub vm_lck_after_kb: u64,
    /// Minor faults of the real-time thread since the rehearsal.
    pub minor_faults: u64,
    /// Major faults of the real-time thread since the rehearsal.
    pub major_faults: u64,
    /// Allocations on any thread since the seal; `None` without the sealed
    /// allocator.
    pub allocations: Option<u64>,
    /// Size of the real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// Deepest use of that stack, bytes.
    pub stack_used: usize,
    /// The waits of a loop that watches the clock.
    pub wakes: Option<Wakes>,
}

/// The result of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The judged contract, with the breaches while the loop ran.
    pub contract: Box<Contract>,
    /// The summary of the loop; `None` if the contract was refused.
    pub ran: Option<run::Summary>,
    /// Memory and faults.
    pub usage: Usage,
}

/// The objects that a run uses.
pub struct Parts<'p, 'l, P, D: Decide, R, F> {
    /// The controller.
    pub cycle: &'p mut Cycle<'l, P, D>,
    /// The histograms of its times.
    pub timing: &'p mut Timing,
    /// Receives the record of each cycle.
    pub record: &'p mut R,
    /// What the loop writes in mappings of their own, each with its name for messages, for
    /// `lock = "selective"`.
    pub mapped: &'p [(&'static str, Range)],
    /// Called for every cycle that met its deadline, and to arm a watchdog.
    pub deadline_met: &'p mut F,
    /// The barrier at which helper threads wait until memory is locked.
    pub barrier: &'p Barrier,
    /// Called with the judged contract before the loop drives an output, on the thread that
    /// called [`run()`]. It must not allocate.
    pub judged: &'p (dyn Fn(&Contract) + Sync),
    /// The audit of the run; `None` without an auditor.
    pub audit: Option<&'p Audit>,
    /// State shared with the stall guard; `None` without a guard.
    pub watch: Option<&'p Watch>,
}

/// Runs the controller with the parameters of `request`. Call [`prepare`] before. It allocates
/// before and after the loop, not during it.
///
/// # Errors
/// Stack, `/proc` or watchdog failed, and nothing was run; or, after the loop, `/proc` could not
/// be read.
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
    // A failure leaves more memory locked, which the contract judges.
    let _ = memory::release_unused_stack();
    let _ = memory::release_unwind_tables();
    let _ = memory::release_unused_buffer();
    parts.barrier.open_on(observed.leave_cpu(request.config));
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
    // Here, because the state of a law may be a large part of the fixed stack.
    let mut saved = Some(parts.cycle.state.save());
    let ran = stack.run_beside(
        || on_thread(request, installed, &mut parts, &mut saved, &handshake),
        || {
            let judged =
                handshake.answer(|observed| asked.judge(observed, &mut contract, essential));
            compared = judged.unwrap_or(Ok(()));
        },
    );
    drop(latency);
    // Verified below by VmLck.
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

/// Runs the same loop on the calling thread and on a virtual clock. There is no contract; the
/// allocator is sealed nevertheless.
///
/// # Errors
/// None at present.
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
    /// Runs the loop with outputs enabled.
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
            mapped: self.mapped,
            deadline_met: &mut *self.deadline_met,
            barrier: self.barrier,
            judged: self.judged,
            watch: self.watch,
            audit: self.audit,
        }
    }

    /// The placement of the loop's own memory, without the parameters of a [`Decide`]: these
    /// belong to the caller, and the laws of a board file have none.
    fn placement(&self) -> Placement {
        Placement::of(&[
            ("the controller", Range::of(&*self.cycle)),
            ("the histograms", Range::of(&*self.timing)),
            ("the ring's writer", Range::of(&*self.record)),
        ])
    }

    /// The memory of loop, guard and handlers. Call it when the guard has its policy.
    fn essential(&self) -> Result<Essential, Errno> {
        let own = [
            ("the controller", Range::of(&*self.cycle)),
            ("the law's configuration", Range::of(self.cycle.config)),
            ("the histograms", Range::of(&*self.timing)),
            ("the ring's writer", Range::of(&*self.record)),
        ];
        essential(&own, self.mapped, self.watch)
    }
}

// Not generic, so that the binary contains it only once.
#[inline(never)]
fn essential(
    own: &[(&'static str, Range)],
    mapped: &[(&'static str, Range)],
    watch: Option<&Watch>,
) -> Result<Essential, Errno> {
    let mut essential = Essential::of_process()?;
    for (what, range) in own.iter().chain(mapped) {
        essential.add(what, *range)?;
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
    /// Judges `observed`. Gives whether the loop may run, and an error if the baseline of the audit
    /// could not be read.
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
    saved: &mut Option<<D::State as Rewind>::Saved>,
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

    let mut clock = LoopClock::new(config.wake);
    let rehearsal = rehearse(request, installed, parts, saved, &mut clock);
    let rehearsal = rehearsal.map_err(StartError::Proc)?;
    let status = Status::now().map_err(StartError::Proc)?;
    {
        let mut observed = handshake.value();
        observed.rehearsal = Some(rehearsal);
        observed.vm_lck_kb = status.vm_lck_kb;
        observed.vm_rss_kb = status.vm_rss_kb;
        observed.count_disturbances();
    }
    let allowed = handshake.ask();

    parts.timing.clear();
    clock.restart();
    // Last, directly before the first cycle: from here on the watchdog has to be fed.
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
        wakes: clock.wakes(),
    };
    if let (Some(audit), true) = (parts.audit, allowed) {
        audit.finish(during);
    }
    drop(seal);
    Ok((ran, usage))
}

/// Runs the control law with safe outputs, and restores its state afterwards. So the code and data
/// of the loop are touched before it runs.
fn rehearse<P, D, R, F>(
    request: &Request<'_>,
    installed: bool,
    parts: &mut Parts<'_, '_, P, D, R, F>,
    saved: &mut Option<<D::State as Rewind>::Saved>,
    clock: &mut LoopClock,
) -> Result<Rehearsal, Errno>
where
    P: Sense + Act,
    D: Decide,
    D::State: Rewind,
    F: Feed,
{
    let config = request.config;
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
    if let Some(saved) = saved.take() {
        parts.cycle.state.rewind(saved);
    }
    Ok(Rehearsal {
        cycles: config.warm_up_cycles,
        minor_faults: during.minor,
        major_faults: during.major,
        sealed: installed && allocator::sealed().is_some(),
        allocations: allocations(),
        stack_bytes: stack::size_bytes(),
        stack_used: stack::high_water_bytes(),
        longest: Duration::from_nanos(parts.timing.execution.summary().max.into()),
    })
}

/// Cycles before page faults are counted: the first cycles map pages of vDSO and drivers.
const SETTLING_CYCLES: u64 = 10;

/// Duration of the rehearsal of a loop with `config`.
#[must_use]
pub fn rehearsal_time(config: &LoopConfig) -> Duration {
    config.period * (SETTLING_CYCLES + config.warm_up_cycles)
}

/// Allocations on any thread since the seal.
fn allocations() -> u64 {
    let counts = allocator::counts();
    counts.realtime + counts.others
}
