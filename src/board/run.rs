//! One run of a controller on a board, from opened devices to the report.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};
use std::thread;

use super::linux::Linux;
use super::ports::{Devices, Ports};
use super::simulated::Simulated;
use crate::config::{Config, ConfigError, SimulationConfig};
use crate::cycle::beat::Beat;
use crate::cycle::ports::{Decide, Tick};
use crate::cycle::run::{End, Limit, Plant, Summary};
use crate::cycle::timing::Timing;
use crate::device::gpio::{EdgeReader, KernelEvents};
use crate::device::watchdog::Watchdog;
use crate::realtime::contract::Contract;
use crate::realtime::helper::{self, Gate};
use crate::realtime::memory::Range;
use crate::realtime::runner::{self, Outcome, Parts, Request, StartError, Usage};
use crate::realtime::signals;
use crate::sim::{VirtualClock, WiringError};
use crate::telemetry::report::{AxisReport, Cycles, Exit, Memory, Pace, Report, WatchdogReport};
use crate::telemetry::reporter;
use crate::telemetry::ring::{Discard, Ring};
use crate::time::Duration;

/// How to run.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// When to end.
    pub limit: Limit,
    /// Which clock paces the run.
    pub pace: Pace,
    /// Whether a line about the run is redrawn on standard error.
    pub live: bool,
}

/// What a control law's state means to a person, for the report.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The axes, if it has some.
    pub axes: Vec<AxisReport>,
    /// Why it is faulted, if it is.
    pub fault: Option<String>,
}

/// Why there was no run.
#[derive(Clone, Debug)]
pub enum RunError {
    /// A device that the board file names cannot be had on this machine.
    Device(ConfigError),
    /// The simulated board cannot be wired.
    Wiring(WiringError),
    /// A virtual clock and real devices do not go together.
    FreeOnRealBoard,
    /// The process could not even be prepared.
    Start(StartError),
    /// A helper thread could not be started.
    Helper(i32),
    /// There is a run in this process already.
    Busy,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => write!(f, "{error}"),
            Self::Wiring(error) => write!(f, "the simulated board cannot be wired: {error:?}"),
            Self::FreeOnRealBoard => {
                f.write_str("--pace free needs a simulated board: real devices have real time")
            }
            Self::Start(error) => write!(f, "{error}"),
            Self::Helper(errno) => write!(
                f,
                "a helper thread could not be started ({}); raise the limits on processes and memory",
                std::io::Error::from_raw_os_error(*errno)
            ),
            Self::Busy => f.write_str("there is a run in this process already; end it first"),
        }
    }
}

impl std::error::Error for RunError {}

/// The buffers of a run: static, so that they are where they are from the start.
struct Workspace {
    ring: Ring,
    timing: Timing,
}

static WORKSPACE: Mutex<Workspace> = Mutex::new(Workspace {
    ring: Ring::new(),
    timing: Timing::new(),
});

/// Stack of the reporter and of an edge reader, bytes.
const HELPER_STACK: usize = 64 * 1024;

/// Runs the control law `D` on the board of `config` and reports.
///
/// `describe` tells what the state is like at the end. One run at a time in a
/// process: there is one real-time stack and one set of buffers.
///
/// # Errors
/// When nothing was run. A refused contract and a fault are reports.
pub fn run<D>(
    config: &Config,
    law: &D::Config,
    state: D::State,
    options: &Options,
    describe: impl FnOnce(&D::State) -> Description,
) -> Result<Report, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let mut workspace = match WORKSPACE.try_lock() {
        Ok(workspace) => workspace,
        Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return Err(RunError::Busy),
    };
    let workspace = &mut *workspace;
    workspace.timing.clear();
    runner::prepare().map_err(RunError::Start)?;
    // In functions that are not inlined: what stands on the main thread's stack
    // while the loop runs is locked.
    let finished = match (&config.simulation, options.pace) {
        (Some(simulation), Pace::Free) => {
            simulated_free::<D>(config, simulation, law, &state, options, workspace)?
        }
        (Some(simulation), Pace::Real) => {
            simulated_real::<D>(config, simulation, law, &state, options, workspace)?
        }
        (None, Pace::Real) => linux_real::<D>(config, law, &state, options, workspace)?,
        (None, Pace::Free) => return Err(RunError::FreeOnRealBoard),
    };
    let description = describe(&finished.state);
    Ok(report::<D>(
        config,
        law,
        options.pace,
        finished,
        description,
        &workspace.timing,
    ))
}

#[inline(never)]
fn simulated_real<D>(
    config: &Config,
    simulation: &SimulationConfig,
    law: &D::Config,
    state: &D::State,
    options: &Options,
    workspace: &mut Workspace,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).map_err(RunError::Wiring)?;
    let ports = Ports::new(devices, &config.io, &map);
    let beat = Beat::<_, D>::new(ports, law, state.clone(), config.heartbeat);
    let helpers = Helpers {
        edge_readers: Vec::new(),
        watchdog: None,
    };
    real(config, beat, helpers, options, workspace)
}

