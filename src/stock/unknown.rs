//! How laws bear an input that is not known, and where they take a set point from.

use super::prelude::*;

/// The fault of every law here whose input was not known for too long.
pub(super) const UNKNOWN: FaultNumber = FaultNumber::MIN;

/// Numbers of any quantity, in its unit.
pub(super) const ANY: std::ops::RangeInclusive<f64> = -1e9..=1e9;
/// The same above zero.
pub(super) const POSITIVE: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// The value of `signal`. What is not finite is no more known than what could not be read: it
/// would stay in a law's state.
pub(super) fn known(io: &Io<'_>, signal: Input<f64>) -> Option<f64> {
    let value = io.read(signal).value.ok();
    value.filter(|value| value.is_finite())
}

/// For how long an input has not been known.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Blind {
    seconds: f64,
}

impl Blind {
    /// Takes note of a step in which the input was known or not. The fault, once it was not
    /// for more than `tolerated_s`.
    pub(super) fn is(&mut self, known: bool, io: &Io<'_>, tolerated_s: f64) -> Option<FaultNumber> {
        self.seconds += io.elapsed().as_secs_f64();
        if known {
            self.seconds = 0.0;
        }
        (self.seconds > tolerated_s).then_some(UNKNOWN)
    }
}

/// What [`UNKNOWN`] means.
pub(super) fn unknown(input: &str) -> String {
    format!("{input} is not known; look for a broken wire or a device that does not answer")
}

/// `tolerated_s` of a law's table.
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
    /// `set_point` of a law's table whose input is in `unit`.
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
