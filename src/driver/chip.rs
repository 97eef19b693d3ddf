//! Name and limits of a chip, for the check of a board file.

use core::ops::RangeInclusive;

/// An absolute encoder.
#[derive(Debug)]
pub struct EncoderChip {
    /// Its value of `chip = "..."`.
    pub key: &'static str,
    /// Its name in messages.
    pub name: &'static str,
    /// Maximum SPI clock, Hz.
    pub max_clock_hz: u32,
}

/// A digital-to-analog converter.
#[derive(Debug)]
pub struct OutputChip {
    /// Its value of `chip = "..."`.
    pub key: &'static str,
    /// Its name in messages.
    pub name: &'static str,
    /// Maximum SPI clock, Hz.
    pub max_clock_hz: u32,
    /// The value of `channel = "..."` of each channel, from number 0.
    pub channels: &'static [&'static str],
}

/// An analog-to-digital converter.
#[derive(Debug)]
pub struct InputChip {
    /// Its value of `chip = "..."`.
    pub key: &'static str,
    /// Its name in messages.
    pub name: &'static str,
    /// Permitted supply voltage, V.
    pub supply_volts: RangeInclusive<f64>,
    /// Maximum SPI clock at a supply voltage, Hz.
    pub max_clock_hz: fn(supply_volts: f64) -> u32,
    /// Number of channels, numbered from 0.
    pub channels: u8,
}
