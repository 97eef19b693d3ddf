//! MCP4922, a 12-bit digital-to-analog converter with two channels (Microchip
//! datasheet DS22250A).
//!
//! One frame of 16 bits writes one channel (register 5-1, "Write Command Register for
//! MCP4922"). With the LDAC pin tied low, the output changes at the rising edge of chip
//! select (section 3, "Latch DAC Input"). After power-on both channels are shut down until
//! they are written (register 5-1, SHDN is 0 at reset).
//!
//! The chip has no data output (section 5.1): a write to a missing or unpowered converter
//! succeeds. Measure its output to detect that. Cost: one frame and 2 bytes of stack per
//! write.

use embedded_hal::spi::{Error as _, ErrorKind, MODE_0, Mode, SpiDevice};

use super::chip::OutputChip;

/// Mode 0,0; the chip also supports 1,1 (section 5.1).
pub const SPI_MODE: Mode = MODE_0;
/// For board files.
pub const CHIP: OutputChip = OutputChip {
    key: "mcp4922",
    name: "MCP4922",
    max_clock_hz: MAX_CLOCK_HZ,
    channels: &["a", "b"],
};
/// Maximum clock, Hz (section 1, "AC Characteristics (SPI Timing)").
pub const MAX_CLOCK_HZ: u32 = 20_000_000;
/// The highest code.
pub const MAX_CODE: u16 = 4095;

/// A channel: bit 15 of the command.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// VOUTA.
    A,
    /// VOUTB.
    B,
}

impl Channel {
    /// Channel 0 is A, channel 1 is B; `None` above.
    #[must_use]
    pub const fn numbered(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::A),
            1 => Some(Self::B),
            _ => None,
        }
    }
}

/// Gain of the output amplifier: bit 13 (GA) of the command.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gain {
    /// V_out = V_ref * code / 4096; GA is 1.
    #[default]
    One,
    /// V_out = 2 * V_ref * code / 4096, at most the supply; GA is 0.
    Two,
}

/// Whether the reference input is buffered: bit 14 (BUF) of the command.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reference {
    /// 165 kOhm input, usable up to the supply.
    #[default]
    Unbuffered,
    /// High impedance, usable from 40 mV to 40 mV below the supply.
    Buffered,
}

/// Why a channel was not written.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The transfer itself failed.
    Bus(ErrorKind),
    /// The code is above [`MAX_CODE`]; nothing was sent.
    CodeOutOfRange(u16),
    /// The voltage is NaN or infinite; nothing was sent.
    NonFinite,
}

/// Why a [`Scale`] is invalid.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScaleError {
    /// `min_volts` is NaN or infinite.
    MinNonFinite,
    /// `max_volts` is NaN or infinite.
    MaxNonFinite,
    /// `min_volts` is not below `max_volts`, or their distance is so small or so large that
    /// the number of codes per volt is not finite and positive.
    Empty,
}

/// The linear scale of the output stage of a channel: code 0 is `min_volts`, code 4095 is
/// `max_volts`. For a stage from -10 V to 10 V, 0 V is between the codes 2047 and 2048.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Scale {
    min_volts: f64,
    max_volts: f64,
    codes_per_volt: f64,
}

/// A voltage converted to a code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The nearest code.
    pub code: u16,
    /// The voltage was outside the scale; the code is 0 or 4095.
    pub clamped: bool,
}

impl Scale {
    /// The scale from `min_volts` at code 0 to `max_volts` at code 4095.
    ///
    /// # Errors
    /// [`ScaleError`].
    pub const fn new(min_volts: f64, max_volts: f64) -> Result<Self, ScaleError> {
        if !min_volts.is_finite() {
            return Err(ScaleError::MinNonFinite);
        }
        if !max_volts.is_finite() {
            return Err(ScaleError::MaxNonFinite);
        }
        let codes_per_volt = MAX_CODE as f64 / (max_volts - min_volts);
        if codes_per_volt > 0.0 && codes_per_volt.is_finite() {
            Ok(Self {
                min_volts,
                max_volts,
                codes_per_volt,
            })
        } else {
            Err(ScaleError::Empty)
        }
    }

