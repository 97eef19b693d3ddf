//! `steadfast run`: runs the controller.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

use super::args::{RunArgs, RunLimit};
use super::failure::{BAD_INPUT, FAILED, Failure};
use super::known::Known;
use crate::axis::{Arm, AxisConfig};
use crate::board::{self, Options, RunError};
use crate::config::Config;
use crate::cycle::run::Limit;
use crate::link::saved::{KeptId, SavedConfig};
use crate::stock::servo::Axes;
use crate::sys::Errno;
use crate::sys::output::Output;
use crate::telemetry::report::Report;
use crate::telemetry::{say, text};
use crate::time::Duration;

/// Duration of a run without a board file and without a limit.
const DEMONSTRATION: Duration = Duration::from_secs(10);

/// `config` with the parameters that were saved for it.
pub(super) fn with_saved(mut config: Config) -> Result<Config, Failure> {
    // A disk may be missing for a while; a file that does not fit stays so.
    let text = config.saved_text();
    let text = text.map_err(|error| Failure::in_file(FAILED, &error))?;
    if let Some(text) = text {
        let put = config.put_saved(&text);
        put.map_err(|error| Failure::in_file(BAD_INPUT, &error))?;
    }
    if let Some(SavedConfig {
        path,
        node_id: Some(KeptId { node_id, .. }),
        ..
    }) = &config.parameters
    {
        say(format_args!(
            "steadfast: the CAN node has the id {node_id} that a master has stored ({path})"
        ));
    }
    if let Some(SavedConfig { path, in_force, .. }) = &config.parameters
        && *in_force > 0
    {
        say(format_args!(
            "steadfast: {in_force} saved parameters are in force ({path}); steadctl diff lists them"
        ));
    }
    Ok(config)
}

pub(super) fn main(known: &Known, args: &RunArgs) -> Result<u8, Failure> {
    let config = match &args.board {
        Some(path) => known.load(path)?,
        None if args.interactive => known.interactive()?,
        None => known.built_in()?,
    };
    let config = with_saved(config)?;
    if config.machine.laws.is_empty() {
        let line = format!(
            "{}: the board file has no control law; add [axis.X] or [law.X] (examples/ shows a law of your own)",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    }
    // An axis that only obeys commands does not move by itself.
    let arms_at_start = |axes: &Axes| {
        let moves =
            |axis: &AxisConfig| axis.command.is_none() || !axis.motion.positions_rad.is_empty();
        axes.config.arm == Arm::AtStart && axes.config.axes.iter().any(moves)
    };
    if args.supervised
        && config.simulation.is_none()
        && Axes::of(&config).is_some_and(arms_at_start)
    {
        let line = format!(
            "{}: [safety] `arm` is \"at-start\": after a crash and restart the axes would move by themselves; set arm = \"on-reset\" and name the reset input",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    }
    // Opened before the run, which can take weeks, so that an error shows now.
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let report = control(args, &config)?;
    publish(args, json, &report)
}

// Not inlined: the stack is locked while the loop runs, so its frames must be small.
#[inline(never)]
fn control(args: &RunArgs, config: &Config) -> Result<Report, Failure> {
    let limit = match (args.limit, &args.board) {
        (Some(limit), _) => limit.in_slots(config.run.period),
        (None, None) if args.interactive => Limit::None,
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

/// How long a reader of the report may block the output, ms. The process then ends without the
/// report, because its supervisor waits for the end to restart it.
const READER_MS: u16 = 10_000;

/// Writes the JSON report, if requested, and prints the report. It can block, so it comes last:
/// outputs are safe, the watchdog is stopped, the black box is saved and the service manager is
/// notified.
#[inline(never)]
fn publish(args: &RunArgs, json: Option<JsonFile<'_>>, report: &Report) -> Result<u8, Failure> {
    // The report is printed even if the file could not be written.
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

/// Prints `text`. A closed pipe (`| head`) counts as success.
fn print(text: &str) -> Result<(), Failure> {
    match deliver(text, &io::stdout()) {
        Err(Errno(libc::EPIPE)) | Ok(()) => Ok(()),
        Err(errno) => Err(Failure::new(
            FAILED,
            &format!(
                "standard output: {}; redirect it to a writable file",
                refusal(errno)
            ),
        )),
    }
}

/// Writes `text` to a reader that may be slow. Fails with `EAGAIN` if it takes nothing for
/// [`READER_MS`].
fn deliver(text: &str, to: &impl AsFd) -> Result<(), Errno> {
    let output = Output::of(to.as_fd());
    let mut pieces = text.as_bytes().chunks(512);
    pieces.try_for_each(|piece| output.write_all(piece, READER_MS))
}

/// The message for a report that could not be written.
fn refusal(errno: Errno) -> String {
    match errno {
        Errno(libc::EAGAIN) => {
            let time = Duration::from_millis(u64::from(READER_MS));
            format!("its reader has read nothing for {time}")
        }
        Errno(number) => io::Error::from_raw_os_error(number).to_string(),
    }
}

/// The exit code if the report could not be delivered: that of the run, unless it is 0, because
/// supervisors act on it.
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

/// The file of the JSON report. It is opened before the run, so that an error shows at once, and
/// written after it, so that a run that does not start leaves an older report unchanged.
struct JsonFile<'p> {
    path: &'p Path,
    file: File,
    /// Whether this process created it.
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
            // An empty file could be taken for a report. Nothing else depends on the result.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

fn cannot_write(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::new(
        FAILED,
        &format!(
            "--json {}: cannot be written: {error}; name a writable file",
            path.display()
        ),
    )
}
