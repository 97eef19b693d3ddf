//! MCP4922 at register level (Microchip datasheet DS22250A).
//!
//! Modelled: the write command with its four configuration bits (register 5-1), short frames
//! (aborted) and clocks after the 16th (ignored, section 5.2), gain, shutdown, the state after
//! power-on. LDAC is tied low. Not modelled: settling, offset and gain errors, the limits of
//! the reference buffer near the rails.

use super::spi::SimChip;

const CHANNEL_B: u16 = 1 << 15;
const BUFFERED: u16 = 1 << 14;
const UNITY_GAIN: u16 = 1 << 13;
const ACTIVE: u16 = 1 << 12;

/// The converter and its reference and supply voltages.
#[derive(Clone, Debug)]
pub struct Mcp4922Chip {
    /// The last command to each channel. Zero, the value after power-on, is shut down.
    commands: [u16; 2],
    reference_volts: f64,
    supply_volts: f64,
}

impl Mcp4922Chip {
    /// A chip after power-on, with both references at `reference_volts`. Voltages in V.
    #[must_use]
    pub const fn new(reference_volts: f64, supply_volts: f64) -> Self {
        Self {
            commands: [0; 2],
            reference_volts,
            supply_volts,
        }
    }

    /// Voltage at the pin of channel A (0) or B (1), V; `None` while it is shut down (the pin
    /// then has 500 kOhm to ground).
    ///
    /// # Panics
    /// If `channel` is above 1.
    #[inline]
    #[must_use]
    pub fn volts(&self, channel: usize) -> Option<f64> {
        let command = self.commands[channel];
        if command & ACTIVE == 0 {
            return None;
        }
        let gain = if command & UNITY_GAIN != 0 { 1.0 } else { 2.0 };
        let code = f64::from(command & 0x0FFF);
        Some((self.reference_volts * gain * (code / 4096.0)).min(self.supply_volts))
    }

    /// Whether the reference input of channel A (0) or B (1) is buffered.
    ///
    /// # Panics
    /// If `channel` is above 1.
    #[must_use]
    pub const fn is_buffered(&self, channel: usize) -> bool {
        self.commands[channel] & BUFFERED != 0
    }
}

impl SimChip for Mcp4922Chip {
    #[inline]
    fn frame(&mut self, tx: &[u8], rx: &mut [u8]) {
        // The chip has no data output.
        rx.fill(0);
        if let [high, low, ..] = tx {
            let command = u16::from_be_bytes([*high, *low]);
            self.commands[usize::from(command & CHANNEL_B != 0)] = command;
        }
    }
}