    /// Voltage at code 0, V.
    #[must_use]
    pub const fn min_volts(&self) -> f64 {
        self.min_volts
    }

    /// Voltage at code 4095, V.
    #[must_use]
    pub const fn max_volts(&self) -> f64 {
        self.max_volts
    }

    /// The code nearest to `volts`, clamped to the scale.
    ///
    /// # Errors
    /// [`Error::NonFinite`].
    #[inline]
    pub fn code(&self, volts: f64) -> Result<Converted, Error> {
        if !volts.is_finite() {
            return Err(Error::NonFinite);
        }
        let within = volts.clamp(self.min_volts, self.max_volts);
        // Adding 0.5 rounds to nearest, as the cast truncates. The largest product is 4095
        // within rounding, so the sum stays below 4096.
        let code = ((within - self.min_volts) * self.codes_per_volt + 0.5) as u16;
        Ok(Converted {
            code,
            clamped: within != volts,
        })
    }

    /// The voltage of `code`, V.
    #[must_use]
    pub fn volts(&self, code: u16) -> f64 {
        self.min_volts + f64::from(code) / self.codes_per_volt
    }
}

/// The frame of a write command (register 5-1), most significant byte first.
/// Only the lower 12 bits of `code` are used.
#[must_use]
pub const fn command(
    channel: Channel,
    reference: Reference,
    gain: Gain,
    active: bool,
    code: u16,
) -> [u8; 2] {
    let select = matches!(channel, Channel::B) as u16;
    let buffered = matches!(reference, Reference::Buffered) as u16;
    let unity = matches!(gain, Gain::One) as u16;
    let bits = select << 15 | buffered << 14 | unity << 13 | (active as u16) << 12;
    (bits | code & MAX_CODE).to_be_bytes()
}

/// The converter on its own chip select.
#[derive(Debug)]
pub struct Mcp4922<SPI> {
    spi: SPI,
    reference: Reference,
    gain: Gain,
}

impl<SPI: SpiDevice> Mcp4922<SPI> {
    /// A driver with an unbuffered reference and gain 1. Sends no frame.
    pub const fn new(spi: SPI) -> Self {
        Self::with_output(spi, Reference::Unbuffered, Gain::One)
    }

    /// A driver with the given reference buffering and gain. Sends no frame.
    pub const fn with_output(spi: SPI, reference: Reference, gain: Gain) -> Self {
        Self {
            spi,
            reference,
            gain,
        }
    }

    /// Returns the bus.
    pub fn release(self) -> SPI {
        self.spi
    }

    /// Activates `channel` and sets it to `code`, 0 to 4095. One frame.
    ///
    /// # Errors
    /// `CodeOutOfRange`, `Bus`.
    #[inline]
    pub fn write(&mut self, channel: Channel, code: u16) -> Result<(), Error> {
        if code > MAX_CODE {
            return Err(Error::CodeOutOfRange(code));
        }
        self.send(channel, true, code)
    }

    /// Sets `channel` to the code nearest to `volts` on `scale`; the result says whether the
    /// voltage was clamped. One frame.
    ///
    /// # Errors
    /// `NonFinite`, `Bus`. After `NonFinite` the output is unchanged: the caller must write a
    /// safe voltage.
    #[inline]
    pub fn write_volts(
        &mut self,
        channel: Channel,
        scale: &Scale,
        volts: f64,
    ) -> Result<Converted, Error> {
        let converted = scale.code(volts)?;
        self.send(channel, true, converted.code)?;
        Ok(converted)
    }

    /// Shuts `channel` down until it is written again: its pin has 500 kOhm to ground
    /// (section 4, "Shutdown Mode"). One frame. With an output stage that has an offset,
    /// 0 V at the pin is not 0 V at the output.
    ///
    /// # Errors
    /// `Bus`.
    pub fn shut_down(&mut self, channel: Channel) -> Result<(), Error> {
        self.send(channel, false, 0)
    }

