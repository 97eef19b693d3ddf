//! Groups of commands from outside: names, timeouts, ranges.

use core::ops::Range;

use crate::time::Duration;

/// A group of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandGroup {
    /// Its name: that of the axis, or `command.X`.
    pub name: String,
    /// After this time without a refresh, its commands are stale.
    pub timeout: Duration,
    /// The number of its first command.
    pub first: u8,
    /// How many commands it has.
    pub count: u8,
    /// Its table in the board file.
    pub(super) span: Range<usize>,
}

/// All groups, and the ranges of all commands from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// The groups, in the order of the file.
    pub groups: Vec<CommandGroup>,
    /// The range of each command, in its unit.
    pub ranges: Vec<(f64, f64)>,
}
