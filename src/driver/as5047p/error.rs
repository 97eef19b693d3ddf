//! Errors of the AS5047P.

use embedded_hal::spi::ErrorKind;

use super::registers::{Diagnosis, ErrorFlags};
use crate::cycle::image::InputError;

/// Why a reading or a write failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The transfer itself failed.
    Bus(ErrorKind),
    /// The reply has wrong parity: it was disturbed on the line from the chip.
    Parity,
    /// The chip rejected an earlier frame: it was disturbed on the line to the chip.
    Framing(ErrorFlags),
    /// LF is 0: offset loops not settled, no power, or a line stuck low.
    NotReady,
    /// The reply has bits set that a chip always leaves at zero: nothing drives the line,
    /// or it is stuck high.
    NotDriven,
    /// MAGL: the magnet is too far away or missing.
    FieldWeak,
    /// MAGH: the magnet is too close.
    FieldStrong,
    /// COF: the CORDIC overflowed.
    CordicOverflow,
    /// A setting reads back with another value than was written.
    Refused {
        /// The value written.
        wrote: u8,
        /// The value read back.
        holds: u16,
    },
}

impl Error {
    /// Whether the transfer failed, so that a retry can succeed. An error of the sensor
    /// itself would be reported again.
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
    /// Whether the angle is valid.
    ///
    /// # Errors
    /// The most severe error in the register: [`Error::NotReady`],
    /// [`Error::CordicOverflow`], [`Error::FieldWeak`], [`Error::FieldStrong`]; or
    /// [`Error::NotDriven`] if bits 13:12 are set, which a chip always leaves at zero.
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
