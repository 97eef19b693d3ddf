//! How to run.

use crate::cycle::run::Limit;
use crate::telemetry::report::Pace;

/// How to run.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// When to end.
    pub limit: Limit,
    /// Which clock paces the run.
    pub pace: Pace,
    /// Whether a line about the run is redrawn on standard error.
    pub live: bool,
}
