//! What a board file must know of a chip: its name, and what it takes.

use core::ops::RangeInclusive;

/// An absolute encoder.
#[derive(Debug)]
pub struct EncoderChip {
    /// What `chip = "..."` names it by.
    pub key: &'static str,
    /// What a person calls it.
    pub name: &'static str,
    /// The highest SPI clock that it takes, Hz.
    pub max_clock_hz: u32,
}

/// A converter to volts.
#[derive(Debug)]
pub struct OutputChip {
    /// What `chip = "..."` names it by.
    pub key: &'static str,
    /// What a person calls it.
    pub name: &'static str,
    /// The highest SPI clock that it takes, Hz.
    pub max_clock_hz: u32,
    /// What `channel = "..."` names each channel by, from number 0 on.
    pub channels: &'static [&'static str],
}

/// A converter from volts.
#[derive(Debug)]
pub struct InputChip {
    /// What `chip = "..."` names it by.
    pub key: &'static str,
    /// What a person calls it.
    pub name: &'static str,
    /// The supply that it works at, V.
    pub supply_volts: RangeInclusive<f64>,
    /// The highest SPI clock that it takes at a supply, Hz.
    pub max_clock_hz: fn(supply_volts: f64) -> u32,
    /// How many channels it has, numbered from 0.
    pub channels: u8,
}
