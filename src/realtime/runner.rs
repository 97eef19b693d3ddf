//! The runner: this process made real-time in the order of the design, the
//! contract judged, the loop run, and everything given back.
//!
//! The caller calls [`prepare`], opens its devices with their outputs at their
//! safe values, starts its helper threads, and calls [`run()`]. What happens there,
//! in this order: stack reserved, memory locked, CPU latency held; on the
//! real-time thread: CPU, policy, seal, rehearsal with safe outputs, contract;
//! then the loop, if the contract allows it; then safe outputs, seal and locks
//! lifted.

use std::path::Path;

use crate::cycle::beat::{Beat, Drive};
use crate::cycle::overrun::LadderConfig;
use crate::cycle::ports::{Act, Clock, Decide, Record, Sense, Tick};
use crate::cycle::run::{self, Limit, Plan, Plant};
use crate::cycle::timing::Timing;
use crate::sys::cause;
use crate::sys::{Errno, emergency};
use crate::time::{Duration, Instant};

use super::allocator::{self, RealtimeThread, SEAL_OF_BUILD};
use super::clock::{Monotonic, first_release};
use super::contract::Contract;
use super::facts::{Facts, Rehearsal};
use super::faults;
use super::guard::{self, Watch};
use super::helper::Gate;
use super::memory::{self, LockError, LockFlags, Range, Status};
use super::scheduler::{self, DmaLatency};
use super::signals;
use super::stack::{self, Stack, StackError};
use super::supervise::{Nobody, Rehearsing, Seal, Supervisor, Watched};
use super::wanted::{Lock, LoopConfig};

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

/// Why nothing was run at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The real-time thread's stack.
    Stack(StackError),
    /// The kernel's own files about this process could not be read.
    Proc(Errno),
    /// The signal handlers.
    Signals(Errno),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stack(error) => write!(f, "{error}"),
            Self::Proc(errno) => {
                write!(f, "/proc/self/status cannot be read ({errno}): mount /proc")
            }
            Self::Signals(errno) => write!(f, "signal handlers were refused: {errno}"),
        }
    }
}

/// What a run works on.
pub struct Parts<'p, 'l, P, D: Decide, R, F> {
    /// The controller.
    pub beat: &'p mut Beat<'l, P, D>,
    /// Where its times go.
    pub timing: &'p mut Timing,
    /// Where its records go.
    pub record: &'p mut R,
    /// The memory that `record` points to, for `lock = "selective"`.
    pub buffers: Option<Range>,
    /// Called on the real-time thread after every cycle that met its deadline.
    pub deadline_met: &'p mut F,
    /// Where the helper threads wait until memory is locked.
    pub gate: &'p Gate,
    /// Told of the contract, on the real-time thread, before anything is
    /// energised by it. It must not allocate.
    pub judged: &'p (dyn Fn(&Contract) + Sync),
    /// Where the stall guard looks; `None` without one.
    pub watch: Option<&'p Watch>,
}

/// Makes the process ready, before its first helper thread is started: signal
/// handlers, limits, and a heap that is kept and is one for all threads. (A
/// thread that allocated before would have a heap of its own, of which glibc
/// reserves 64 MiB, and all of that would be locked.)
///
/// # Errors
/// When the signal handlers were refused.
pub fn prepare() -> Result<(), StartError> {
    signals::install().map_err(StartError::Signals)?;
    signals::clear_stop();
    cause::cell().clear();
    emergency::give_back();
    // What was granted is judged by what locking and scheduling answer, and a
    // heap that is not kept shows as page faults.
    let _ = memory::raise_locked_memory();
    let _ = memory::raise_realtime_priority();
    let _ = memory::keep_heap();
    Ok(())
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
    D::State: Clone + Send,
    R: Record + Send,
    F: FnMut(&Tick) + Send,
{
    let installed = allocator::is_installed();
    let latency = DmaLatency::hold(Path::new(scheduler::CPU_DMA_LATENCY));
    let runaway = scheduler::limit_runaway(request.config.period);
    let mut facts = Facts::of_process(Path::new("/"), &latency, runaway);
    let mut contract = Box::<Contract>::default();
    let mut stack = Stack::reserve(request.config.stack_bytes).map_err(StartError::Stack)?;
    memory::trim_heap();
    facts.locked = match request.config.lock {
        Lock::All => memory::lock_all(LockFlags::CurrentAndFuture),
        Lock::Selective => parts.lock(&stack),
    };
    stack.unlock_guard().map_err(StartError::Stack)?;
    // What is not given back is locked, which the contract judges.
    let _ = memory::release_unused_stack();
    let _ = memory::release_unwind_tables();
    parts.gate.open();
    facts.guard = parts.watch.map(Watch::wait_granted);

    let ran = stack.run(|| on_thread(request, installed, &mut parts, &mut facts, &mut contract));
    drop(latency);
    // Judged below by what is still locked.
    let _ = memory::unlock_all();
    let (ran, mut usage) = ran.map_err(StartError::Stack)?.map_err(StartError::Proc)?;
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
    F: FnMut(&Tick),
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

impl<P: Sense + Act, D: Decide, R: Record, F: FnMut(&Tick)> Parts<'_, '_, P, D, R, F> {
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
            self.beat,
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
            beat: &mut *self.beat,
            timing: &mut *self.timing,
            record: &mut *self.record,
            buffers: self.buffers,
            deadline_met: &mut *self.deadline_met,
            gate: self.gate,
            judged: self.judged,
            watch: self.watch,
        }
    }

    /// Locks what the loop touches, for `lock = "selective"`.
    fn lock(&self, stack: &Stack) -> Result<(), LockError> {
        stack.lock()?;
        memory::lock(Range::of(&*self.beat))?;
        memory::lock(Range::of(self.beat.config))?;
        memory::lock(Range::of(&*self.timing))?;
        memory::lock(Range::of(&*self.record))?;
        self.buffers.map_or(Ok(()), memory::lock)
    }
}

