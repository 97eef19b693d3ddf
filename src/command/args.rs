//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::cycle::run::Limit;
use crate::telemetry::report::Pace;
use crate::time::Duration;

/// The usage, printed by `--help`.
pub const HELP: &str = "\
A real-time controller: senses, decides, acts and records in every period.

usage:
  steadfast [run] [options]   run the controller; without --board, the simulated
                              board for 10 s
      --board FILE            the board file
      --for TIME              run for this time: 10s, 500ms, 2m, 1h
      --cycles N              run this number of cycles
      --pace real|free        real clock, or a virtual clock that never waits
                              (simulated boards only)
      --interactive           run the simulated board until it is stopped, and
                              let steadctl command it
      --json FILE             write the report as JSON
      --quiet                 print errors only
      --supervised            for a supervisor that restarts the controller:
                              refuse a real board that arms without a reset
  steadfast check FILE        check a board file, and that this machine has its
                              devices
  steadfast doctor [--board FILE] [--memory]
                              show what this machine grants for real time and
                              how to get the rest; changes nothing
      --memory                measure as well how much other CPUs slow down the
                              memory: all of them copy for half a second
  steadfast setup --board FILE
                              as root, before a run without privileges: set the
                              priorities of interrupt threads ([spi.X] irq_priority)
  steadfast --version
  steadfast --help

exit codes: 0 done, 1 failed while running, 2 bad arguments or board file,
            3 contract refused, 4 ended by a fault, or real time was required
            and the contract broke while running, 5 an axis was stopped by late
            cycles and not armed again
";

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `run`.
    Run(RunArgs),
    /// `check FILE`.
    Check(PathBuf),
    /// `doctor`.
    Doctor {
        /// The board file, if given.
        board: Option<PathBuf>,
        /// Measure the contention for memory.
        memory: bool,
    },
    /// `setup` with a board file.
    Setup(PathBuf),
    /// `--version`.
    Version,
    /// `--help`.
    Help,
}

/// The arguments of `run`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunArgs {
    /// The board file; `None` is the simulated board.
    pub board: Option<PathBuf>,
    /// End of the run; `None` is 10 s on the simulated board without a board file, else no
    /// limit.
    pub limit: Option<RunLimit>,
    /// The clock of the run.
    pub pace: Pace,
    /// Run the built-in board with a local link, without a limit.
    pub interactive: bool,
    /// File of the JSON report.
    pub json: Option<PathBuf>,
    /// Print errors only.
    pub quiet: bool,
    /// A supervisor restarts the controller when it ends.
    pub supervised: bool,
}

/// The requested end of a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RunLimit {
    /// After this time.
    For(Duration),
    /// After this many cycles.
    Cycles(u64),
}

impl RunLimit {
    /// The limit in slots of `period` (rounded up, at least 1) or in cycles.
    #[must_use]
    pub fn in_slots(self, period: Duration) -> Limit {
        match self {
            Self::For(time) => Limit::Slots(time.as_nanos().div_ceil(period.as_nanos()).max(1)),
            Self::Cycles(cycles) => Limit::Cycles(cycles),
        }
    }
}

impl Default for RunArgs {
    fn default() -> Self {
        Self {
            board: None,
            limit: None,
            pace: Pace::Real,
            interactive: false,
            json: None,
            quiet: false,
            supervised: false,
        }
    }
}

/// An error in the arguments, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; see steadfast --help", self.0)
    }
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// [`UsageError`] for the first error.
#[inline(never)]
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = Parser::from_args(args);
    let mut word: Option<String> = None;
    let mut file = None;
    let mut run = RunArgs::default();
    let mut given: Vec<String> = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Value(value) if word.is_none() => word = Some(value.string()?),
            Arg::Value(value) if file.is_none() => file = Some(PathBuf::from(value)),
            Arg::Long(name) => {
                let name = name.to_owned();
                if given.contains(&name) {
                    return Err(UsageError(format!("--{name} is given twice; give it once")));
                }
                option(&name, &mut run, &mut parser)?;
                given.push(name);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let word = word.as_deref();
    let allowed: &[&str] = match word {
        None | Some("run") => &[
            "board",
            "for",
            "cycles",
            "pace",
            "interactive",
            "json",
            "quiet",
            "supervised",
        ],
        Some("doctor") => &["board", "memory"],
        Some("setup") => &["board"],
        Some(_) => &[],
    };
    if let Some(name) = given.iter().find(|name| !allowed.contains(&name.as_str())) {
        return Err(UsageError(format!(
            "`{}` has no option --{name}",
            word.unwrap_or("run")
        )));
    }
    if run.interactive && (run.board.is_some() || run.pace == Pace::Free) {
        return Err(UsageError(
            "--interactive is for the built-in board in real time; a board file has [link.local] for it"
                .to_owned(),
        ));
    }
    match (word, file) {
        (None | Some("run"), None) => Ok(Command::Run(run)),
        (Some("check"), Some(file)) => Ok(Command::Check(file)),
        (Some("check"), None) => Err(UsageError("check needs a FILE".to_owned())),
        (Some("doctor"), None) => Ok(Command::Doctor {
            board: run.board,
            memory: given.iter().any(|name| name == "memory"),
        }),
        (Some("setup"), None) => run
            .board
            .map(Command::Setup)
            .ok_or_else(|| UsageError("setup needs --board FILE".to_owned())),
        (Some("run" | "doctor" | "setup"), Some(file)) => {
            let shown = file.display();
            Err(UsageError(format!(
                "unexpected \"{shown}\"; did you mean --board {shown}?"
            )))
        }
        (Some(other), _) => Err(UsageError(format!("unknown command \"{other}\""))),
        (None, Some(_)) => unreachable!("a file is only taken after a word"),
    }
}

