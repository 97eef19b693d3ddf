//! Inputs without a valid value, and the source of a set point, for the stock laws.

use super::prelude::*;

/// The fault of a stock law whose input had no valid value for too long.
pub(super) const UNKNOWN: FaultNumber = FaultNumber::MIN;

/// The range of a quantity in any unit.
pub(super) const ANY: std::ops::RangeInclusive<f64> = -1e9..=1e9;
/// The range of a positive quantity in any unit.
pub(super) const POSITIVE: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// The value of `signal`; `None` if it could not be read or is not finite. A non-finite value
/// would remain in the state of a law.
pub(super) fn known(io: &Io<'_>, signal: Input<f64>) -> Option<f64> {
    let value = io.read(signal).value.ok();
    value.filter(|value| value.is_finite())
}

/// How long an input has had no valid value.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Blind {
    seconds: f64,
}

impl Blind {
    /// Updates the time in a step in which the input was `known` or not. Returns the fault
    /// after more than `tolerated_s` seconds without a valid value.
    pub(super) fn is(&mut self, known: bool, io: &Io<'_>, tolerated_s: f64) -> Option<FaultNumber> {
        self.seconds += io.elapsed().as_secs_f64();
        if known {
            self.seconds = 0.0;
        }
        (self.seconds > tolerated_s).then_some(UNKNOWN)
    }
}

/// The message of [`UNKNOWN`].
pub(super) fn unknown(input: &str) -> String {
    format!("{input} has no valid value; check for a broken wire or a device that does not answer")
}

/// The key `tolerated_s` of a law's table, s.
pub(super) fn tolerated_s(table: &mut LawTable<'_, '_>) -> Result<f64, ConfigError> {
    table.number_or("tolerated_s", 0.0..=3600.0, 0.0)
}

/// A set point: a number, or a signal in the unit of the input.
#[derive(Copy, Clone, Debug)]
pub(super) enum SetPoint {
    Constant(f64),
    Signal(Input<f64>),
}

impl SetPoint {
    /// The key `set_point` of a law's table; `unit` is that of the input.
    pub(super) fn of(table: &mut LawTable<'_, '_>, unit: &str) -> Result<Self, ConfigError> {
        if table.is_text("set_point") {
            table.input("set_point", unit).map(Self::Signal)
        } else {
            table.number("set_point", ANY).map(Self::Constant)
        }
    }

    pub(super) fn read(self, io: &Io<'_>) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Signal(signal) => known(io, signal),
        }
    }
}
