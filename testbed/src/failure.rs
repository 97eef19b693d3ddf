//! What went wrong, in words: for the board tier and for its benchmark.

use std::fmt;

/// Why a test failed, or there are no figures, for a person to read.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// One with these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fails with the given words unless `condition` holds.
pub fn require(condition: bool, words: impl FnOnce() -> String) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(Failure(words()))
    }
}
