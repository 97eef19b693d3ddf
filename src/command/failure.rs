//! How a command ends that could not do its work.

use crate::config::ConfigError;
use crate::telemetry::escaped;

/// Bad arguments or a bad board file.
pub(super) const BAD_INPUT: u8 = 2;
/// Failed, before or while running.
pub(super) const FAILED: u8 = 1;

/// What a command that could not do its work has to say: an exit code and one
/// line. A line about a file begins with the file's name, for editors and build
/// tools; any other begins with the program's.
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) line: String,
}

impl Failure {
    pub(super) fn new(code: u8, error: &impl ToString) -> Self {
        Self {
            code,
            line: format!("steadfast: {}", escaped(&error.to_string())),
        }
    }

    pub(super) fn in_file(code: u8, error: &ConfigError) -> Self {
        Self {
            code,
            line: error.to_string(),
        }
    }
}

/// Prints `text`; a reader that has left (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<u8, Failure> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(FAILED, &format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(0),
    }
}
