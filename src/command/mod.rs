//! The commands of the firmware, one file each.

pub mod args;
mod check;
mod doctor;
mod failure;
pub mod keys;
mod known;
mod run;
mod setup;

use std::ffi::OsString;
use std::process::ExitCode;

pub use known::Known;

use crate::telemetry::say;
use args::Command;
use failure::{BAD_INPUT, Failure, print};

/// Runs the command of `args`, the arguments after the program's name, and returns its exit
/// code.
#[must_use]
pub fn main(known: &Known, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match args::parse(args) {
        Err(error) => Err(Failure::new(BAD_INPUT, &error)),
        Ok(Command::Run(run)) => run::main(known, &run),
        Ok(Command::Check(file)) => check::main(known, &file),
        Ok(Command::Doctor { board, memory }) => doctor::main(known, board.as_deref(), memory),
        Ok(Command::Setup(board)) => setup::main(known, &board),
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
