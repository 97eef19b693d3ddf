//! [`Options`] of a run.

use crate::cycle::run::Limit;
use crate::telemetry::report::Pace;

/// Options of a run that are not in the board file.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// When the run ends by itself.
    pub limit: Limit,
    /// The clock of the run: real, or virtual for a simulated board.
    pub pace: Pace,
    /// Whether a status line is redrawn on standard error during the run.
    pub live: bool,
}
