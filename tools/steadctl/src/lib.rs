//! What `steadctl` does: its commands, one module each.

mod blackbox;
pub mod cycles;
mod explain;
mod new;
mod status;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind as Wrong;
use clap::{Parser, Subcommand};
use steadfast::telemetry::escaped;

const CODES: &str = "\
exit codes: 0 done, 1 failed, 2 bad arguments or not such a file,
            5 damaged: what could be read was printed, and what is missing";

/// Failed: a file cannot be read.
const FAILED: u8 = 1;
/// Bad arguments, or a file that is none of ours.
const BAD_INPUT: u8 = 2;
/// What could be read was printed, and something is missing.
const DAMAGED: u8 = 5;

/// An exit code other than 0, and one line.
struct Failure(u8, String);

/// Looks at what a steadfast controller left behind, and at one that runs; begins a new one
#[derive(Debug, Parser)]
#[command(name = "steadctl", version, after_help = CODES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq, Subcommand)]
enum Command {
    /// The cause, the contract, the events and the last cycles of a black box
    #[command(name = "blackbox")]
    BlackBox {
        /// A file that ends in .blackbox
        file: PathBuf,
        /// Print all its cycles as comma-separated values instead
        #[arg(long)]
        csv: bool,
        /// How many cycles
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
    },
    /// What a controller does now, or did last
    Status {
        /// Its flight file; without it and --board, the only one in /run/steadfast
        #[arg(conflicts_with = "board")]
        file: Option<PathBuf>,
        /// Its board's name, for /run/steadfast/NAME.flight
        #[arg(long, value_name = "NAME")]
        board: Option<String>,
    },
    /// The longer answer to a message: an exit code, a row of the contract, a fault of an axis
    Explain {
        /// Its name or its code ("exit 3", "memory lock", 0x8611); without it, all names
        name: Option<String>,
    },
    /// Write a crate for a machine of one's own: driver, control law, plant, board files, tests
    New(new::Arguments),
}

/// Does what `arguments` ask for, the program's name among them.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command }) => run(command),
        Err(error) => not_run(&error),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Failure(code, line)) => {
            eprintln!("steadctl: {}", escaped(&line));
            ExitCode::from(code)
        }
    }
}

fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::New(new::Arguments { folder, path }) => new::main(&folder, path.as_deref()),
        Command::Explain { name } => explain::main(name.as_deref()),
        Command::BlackBox { file, csv, last } => blackbox::main(&file, csv, last),
        Command::Status { file, board } => {
            status::main(file.or_else(|| board.as_deref().map(status::flight_of)))
        }
    }
}

/// Prints what was asked for instead of a command, or says in one line what is wrong
/// with the arguments.
fn not_run(error: &clap::Error) -> Result<u8, Failure> {
    let text = error.to_string();
    match error.kind() {
        Wrong::DisplayHelp | Wrong::DisplayVersion => print(&text).map(|()| 0),
        Wrong::MissingSubcommand | Wrong::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(usage("there is no command"))
        }
        // Its first paragraph; hints and the usage are after it.
        _ => {
            let what = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = what.split_whitespace().collect();
            let what = words.join(" ");
            Err(usage(what.strip_prefix("error: ").unwrap_or(&what)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = ["steadctl"].into_iter().chain(line.split_whitespace());
        let parsed = Arguments::try_parse_from(words);
        parsed.map(|arguments| arguments.command).map_err(|error| {
            let Err(Failure(code, line)) = not_run(&error) else {
                panic!("{line}: {error}");
            };
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
        let status = |file: Option<&str>, board: Option<&str>| Command::Status {
            file: file.map(PathBuf::from),
            board: board.map(str::to_owned),
        };
        assert_eq!(
            parsed("new a/b --path c"),
            Ok(Command::New(new::Arguments {
                folder: "a/b".into(),
                path: Some("c".into())
            }))
        );
        assert_eq!(
            parsed("explain 0x8611"),
            Ok(Command::Explain {
                name: Some("0x8611".to_owned())
            })
        );
        assert_eq!(parsed("status"), Ok(status(None, None)));
        assert_eq!(parsed("status f"), Ok(status(Some("f"), None)));
        assert_eq!(parsed("status --board a/b"), Ok(status(None, Some("a/b"))));
        assert_eq!(
            status::flight_of("a/b"),
            PathBuf::from("/run/steadfast/a_b.flight")
        );
    }

    #[test]
    fn help_and_version_are_no_failures() {
        for line in ["--help", "-h", "--version", "-V", "blackbox --help"] {
            let words = ["steadctl"].into_iter().chain(line.split_whitespace());
            let error = Arguments::try_parse_from(words).expect_err(line);
            assert!(matches!(not_run(&error), Ok(0)), "{line}: {error}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (line, word) in [
            ("", "no command"),
            ("blackbox", "FILE"),
            ("blackbox f --board x", "--board"),
            ("blackbox f g", "'g'"),
            ("blackbox f --last many", "many"),
            ("status f --board x", "cannot be used with"),
            ("status --csv", "--csv"),
            ("new", "FOLDER"),
            ("new a --path", "--path"),
            ("walk", "walk"),
            ("status --fast", "--fast"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(word) && error.ends_with("--help"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