fn on_thread<P, D, R, F>(
    request: &Request<'_>,
    installed: bool,
    parts: &mut Parts<'_, '_, P, D, R, F>,
    facts: &mut Facts,
    contract: &mut Contract,
) -> Result<(Option<run::Summary>, Usage), Errno>
where
    P: Sense + Act,
    D: Decide,
    D::State: Clone,
    R: Record,
    F: FnMut(&Tick),
{
    let config = request.config;
    let _mark = RealtimeThread::mark();
    facts.take_schedule(config);
    allocator::seal(SEAL_OF_BUILD);
    let seal = Seal;

    let mut clock = Monotonic;
    facts.rehearsal = Some(rehearse(request, installed, parts, &mut clock)?);
    let status = Status::now()?;
    facts.vm_lck_kb = status.vm_lck_kb;
    facts.vm_rss_kb = status.vm_rss_kb;
    contract.judge(config, facts);
    (parts.judged)(contract);

    parts.timing.clear();
    let before = faults::own()?;
    let allowed = contract.kept() || request.requirement == Requirement::BestEffort;
    let ran = allowed.then(|| {
        let epoch = first_release(clock.now(), config.period);
        parts.reborrow().run(request, epoch, &mut clock)
    });
    let during = faults::own()?.since(before);
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
    D::State: Clone,
{
    let config = request.config;
    let state = parts.beat.state.clone();
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
            parts.beat,
            &plan,
            epoch,
            clock,
            parts.timing,
            &mut Nobody,
            &mut Rehearsing(cause::cell()),
        );
        faults::own()
    };
    let before = cycles(SETTLING_CYCLES)?;
    let during = cycles(config.warm_up_cycles)?.since(before);
    parts.beat.state = state;
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

/// Cycles before faults are counted: the first clock reads map the vDSO's data
/// page, the first transfers the drivers' own.
const SETTLING_CYCLES: u64 = 10;

/// Judges what this machine grants to a loop as `config` wants it, without
/// running one. What it takes to find out is given back: nothing is changed.
///
/// # Errors
/// When the real-time stack cannot be had.
pub fn examine(config: &LoopConfig) -> Result<Box<Contract>, StartError> {
    prepare()?;
    let latency = DmaLatency::hold(Path::new(scheduler::CPU_DMA_LATENCY));
    let runaway = scheduler::limit_runaway(config.period);
    let mut facts = Facts::of_process(Path::new("/"), &latency, runaway);
    let mut contract = Box::<Contract>::default();
    let mut stack = Stack::reserve(config.stack_bytes).map_err(StartError::Stack)?;
    memory::trim_heap();
    facts.locked = match config.lock {
        Lock::All => memory::lock_all(LockFlags::CurrentAndFuture),
        Lock::Selective => stack.lock(),
    };
    stack.unlock_guard().map_err(StartError::Stack)?;
    let _ = memory::release_unused_stack();
    let _ = memory::release_unwind_tables();
    let status = Status::now().map_err(StartError::Proc)?;
    facts.vm_lck_kb = status.vm_lck_kb;
    facts.vm_rss_kb = status.vm_rss_kb;
    let taken = stack.run(|| {
        facts.guard = config.stall.map(|_| guard::try_policy(config.scheduler));
        facts.take_schedule(config);
    });
    drop(latency);
    let _ = memory::unlock_all();
    taken.map_err(StartError::Stack)?;
    contract.judge(config, &facts);
    Ok(contract)
}

/// Allocations on any thread since the seal.
fn allocations() -> u64 {
    let counts = allocator::counts();
    counts.realtime + counts.others
}
