//! MCP3208, a 12-bit analog-to-digital converter with eight inputs (Microchip
//! datasheet DS21298E).
//!
//! One frame of three bytes selects an input, samples it and returns its value (figure
//! 6-1, "SPI Communication with the MCP3204/3208 using 8-bit segments").
//!
//! The null bit before the value is checked, which detects a line stuck high. A line stuck
//! low or a chip without power gives code 0, a valid value: if the signal is never near
//! 0 V, check its range in the control law.
//!
//! Cost: one frame and 3 bytes of stack per reading. If the clock pauses for more than about
//! 1.2 ms within a frame, the sampled charge is lost (section 6.2).

use embedded_hal::spi::{Error as _, ErrorKind, MODE_0, Mode, SpiDevice};

use super::chip::InputChip;

/// Mode 0,0; the chip also supports 1,1 (section 6.1).
pub const SPI_MODE: Mode = MODE_0;
/// For board files. The supply is that of section 1, "Electrical Characteristics".
pub const CHIP: InputChip = InputChip {
    key: "mcp3208",
    name: "MCP3208",
    supply_volts: 2.7..=5.5,
    max_clock_hz,
    channels: 8,
};
/// Maximum clock at a supply of 5 V, Hz (section 1, "Electrical Characteristics").
pub const MAX_CLOCK_HZ_AT_5_V: u32 = 2_000_000;
/// Maximum clock at 2.7 V, the minimum supply, Hz (same section).
pub const MAX_CLOCK_HZ_AT_2V7: u32 = 1_000_000;

/// The maximum clock at a supply of `volts`, Hz. Between the two supplies of the datasheet,
/// 2.7 V and 5 V, the limit is interpolated; outside it is the limit at the nearer one. NaN
/// gives the limit at 2.7 V.
#[must_use]
pub fn max_clock_hz(volts: f64) -> u32 {
    const LOW: (f64, u32) = (2.7, MAX_CLOCK_HZ_AT_2V7);
    const HIGH: (f64, u32) = (5.0, MAX_CLOCK_HZ_AT_5_V);
    let share = ((volts - LOW.0) / (HIGH.0 - LOW.0)).clamp(0.0, 1.0);
    // The cast rounds down and turns NaN into 0.
    LOW.1 + (share * f64::from(HIGH.1 - LOW.1)) as u32
}

/// The highest code.
pub const MAX_CODE: u16 = 4095;

/// Why a reading failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The transfer itself failed.
    Bus(ErrorKind),
    /// The null bit was 1: the chip did not answer, or lost synchronisation.
    Framing,
}

impl From<Error> for crate::cycle::image::InputError {
    fn from(error: Error) -> Self {
        match error {
            Error::Bus(_) => Self::Bus,
            Error::Framing => Self::Framing,
        }
    }
}

/// A single-ended or differential input: the four configuration bits of table 5-2.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Input(u8);

/// The positive input of a differential pair.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// The even input is IN+, the odd input is IN-.
    EvenPositive,
    /// The odd input is IN+, the even input is IN-.
    OddPositive,
}

impl Input {
    /// Input `channel`, 0 to 7, against ground; `None` above.
    #[must_use]
    pub const fn single(channel: u8) -> Option<Self> {
        if channel < 8 {
            Some(Self(0b1000 | channel))
        } else {
            None
        }
    }

    /// The difference of the inputs `2 * pair` and `2 * pair + 1`, `pair` from 0 to 3;
    /// `None` above. If IN- is above IN+, the code is 0.
    #[must_use]
    pub const fn differential(pair: u8, polarity: Polarity) -> Option<Self> {
        if pair < 4 {
            Some(Self(pair << 1 | polarity as u8))
        } else {
            None
        }
    }

    /// The frame that reads this input (figure 6-1): five zeros, the start bit, SGL/DIFF,
    /// D2, D1, D0. The last byte only clocks the value out.
    #[must_use]
    pub const fn command(self) -> [u8; 3] {
        let start = 1 << 4;
        let bits = ((start | self.0) as u16) << 6;
        let [high, low] = bits.to_be_bytes();
        [high, low, 0]
    }
}

/// The converter on its own chip select.
///
/// ```
/// use steadfast::driver::mcp3208::{Input, Mcp3208};
/// use steadfast::sim::{Mcp3208Chip, SimSpi};
///
/// let mut chip = Mcp3208Chip::new(4.096);
/// chip.volts[3] = 2.048;
/// let mut adc = Mcp3208::new(SimSpi::new(chip), 4.096).unwrap();
/// let input = Input::single(3).unwrap();
/// assert_eq!(adc.read_volts(input), Ok(2.048));
/// ```
#[derive(Debug)]
pub struct Mcp3208<SPI> {
    spi: SPI,
    volts_per_code: f64,
}

