//! `steadctl`: looks at what a controller left behind, and at one that runs.
//!
//! A program of its own: it is not locked into memory, and nothing it does can
//! reach the controller.

use std::process::ExitCode;

fn main() -> ExitCode {
    steadctl::main(std::env::args_os())
}
