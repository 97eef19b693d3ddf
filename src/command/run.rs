//! `steadfast run`: the controller.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

use super::args::{RunArgs, RunLimit};
use super::failure::{BAD_INPUT, FAILED, Failure};
use super::known::Known;
use crate::axis::Arm;
use crate::board::{self, Options, RunError};
use crate::config::Config;
use crate::cycle::run::Limit;
use crate::stock::servo::Axes;
use crate::sys::Errno;
use crate::sys::output::Output;
use crate::telemetry::report::Report;
use crate::telemetry::{say, text};
use crate::time::Duration;

/// How long the simulated board runs when nothing else is asked for.
const DEMONSTRATION: Duration = Duration::from_secs(10);

pub(super) fn main(known: &Known, args: &RunArgs) -> Result<u8, Failure> {
    let config = match &args.board {
        Some(path) => known.load(path)?,
        None => known.built_in()?,
    };
    if config.machine.laws.is_empty() {
        let line = format!(
            "{}: nothing decides: there is no [axis.X] and no [law.X]; add one, or see examples/ for a control law of your own",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    }
    let arms_at_start = |axes: &Axes| axes.config.arm == Arm::AtStart;
    if args.supervised
        && config.simulation.is_none()
        && Axes::of(&config).is_some_and(arms_at_start)
    {
        let line = format!(
            "{}: [safety] `arm` is \"at-start\", and this is started again when it ends: after a crash the axes would move by themselves; set arm = \"on-reset\" and name the reset input",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    }
    // Before the run, as it can last for weeks.
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let report = control(args, &config)?;
    publish(args, json, &report)
}

// Kept apart: what stands on the stack while the loop runs is locked.
#[inline(never)]
fn control(args: &RunArgs, config: &Config) -> Result<Report, Failure> {
    let limit = match (args.limit, &args.board) {
        (Some(limit), _) => limit.in_slots(config.run.period),
        (None, None) => RunLimit::For(DEMONSTRATION).in_slots(config.run.period),
        (None, Some(_)) => Limit::None,
    };
    let options = Options {
        limit,
        pace: args.pace,
        live: !args.quiet && std::io::stderr().is_terminal(),
    };
    board::run_machine(config, &options).map_err(not_run)
}

/// How long a reader of the report may stand still, ms. The process ends without it
/// then: who supervises it waits for the end, to start it again.
const READER_MS: u16 = 10_000;

/// Writes the report where it was asked for, and prints it. Everything that depends on
/// this process is over by now: outputs are safe, the watchdog is stopped, the black box
/// is saved and the service manager is told.
#[inline(never)]
fn publish(args: &RunArgs, json: Option<JsonFile<'_>>, report: &Report) -> Result<u8, Failure> {
    // A report that could not be kept is still shown.
    let kept = json.map_or(Ok(()), |json| json.write(&report.to_json()));
    if !args.quiet {
        let mut shown = String::new();
        text::write_report(&mut shown, report).map_err(|error| Failure::new(FAILED, &error))?;
        if let Err(failure) = print(&shown) {
            return Ok(unless_worse(failure, report));
        }
    } else if report.exit.code != 0 {
        say(format_args!("steadfast: {}", report.exit.reason));
    }
    match kept {
        Ok(()) => Ok(report.exit.code),
        Err(failure) => Ok(unless_worse(failure, report)),
    }
}

/// Prints `text`; a reader that has left (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match deliver(text, &io::stdout()) {
        Err(Errno(libc::EPIPE)) | Ok(()) => Ok(()),
        Err(errno) => Err(Failure::new(
            FAILED,
            &format!("standard output: {}", refusal(errno)),
        )),
    }
}

/// Writes `text` to a reader that may be slow, but reads.
fn deliver(text: &str, to: &impl AsFd) -> Result<(), Errno> {
    let output = Output::of(to.as_fd());
    let mut pieces = text.as_bytes().chunks(512);
    pieces.try_for_each(|piece| output.write_all(piece, READER_MS))
}

/// Why a report was not taken.
fn refusal(errno: Errno) -> String {
    match errno {
        Errno(libc::EAGAIN) => format!(
            "not read for {}; let its reader read, or redirect it to a file",
            Duration::from_millis(u64::from(READER_MS))
        ),
        Errno(number) => io::Error::from_raw_os_error(number).to_string(),
    }
}

/// The code to end with when the report could not be delivered: a fault stays a
/// fault for whoever acts by the code.
fn unless_worse(failure: Failure, report: &Report) -> u8 {
    say(format_args!("{}", failure.line));
    match report.exit.code {
        0 => failure.code,
        code => code,
    }
}

fn not_run(error: RunError) -> Failure {
    match error {
        RunError::Device(error) => Failure::in_file(FAILED, &error),
        RunError::Folder(error) => Failure::in_file(BAD_INPUT, &error),
        RunError::FreeOnRealBoard => Failure::new(BAD_INPUT, &error),
        _ => Failure::new(FAILED, &error),
    }
}

/// The file of the JSON report: opened before the run, so that one that cannot
/// be written is not found out after hours, and changed only after it, so that
/// an older report is not lost to a run that never was.
struct JsonFile<'p> {
    path: &'p Path,
    file: File,
    /// Whether there was none before.
    new: bool,
    written: bool,
}

impl<'p> JsonFile<'p> {
    fn open(path: &'p Path) -> Result<Self, Failure> {
        let new = !path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| cannot_write(path, &error))?;
        Ok(Self {
            path,
            file,
            new,
            written: false,
        })
    }

    fn write(mut self, json: &str) -> Result<(), Failure> {
        self.written = true;
        deliver(json, &self.file).map_err(|errno| cannot_write(self.path, &refusal(errno)))?;
        let cut = || -> io::Result<()> {
            // A pipe or a terminal has no length.
            if self.file.metadata()?.is_file() {
                self.file.set_len(json.len() as u64)?;
            }
            Ok(())
        };
        cut().map_err(|error| cannot_write(self.path, &error))
    }
}

impl Drop for JsonFile<'_> {
    fn drop(&mut self) {
        if self.new && !self.written {
            // An empty file would look like a report; it can do no other harm.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

fn cannot_write(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::new(
        FAILED,
        &format!(
            "--json {}: {error}; name a file that can be written",
            path.display()
        ),
    )
}
