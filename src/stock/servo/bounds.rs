//! Ranges of the keys of an axis.

use std::ops::RangeInclusive;

use crate::config::{ConfigError, Table};
use crate::time::Duration;

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

// These ranges exceed any machine; they only prevent overflow in the arithmetic of a cycle.
// `ServoConfig::build_in` checks the values of an axis.

/// Positions, rad.
pub(super) const RAD: RangeInclusive<f64> = -1.0e6..=1.0e6;
/// Volts.
pub(super) const VOLTS: RangeInclusive<f64> = -1.0e3..=1.0e3;
/// Velocities, rad/s.
pub(super) const VELOCITY: RangeInclusive<f64> = -1.0e5..=1.0e5;
/// Accelerations, rad/s^2.
pub(super) const ACCELERATION: RangeInclusive<f64> = -1.0e8..=1.0e8;
/// Jerks, rad/s^3.
pub(super) const JERK: RangeInclusive<f64> = -1.0e11..=1.0e11;
/// Gains and feed-forwards, volts per unit of their input.
pub(super) const GAIN: RangeInclusive<f64> = -1.0e9..=1.0e9;
/// Times, s.
pub(super) const SECONDS: RangeInclusive<f64> = -1.0e4..=1.0e4;
/// Frequencies, Hz.
pub(super) const HERTZ: RangeInclusive<f64> = -1.0e5..=1.0e5;
/// Gear ratios.
pub(super) const RATIO: RangeInclusive<f64> = -1.0e5..=1.0e5;

pub(super) fn millis(
    table: &mut Table<'_>,
    key: &'static str,
    default_ms: u64,
) -> Result<Duration> {
    table
        .integer_or(key, 0..=600_000, default_ms)
        .map(Duration::from_millis)
}
