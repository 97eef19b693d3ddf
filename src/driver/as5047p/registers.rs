//! Frames and registers of the AS5047P.
//!
//! Source: ams AS5047P datasheet DS000324 (v1-01 and later), chapters "SPI
//! Interface (slave)" and "Register Description". Figures are cited by their
//! titles, because their numbers changed between editions.

use core::fmt;

/// Bit 14 of a command frame: 1 reads, 0 writes (figure "SPI Command Frame").
const READ: u16 = 1 << 14;
/// Bit 14 of a read frame: an error was detected in an earlier command frame
/// (figure "SPI Read Data Frame").
const EF: u16 = 1 << 14;
/// Bits 13:0 of a frame: address or data.
const PAYLOAD: u16 = 0x3FFF;

/// Sets bit 15 so that the frame has an even number of ones (PARC in figure
/// "SPI Command Frame", PARD in "SPI Write Data Frame").
const fn with_even_parity(frame: u16) -> u16 {
    let low = frame & 0x7FFF;
    low | ((low.count_ones() as u16 & 1) << 15)
}

/// The registers that can be read (figures "Volatile Registers" and
/// "Non-Volatile Registers").
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Register {
    /// No operation; reads as zero.
    Nop = 0x0000,
    /// Error register, cleared by being read: see [`ErrorFlags`].
    ErrFl = 0x0001,
    /// Programming of the one-time memory. This driver never writes it.
    Prog = 0x0003,
    /// Zero position, its 8 most significant bits.
    ZPosM = 0x0016,
    /// Zero position, its 6 least significant bits, and two enable bits.
    ZPosL = 0x0017,
    /// Custom setting 1: see [`Settings1`].
    Settings1 = 0x0018,
    /// Custom setting 2: see [`Settings2`].
    Settings2 = 0x0019,
    /// Diagnostics and gain control: see [`Diagnosis`].
    DiaAgc = 0x3FFC,
    /// Magnitude of the field vector out of the CORDIC, 14 bits.
    Mag = 0x3FFD,
    /// Angle without dynamic angle error compensation, 14 bits.
    AngleUnc = 0x3FFE,
    /// Angle with dynamic angle error compensation, 14 bits.
    AngleCom = 0x3FFF,
}

impl Register {
    /// The command frame that reads this register, most significant byte first.
    #[must_use]
    pub const fn read_command(self) -> [u8; 2] {
        with_even_parity(READ | self as u16).to_be_bytes()
    }
}

/// The registers that this driver writes (figure "Non-Volatile Registers").
///
/// A setting lasts until power is lost. This driver cannot program the one-time memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// Zero position, its 8 most significant bits.
    ZPosM,
    /// Zero position, its 6 least significant bits, and two enable bits.
    ZPosL,
    /// Custom setting 1.
    Settings1,
    /// Custom setting 2.
    Settings2,
}

impl Setting {
    /// The register, for reading.
    #[must_use]
    pub const fn register(self) -> Register {
        match self {
            Self::ZPosM => Register::ZPosM,
            Self::ZPosL => Register::ZPosL,
            Self::Settings1 => Register::Settings1,
            Self::Settings2 => Register::Settings2,
        }
    }

    /// The command frame that announces a write to this register.
    #[must_use]
    pub const fn write_command(self) -> [u8; 2] {
        with_even_parity(self.register() as u16).to_be_bytes()
    }
}

/// The data frame with `value` for the register of the write command before it (figure
/// "SPI Write Data Frame"; bit 14 is always low).
#[must_use]
pub const fn write_data(value: u8) -> [u8; 2] {
    with_even_parity(value as u16).to_be_bytes()
}

/// Bits 7:6 of ZPOSL: with comp_h_error_en MAGL sets EF, with comp_l_error_en MAGH
/// (figure "ZPOSL").
pub(super) const MAGNET_SETS_EF: u8 = 0b1100_0000;

/// A frame from the chip (figure "SPI Read Data Frame").
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Reply(pub u16);

impl Reply {
    /// Whether the number of ones is even, as PARD makes it.
    #[must_use]
    pub const fn parity_is_even(self) -> bool {
        self.0.count_ones() & 1 == 0
    }

