//! What is kept of a run beyond its process: the flight file, and the black
//! boxes that are made of it.
//!
//! Nothing here keeps a controller from controlling but a board that another
//! process has, and a board file that cannot be meant. A disk that is full or
//! read-only costs the record, not the run: one line on standard error, and the
//! report says so too.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::error::RunError;
use crate::config::{Config, Position};
use crate::cycle::stop::StopCause;
use crate::realtime::helper;
use crate::realtime::text::cut;
use crate::sys::cause;
use crate::telemetry::blackbox::store::{Path, Store, file_stem};
use crate::telemetry::blackbox::{self, Ending, Occasion};
use crate::telemetry::flight::{Claimed, Flight, FlightError, Step, layout};
use crate::telemetry::report::{BlackBoxReport, Exit};
use crate::telemetry::reporter::Trouble;
use crate::telemetry::say;
use crate::time::Duration;

/// This board's flight file, claimed; what is in it is still the last run's.
pub(super) struct Recorder {
    claimed: Claimed,
    /// Where it is; `None` for a memory file.
    path: Option<String>,
}

/// A run that is being recorded.
pub(super) struct Recording {
    pub(super) flight: Flight,
    pub(super) store: Option<Store>,
    /// How long a black box gets at most, bytes.
    pub(super) expected: u64,
    /// `None` where nothing is to be saved.
    report: Option<BlackBoxReport>,
    ended: bool,
    /// What no black box was saved of yet, as in [`Saver`]; 0 for nothing.
    pending: u32,
}

impl Recorder {
    /// Claims the board of `config` for this process.
    pub(super) fn claim(config: &Config) -> Result<Self, RunError> {
        let Some(black_box) = &config.black_box else {
            let claimed = Claimed::anonymous().map_err(RunError::Flight)?;
            return Ok(Self {
                claimed,
                path: None,
            });
        };
        // Where it cannot be made, opening the file says so.
        let _ = fs::create_dir_all(&black_box.memory);
        let path = format!("{}/{}.flight", black_box.memory, file_stem(&config.name));
        match Claimed::at(&path) {
            Ok(claimed) => Ok(Self {
                claimed,
                path: Some(path),
            }),
            Err(FlightError::Busy) => Err(RunError::Flight(FlightError::Busy)),
            Err(error) => {
                let what = format!("the flight file {path} {error}");
                let (line, column) = black_box.position;
                let position = Position { line, column };
                Err(RunError::Folder(config.device_error(position, &what)))
            }
        }
    }

