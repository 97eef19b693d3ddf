//! `steadfast run`: the controller.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::args::{RunArgs, RunLimit};
use super::{BAD_INPUT, FAILED, Failure, print};
use crate::axis::{Arm, Servo};
use crate::board::{self, Options, RunError};
use crate::config::{self, Config};
use crate::cycle::run::Limit;
use crate::telemetry::report::Report;
use crate::telemetry::{say, text};
use crate::time::Duration;

/// How long the simulated board runs when nothing else is asked for.
const DEMONSTRATION: Duration = Duration::from_secs(10);

pub(super) fn main(args: &RunArgs) -> Result<u8, Failure> {
    let config = match &args.board {
        Some(path) => Config::load(path).map_err(|error| Failure::in_file(BAD_INPUT, &error))?,
        None => Config::simulated(),
    };
    let Some(servo) = &config.servo else {
        let line = format!(
            "{}: there are no axes ([axis.X]); this firmware controls axes, for another control law see examples/",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    };
    if args.supervised && config.simulation.is_none() && servo.config.arm == Arm::AtStart {
        let line = format!(
            "{}: [safety] `arm` is \"at-start\", and this is started again when it ends: after a crash the axes would move by themselves; set arm = \"on-reset\" and name the reset input",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    }
    // Before the run, as it can last for weeks.
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let report = control(args, &config, servo)?;
    publish(args, json, &report)
}

// Kept apart: what stands on the stack while the loop runs is locked.
#[inline(never)]
fn control(args: &RunArgs, config: &Config, servo: &config::Servo) -> Result<Report, Failure> {
    // Checked when the board file was read.
    let law = servo.config.build(config.run.period);
    let law = law.map_err(|error| Failure::new(BAD_INPUT, &error))?;
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
    let state = law.initial();
    let describe = |state: &_| board::describe_servo(servo, state);
    board::run::<Servo>(config, &law, state, &options, describe).map_err(not_run)
}

/// Writes the report where it was asked for, and prints it.
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
        let all = |file: &mut File| -> io::Result<()> {
            file.write_all(json.as_bytes())?;
            // A pipe or a terminal has no length.
            if file.metadata()?.is_file() {
                file.set_len(json.len() as u64)?;
            }
            Ok(())
        };
        self.written = true;
        all(&mut self.file).map_err(|error| cannot_write(self.path, &error))
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

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        FAILED,
        &format!(
            "--json {}: {error}; name a file that can be written",
            path.display()
        ),
    )
}