    /// EF: the chip reports an error; ERRFL has the cause.
    #[must_use]
    pub const fn error_flag(self) -> bool {
        self.0 & EF != 0
    }

    /// The 14 bits of data.
    #[must_use]
    pub const fn data(self) -> u16 {
        self.0 & PAYLOAD
    }
}

/// Errors that the chip detected in received frames (figure "ERRFL").
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
pub struct ErrorFlags(pub(super) u8);

impl ErrorFlags {
    const FRERR: u8 = 1 << 0;
    const INVCOMM: u8 = 1 << 1;
    const PARERR: u8 = 1 << 2;

    /// FRERR: a frame did not have 16 clocks.
    #[must_use]
    pub const fn framing(self) -> bool {
        self.0 & Self::FRERR != 0
    }

    /// INVCOMM: a register that does not exist was read or written.
    #[must_use]
    pub const fn invalid_command(self) -> bool {
        self.0 & Self::INVCOMM != 0
    }

    /// PARERR: a frame arrived with wrong parity.
    #[must_use]
    pub const fn parity(self) -> bool {
        self.0 & Self::PARERR != 0
    }

    /// Whether none of the three is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for ErrorFlags {
    /// The flags with their names in the datasheet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorFlags")
            .field("parerr", &self.parity())
            .field("invcomm", &self.invalid_command())
            .field("frerr", &self.framing())
            .finish()
    }
}

/// The state of the sensor and of its magnet (figure "DIAAGC").
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnosis(pub u16);

impl Diagnosis {
    /// MAGL, bit 11: the field is too weak (AGC is 255).
    #[must_use]
    pub const fn field_weak(self) -> bool {
        self.0 & (1 << 11) != 0
    }

    /// MAGH, bit 10: the field is too strong (AGC is 0).
    #[must_use]
    pub const fn field_strong(self) -> bool {
        self.0 & (1 << 10) != 0
    }

    /// COF, bit 9: the CORDIC overflowed; the angle is wrong.
    #[must_use]
    pub const fn cordic_overflow(self) -> bool {
        self.0 & (1 << 9) != 0
    }

    /// LF, bit 8: the internal offset loops have settled; the angle is valid.
    #[must_use]
    pub const fn ready(self) -> bool {
        self.0 & (1 << 8) != 0
    }

    /// AGC, bits 7:0: the present gain, from 0 in a strong field to 255 in a weak one.
    #[must_use]
    pub const fn gain(self) -> u8 {
        self.0 as u8
    }
}

/// Custom setting 1 (figure "SETTINGS1").
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings1(pub u8);

impl Settings1 {
    /// The factory setting; bit 0 is always 1.
    pub const FACTORY: Self = Self(0x01);

    /// Sets DIR, bit 2, which reverses the direction of the angle.
    #[must_use]
    pub const fn with_reversed(self, reversed: bool) -> Self {
        Self(self.0 & !(1 << 2) | (reversed as u8) << 2)
    }

    /// DIR, bit 2.
    #[must_use]
    pub const fn reversed(self) -> bool {
        self.0 & (1 << 2) != 0
    }

    /// DAECDIS, bit 4: dynamic angle error compensation is off.
    #[must_use]
    pub const fn compensation_off(self) -> bool {
        self.0 & (1 << 4) != 0
    }
}

/// Custom setting 2 (figure "SETTINGS2").
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings2(pub u8);

impl Settings2 {
    /// UVWPP, bits 2:0: number of pole pairs of the UVW outputs minus one.
    #[must_use]
    pub const fn pole_pairs_code(self) -> u8 {
        self.0 & 0b111
    }

    /// HYS, bits 4:3: hysteresis of the incremental outputs.
    #[must_use]
    pub const fn hysteresis_code(self) -> u8 {
        (self.0 >> 3) & 0b11
    }

    /// ABIRES, bits 7:5: resolution of the incremental outputs.
    #[must_use]
    pub const fn resolution_code(self) -> u8 {
        self.0 >> 5
    }
}
