//! The runner: this process made real-time in the order of the design, the
//! contract judged, the loop run, and everything given back.
//!
//! The caller has opened its devices with their outputs at their safe values and
//! has started its helper threads. What happens here, in this order: limits
//! raised, heap kept, stack reserved, memory locked, CPU latency held; on the
//! real-time thread: CPU, policy, seal, rehearsal with safe outputs, contract;
//! then the loop, if the contract allows it; then safe outputs, seal and locks
//! lifted.

use crate::cycle::beat::{Beat, Drive};
use crate::cycle::overrun::LadderConfig;
use crate::cycle::ports::{Act, Clock, Decide, Record, Sense, Tick};
use crate::cycle::record::CycleRecord;
use crate::cycle::run::{self, Demand, Limit, Plan, Supervise};
use crate::cycle::timing::Timing;
use crate::sys::sched;
use crate::time::Duration;

use super::allocator::{self, RealtimeThread, SEAL_OF_BUILD};
use super::clock::Monotonic;
use super::contract::Contract;
use super::facts::{Facts, Rehearsal};
use super::gather;
use super::memory::{self, LockFlags, Status};
use super::scheduler;
use super::signals;
use super::stack::{self, Stack, StackError};
use super::wanted::{Lock, LoopConfig, Scheduler};

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
    /// What is wanted of kernel and loop.
    pub config: &'a LoopConfig,
    /// The overrun ladder.
    pub ladder: LadderConfig,
    /// Whether a broken contract is refused.
    pub requirement: Requirement,
    /// When to end.
    pub limit: Limit,
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
    pub contract: Contract,
    /// What the run was; `None` when the contract was refused.
    pub ran: Option<run::Summary>,
    /// Memory and faults.
    pub usage: Usage,
}

/// Why nothing was run at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The real-time thread's stack.
    Stack(StackError),
    /// The kernel's own files about this process could not be read.
    Proc(crate::sys::Errno),
    /// The signal handlers.
    Signals(crate::sys::Errno),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stack(error) => write!(f, "{error}"),
            Self::Proc(errno) => write!(f, "/proc/self/status cannot be read ({errno}): mount /proc"),
            Self::Signals(errno) => write!(f, "signal handlers were refused: {errno}"),
        }
    }
}

/// Runs `beat` as `request` says. `deadline_met` is called on the real-time
/// thread after every cycle that met its deadline.
///
/// # Errors
/// When there was not even a contract to judge; nothing was run.
pub fn run<P, D, R, F>(
    request: &Request<'_>,
    beat: &mut Beat<'_, P, D>,
    timing: &mut Timing,
    record: &mut R,
    deadline_met: &mut F,
) -> Result<Outcome, StartError>
where
    P: Sense + Act + Send,
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
    R: Record + Send,
    F: FnMut(&Tick) + Send,
{
    signals::install().map_err(StartError::Signals)?;
    gather::raise_limits();
    let installed = allocator::is_installed();
    // A heap that is not kept shows as page faults, which the contract judges.
    let _ = memory::keep_heap();
    let mut stack = Stack::reserve(request.config.stack_bytes).map_err(StartError::Stack)?;
    let locked = match request.config.lock {
        Lock::All => memory::lock_all(LockFlags::CurrentAndFuture),
        Lock::Selective => stack
            .lock()
            .and_then(|()| memory::lock(memory::Range::of(timing)))
            .and_then(|()| memory::lock(memory::Range::of(record)))
            .and_then(|()| memory::lock(memory::Range::of(beat))),
    };
    stack.unlock_guard().map_err(StartError::Stack)?;
    let latency = scheduler::CpuLatency::hold(0);
    let mut facts = gather::facts(request.config, locked, &latency);

    let ran = stack.run(|| on_thread(request, installed, beat, timing, record, deadline_met, &mut facts));
    drop(latency);
    // Judged below by what is still locked.
    let _ = memory::unlock_all();
    let (contract, ran, mut usage) = ran.map_err(StartError::Stack)?.map_err(StartError::Proc)?;
    usage.vm_lck_after_kb = Status::now().map_err(StartError::Proc)?.vm_lck_kb;
    Ok(Outcome {
        contract,
        ran,
        usage,
    })
}

type Ran = (Contract, Option<run::Summary>, Usage);