    /// Saves what the last run left, and begins this one's record.
    pub(super) fn begin(
        self,
        config: &Config,
        trace: &[&str],
        watchdog_reset: Option<bool>,
    ) -> Result<Recording, RunError> {
        let (records, expected) = config.black_box_records();
        let mut report = BlackBoxReport::default();
        let mut store = config.black_box.as_ref().and_then(|black_box| {
            let opened = Store::open(black_box, &config.name);
            opened
                .map_err(|error| {
                    report.fail(&format!(
                        "{}: {error}; make it, writable for this user, or name another in [black_box]",
                        black_box.directory
                    ));
                })
                .ok()
        });
        let mut claimed = self.claimed;
        let mut left = false;
        if let Some(path) = &self.path {
            let aside = format!("{path}.unsaved");
            let mut rescue =
                |file: &File| rescue(file, &mut store, expected, watchdog_reset, &mut report);
            if File::open(&aside).is_ok_and(|file| rescue(&file)) {
                let _ = fs::remove_file(&aside);
            }
            if let Some(file) = claimed.left_behind() {
                left = true;
                if !rescue(file) && !fs::exists(&aside).unwrap_or(true) {
                    // Kept for a start that finds the disk in order.
                    let moved = fs::rename(path, &aside);
                    if moved.is_ok() {
                        claimed = Claimed::at(path).map_err(RunError::Flight)?;
                    }
                }
            }
        }
        let begin = |claimed: Claimed, records| {
            claimed.begin(
                records,
                config.run.period,
                format_args!(
                    "board = {}\nversion = {}\nperiod_ns = {}\ntrace = {}\n",
                    config.name,
                    env!("CARGO_PKG_VERSION"),
                    config.run.period.as_nanos(),
                    trace.join(", ")
                ),
            )
        };
        let flight = match begin(claimed, records) {
            Err(FlightError::Refused(Step::Allocate, errno)) => {
                report.fail(&format!(
                    "{}: no room for the flight file ({errno}): this run is not recorded beyond its process",
                    self.path.as_deref().unwrap_or("memory")
                ));
                let claimed = Claimed::anonymous().map_err(RunError::Flight)?;
                begin(claimed, 0).map_err(RunError::Flight)?
            }
            other => other.map_err(RunError::Flight)?,
        };
        cause::redirect(flight.cause());
        if let Some(store) = &mut store {
            if store.marked() && !left {
                let ending = Ending {
                    cause: "no cause written, and nothing left in memory: the power was lost or the board was reset",
                    exit: None,
                    occasion: Occasion::NextStart,
                    watchdog_reset,
                };
                report.save(store, expected, flight.file(), &ending);
            }
            if let Err(error) = store.mark() {
                report.fail(&format!("the start could not be marked: {error}"));
            }
        }
        Ok(Recording {
            flight,
            store,
            expected,
            report: config.black_box.as_ref().map(|_| report),
            ended: false,
            pending: 0,
        })
    }
}

/// Saves what a process that is gone left in `file`.
fn rescue(
    file: &File,
    store: &mut Option<Store>,
    expected: u64,
    watchdog_reset: Option<bool>,
    report: &mut BlackBoxReport,
) -> bool {
    let mut bytes = [0; blackbox::CAUSE_BYTES];
    // One that cannot be read is as good as none.
    let _ = file.read_exact_at(&mut bytes, layout::CAUSE as u64);
    let cause = blackbox::describe(&bytes);
    let ending = Ending {
        cause: &cause,
        exit: None,
        occasion: Occasion::NextStart,
        watchdog_reset,
    };
    store
        .as_mut()
        .is_some_and(|store| report.save(store, expected, file, &ending))
}

impl BlackBoxReport {
    fn fail(&mut self, what: &str) {
        say(format_args!("steadfast: black box: {what}"));
        self.failed.push(what.to_owned());
    }

    fn save(&mut self, store: &mut Store, expected: u64, from: &File, ending: &Ending<'_>) -> bool {
        let saved = store.save(expected, |out| blackbox::write(from, ending, out));
        match saved {
            Ok(path) => {
                say(format_args!(
                    "steadfast: black box {path}: {}",
                    ending.cause
                ));
                self.saved.push(path.as_str().to_owned());
                true
            }
            Err(error) => {
                self.fail(&format!(
                    "not saved, {error}; make room in its folder, writable for this user"
                ));
                false
            }
        }
    }
}

impl Recording {
    /// Takes back what the saver worked with.
    pub(super) fn saved_by(&mut self, store: Option<Store>, saver: Saver) {
        self.store = store;
        self.pending = saver.requested.load(Ordering::Acquire);
        let done = saver
            .done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = &mut self.report {
            let saved = done.saved.iter().map(|path| path.as_str().to_owned());
            report.saved.extend(saved);
            report
                .failed
                .extend(done.failed.map(|why| why.as_str().to_owned()));
        }
    }

    /// Saves a black box of a run that ended by a fault; what there is to
    /// report.
    pub(super) fn end(mut self, exit: &Exit) -> Option<BlackBoxReport> {
        let mut report = self.report.take();
        let faulted = matches!(exit.code, 1 | 4 | 5);
        let passed = describe(self.pending);
        let cause = match (faulted, self.pending) {
            (true, _) => Some(exit.reason.as_str()),
            (false, 0) => None,
            (false, _) => Some(passed.as_str()),
        };
        if let (Some(cause), Some(report), Some(store)) = (cause, &mut report, &mut self.store) {
            let ending = Ending {
                cause,
                exit: Some(exit.code),
                occasion: Occasion::End,
                watchdog_reset: None,
            };
            // One that cannot be saved now is left for the next start.
            self.ended = !report.save(store, self.expected, self.flight.file(), &ending);
        }
        report
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.flight.end();
        }
        if let Some(store) = &self.store {
            store.unmark();
        }
    }
}