impl<SPI: SpiDevice> Mcp3208<SPI> {
    /// A driver for a converter with a reference of `reference_volts`, V. `None` if that is
    /// not finite, not above zero, or denormal. The chip requires 0.25 V up to its supply
    /// (section 1).
    pub fn new(spi: SPI, reference_volts: f64) -> Option<Self> {
        // Section 4.2: code = 4096 * V_in / V_ref. The division by a power of two is exact
        // if the quotient is a normal number.
        let volts_per_code = reference_volts / 4096.0;
        if !volts_per_code.is_normal() || volts_per_code < 0.0 {
            return None;
        }
        Some(Self {
            spi,
            volts_per_code,
        })
    }

    /// Returns the bus.
    pub fn release(self) -> SPI {
        self.spi
    }

    /// The code of `input`, 0 to 4095. One frame.
    ///
    /// # Errors
    /// `Bus`, `Framing`.
    #[inline]
    pub fn read(&mut self, input: Input) -> Result<u16, Error> {
        let mut bytes = input.command();
        self.spi
            .transfer_in_place(&mut bytes)
            .map_err(|error| Error::Bus(error.kind()))?;
        let [_, high, low] = bytes;
        if high & (1 << 4) != 0 {
            return Err(Error::Framing);
        }
        Ok(u16::from_be_bytes([high & 0x0F, low]))
    }

    /// The voltage at `input`, V, from 0 to one code below the reference. Higher voltages
    /// give the highest code. One frame.
    ///
    /// # Errors
    /// Those of [`Mcp3208::read`].
    #[inline]
    pub fn read_volts(&mut self, input: Input) -> Result<f64, Error> {
        Ok(f64::from(self.read(input)?) * self.volts_per_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::script::{Script, Step};

    #[test]
    fn the_maximum_clock_depends_on_the_supply() {
        for (volts, hz) in [
            (0.0, 1_000_000),
            (2.7, 1_000_000),
            (3.3, 1_260_869),
            (3.85, 1_500_000),
            (5.0, 2_000_000),
            (5.5, 2_000_000),
            (f64::NAN, 1_000_000),
        ] {
            assert_eq!(max_clock_hz(volts), hz, "{volts}");
        }
    }

    #[test]
    fn commands_match_table_5_2_and_figure_6_1() {
        let single = |channel| Input::single(channel).unwrap().command();
        assert_eq!(single(0), [0x06, 0x00, 0x00]);
        assert_eq!(single(3), [0x06, 0xC0, 0x00]);
        assert_eq!(single(4), [0x07, 0x00, 0x00]);
        assert_eq!(single(7), [0x07, 0xC0, 0x00]);
        let pair = |pair, polarity| Input::differential(pair, polarity).unwrap().command();
        assert_eq!(pair(0, Polarity::EvenPositive), [0x04, 0x00, 0x00]);
        assert_eq!(pair(0, Polarity::OddPositive), [0x04, 0x40, 0x00]);
        assert_eq!(pair(3, Polarity::EvenPositive), [0x05, 0x80, 0x00]);
        assert_eq!(pair(3, Polarity::OddPositive), [0x05, 0xC0, 0x00]);
        assert_eq!(Input::single(8), None);
        assert_eq!(Input::differential(4, Polarity::OddPositive), None);
    }

    #[test]
    fn bits_before_the_null_bit_are_not_part_of_the_value() {
        let steps: [Step; 4] = [
            (&[0x06, 0x00, 0x00], Ok(&[0xFF, 0xEA, 0xBC])),
            (&[0x06, 0x00, 0x00], Ok(&[0x00, 0x08, 0x00])),
            (&[0x06, 0x00, 0x00], Ok(&[0xFF, 0xFF, 0xFF])),
            (&[0x06, 0x00, 0x00], Err(ErrorKind::Other)),
        ];
        let mut adc = Mcp3208::new(Script::new(&steps), 4.096).unwrap();
        let input = Input::single(0).unwrap();
        assert_eq!(adc.read(input), Ok(0xABC));
        assert_eq!(adc.read_volts(input), Ok(2.048));
        assert_eq!(adc.read(input), Err(Error::Framing));
        assert_eq!(adc.read(input), Err(Error::Bus(ErrorKind::Other)));
        adc.release().finish();
    }

    #[test]
    fn an_invalid_reference_is_refused() {
        for volts in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
            assert!(Mcp3208::new(Script::new(&[]), volts).is_none());
        }
    }
}