fn on_thread<P, D, R, F>(
    request: &Request<'_>,
    installed: bool,
    beat: &mut Beat<'_, P, D>,
    timing: &mut Timing,
    record: &mut R,
    deadline_met: &mut F,
    facts: &mut Facts,
) -> Result<Ran, crate::sys::Errno>
where
    P: Sense + Act,
    D: Decide,
    D::State: Clone,
    R: Record,
    F: FnMut(&Tick),
{
    let config = request.config;
    let _mark = RealtimeThread::mark();
    facts.cpu = gather::take_cpu(config.cpu, facts.isolated_cpu);
    facts.policy = gather::take_policy(config);
    allocator::seal(SEAL_OF_BUILD);
    let seal = Seal;

    let mut plan = Plan {
        period: config.period,
        deadline: config.deadline,
        limit: Limit::Cycles(SETTLING_CYCLES),
        rest_slots: 0,
        output_failures: u32::MAX,
        ladder: LadderConfig {
            armed: false,
            ..request.ladder
        },
        drive: Drive::Safe,
    };
    // The rehearsal runs the real control law on a copy of its state: the same
    // code and data are touched, and nothing of it remains.
    let state = beat.state.clone();
    let mut clock = Monotonic;
    rehearse(&plan, beat, timing, &mut clock);
    let before = sched::thread_page_faults()?;
    plan.limit = Limit::Cycles(config.warm_up_cycles);
    rehearse(&plan, beat, timing, &mut clock);
    let after = sched::thread_page_faults()?;
    beat.state = state;

    let status = Status::now()?;
    facts.vm_lck_kb = status.vm_lck_kb;
    facts.vm_rss_kb = status.vm_rss_kb;
    facts.rehearsal = Some(Rehearsal {
        cycles: config.warm_up_cycles,
        minor_faults: after.0 - before.0,
        major_faults: after.1 - before.1,
        sealed: installed && allocator::sealed().is_some(),
        allocations: allocations(),
        stack_bytes: stack::size_bytes(),
        stack_used: stack::high_water_bytes(),
    });
    let contract = Contract::judge(config, facts);
    let allowed = contract.kept() || request.requirement == Requirement::BestEffort;

    timing.clear();
    let before = sched::thread_page_faults()?;
    let ran = allowed.then(|| {
        plan.limit = request.limit;
        plan.rest_slots = config.slots(config.stop_time);
        plan.output_failures = config.output_failures;
        plan.ladder = request.ladder;
        plan.drive = Drive::Fresh;
        let mut supervisor = Supervisor { deadline_met };
        let epoch = first_release(&clock, config.period);
        run::run(beat, &plan, epoch, &mut clock, timing, record, &mut supervisor)
    });
    let after = sched::thread_page_faults()?;
    let usage = Usage {
        vm_lck_kb: status.vm_lck_kb,
        vm_rss_kb: status.vm_rss_kb,
        vm_lck_after_kb: 0,
        minor_faults: after.0 - before.0,
        major_faults: after.1 - before.1,
        allocations: installed.then(allocations),
        stack_bytes: stack::size_bytes(),
        stack_used: stack::high_water_bytes(),
    };
    drop(seal);
    Ok((contract, ran, usage))
}

/// Cycles before faults are counted: the first clock reads map the vDSO's data
/// page, the first transfers the drivers' own.
const SETTLING_CYCLES: u64 = 10;

fn rehearse<P: Sense + Act, D: Decide>(
    plan: &Plan,
    beat: &mut Beat<'_, P, D>,
    timing: &mut Timing,
    clock: &mut Monotonic,
) {
    struct Nobody;
    impl Supervise for Nobody {
        fn demand(&self) -> Demand {
            Demand::Continue
        }
    }
    impl Record for Nobody {
        fn record(&mut self, _: &CycleRecord) {}
    }
    let epoch = first_release(clock, plan.period);
    run::run(beat, plan, epoch, clock, timing, &mut Nobody, &mut Nobody);
}

/// The first whole multiple of the period that is at least one period away, so
/// that every run of a machine has the same phase.
fn first_release(clock: &Monotonic, period: Duration) -> crate::time::Instant {
    let periods = clock.now().as_nanos() / period.as_nanos() + 2;
    crate::time::Instant::from_nanos(periods * period.as_nanos())
}

/// Allocations on any thread since the seal.
fn allocations() -> u64 {
    let counts = allocator::counts();
    counts.realtime_since_seal + counts.others_since_seal
}

/// The seal, lifted when this goes.
struct Seal;

impl Drop for Seal {
    fn drop(&mut self) {
        allocator::unseal();
    }
}

struct Supervisor<'a, F> {
    deadline_met: &'a mut F,
}

impl<F: FnMut(&Tick)> Supervise for Supervisor<'_, F> {
    #[inline]
    fn demand(&self) -> Demand {
        if allocator::counts().realtime_since_seal > 0 {
            Demand::Allocated
        } else if signals::stop_requested().is_some() {
            Demand::Stop
        } else {
            Demand::Continue
        }
    }

    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        (self.deadline_met)(tick);
    }
}
