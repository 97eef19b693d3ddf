//! Runs the helper threads beside the loop: reporter, saver of black boxes, edge readers, saver of
//! parameters, links and stall guard.
//!
//! [`run_with_helpers`] is one function for all boards and laws. The loop is compiled for each
//! board and law, and all of the binary is locked into memory, so generic code is kept small.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use super::error::RunError;
use super::feeder::{Fed, Feeder, stand_down};
use super::links::Links;
use super::linux::FoundWatchdog;
use super::options::Options;
use super::outcome::{in_order, record_cause};
use super::recorder::{Recorder, Recording, Saver};
use crate::config::Config;
use crate::cycle::ports::FaultNumber;
use crate::device::gpio::{EdgeReader, KernelEvents};
use crate::device::watchdog::{Watchdog, WatchdogError};
use crate::realtime::audit::Audit;
use crate::realtime::contract::Contract;
use crate::realtime::guard::{self, Watch};
use crate::realtime::helper::{self, Barrier};
use crate::realtime::memory::Range;
use crate::realtime::runner::{Outcome, StartError};
use crate::realtime::signals;
use crate::sys::Errno;
use crate::sys::arena::Placed;
use crate::telemetry::journal::Journal;
use crate::telemetry::notify::{Judged, Notify};
use crate::telemetry::report::WatchdogReport;
use crate::telemetry::reporter::{self, Listeners, Noticed};
use crate::telemetry::ring;

/// Stack of the reporter and of an edge reader, bytes.
const HELPER_STACK: usize = 64 * 1024;

/// The parts of a real board that helper threads use.
pub(super) struct Helpers {
    pub(super) edge_readers: Vec<EdgeReader<KernelEvents>>,
    pub(super) watchdog: Option<FoundWatchdog>,
    pub(super) links: Option<Links>,
}

/// Opens the watchdog. A reference, so that the feeder's type can be written.
type OpenWatchdog<'o> = &'o (dyn Fn() -> Result<Watchdog, WatchdogError> + Sync);

/// The parts of the loop ([`Parts`]) that depend on neither board nor law.
pub(super) struct LoopContext<'b, 'o, 'r> {
    pub(super) record: &'b mut ring::Writer<'r>,
    pub(super) mapped: &'b [(&'static str, Range)],
    pub(super) fed: Fed<'b, OpenWatchdog<'o>>,
    pub(super) barrier: &'b Barrier,
    pub(super) watch: Option<&'b Watch>,
    pub(super) judged: &'b (dyn Fn(&Contract) + Sync),
    pub(super) audit: &'b Audit,
}

/// Runs the loop. Gives its outcome and the fault of the law.
pub(super) type Ends<'e> =
    dyn FnMut(LoopContext<'_, '_, '_>) -> Result<(Outcome, Option<FaultNumber>), StartError> + 'e;

/// The results of the loop and of the helper threads.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) records_dropped: u64,
    pub(super) stopped_by: Option<signals::StopSignal>,
    pub(super) watchdog: Option<WatchdogReport>,
    pub(super) recording: Recording,
    pub(super) warnings: Vec<String>,
}

