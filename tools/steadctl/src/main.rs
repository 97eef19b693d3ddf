//! `steadctl`: shows the black boxes of a controller and its present status, and creates new
//! machines.
//!
//! It is a separate program, neither locked into memory nor able to influence the controller.

use std::process::ExitCode;

fn main() -> ExitCode {
    steadctl::main(std::env::args_os())
}
