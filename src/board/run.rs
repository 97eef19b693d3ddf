//! One run of a controller on a board, from opened devices to the report.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, TryLockError};
use std::thread;

use super::feeder::Feeder;
use super::linux::Linux;
use super::outcome::{Finished, in_order, record_cause, report};
use super::ports::{Devices, Ports};
use super::recorder::{Recorder, Saver};
use super::simulated::Simulated;
use crate::config::{Config, ConfigError, SimulationConfig};
use crate::cycle::beat::Beat;
use crate::cycle::ports::{Decide, Tick};
use crate::cycle::run::{Limit, Plant};
use crate::cycle::timing::Timing;
use crate::device::gpio::{EdgeReader, KernelEvents};
use crate::device::watchdog::Watchdog;
use crate::realtime::guard::{self, Watch};
use crate::realtime::helper::{self, Gate};
use crate::realtime::runner::{self, Parts, Request, StartError};
use crate::realtime::signals;
use crate::sim::{VirtualClock, WiringError};
use crate::sys::Errno;
use crate::telemetry::flight::FlightError;
use crate::telemetry::journal::Journal;
use crate::telemetry::notify::{Judged, Notify, NotifyError};
use crate::telemetry::report::{AxisReport, Pace, Report, WatchdogReport};
use crate::telemetry::reporter::{self, Listeners};
use crate::telemetry::ring::{self, Discard};

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
    /// The service manager that started this cannot be told how it goes.
    Notify(NotifyError),
    /// There is a run in this process already.
    Busy,
    /// The board file's folder for the flight file cannot be used.
    Folder(ConfigError),
    /// What is to survive the process cannot be had, or is another process's.
    Flight(FlightError),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => write!(f, "{error}"),
            Self::Wiring(error) => write!(f, "the simulated board cannot be wired: {error}"),
            Self::FreeOnRealBoard => {
                f.write_str("--pace free needs a simulated board: real devices have real time")
            }
            Self::Start(error) => write!(f, "{error}"),
            Self::Helper(errno) => write!(
                f,
                "a helper thread could not be started ({}); raise the limits on processes and memory",
                std::io::Error::from_raw_os_error(*errno)
            ),
            Self::Folder(error) => write!(f, "{error}"),
            Self::Flight(FlightError::Busy) => write!(f, "{}", FlightError::Busy),
            Self::Flight(error) => write!(f, "the flight file {error}"),
            Self::Notify(error) => write!(f, "{error}"),
            Self::Busy => f.write_str("there is a run in this process already; end it first"),
        }
    }
}

impl std::error::Error for RunError {}

/// The buffers of a run: static, so that they are where they are from the start.
// Cleared by each run.
static WORKSPACE: Mutex<Timing> = Mutex::new(Timing::unready());

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
    workspace.clear();
    runner::prepare().map_err(RunError::Start)?;
    if options.pace == Pace::Real {
        // Before a watchdog is armed: who cannot be started must not reset the
        // board again and again.
        Notify::from_environment().map_err(RunError::Notify)?;
    }
    // In functions that are not inlined: what stands on the main thread's stack
    // while the loop runs is locked.
    let finished = match (&config.simulation, options.pace) {
        (Some(simulation), Pace::Free) => {
            simulated_free::<D>(config, simulation, law, &state, options, workspace)?
        }
        (Some(simulation), Pace::Real) => {
            let recorder = Recorder::claim(config)?;
            simulated_real::<D>(
                config, recorder, simulation, law, &state, options, workspace,
            )?
        }
        (None, Pace::Real) => {
            let recorder = Recorder::claim(config)?;
            linux_real::<D>(config, recorder, law, &state, options, workspace)?
        }
        (None, Pace::Free) => return Err(RunError::FreeOnRealBoard),
    };
    let description = describe(&finished.state);
    Ok(report::<D>(
        config,
        law,
        options.pace,
        finished,
        description,
        workspace,
    ))
}

