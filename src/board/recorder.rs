//! Manages the flight file of a run, and the black boxes that are saved from it.
//!
//! A start fails only if another process controls the board, or if the folder of the flight file
//! is unusable. A full or read-only disk costs the record, not the run: one line on standard
//! error, and a line in the report.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::error::RunError;
use crate::config::{Config, Position};
use crate::cycle::ports::FaultNumber;
use crate::cycle::stop::StopCause;
use crate::realtime::helper;
use crate::realtime::text::cut;
use crate::sys::cause;
use crate::telemetry::blackbox::store::{Path, Store, file_stem};
use crate::telemetry::blackbox::{self, Ending, Occasion};
use crate::telemetry::flight::{Claimed, Flight, FlightError, Step, layout};
use crate::telemetry::report::{BlackBoxReport, Exit};
use crate::telemetry::reporter::Incident;
use crate::telemetry::say;
use crate::time::Duration;

/// The claimed flight file of this board, with the content of the last run.
pub(super) struct Recorder {
    claimed: Claimed,
    /// Its path; `None` for an anonymous memory file.
    path: Option<String>,
}

/// A run that is being recorded.
pub(super) struct Recording {
    pub(super) flight: Flight,
    pub(super) store: Option<Store>,
    /// Largest size of a black box, bytes.
    pub(super) expected: u64,
    /// `None` without `[black_box]`.
    report: Option<BlackBoxReport>,
    ended: bool,
    /// A fault or quick stop without a black box so far, as in [`Saver`]; 0: none.
    pending: u32,
    /// The last one with a black box.
    last: u32,
    pub(super) words: Words,
}

/// What the faults of the control laws mean. Made before the run, because what saves black boxes
/// allocates nothing.
///
/// By the numbers of law and fault.
pub(super) struct Words(Vec<(u8, FaultNumber, String)>);

impl Words {
    fn of(config: &Config) -> Self {
        let laws = config.machine.laws.iter().zip(0..);
        let words = laws.flat_map(|(law, number)| {
            let faults = law.law.faults().into_iter();
            faults.map(move |code| {
                let words = law.law.explain(code);
                let words = match &law.name {
                    None => words,
                    Some(name) => format!("law {name}: {words}"),
                };
                (number, code, words)
            })
        });
        Self(words.collect())
    }

    fn get(&self, law: u8, code: u16) -> Option<&str> {
        let is_it = |known: &&(u8, FaultNumber, String)| (known.0, known.1.get()) == (law, code);
        self.0
            .iter()
            .find(is_it)
            .map(|(_, _, words)| words.as_str())
    }

    /// The text for a value of [`Saver::requested`].
    fn describe(&self, requested: u32) -> heapless::String<256> {
        let (law, code) = ((requested >> LAW_SHIFT) as u8, requested as u16);
        match (StopCause::from_number(requested as u8), self.get(law, code)) {
            (Some(stop), _) if requested & QUICK_STOP != 0 => {
                cut(format_args!("quick stop: {stop}"))
            }
            (_, Some(words)) => cut(format_args!("{words}")),
            (_, None) => cut(format_args!("the control law reports fault {code}")),
        }
    }
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
        // A failure shows when the file is opened.
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

    /// Saves a black box of the last run if it did not end regularly, and starts the record of
    /// this run.
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
                        "{}: {error}; create this folder, writable for this user, or set another `directory` in [black_box]",
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
                    // Kept for a later start that can save it.
                    let moved = fs::rename(path, &aside);
                    if moved.is_ok() {
                        claimed = Claimed::at(path).map_err(RunError::Flight)?;
                    }
                }
            }
        }
        let saved = match &config.parameters {
            Some(saved) if saved.in_force > 0 => {
                format!("saved_parameters = {}\n", saved.in_force)
            }
            _ => String::new(),
        };
        let names = match config.links.is_any() {
            true => config.machine.names_for_clients(),
            false => String::new(),
        };
        let begin = |claimed: Claimed, records| {
            claimed.begin(
                records,
                config.run.period,
                format_args!(
                    "board = {}\nversion = {}\nperiod_ns = {}\n{saved}trace = {}\n{names}",
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
                    "{}: no room for the flight file ({errno}), the record of this run ends with its process; free space there, or reduce [black_box] seconds",
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
                report.fail(&format!("the start could not be marked: {error}; make the folder of [black_box] writable for this user"));
            }
        }
        Ok(Recording {
            flight,
            store,
            expected,
            report: config.black_box.as_ref().map(|_| report),
            ended: false,
            pending: 0,
            last: 0,
            words: match config.black_box {
                Some(_) => Words::of(config),
                None => Words(Vec::new()),
            },
        })
    }
}

/// Saves a black box of a process that has ended, from its flight file. Gives whether it was
/// saved.
fn rescue(
    file: &File,
    store: &mut Option<Store>,
    expected: u64,
    watchdog_reset: Option<bool>,
    report: &mut BlackBoxReport,
) -> bool {
    let mut bytes = [0; blackbox::CAUSE_BYTES];
    // A cause that cannot be read counts as missing.
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
                    "not saved, {error}; free space in its folder, and make it writable for this user"
                ));
                false
            }
        }
    }
}

