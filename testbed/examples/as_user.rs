//! `as_user ID PROGRAM [ARGUMENT]...`: becomes the ordinary user and group `ID`
//! for good and runs the program in its own place.
//!
//! A guest of the board tier has root and busybox, and that busybox has neither
//! su(1) nor chpst(8). Limits come from the shell before it (`ulimit`): only
//! capabilities and groups are given up here. Exit status 2 for bad arguments,
//! 1 when the program cannot be run, else the program's own.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use steadfast::sys::process;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let user = arguments.next().and_then(|id| id.parse().ok());
    let (Some(user), Some(program)) = (user, arguments.next()) else {
        eprintln!("as_user ID PROGRAM [ARGUMENT]...");
        return ExitCode::from(2);
    };
    if let Err(errno) = process::become_user(user) {
        eprintln!("as_user: cannot become user {user}: {errno}");
        return ExitCode::FAILURE;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("as_user: {program}: {error}");
    ExitCode::FAILURE
}