#[inline(never)]
fn simulated_real<D>(
    config: &Config,
    recorder: Recorder,
    simulation: &SimulationConfig,
    law: &D::Config,
    state: &D::State,
    options: &Options,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).map_err(RunError::Wiring)?;
    let ports = Ports::new(devices, &config.io, &map).retrying_until(config.run.deadline);
    let beat = Beat::<_, D>::new(ports, law, state.clone(), config.heartbeat);
    let helpers = Helpers {
        edge_readers: Vec::new(),
        watchdog: None,
    };
    real(config, recorder, beat, helpers, options, workspace)
}

#[inline(never)]
fn linux_real<D>(
    config: &Config,
    recorder: Recorder,
    law: &D::Config,
    state: &D::State,
    options: &Options,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let opened = Linux::open(config).map_err(RunError::Device)?;
    let ports =
        Ports::new(opened.devices, &config.io, &opened.map).retrying_until(config.run.deadline);
    let beat = Beat::<_, D>::new(ports, law, state.clone(), config.heartbeat);
    let helpers = Helpers {
        edge_readers: opened.edge_readers,
        watchdog: opened.watchdog,
    };
    real(config, recorder, beat, helpers, options, workspace)
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

/// What a real board has beside its devices.
struct Helpers {
    edge_readers: Vec<EdgeReader<KernelEvents>>,
    watchdog: Option<Watchdog>,
}

fn real<V, D>(
    config: &Config,
    recorder: Recorder,
    mut beat: Beat<'_, Ports<V>, D>,
    helpers: Helpers,
    options: &Options,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    V: Devices + Send,
    D: Decide,
    D::Config: Sync,
    D::State: Clone + Send,
{
    let watchdog_reset = helpers
        .watchdog
        .as_ref()
        .and_then(|watchdog| watchdog.facts().caused_last_reset);
    let mut feeder = helpers
        .watchdog
        .map(|watchdog| Feeder::new(watchdog, config.run.period));
    let mut recording = match recorder.begin(config, D::TRACE, watchdog_reset) {
        Ok(recording) => recording,
        Err(error) => return Err(Feeder::stand_down(feeder, error)),
    };
    let (saver, expected) = (Saver::default(), recording.expected);
    let mut store = recording.store.take();
    let flight = &recording.flight;
    let Some((mut writer, reader)) = ring::claim(flight.ring()) else {
        return Err(Feeder::stand_down(feeder, RunError::Busy));
    };
    let edges_failed = AtomicI32::new(0);
    let (done, gate, watch) = (AtomicBool::new(false), Gate::new(), Watch::new());
    let notify = match Notify::from_environment() {
        Ok(notify) => notify,
        Err(error) => return Err(Feeder::stand_down(feeder, RunError::Notify(error))),
    };
    let judged = Judged::new();
    let request = request(config, options);
    let refused = |error: std::io::Error| RunError::Helper(error.raw_os_error().unwrap_or(0));
    let ran = thread::scope(|scope| {
        // However this scope is left, the helpers must end, or it never is.
        let _end = EndHelpers(&done, &gate, &watch);
        let (period, live) = (config.run.period, options.live);
        let watched = D::TRACE.first().copied();
        let (done, gate, watch, saver) = (&done, &gate, &watch, &saver);
        let (edges_failed, judged) = (&edges_failed, &judged);
        let reporter = helper::spawn(scope, "reporter", HELPER_STACK, gate, move || {
            let listeners = Listeners {
                live,
                watched,
                journal: Journal::new(flight),
                faulted: |code| saver.faulted(code),
                notify,
                judged,
            };
            reporter::run(reader, done, period, listeners)
        })
        .map_err(refused)?;
        if let Some(store) = &mut store {
            helper::spawn(scope, "black box", HELPER_STACK, gate, move || {
                saver.run(flight, store, expected, done);
            })
            .map_err(refused)?;
        }
        for mut edges in helpers.edge_readers {
            helper::spawn(scope, "edges", HELPER_STACK, gate, move || {
                // A reader that fails leaves its latch abandoned, and the loop
                // goes on by levels.
                if let Err(errno) = edges.run(|| !done.load(Ordering::Relaxed)) {
                    edges_failed.store(errno.0, Ordering::Relaxed);
                }
            })
            .map_err(refused)?;
        }
        let limit = config.run.stall.map(|gap| guard::Limit { gap, period });
        if let Some(limit) = limit {
            let policy = guard::policy_above(config.run.scheduler);
            helper::spawn(scope, "guard", HELPER_STACK, gate, move || {
                guard::run(watch, limit, policy);
            })
            .map_err(refused)?;
        }
        let parts = Parts {
            beat: &mut beat,
            timing: workspace,
            record: &mut writer,
            buffers: Some(flight.mapped()),
            deadline_met: &mut |tick: &Tick| {
                if let Some(feeder) = &mut feeder {
                    feeder.deadline_met(tick);
                }
            },
            gate,
            watch: limit.map(|_| watch),
            judged: &|contract| {
                judged.set(contract);
                flight.judged(contract);
            },
        };
        let outcome = runner::run(&request, parts).map_err(RunError::Start)?;
        done.store(true, Ordering::Release);
        let dropped = reporter.join().unwrap_or(0);
        Ok::<_, RunError>((outcome, dropped))
    });
    let (outcome, records_dropped) = match ran {
        Ok(ran) => ran,
        Err(error) => return Err(Feeder::stand_down(feeder, error)),
    };
    recording.saved_by(store, saver);
    let stopped_by = signals::stop_requested();
    record_cause(&outcome, D::fault(beat.config, &beat.state), stopped_by);
    let watchdog = feeder.as_ref().map(|feeder| WatchdogReport {
        feeds_refused: feeder.refused,
        ..WatchdogReport::from(feeder.watchdog.facts())
    });
    let warnings = warnings(edges_failed.into_inner());
    if let (Some(feeder), true) = (feeder, in_order(&outcome)) {
        // One that cannot be stopped resets a board whose outputs are safe.
        let _ = feeder.watchdog.close();
    }
    Ok(Finished {
        outcome,
        state: beat.state,
        records_dropped,
        stopped_by,
        watchdog,
        recording: Some(recording),
        warnings,
    })
}

/// What is to be said of the helper threads; an error number, or 0.
fn warnings(edges_failed: i32) -> Vec<String> {
    let mut warnings = Vec::new();
    if edges_failed != 0 {
        warnings.push(format!(
            "edges of latched inputs could not be read any more ({}): pulses shorter than a period were not seen from then on",
            Errno(edges_failed)
        ));
    }
    warnings
}

/// Ends the helper threads when it goes.
struct EndHelpers<'d>(&'d AtomicBool, &'d Gate, &'d Watch);

impl Drop for EndHelpers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.open();
        self.2.end();
    }
}

#[inline(never)]
fn simulated_free<D>(
    config: &Config,
    simulation: &SimulationConfig,
    law: &D::Config,
    state: &D::State,
    options: &Options,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::State: Clone,
{
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).map_err(RunError::Wiring)?;
    let ports = Ports::new(devices, &config.io, &map).retrying_until(config.run.deadline);
    let mut beat = Beat::<_, D>::new(ports, law, state.clone(), config.heartbeat);
    let request = request(config, options);
    let mut clock = VirtualClock::new(simulation.cycle_cost);
    let parts = Parts {
        beat: &mut beat,
        timing: workspace,
        record: &mut Discard,
        buffers: None,
        deadline_met: &mut |_: &Tick| {},
        gate: &Gate::new(),
        judged: &|_| {},
        watch: None,
    };
    let outcome = runner::run_virtual(&request, parts, &mut clock).map_err(RunError::Start)?;
    Ok(Finished {
        outcome,
        state: beat.state,
        records_dropped: 0,
        stopped_by: signals::stop_requested(),
        watchdog: None,
        recording: None,
        warnings: Vec::new(),
    })
}