/// Black boxes of one run that are saved while it goes on: a fault that comes
/// and goes must not wear the disk out.
const MOST: usize = 8;
/// The same, of quick stops: they may come again and again, and must leave room for a
/// fault.
const MOST_STOPS: usize = 4;
/// Marks a quick stop among what is to be saved: no fault has such a code.
const QUICK_STOP: u32 = 1 << 16;
/// How often the saver polls.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many polls after a fault are in its black box: half a second.
const AFTERMATH: u32 = 5;

/// Saves a black box when the control law becomes faulted, while the loop goes
/// on: an ordinary thread, which may wait for a disk. Allocates nothing.
#[derive(Default)]
pub(super) struct Saver {
    /// What is to be saved: 0 nothing, the code of a fault, or [`QUICK_STOP`] and the
    /// number of its cause.
    requested: AtomicU32,
    done: Mutex<Saves>,
}

#[derive(Default)]
struct Saves {
    saved: heapless::Vec<Path, MOST>,
    /// The first that failed.
    failed: Option<heapless::String<128>>,
}

/// What a black box is saved for, as [`Saver::requested`] has it.
fn describe(requested: u32) -> heapless::String<96> {
    match StopCause::from_number(requested as u8) {
        Some(stop) if requested & QUICK_STOP != 0 => cut(format_args!("quick stop: {stop}")),
        _ => cut(format_args!("the control law reports fault {requested}")),
    }
}

impl Saver {
    /// Asks for a black box. A fault goes before a quick stop.
    pub(super) fn trouble(&self, what: Trouble) {
        match what {
            Trouble::Fault(code) => self.requested.store(u32::from(code), Ordering::Release),
            Trouble::QuickStop(cause) => {
                let requested = QUICK_STOP | u32::from(cause.number());
                // Where there is something already, that is saved.
                let _ = self.requested.compare_exchange(
                    0,
                    requested,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
            }
        }
    }

    /// Saves what is asked for until `done`.
    pub(super) fn run(&self, flight: &Flight, store: &mut Store, expected: u64, done: &AtomicBool) {
        let mut saves = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while !done.load(Ordering::Acquire) {
            helper::pause(INTERVAL);
            let code = self.requested.swap(0, Ordering::AcqRel);
            let is_stop = code & QUICK_STOP != 0;
            let capacity = if is_stop { MOST_STOPS } else { MOST };
            if code == 0 || saves.saved.len() >= capacity {
                continue;
            }
            let mut waited = 0;
            while waited < AFTERMATH && !done.load(Ordering::Acquire) {
                helper::pause(INTERVAL);
                waited += 1;
            }
            if done.load(Ordering::Acquire) {
                // The end of the run knows more of it.
                self.requested.store(code, Ordering::Release);
                return;
            }
            let cause = describe(code);
            let ending = Ending {
                cause: &cause,
                exit: None,
                occasion: Occasion::Fault,
                watchdog_reset: None,
            };
            let saved = store.save(expected, |out| blackbox::write(flight.file(), &ending, out));
            match saved {
                Ok(path) => {
                    say(format_args!("steadfast: black box {path}: {cause}"));
                    // There is room, or it would not have been saved.
                    let _ = saves.saved.push(path);
                }
                Err(error) if saves.failed.is_none() => {
                    say(format_args!("steadfast: black box: not saved, {error}"));
                    saves.failed = Some(cut(format_args!("not saved, {error}")));
                }
                Err(_) => {}
            }
        }
    }
}
