//! Why the loop asks for a quick stop, and what is kept of it.
//!
//! A quick stop that the loop asked for must not look like an ordinary stop: the
//! machine stands still, has no fault, and nobody asked it to stand still. So the
//! cause goes with the request to the control law
//! ([`Directive::QuickStop`](super::ports::Directive)), and the loop counts the
//! stops and keeps the last one for the report.

use crate::time::Duration;

/// Why a quick stop is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StopCause {
    /// The run is being ended. This is an ordinary stop and is not counted.
    RunEnds = 0,
    /// Cycles came late: a step of the overrun ladder.
    Overrun = 1,
    /// Outputs were held for longer than they may be without a fresh decision.
    Held = 2,
}

impl StopCause {
    /// The number that stands for the cause in files.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The cause with this number. `None` for 0, which stands for no stop in
    /// files, and for numbers that this version does not know.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Overrun),
            2 => Some(Self::Held),
            _ => None,
        }
    }

    /// A name for programs that read a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunEnds => "run-ends",
            Self::Overrun => "overrun",
            Self::Held => "held",
        }
    }
}

impl core::fmt::Display for StopCause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::RunEnds => "the run ends",
            Self::Overrun => "too many missed deadlines (overrun ladder)",
            Self::Held => "outputs were held for longer than `max_hold_ms`",
        })
    }
}

/// A quick stop that the loop asked for while the run went on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct QuickStop {
    /// Why.
    pub cause: StopCause,
    /// The slot of the cycle after which it was asked for.
    pub slot: u64,
    /// Deadlines missed and slots skipped since the overrun bucket was last empty.
    pub missed: u64,
}

impl QuickStop {
    /// When it was asked for, since the first release, where a slot is `period` long.
    #[must_use]
    pub fn time(&self, period: Duration) -> Duration {
        period * self.slot
    }
}

/// The quick stops of a run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct QuickStops {
    /// How many there were.
    pub count: u64,
    /// The last one.
    pub last: Option<QuickStop>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_back_by_their_numbers_and_the_ordinary_stop_is_none() {
        for cause in [StopCause::Overrun, StopCause::Held] {
            assert_eq!(StopCause::from_number(cause.number()), Some(cause));
        }
        assert_eq!(StopCause::from_number(StopCause::RunEnds.number()), None);
        assert_eq!(StopCause::from_number(3), None);
    }
}