    #[inline]
    fn send(&mut self, channel: Channel, active: bool, code: u16) -> Result<(), Error> {
        self.spi
            .write(&command(channel, self.reference, self.gain, active, code))
            .map_err(|error| Error::Bus(error.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::script::{Script, Step};

    const STAGE: Scale = match Scale::new(-10.0, 10.0) {
        Ok(scale) => scale,
        Err(_) => panic!("a valid scale"),
    };

    #[test]
    fn the_command_bits_match_register_5_1() {
        use Channel::{A, B};
        use Gain::{One, Two};
        use Reference::{Buffered, Unbuffered};
        assert_eq!(command(A, Unbuffered, One, true, 0), [0x30, 0x00]);
        assert_eq!(command(B, Unbuffered, One, true, 0xABC), [0xBA, 0xBC]);
        assert_eq!(command(A, Buffered, One, true, 0xFFF), [0x7F, 0xFF]);
        assert_eq!(command(A, Unbuffered, Two, true, 1), [0x10, 0x01]);
        assert_eq!(command(A, Unbuffered, One, false, 0), [0x20, 0x00]);
        assert_eq!(command(A, Unbuffered, Two, false, 0), [0x00, 0x00]);
    }

    #[test]
    fn a_write_sends_one_frame_and_a_bad_code_sends_none() {
        let steps: [Step; 4] = [
            (&[0x38, 0x00], Ok(&[])),
            (&[0xBF, 0xFF], Ok(&[])),
            (&[0xA0, 0x00], Ok(&[])),
            (&[0x38, 0x00], Err(ErrorKind::ChipSelectFault)),
        ];
        let mut dac = Mcp4922::new(Script::new(&steps));
        assert_eq!(dac.write(Channel::A, 0x800), Ok(()));
        assert_eq!(
            dac.write(Channel::A, 4096),
            Err(Error::CodeOutOfRange(4096))
        );
        let converted = dac.write_volts(Channel::B, &STAGE, 12.0);
        assert_eq!(converted.map(|c| (c.code, c.clamped)), Ok((4095, true)));
        assert_eq!(
            dac.write_volts(Channel::B, &STAGE, f64::NAN),
            Err(Error::NonFinite)
        );
        assert_eq!(dac.shut_down(Channel::B), Ok(()));
        assert_eq!(
            dac.write(Channel::A, 0x800),
            Err(Error::Bus(ErrorKind::ChipSelectFault))
        );
        dac.release().finish();
    }

    #[test]
    fn the_ends_of_every_scale_have_the_lowest_and_highest_code() {
        for (min, max) in [(0.0, 4.096), (-10.0, 10.0), (-1e-9, 3e9), (0.1, 0.3)] {
            let scale = Scale::new(min, max).unwrap();
            assert_eq!(scale.code(max).unwrap().code, MAX_CODE);
            assert_eq!(scale.code(min).unwrap().code, 0);
        }
    }

    #[test]
    fn a_scale_reaches_both_ends_and_clamps_beyond_them() {
        let code = |volts| STAGE.code(volts).map(|c| (c.code, c.clamped));
        assert_eq!(code(-10.0), Ok((0, false)));
        assert_eq!(code(10.0), Ok((4095, false)));
        assert_eq!(code(-10.001), Ok((0, true)));
        assert_eq!(code(1e300), Ok((4095, true)));
        assert_eq!(code(0.0), Ok((2048, false)));
        assert_eq!(code(f64::NAN), Err(Error::NonFinite));
        assert_eq!(code(f64::NEG_INFINITY), Err(Error::NonFinite));
    }

    #[test]
    fn every_code_converts_to_voltage_and_back() {
        for code in 0..=MAX_CODE {
            let back = STAGE.code(STAGE.volts(code)).unwrap().code;
            assert_eq!(back, code);
        }
    }

    #[test]
    fn an_invalid_scale_is_refused_with_the_reason() {
        assert_eq!(Scale::new(f64::NAN, 1.0), Err(ScaleError::MinNonFinite));
        assert_eq!(
            Scale::new(0.0, f64::INFINITY),
            Err(ScaleError::MaxNonFinite)
        );
        for (min, max) in [(1.0, 1.0), (2.0, 1.0), (-f64::MAX, f64::MAX)] {
            assert_eq!(Scale::new(min, max), Err(ScaleError::Empty));
        }
    }
}