/// Starts the helper threads, runs the loop beside them with `ends`, and ends them. On an error
/// before the run, an armed watchdog is stopped.
pub(super) fn run_with_helpers(
    config: &Config,
    recorder: Recorder,
    trace: &[&str],
    helpers: Helpers,
    options: &Options,
    ends: &mut Ends<'_>,
) -> Result<Ended, RunError> {
    let watchdog_reset = helpers
        .watchdog
        .as_ref()
        .and_then(|found| found.caused_last_reset);
    let requested = config.watchdog.as_ref().map(|requested| {
        let open = || Watchdog::open(Path::new(&requested.device), requested.timeout_s);
        (requested.timeout_s, open)
    });
    let found = helpers.watchdog.zip(requested.as_ref());
    let mut feeder = found.map(|(found, (timeout_s, open))| {
        let open: OpenWatchdog<'_> = open;
        Feeder::new(*timeout_s, found.running, open)
    });
    let begin = || recorder.begin(config, trace, watchdog_reset);
    let recording = match &mut feeder {
        Some(feeder) => feeder.while_fed(begin).and_then(std::convert::identity),
        None => begin(),
    };
    let mut recording = match recording {
        Ok(recording) => recording,
        Err(error) => return Err(stand_down(feeder, error)),
    };
    let (saver, expected) = (Saver::default(), recording.expected);
    let mut store = recording.store.take();
    let (flight, words) = (&recording.flight, &recording.words);
    let Some((writer, reader)) = ring::claim(flight.ring()) else {
        return Err(stand_down(feeder, RunError::Busy));
    };
    let mut writer = match Placed::of(writer) {
        Ok(writer) => writer,
        Err(full) => return Err(stand_down(feeder, RunError::Full(full))),
    };
    let edges_failed = AtomicI32::new(0);
    let (done, barrier, watch) = (AtomicBool::new(false), Barrier::new(), Watch::new());
    let audit = Audit::new();
    let notify = match notify(config) {
        Ok(notify) => notify,
        Err(error) => return Err(stand_down(feeder, error)),
    };
    let judged = Judged::new();
    let refused = |error: std::io::Error| RunError::Helper(Errno::from(error).0);
    let frames = helpers.links.as_ref().map(|links| links.frames);
    let mapped: heapless::Vec<_, 2> = [
        Some(("the flight file", flight.mapped())),
        frames.map(|frames| ("the frames for clients", frames)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let ran = thread::scope(|scope| {
        // The scope waits for the helpers, so they have to end on every way out of it.
        let _end = EndHelpers(&done, &barrier, &watch);
        let (period, live) = (config.run.period, options.live);
        let watched = trace.first().copied();
        let (done, barrier, watch, saver) = (&done, &barrier, &watch, &saver);
        let (edges_failed, judged, audit) = (&edges_failed, &judged, &audit);
        let reporter = helper::spawn(scope, "reporter", HELPER_STACK, barrier, move || {
            let listeners = Listeners {
                live,
                watched,
                journal: Journal::new(flight),
                incident: |incident| saver.save_for(incident),
                notify,
                judged,
                audit,
            };
            reporter::run(reader, done, period, listeners)
        })
        .map_err(refused)?;
        if let Some(store) = &mut store {
            helper::spawn(scope, "black box", HELPER_STACK, barrier, move || {
                saver.run((flight, words), store, expected, done);
            })
            .map_err(refused)?;
        }
        for mut edges in helpers.edge_readers {
            helper::spawn(scope, "edges", HELPER_STACK, barrier, move || {
                // After a failure the latch gets no more edges, and the loop uses levels.
                if let Err(errno) = edges.run(|| !done.load(Ordering::Relaxed)) {
                    edges_failed.store(errno.0, Ordering::Relaxed);
                }
            })
            .map_err(refused)?;
        }
        if let Some(disk) = helpers.links.as_ref().and_then(|links| links.disk) {
            helper::spawn(scope, "parameters", HELPER_STACK, barrier, move || {
                disk.run(done);
            })
            .map_err(refused)?;
        }
        if let Some(links) = helpers.links {
            helper::spawn(scope, "links", HELPER_STACK, barrier, move || {
                // A client that sees the rehearsal takes its states for those of the run, and
                // what it commands or changes there is undone with them.
                while !judged.is_set() && !done.load(Ordering::Relaxed) {
                    thread::sleep(std::time::Duration::from_millis(1));
                }
                links.run(done);
            })
            .map_err(refused)?;
        }
        let limit = config.run.stall.map(|gap| guard::Limit { gap, period });
        if let Some(limit) = limit {
            let policy = guard::policy_above(config.run.scheduler);
            helper::spawn(scope, "guard", HELPER_STACK, barrier, move || {
                guard::run(watch, limit, policy);
            })
            .map_err(refused)?;
        }
        if let Some(feeder) = &mut feeder {
            feeder.step();
        }
        let (outcome, fault) = ends(LoopContext {
            record: &mut writer,
            mapped: &mapped,
            fed: Fed(&mut feeder),
            barrier,
            watch: limit.map(|_| watch),
            judged: &|contract| {
                judged.set(contract);
                flight.judged(contract);
            },
            audit,
        })
        .map_err(RunError::Start)?;
        // Before the helpers are joined: one may wait for a disk, and the watchdog, which is
        // no longer fed, would reset a board that is at rest.
        if let (Some(feeder), true) = (&mut feeder, in_order(&outcome)) {
            feeder.close();
        }
        done.store(true, Ordering::Release);
        let noticed = reporter.join().unwrap_or_default();
        Ok::<_, RunError>((outcome, fault, noticed))
    });
    let (outcome, fault, noticed) = match ran {
        Ok(ran) => ran,
        Err(error) => {
            let error = match (&config.watchdog, feeder.as_ref().and_then(Feeder::failed)) {
                (Some(requested), Some(failed)) => {
                    let what = failed.explain(Path::new(&requested.device)).to_string();
                    RunError::Device(config.device_error(requested.position, &what))
                }
                _ => error,
            };
            return Err(stand_down(feeder, error));
        }
    };
    drop(writer);
    recording.saved_by(store, saver);
    let stopped_by = signals::take_stop();
    record_cause(&outcome, fault, stopped_by);
    let watchdog = feeder
        .zip(config.watchdog.as_ref())
        .map(|(feeder, requested)| WatchdogReport {
            timeout_s: requested.timeout_s,
            caused_last_reset: watchdog_reset,
            feeds_refused: feeder.refused,
        });
    Ok(Ended {
        outcome,
        records_dropped: noticed.dropped,
        stopped_by,
        watchdog,
        recording,
        warnings: warnings(edges_failed.into_inner(), &noticed),
    })
}

/// Warnings for the report. `edges_failed` is the error number of the edge readers, or 0.
fn warnings(edges_failed: i32, noticed: &Noticed) -> Vec<String> {
    let mut warnings = Vec::new();
    if edges_failed != 0 {
        warnings.push(format!(
            "edges of latched inputs could not be read any more ({}), so pulses shorter than a period were lost; see the kernel log (dmesg)",
            Errno(edges_failed)
        ));
    }
    if noticed.suspends > 0 {
        warnings.push(format!(
            "the machine was suspended while the loop ran, {} times, {} in total: its clock does not count this time, and devices may have lost their settings; mask systemd's sleep targets",
            noticed.suspends, noticed.suspended
        ));
    }
    warnings
}

/// Ends the helper threads when it is dropped.
struct EndHelpers<'d>(&'d AtomicBool, &'d Barrier, &'d Watch);

impl Drop for EndHelpers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.open();
        self.2.end();
    }
}

/// The service manager that waits for this run; `None` without one.
pub(super) fn notify(config: &Config) -> Result<Option<Notify>, RunError> {
    let notify = Notify::from_environment().map_err(RunError::Notify)?;
    notify
        .map(|notify| notify.for_run(&config.run))
        .transpose()
        .map_err(RunError::Notify)
}