impl Recording {
    /// Takes back the store from the saver, and adds its results to the report.
    pub(super) fn saved_by(&mut self, store: Option<Store>, saver: Saver) {
        self.store = store;
        self.pending = saver.requested.load(Ordering::Acquire);
        let done = saver
            .done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        self.last = done.last;
        if let Some(report) = &mut self.report {
            let saved = done.saved.iter().map(|path| path.as_str().to_owned());
            report.saved.extend(saved);
            report
                .failed
                .extend(done.failed.map(|why| why.as_str().to_owned()));
        }
    }

    /// Saves a black box of a run that ended by a fault. `fault` is the law and the code of the
    /// fault if that alone is the reason: it may have its black box already. Gives the report.
    pub(super) fn end(
        mut self,
        exit: &Exit,
        fault: Option<(u8, FaultNumber)>,
    ) -> Option<BlackBoxReport> {
        let mut report = self.report.take();
        let is_saved = |(law, code): (u8, FaultNumber)| {
            self.pending == 0 && self.last == requested_by(law, code.get())
        };
        let faulted = matches!(exit.code, 1 | 4 | 5) && !fault.is_some_and(is_saved);
        let passed = self.words.describe(self.pending);
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
            // If it cannot be saved now, the next start saves it.
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

/// Most black boxes that are saved during a run: a fault that comes and goes must not wear out
/// the disk.
const MOST: usize = 8;
/// Most black boxes after which a quick stop is still saved: repeated quick stops must leave
/// room for a fault.
const MOST_STOPS: usize = 4;
/// Flag of a quick stop in [`Saver::requested`]; the code of a fault has 16 bits.
const QUICK_STOP: u32 = 1 << 16;
/// The number of the law of a fault is above it.
const LAW_SHIFT: u32 = 17;
/// Interval at which the saver polls.
const INTERVAL: Duration = Duration::from_millis(100);
/// Intervals between a fault and its black box, so that it has half a second after the fault.
const AFTERMATH: u32 = 5;

/// Saves a black box after a fault of the control law or a quick stop, while the loop runs: on
/// a thread without real-time priority, which may wait for a disk. It does not allocate.
#[derive(Default)]
pub(super) struct Saver {
    /// The reason to save: 0 for none, the law and the code of a fault, or [`QUICK_STOP`] with the
    /// number of its cause.
    requested: AtomicU32,
    done: Mutex<Saves>,
}

#[derive(Default)]
struct Saves {
    saved: heapless::Vec<Path, MOST>,
    /// The reason of the last one.
    last: u32,
    /// The first failure.
    failed: Option<heapless::String<128>>,
}

/// The value of [`Saver::requested`] for a fault.
const fn requested_by(law: u8, code: u16) -> u32 {
    (law as u32) << LAW_SHIFT | code as u32
}

impl Saver {
    /// Requests a black box. A fault replaces a pending quick stop.
    pub(super) fn save_for(&self, incident: Incident) {
        match incident {
            Incident::Fault { law, code } => {
                self.requested
                    .store(requested_by(law, code), Ordering::Release);
            }
            Incident::QuickStop(cause) => {
                let requested = QUICK_STOP | u32::from(cause.number());
                // A pending request stays.
                let _ = self.requested.compare_exchange(
                    0,
                    requested,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
            }
        }
    }

    /// Saves requested black boxes until `done`.
    pub(super) fn run(
        &self,
        (flight, words): (&Flight, &Words),
        store: &mut Store,
        expected: u64,
        done: &AtomicBool,
    ) {
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
                // Saved at the end of the run, with its final reason.
                self.requested.store(code, Ordering::Release);
                return;
            }
            let cause = words.describe(code);
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
                    // The number is limited above.
                    let _ = saves.saved.push(path);
                    saves.last = code;
                }
                Err(error) if saves.failed.is_none() => {
                    say(format_args!(
                        "steadfast: black box: not saved, {error}; free space in its folder, and make it writable for this user"
                    ));
                    saves.failed = Some(cut(format_args!("not saved, {error}")));
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Fault;

    #[test]
    fn the_cause_of_a_black_box_names_the_axis() {
        let text = include_str!("../../tests/board_files/linux.toml");
        let words = Words::of(&Config::parse("linux.toml", text).unwrap());
        for (axis, name) in [(0, "axis x: "), (1, "axis table: ")] {
            for fault in Fault::ALL {
                let cause = words.describe(requested_by(0, fault.number(axis).get()));
                let expected = format!("{name}{} (0x", fault.message().name);
                assert!(cause.starts_with(&expected), "{cause}");
            }
        }
        let unknown = words.describe(requested_by(0, Fault::PER_AXIS - 1));
        assert_eq!(unknown, "the control law reports fault 31");
    }
}
