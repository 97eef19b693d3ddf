//! Chips on an SPI bus, over the traits of `embedded-hal` 1.0.
//!
//! Each driver owns one [`embedded_hal::spi::SpiDevice`] and nothing else: no
//! clock, no heap, no static. The same code runs over a kernel device, over a
//! microcontroller's peripheral and over the register-level chips of
//! [`crate::sim`].
//!
//! What all of them promise:
//!
//! - One call of the bus per frame, with a frame buffer of two or three bytes
//!   on the stack. Each method says how many frames it costs, so that the time
//!   a cycle spends on the bus can be summed beforehand.
//! - Errors are small and `Copy`. The bus's own error type is reduced to its
//!   [`embedded_hal::spi::ErrorKind`]; what the chip itself reports is kept
//!   apart from it.
//! - What a chip cannot report is written down where it matters: a converter
//!   that cannot be read back, a zero that a dead line can imitate.
//!
//! | chip | what | bus | frames a cycle |
//! |---|---|---|---|
//! | [`as5047p`] | 14-bit magnetic encoder | mode 1, 10 MHz | 1; 4 while the shaft stands at exactly 0 |
//! | [`mcp4922`] | 12-bit DAC, 2 channels | mode 0 or 3, 20 MHz | 1 per channel |
//! | [`mcp3208`] | 12-bit ADC, 8 channels | mode 0 or 3, 1 to 2 MHz | 1 per channel |

pub mod as5047p;
pub mod chip;
pub mod mcp3208;
pub mod mcp4922;

#[cfg(test)]
mod script;

use chip::{EncoderChip, InputChip, OutputChip};

/// What `[encoder.X]` can name. `board::ports` drives each of them.
pub const ENCODERS: &[EncoderChip] = &[as5047p::CHIP];
/// What `[analog_output.X]` can name.
pub const OUTPUTS: &[OutputChip] = &[mcp4922::CHIP];
/// What `[analog_input.X]` can name.
pub const INPUTS: &[InputChip] = &[mcp3208::CHIP];
