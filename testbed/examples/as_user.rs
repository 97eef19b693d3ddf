//! `as_user ID PROGRAM [ARGUMENT]...`: becomes the unprivileged user and group `ID` and
//! executes the program.
//!
//! The busybox of the guests has neither su(1) nor chpst(8). Limits come from the shell
//! (`ulimit`); only capabilities and groups are dropped here. Exit status 2 for invalid
//! arguments, 1 if the program cannot be executed, else that of the program.

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