#[inline(never)]
fn linux_real<D>(
    config: &Config,
    law: &D::Config,
    state: &D::State,
    options: &Options,
    workspace: &mut Workspace,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let opened = Linux::open(config).map_err(RunError::Device)?;
    let ports = Ports::new(opened.devices, &config.io, &opened.map);
    let beat = Beat::<_, D>::new(ports, law, state.clone(), config.heartbeat);
    let helpers = Helpers {
        edge_readers: opened.edge_readers,
        watchdog: opened.watchdog,
    };
    real(config, beat, helpers, options, workspace)
}

fn request<'c>(config: &'c Config, options: &Options) -> Request<'c> {
    let waits = config
        .simulation
        .as_ref()
        .is_some_and(|simulation| simulation.waits);
    Request {
        config: &config.run,
        ladder: config.ladder,
        requirement: config.requirement,
        limit: options.limit,
        max_hold: config.io.max_hold(),
        plant: if waits { Plant::Waits } else { Plant::GoesOn },
    }
}

struct Finished<S> {
    outcome: Outcome,
    state: S,
    records_dropped: u64,
    stopped_by: Option<signals::StopSignal>,
    watchdog: Option<WatchdogReport>,
}

/// What a real board has beside its devices.
struct Helpers {
    edge_readers: Vec<EdgeReader<KernelEvents>>,
    watchdog: Option<Watchdog>,
}

/// Feeds the watchdog from completed deadlines, four times within its timeout.
struct Feeder {
    watchdog: Watchdog,
    slots: u64,
    next_slot: u64,
}

impl Feeder {
    fn new(watchdog: Watchdog, period: Duration) -> Self {
        let quarter = Duration::from_millis(u64::from(watchdog.facts().timeout_s) * 250);
        Self {
            watchdog,
            slots: (quarter / period).max(1),
            next_slot: 0,
        }
    }

    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        if tick.slot >= self.next_slot {
            self.next_slot = tick.slot + self.slots;
            // A watchdog that cannot be fed does what it is there for.
            let _ = self.watchdog.feed();
        }
    }
}

fn real<V, D>(
    config: &Config,
    mut beat: Beat<'_, Ports<V>, D>,
    helpers: Helpers,
    options: &Options,
    workspace: &mut Workspace,
) -> Result<Finished<D::State>, RunError>
where
    V: Devices + Send,
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let ring = Range::of(&workspace.ring);
    let (mut writer, reader) = workspace.ring.split();
    let (done, gate) = (AtomicBool::new(false), Gate::new());
    let request = request(config, options);
    let mut feeder = helpers
        .watchdog
        .map(|watchdog| Feeder::new(watchdog, config.run.period));
    let refused = |error: std::io::Error| RunError::Helper(error.raw_os_error().unwrap_or(0));
    let (outcome, records_dropped) = thread::scope(|scope| {
        // However this scope is left, the helpers must end, or it never is.
        let _end = EndHelpers(&done, &gate);
        let (period, live) = (config.run.period, options.live);
        let watched = D::TRACE.first().copied();
        let (done, gate) = (&done, &gate);
        let reporter = helper::spawn(scope, "reporter", HELPER_STACK, gate, move || {
            reporter::run(reader, done, live, period, watched)
        })
        .map_err(refused)?;
        for mut edges in helpers.edge_readers {
            helper::spawn(scope, "edges", HELPER_STACK, gate, move || {
                // A reader that fails leaves its latch abandoned, and the loop
                // goes on by levels.
                let _ = edges.run(|| !done.load(Ordering::Relaxed));
            })
            .map_err(refused)?;
        }
        let parts = Parts {
            beat: &mut beat,
            timing: &mut workspace.timing,
            record: &mut writer,
            buffers: Some(ring),
            deadline_met: &mut |tick: &Tick| {
                if let Some(feeder) = &mut feeder {
                    feeder.deadline_met(tick);
                }
            },
            gate,
        };
        let outcome = runner::run(&request, parts).map_err(RunError::Start)?;
        done.store(true, Ordering::Release);
        let dropped = reporter.join().unwrap_or(0);
        Ok::<_, RunError>((outcome, dropped))
    })?;
    let watchdog = feeder
        .as_ref()
        .map(|feeder| WatchdogReport::from(feeder.watchdog.facts()));
    if let (Some(feeder), true) = (feeder, in_order(&outcome)) {
        // One that cannot be stopped resets a board whose outputs are safe.
        let _ = feeder.watchdog.close();
    }
    Ok(Finished {
        outcome,
        state: beat.state,
        records_dropped,
        stopped_by: signals::stop_requested(),
        watchdog,
    })
}

/// Whether a run ended in order, or did not begin: then nobody needs the
/// watchdog any more. After a fault it stays armed, so that the board is reset
/// unless somebody takes over in time.
fn in_order(outcome: &Outcome) -> bool {
    outcome
        .ran
        .is_none_or(|ran| matches!(ran.end, End::Finished | End::Stopped) && ran.safe.is_ok())
}

