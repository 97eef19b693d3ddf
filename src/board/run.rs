//! [`run`]: one run of a controller on a board, from opening the devices to the report.

use std::sync::{Mutex, TryLockError};

use super::error::RunError;
use super::helpers::{Helpers, LoopContext, notify, run_with_helpers};
use super::links::{Links, LoopLinks};
use super::linux::Linux;
use super::options::Options;
use super::outcome::{Finished, report};
use super::ports::{Devices, Ports, SpiMap};
use super::probe::{self, Machine};
use super::recorder::Recorder;
use super::simulated::Simulated;
use crate::config::{Config, SimulationConfig};
use crate::cycle::ports::{Decide, Rewind, Tick};
use crate::cycle::run::Plant;
use crate::cycle::stages::Cycle;
use crate::cycle::timing::Timing;
use crate::realtime::helper::Barrier;
use crate::realtime::runner::{self, Parts, Request};
use crate::realtime::signals;
use crate::sim::VirtualClock;
use crate::sys::arena::Placed;
use crate::telemetry::forced;
use crate::telemetry::report::{Description, Pace, Report};
use crate::telemetry::ring::Discard;
use crate::telemetry::say;

/// The histograms of a run, cleared by each run. Static, so that they are neither on the stack nor
/// in the heap.
static WORKSPACE: Mutex<Timing> = Mutex::new(Timing::unready());

/// Runs the control law `D` with the parameters `law` and the initial `state` on the board of
/// `config`, and makes the report.
///
/// `describe` gives the law's part of the report from its final state. A process has one
/// real-time stack and one set of buffers, so only one run at a time.
///
/// # Errors
/// The run did not start: see [`RunError`]. A refused contract and a fault are not errors, but
/// exit codes of the report.
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
    D::State: Rewind + Send,
{
    run_traced::<D>(config, law, state, options, D::TRACE, describe)
}

/// The options of a run, and the names of the trace values in its records.
struct Asked<'a> {
    options: &'a Options,
    trace: &'a [&'a str],
}

