//! The commands of the firmware, one file each.

pub mod args;
mod check;
mod doctor;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::telemetry::{escaped, say};
use args::Command;

/// Bad arguments or a bad board file.
const BAD_INPUT: u8 = 2;
/// Failed, before or while running.
const FAILED: u8 = 1;

/// What a command that could not do its work has to say: an exit code and one
/// line. A line about a file begins with the file's name, for editors and build
/// tools; any other begins with the program's.
struct Failure {
    code: u8,
    line: String,
}

impl Failure {
    fn new(code: u8, error: &impl ToString) -> Self {
        Self {
            code,
            line: format!("steadfast: {}", escaped(&error.to_string())),
        }
    }

    fn in_file(code: u8, error: &ConfigError) -> Self {
        Self {
            code,
            line: error.to_string(),
        }
    }
}

/// Does what `args`, the arguments after the program's name, ask for.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match args::parse(args) {
        Err(error) => Err(Failure::new(BAD_INPUT, &error)),
        Ok(Command::Run(run)) => run::main(&run),
        Ok(Command::Check(file)) => check::main(&file),
        Ok(Command::Doctor(board)) => doctor::main(board.as_deref()),
        Ok(Command::Help) => print(args::HELP),
        Ok(Command::Version) => print(concat!("steadfast ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(format_args!("{}", failure.line));
            ExitCode::from(failure.code)
        }
    }
}

/// Prints `text`; a reader that has left (`| head`) is no failure.
fn print(text: &str) -> Result<u8, Failure> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(FAILED, &format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(0),
    }
}
