//! `steadctl`: looks at what a controller left behind, and at one that runs.
//!
//! A program of its own: it is not locked into memory, and nothing it does can
//! reach the controller.

mod blackbox;
mod cycles;
mod status;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};
use steadfast::telemetry::escaped;

const HELP: &str = "\
steadctl: looks at what a steadfast controller left behind, and at one that runs

  steadctl blackbox FILE [--csv] [--last N]
      the cause, the contract, the events and the last N cycles (default 20) of
      a black box; --csv prints all its cycles as comma-separated values instead
  steadctl status [FILE | --board NAME]
      what a controller does now, or did last: FILE is its flight file, NAME its
      board's name, for /run/steadfast/NAME.flight; without both, the only
      flight file in /run/steadfast

  -h, --help       this text
  -V, --version    the version

exit codes: 0 done, 1 failed, 2 bad arguments or not such a file,
            5 damaged: what could be read was printed, and what is missing
";

/// Failed: a file cannot be read.
const FAILED: u8 = 1;
/// Bad arguments, or a file that is none of ours.
const BAD_INPUT: u8 = 2;
/// What could be read was printed, and something is missing.
const DAMAGED: u8 = 5;

/// An exit code other than 0, and one line.
struct Failure(u8, String);

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    BlackBox {
        file: PathBuf,
        csv: bool,
        last: usize,
    },
    Status(Option<PathBuf>),
    Help,
    Version,
}

fn main() -> ExitCode {
    let done = parse(std::env::args_os().skip(1)).and_then(|command| match command {
        Command::BlackBox { file, csv, last } => blackbox::main(&file, csv, last),
        Command::Status(file) => status::main(file),
        Command::Help => print(HELP).map(|()| 0),
        Command::Version => {
            print(concat!("steadctl ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| 0)
        }
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Failure(code, line)) => {
            eprintln!("steadctl: {}", escaped(&line));
            ExitCode::from(code)
        }
    }
}

/// `text` with everything escaped that would steer a terminal but the ends of
/// its lines: files can hold anything.
fn shown_lines(text: &str) -> String {
    text.lines().map(|line| escaped(line) + "\n").collect()
}

/// Prints `text`; a reader that has left (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure(FAILED, format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn usage(what: impl std::fmt::Display) -> Failure {
    Failure(BAD_INPUT, format!("{what}; see steadctl --help"))
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut parser = Parser::from_args(args);
    let (mut word, mut file, mut board) = (None, None, None);
    let (mut csv, mut last) = (false, None);
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("csv") => csv = true,
            Arg::Long("last") => {
                let text = parser.value().and_then(|v| v.string()).map_err(usage)?;
                let count = text.parse().ok();
                last = Some(
                    count.ok_or_else(|| usage(format!("--last {text} is not a whole number")))?,
                );
            }
            Arg::Long("board") => {
                let name = parser.value().and_then(|v| v.string()).map_err(usage)?;
                board = Some(status::flight_of(&name));
            }
            Arg::Value(value) if word.is_none() => {
                word = Some(value.string().map_err(usage)?);
            }
            Arg::Value(value) if file.is_none() => file = Some(PathBuf::from(value)),
            other => return Err(usage(other.unexpected())),
        }
    }
    let reading = csv || last.is_some();
    match (word.as_deref(), file, board) {
        (Some("blackbox"), Some(file), None) => Ok(Command::BlackBox {
            file,
            csv,
            last: last.unwrap_or(20),
        }),
        (Some("blackbox"), None, _) => Err(usage("blackbox needs a FILE")),
        (Some("blackbox"), _, Some(_)) => Err(usage("--board goes with status")),
        (Some("status"), _, _) if reading => Err(usage("--csv and --last go with blackbox")),
        (Some("status"), Some(_), Some(_)) => Err(usage("FILE and --board exclude each other")),
        (Some("status"), file, board) => Ok(Command::Status(file.or(board))),
        (Some(other), _, _) => Err(usage(format!("there is no command \"{other}\""))),
        (None, _, _) => Err(usage("there is no command")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|Failure(code, line)| {
            assert_eq!(code, BAD_INPUT);
            line
        })
    }

    #[test]
    fn the_commands_are_understood() {
        assert_eq!(
            parsed("blackbox f --csv"),
            Ok(Command::BlackBox {
                file: "f".into(),
                csv: true,
                last: 20
            })
        );
        assert_eq!(parsed("status"), Ok(Command::Status(None)));
        assert_eq!(parsed("status f"), Ok(Command::Status(Some("f".into()))));
        assert_eq!(
            parsed("status --board a/b"),
            Ok(Command::Status(Some("/run/steadfast/a_b.flight".into())))
        );
        assert_eq!(parsed("blackbox --help"), Ok(Command::Help));
    }

    #[test]
    fn each_mistake_is_named() {
        for (line, word) in [
            ("", "no command"),
            ("blackbox", "FILE"),
            ("blackbox f --board x", "--board"),
            ("blackbox f g", "\"g\""),
            ("blackbox f --last many", "many"),
            ("status f --board x", "exclude"),
            ("status --csv", "--csv"),
            ("walk", "walk"),
            ("status --fast", "--fast"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(word) && error.ends_with("--help"), "{error}");
        }
    }
}
