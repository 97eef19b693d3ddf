//! Drivers for SPI chips over the traits of `embedded-hal` 1.0.
//!
//! A driver owns one [`embedded_hal::spi::SpiDevice`] and uses no clock, heap or static.
//! The same code runs over a kernel device, a microcontroller's peripheral and the
//! register-level chips of [`crate::sim`]. Each method documents its number of frames; a
//! frame is one call of the bus and takes 2 or 3 bytes of stack. Errors are `Copy`: the bus
//! error is reduced to its [`embedded_hal::spi::ErrorKind`], errors of the chip are
//! separate. Faults that a chip cannot report are documented in its module.
//!
//! | chip | what | bus | frames a cycle |
//! |---|---|---|---|
//! | [`as5047p`] | 14-bit magnetic encoder | mode 1, 10 MHz | 1; 4 while the angle is exactly 0 |
//! | [`mcp4922`] | 12-bit DAC, 2 channels | mode 0 or 3, 20 MHz | 1 per channel |
//! | [`mcp3208`] | 12-bit ADC, 8 channels | mode 0 or 3, 1 to 2 MHz | 1 per channel |

pub mod as5047p;
pub mod chip;
pub mod mcp3208;
pub mod mcp4922;

#[cfg(test)]
mod script;

use chip::{EncoderChip, InputChip, OutputChip};

/// The chips that `[encoder.X]` can name.
pub const ENCODERS: &[EncoderChip] = &[as5047p::CHIP];
/// The chips that `[analog_output.X]` can name.
pub const OUTPUTS: &[OutputChip] = &[mcp4922::CHIP];
/// The chips that `[analog_input.X]` can name.
pub const INPUTS: &[InputChip] = &[mcp3208::CHIP];