/// [`run`] of a law whose trace values have the names `trace`.
pub(super) fn run_traced<D>(
    config: &Config,
    law: &D::Config,
    state: D::State,
    options: &Options,
    trace: &[&str],
    describe: impl FnOnce(&D::State) -> Description,
) -> Result<Report, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Rewind + Send,
{
    let asked = Asked { options, trace };
    let mut workspace = match WORKSPACE.try_lock() {
        Ok(workspace) => workspace,
        Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return Err(RunError::Busy),
    };
    let workspace = &mut *workspace;
    workspace.clear();
    forced::all().clear();
    runner::prepare().map_err(RunError::Start)?;
    if options.pace == Pace::Real {
        // Before a watchdog is armed: a start that fails here must not reset the board again and
        // again.
        if let Some(notify) = notify(config)? {
            notify.starting();
        }
    }
    // Functions that are not inlined keep the main thread's stack small: the pages that it
    // uses while the loop runs are locked.
    let finished = match (&config.simulation, options.pace) {
        (Some(simulation), Pace::Free) => {
            simulated_free::<D>(config, simulation, law, state, options, workspace)?
        }
        (Some(simulation), Pace::Real) => {
            let recorder = Recorder::claim(config)?;
            simulated_real::<D>(config, recorder, simulation, law, state, &asked, workspace)?
        }
        (None, Pace::Real) => {
            let recorder = Recorder::claim(config)?;
            let known = probe::warnings(config, &Machine::default());
            for warning in &known {
                say(format_args!("steadfast: warning: {warning}"));
            }
            let mut finished = linux_real::<D>(config, recorder, law, state, &asked, workspace)?;
            finished.warnings.extend(known);
            finished
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

/// The ports of the loop on `devices`.
fn ports<V: Devices>(
    config: &Config,
    devices: V,
    map: &SpiMap,
    links: Option<Placed<LoopLinks>>,
) -> Ports<V> {
    let ports = Ports::new(devices, &config.io, map)
        .retrying_until(config.run.deadline)
        .with_links(links);
    match config.machine.is_empty() {
        true => ports,
        false => ports.with_signals(&config.machine.signals),
    }
}

/// The controller in static memory.
fn placed<'l, D: Decide, V: Devices>(
    ports: Ports<V>,
    law: &'l D::Config,
    state: D::State,
    config: &Config,
) -> Result<Placed<Cycle<'l, Ports<V>, D>>, RunError> {
    Placed::of(Cycle::new(ports, law, state, config.heartbeat)).map_err(RunError::Full)
}

#[inline(never)]
fn simulated_real<D>(
    config: &Config,
    recorder: Recorder,
    simulation: &SimulationConfig,
    law: &D::Config,
    state: D::State,
    asked: &Asked<'_>,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Rewind + Send,
{
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).map_err(RunError::Wiring)?;
    let devices = devices.with(&config.machine).map_err(RunError::Full)?;
    let (links, in_loop) = Links::open(config)?.unzip();
    let ports = ports(config, devices, &map, in_loop);
    let cycle = placed::<D, _>(ports, law, state, config)?;
    let helpers = Helpers {
        edge_readers: Vec::new(),
        watchdog: None,
        links,
    };
    real(config, recorder, cycle, helpers, asked, workspace)
}

#[inline(never)]
fn linux_real<D>(
    config: &Config,
    recorder: Recorder,
    law: &D::Config,
    state: D::State,
    asked: &Asked<'_>,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::Config: Sync,
    D::State: Rewind + Send,
{
    let opened = Linux::open(config).map_err(RunError::Device)?;
    let (links, in_loop) = Links::open(config)?.unzip();
    let ports = ports(config, opened.devices, &opened.map, in_loop);
    let cycle = placed::<D, _>(ports, law, state, config)?;
    let helpers = Helpers {
        edge_readers: opened.edge_readers,
        watchdog: opened.watchdog,
        links,
    };
    real(config, recorder, cycle, helpers, asked, workspace)
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
        on_broken: config.on_broken,
        limit: options.limit,
        max_hold: config.io.max_hold(),
        plant: if waits { Plant::Waits } else { Plant::GoesOn },
    }
}

fn real<V, D>(
    config: &Config,
    recorder: Recorder,
    mut cycle: Placed<Cycle<'_, Ports<V>, D>>,
    helpers: Helpers,
    asked: &Asked<'_>,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    V: Devices + Send,
    D: Decide,
    D::Config: Sync,
    D::State: Rewind + Send,
{
    let request = request(config, asked.options);
    let mut ends = |mut context: LoopContext<'_, '_, '_>| {
        let parts = Parts {
            cycle: &mut cycle,
            timing: &mut *workspace,
            record: context.record,
            mapped: context.mapped,
            deadline_met: &mut context.fed,
            barrier: context.barrier,
            watch: context.watch,
            judged: context.judged,
            audit: Some(context.audit),
        };
        let outcome = runner::run(&request, parts)?;
        let fault = D::fault(cycle.config, &cycle.state);
        Ok((outcome, fault))
    };
    let ended = run_with_helpers(
        config,
        recorder,
        asked.trace,
        helpers,
        asked.options,
        &mut ends,
    )?;
    Ok(Finished {
        outcome: ended.outcome,
        state: cycle.into_inner().state,
        records_dropped: ended.records_dropped,
        stopped_by: ended.stopped_by,
        watchdog: ended.watchdog,
        recording: Some(ended.recording),
        warnings: ended.warnings,
    })
}

#[inline(never)]
fn simulated_free<D>(
    config: &Config,
    simulation: &SimulationConfig,
    law: &D::Config,
    state: D::State,
    options: &Options,
    workspace: &mut Timing,
) -> Result<Finished<D::State>, RunError>
where
    D: Decide,
    D::State: Rewind,
{
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).map_err(RunError::Wiring)?;
    let devices = devices.with(&config.machine).map_err(RunError::Full)?;
    let ports = ports(config, devices, &map, None);
    let mut cycle = placed::<D, _>(ports, law, state, config)?;
    let request = request(config, options);
    let mut clock = VirtualClock::new(simulation.cycle_cost);
    let parts = Parts {
        cycle: &mut cycle,
        timing: workspace,
        record: &mut Discard,
        mapped: &[],
        deadline_met: &mut |_: &Tick| {},
        barrier: &Barrier::new(),
        judged: &|_| {},
        watch: None,
        audit: None,
    };
    let outcome = runner::run_virtual(&request, parts, &mut clock).map_err(RunError::Start)?;
    Ok(Finished {
        outcome,
        state: cycle.into_inner().state,
        records_dropped: 0,
        stopped_by: signals::take_stop(),
        watchdog: None,
        recording: None,
        warnings: Vec::new(),
    })
}
