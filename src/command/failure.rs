//! The failure of a command: exit code and message.

use crate::config::ConfigError;
use crate::telemetry::escaped;

/// Bad arguments or a bad board file.
pub(super) const BAD_INPUT: u8 = 2;
/// Failed, before or while running.
pub(super) const FAILED: u8 = 1;

/// An exit code and a message of one line. A message about a file begins with the name of the
/// file, for editors and build tools; any other begins with `steadfast: `.
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

/// Prints `text`. A closed pipe (`| head`) counts as success.
pub(super) fn print(text: &str) -> Result<u8, Failure> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let what = format!("standard output: {error}; redirect it to a writable file");
            Err(Failure::new(FAILED, &what))
        }
        Ok(()) | Err(_) => Ok(0),
    }
}