fn option(name: &str, run: &mut RunArgs, parser: &mut Parser) -> Result<(), UsageError> {
    match name {
        "board" => run.board = Some(PathBuf::from(parser.value()?)),
        "json" => run.json = Some(PathBuf::from(parser.value()?)),
        "quiet" => run.quiet = true,
        "memory" => {}
        "supervised" => run.supervised = true,
        "for" => limit(run, RunLimit::For(time(&parser.value()?.string()?)?))?,
        "cycles" => {
            let text = parser.value()?.string()?;
            let cycles = text
                .parse()
                .ok()
                .filter(|cycles| *cycles > 0)
                .ok_or_else(|| {
                    UsageError(format!(
                        "--cycles \"{text}\" is invalid; give a whole number above 0"
                    ))
                })?;
            limit(run, RunLimit::Cycles(cycles))?;
        }
        "interactive" => run.interactive = true,
        "pace" => {
            run.pace = match parser.value()?.string()?.as_str() {
                "real" => Pace::Real,
                "free" => Pace::Free,
                other => {
                    return Err(UsageError(format!(
                        "--pace \"{other}\" is invalid; use real or free"
                    )));
                }
            }
        }
        other => return Err(UsageError(format!("unknown option --{other}"))),
    }
    Ok(())
}

fn limit(run: &mut RunArgs, limit: RunLimit) -> Result<(), UsageError> {
    match run.limit.replace(limit) {
        None => Ok(()),
        Some(_) => Err(UsageError(
            "--for and --cycles exclude each other; give one of them".to_owned(),
        )),
    }
}

/// Parses a time such as `500ms`, `10s`, `2m`, `1h`: a whole number and a unit.
fn time(text: &str) -> Result<Duration, UsageError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let nanos = match unit {
        "us" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .filter(|number| *number > 0)
        .zip(nanos)
        .and_then(|(number, nanos)| number.checked_mul(nanos))
        .map(Duration::from_nanos)
        .ok_or_else(|| {
            UsageError(format!(
                "--for \"{text}\" is not a time; give one such as 500ms, 10s, 2m or 1h"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, UsageError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_arguments_the_simulated_board_runs() {
        assert_eq!(parsed(""), Ok(Command::Run(RunArgs::default())));
        assert_eq!(parsed("run"), parsed(""));
    }

    #[test]
    fn every_option_of_run_is_parsed() {
        let expected = RunArgs {
            board: Some("b.toml".into()),
            limit: Some(RunLimit::For(Duration::from_millis(500))),
            pace: Pace::Free,
            json: Some("r.json".into()),
            quiet: true,
            supervised: true,
            interactive: false,
        };
        assert_eq!(
            parsed("run --board b.toml --for 500ms --pace free --json r.json --quiet --supervised"),
            Ok(Command::Run(expected))
        );
    }

    #[test]
    fn the_other_commands_are_parsed() {
        assert_eq!(parsed("check x.toml"), Ok(Command::Check("x.toml".into())));
        let doctor = |board, memory| Ok(Command::Doctor { board, memory });
        assert_eq!(parsed("doctor"), doctor(None, false));
        assert_eq!(
            parsed("doctor --board x --memory"),
            doctor(Some("x".into()), true)
        );
        assert_eq!(parsed("--version"), Ok(Command::Version));
        assert_eq!(parsed("run --help"), Ok(Command::Help));
    }

    #[test]
    fn each_mistake_is_named_in_one_line() {
        for (line, word) in [
            ("walk", "walk"),
            ("check", "FILE"),
            ("run x.toml", "--board x.toml"),
            ("--for 10", "10"),
            ("--for 0s", "0s"),
            ("--for 99999999999h", "99999999999h"),
            ("--cycles 0", "0"),
            ("--cycles -3", "-3"),
            ("--for 1s --cycles 5", "exclude"),
            ("--for 1s --for 2s", "twice"),
            ("--pace quick", "quick"),
            ("--json", "json"),
            ("--fast", "fast"),
            ("doctor --json x", "--json"),
            ("check x --quiet", "--quiet"),
            ("check x y", "y"),
        ] {
            let error = parsed(line).expect_err(line).to_string();
            assert!(error.contains(word), "{line}: {error}");
            assert!(!error.contains('\n'), "{line}: {error}");
        }
    }

    #[test]
    fn a_time_is_rounded_up_to_whole_slots() {
        let ms = Duration::from_millis(1);
        assert_eq!(
            RunLimit::For(Duration::from_micros(1_001)).in_slots(ms),
            Limit::Slots(2)
        );
        assert_eq!(RunLimit::Cycles(7).in_slots(ms), Limit::Cycles(7));
    }
}
