//! Why the AS5047P gave nothing that can be believed.

use embedded_hal::spi::ErrorKind;

use super::registers::{Diagnosis, ErrorFlags};
use crate::cycle::image::InputError;

/// Why there is no angle or no register value.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The transfer itself failed.
    Bus(ErrorKind),
    /// The reply had wrong parity: it was disturbed on its way to us.
    Parity,
    /// The chip objects to an earlier frame: it was disturbed on its way there.
    Framing(ErrorFlags),
    /// LF is 0: offset loops not settled, no power, or a line stuck low.
    NotReady,
    /// A reply has bits set that the chip always leaves at zero: nothing drives
    /// the line, or it is stuck high.
    NotDriven,
    /// MAGL: the magnet is too far away, or lost.
    FieldWeak,
    /// MAGH: the magnet is too close.
    FieldStrong,
    /// COF: the CORDIC overflowed.
    CordicOverflow,
    /// A setting does not read back as it was written.
    Refused {
        /// What was written.
        wrote: u8,
        /// What the register holds.
        holds: u16,
    },
}

impl Error {
    /// Whether it is the transfer that failed, so that another one may succeed;
    /// what the sensor says of itself it will say again.
    #[must_use]
    pub const fn is_of_transfer(self) -> bool {
        matches!(self, Self::Bus(_) | Self::Parity | Self::Framing(_))
    }
}

impl From<Error> for InputError {
    fn from(error: Error) -> Self {
        match error {
            Error::Bus(_) => Self::Bus,
            Error::Parity => Self::Parity,
            Error::Framing(_) => Self::Framing,
            Error::NotReady | Error::NotDriven => Self::NotReady,
            Error::FieldWeak => Self::FieldWeak,
            Error::FieldStrong => Self::FieldStrong,
            Error::CordicOverflow | Error::Refused { .. } => Self::OutOfRange,
        }
    }
}

impl Diagnosis {
    /// Whether the angle can be believed.
    ///
    /// # Errors
    /// The gravest of what the register says: [`Error::NotReady`],
    /// [`Error::CordicOverflow`], [`Error::FieldWeak`], [`Error::FieldStrong`];
    /// or [`Error::NotDriven`] if bits 13:12 are set, which no chip does.
    pub const fn verdict(self) -> Result<(), Error> {
        if self.0 >> 12 != 0 {
            Err(Error::NotDriven)
        } else if !self.ready() {
            Err(Error::NotReady)
        } else if self.cordic_overflow() {
            Err(Error::CordicOverflow)
        } else if self.field_weak() {
            Err(Error::FieldWeak)
        } else if self.field_strong() {
            Err(Error::FieldStrong)
        } else {
            Ok(())
        }
    }
}
