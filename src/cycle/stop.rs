//! The causes of a quick stop of the loop, and what is recorded of it.
//!
//! A quick stop of the loop must not look like an ordinary stop: the machine is at rest without
//! a fault and without a request. So the control law gets the cause with the request
//! ([`Directive::QuickStop`](super::ports::Directive)), and the loop counts the stops and keeps
//! the last one for the report.

use crate::time::Duration;

/// The cause of a quick stop.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StopCause {
    /// The run ends. This is an ordinary stop and is not counted.
    RunEnds = 0,
    /// Cycles were late: a step of the overrun ladder.
    Overrun = 1,
    /// Outputs were held for longer than allowed without a fresh decision.
    Held = 2,
}

impl StopCause {
    /// The number of the cause in files.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The cause with this number. `None` for 0, which means no stop in files, and for unknown
    /// numbers.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Overrun),
            2 => Some(Self::Held),
            _ => None,
        }
    }

    /// The name in the JSON report.
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

/// A quick stop that the loop requested while the run went on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct QuickStop {
    /// Its cause.
    pub cause: StopCause,
    /// The slot of the cycle after which it was requested.
    pub slot: u64,
    /// Deadlines missed and slots skipped since the overrun bucket was last empty.
    pub missed: u64,
}

impl QuickStop {
    /// When it was requested, since the first release; `period` is the length of a slot.
    #[must_use]
    pub fn time(&self, period: Duration) -> Duration {
        period * self.slot
    }
}

/// The quick stops of a run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct QuickStops {
    /// Their count.
    pub count: u64,
    /// The last one.
    pub last: Option<QuickStop>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_causes_decode_from_their_numbers_and_an_ordinary_stop_is_no_cause() {
        for cause in [StopCause::Overrun, StopCause::Held] {
            assert_eq!(StopCause::from_number(cause.number()), Some(cause));
        }
        assert_eq!(StopCause::from_number(StopCause::RunEnds.number()), None);
        assert_eq!(StopCause::from_number(3), None);
    }
}