/// Ends the helper threads when it goes.
struct EndHelpers<'d>(&'d AtomicBool, &'d Gate);

impl Drop for EndHelpers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.open();
    }
}

#[inline(never)]
fn simulated_free<D>(
    config: &Config,
    simulation: &SimulationConfig,
    law: &D::Config,
    state: &D::State,
    options: &Options,
    workspace: &mut Workspace,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::State: Clone,
{
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).map_err(RunError::Wiring)?;
    let ports = Ports::new(devices, &config.io, &map);
    let mut beat = Beat::<_, D>::new(ports, law, state.clone(), config.heartbeat);
    let request = request(config, options);
    let mut clock = VirtualClock::new(simulation.cycle_cost);
    let parts = Parts {
        beat: &mut beat,
        timing: &mut workspace.timing,
        record: &mut Discard,
        buffers: None,
        deadline_met: &mut |_: &Tick| {},
        gate: &Gate::new(),
    };
    let outcome = runner::run_virtual(&request, parts, &mut clock).map_err(RunError::Start)?;
    Ok(Finished {
        outcome,
        state: beat.state,
        records_dropped: 0,
        stopped_by: signals::stop_requested(),
        watchdog: None,
    })
}

#[inline(never)]
fn report<D: Decide>(
    config: &Config,
    law: &D::Config,
    pace: Pace,
    finished: Finished<D::State>,
    description: Description,
    timing: &Timing,
) -> Report {
    let Finished {
        outcome,
        state,
        records_dropped,
        stopped_by,
        watchdog,
    } = finished;
    let fault = D::fault(law, &state).map(|code| {
        description
            .fault
            .unwrap_or_else(|| format!("the control law reports fault {code}"))
    });
    let exit = exit(&outcome, fault, stopped_by, config);
    let cycles = outcome.ran.map_or_else(Cycles::default, |ran| Cycles {
        run: ran.run,
        skipped: ran.skipped,
        overruns: timing.overruns,
        rest: ran.rest_cycles,
        bucket_fullest: ran.bucket_fullest,
        records_dropped,
    });
    Report {
        version: env!("CARGO_PKG_VERSION"),
        board: config.name.clone(),
        pace,
        cycles,
        release_lateness_ns: timing.release_lateness.summary(),
        execution_ns: timing.execution.summary(),
        response_ns: timing.response.summary(),
        memory: memory(&outcome.usage, pace),
        contract: outcome.contract,
        axes: description.axes,
        watchdog,
        exit,
        timing: Box::new(timing.clone()),
    }
}

fn memory(usage: &Usage, pace: Pace) -> Memory {
    let real = pace == Pace::Real;
    Memory {
        vm_lck_kb: real.then_some(usage.vm_lck_kb),
        vm_rss_kb: real.then_some(usage.vm_rss_kb),
        minor_faults: real.then_some(usage.minor_faults),
        major_faults: real.then_some(usage.major_faults),
        allocations: usage.allocations,
        stack_bytes: real.then_some(usage.stack_bytes),
        stack_high_water_bytes: real.then_some(usage.stack_used),
    }
}

/// How the process is to end: 0 done, 1 failed, 3 refused, 4 fault.
fn exit(
    outcome: &Outcome,
    fault: Option<String>,
    stopped_by: Option<signals::StopSignal>,
    config: &Config,
) -> Exit {
    let Some(ran) = &outcome.ran else {
        return Exit {
            code: 3,
            reason: format!("contract refused: {}", broken_names(&outcome.contract)),
        };
    };
    let (code, reason) = match (fault_of(ran, config), fault) {
        (Some(reason), Some(law)) => (4, format!("{reason}; {law}")),
        (Some(reason), None) | (None, Some(reason)) => (4, reason),
        (None, None) if outcome.usage.vm_lck_after_kb > 0 => (
            1,
            format!(
                "{} kB stayed locked after munlockall",
                outcome.usage.vm_lck_after_kb
            ),
        ),
        (None, None) => match (ran.end, stopped_by) {
            (End::Stopped, Some(signal)) => (0, format!("stopped by {signal}")),
            _ => (0, "done".to_owned()),
        },
    };
    Exit { code, reason }
}

/// What of the run itself was a fault.
fn fault_of(ran: &Summary, config: &Config) -> Option<String> {
    if let Err(error) = ran.safe {
        return Some(format!("the outputs could not be made safe: {error:?}"));
    }
    match ran.end {
        End::Finished | End::Stopped => None,
        End::NotAtRest => Some(format!(
            "not at rest within {} of being asked; the outputs were made safe",
            config.run.stop_time
        )),
        End::Overrun => Some("too many missed deadlines (overrun ladder)".to_owned()),
        End::OutputFailed(error) => Some(format!("outputs could not be written: {error:?}")),
        End::Allocated => Some("memory was allocated on the real-time thread".to_owned()),
    }
}

fn broken_names(contract: &Contract) -> String {
    let names: Vec<_> = contract.broken().map(|row| row.name).collect();
    names.join(", ")
}
