//! Errors of I2C transactions and of opening an adapter.

use super::{MAX_BYTES, MAX_MESSAGES, MERGE_BYTES};
use crate::device::node;
use crate::sys::Errno;
use core::fmt;
use embedded_hal::i2c::{Error, ErrorKind, NoAcknowledgeSource};
use std::path::Path;

/// Why an I2C transaction failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum I2cError {
    /// The address exceeds seven or ten bits. Nothing was sent.
    InvalidAddress {
        /// The address.
        address: u16,
    },
    /// More messages than [`MAX_MESSAGES`]. Nothing was sent.
    TooManyMessages,
    /// An operation of more than [`MAX_BYTES`] bytes, or adjacent operations of one
    /// direction of more than [`MERGE_BYTES`] together. Nothing was sent.
    TooLong {
        /// Bytes of the operation, or of the adjacent ones together.
        bytes: usize,
    },
    /// The kernel transferred only some of the messages.
    Short {
        /// Messages requested.
        expected: usize,
        /// Messages transferred.
        got: usize,
    },
    /// No chip acknowledged its address or a byte (`ENXIO`, `EREMOTEIO`).
    NoAcknowledge,
    /// Another controller won the bus (`EAGAIN`).
    ArbitrationLost,
    /// The transfer did not end within the adapter's time-out (`ETIMEDOUT`): the clock is
    /// held low, or no chip answers and the driver does not report that.
    TimedOut,
    /// The bus is held low or the adapter is busy (`EBUSY`).
    Busy,
    /// The adapter's driver reports a failed transfer (`EIO`).
    Io,
    /// The adapter was removed (`ENODEV`, `ESHUTDOWN`).
    Gone(Errno),
    /// Any other error of the kernel.
    Kernel(Errno),
}

impl I2cError {
    /// The error for an errno of a transfer (Documentation/i2c/fault-codes).
    pub(super) const fn from_errno(errno: Errno) -> Self {
        match errno.0 {
            libc::ENXIO | libc::EREMOTEIO => Self::NoAcknowledge,
            libc::EAGAIN => Self::ArbitrationLost,
            libc::ETIMEDOUT => Self::TimedOut,
            libc::EBUSY => Self::Busy,
            libc::EIO => Self::Io,
            libc::ENODEV | libc::ESHUTDOWN => Self::Gone(errno),
            _ => Self::Kernel(errno),
        }
    }
}

impl Error for I2cError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAcknowledge => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::ArbitrationLost => ErrorKind::ArbitrationLoss,
            Self::Io | Self::Busy => ErrorKind::Bus,
            Self::Kernel(Errno(libc::EOVERFLOW)) => ErrorKind::Overrun,
            Self::InvalidAddress { .. }
            | Self::TooManyMessages
            | Self::TooLong { .. }
            | Self::Short { .. }
            | Self::TimedOut
            | Self::Gone(_)
            | Self::Kernel(_) => ErrorKind::Other,
        }
    }
}

impl fmt::Display for I2cError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidAddress { address } => {
                write!(
                    f,
                    "I2C address {address:#x} is out of range; use at most 0x7f, or 0x3ff with \
                     ten bits"
                )
            }
            Self::TooManyMessages => write!(
                f,
                "the I2C transaction needs more than {MAX_MESSAGES} messages; split it"
            ),
            Self::TooLong { bytes } => write!(
                f,
                "{bytes} bytes exceed one I2C message: at most {MAX_BYTES}, or {MERGE_BYTES} \
                 in adjacent operations of one direction; split the transaction"
            ),
            Self::Short { expected, got } => {
                write!(
                    f,
                    "{got} of {expected} I2C messages were transferred; see the kernel log (dmesg)"
                )
            }
            Self::NoAcknowledge => f.write_str(
                "no chip acknowledged on the I2C bus; check its address, supply and wiring",
            ),
            Self::ArbitrationLost => f.write_str(
                "another controller won the arbitration of the I2C bus; give this controller a \
                 bus of its own",
            ),
            Self::TimedOut => f.write_str(
                "the I2C transfer timed out: no chip at this address, or the clock is held low; \
                 check address, supply and wiring",
            ),
            Self::Busy => f.write_str(
                "the I2C bus is busy: a line is held low; check pull-ups, wiring and the chips \
                 on it",
            ),
            Self::Io => f.write_str(
                "the I2C adapter's driver reports a failed transfer; check wiring and clock, and \
                 see dmesg",
            ),
            Self::Gone(errno) => write!(
                f,
                "the I2C adapter was removed ({errno}); see the kernel log (dmesg)"
            ),
            Self::Kernel(errno) => write!(
                f,
                "the kernel refused the I2C transfer ({errno}); see the kernel log (dmesg)"
            ),
        }
    }
}

impl std::error::Error for I2cError {}

/// Why an adapter could not be opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The device node could not be opened.
    Open(Errno),
    /// The file is not an I2C adapter: `I2C_FUNCS` fails.
    Query(Errno),
    /// The adapter supports SMBus commands only, not plain messages (`I2C_FUNC_I2C`).
    SmbusOnly,
    /// The time-out is zero, not a multiple of 10 ms, or was refused.
    Timeout {
        /// The requested time-out, ms.
        asked_ms: u32,
        /// The kernel's error; `EINVAL` also for a value that was not sent.
        errno: Errno,
    },
}

impl OpenError {
    /// The error as a message with its remedy, for the adapter at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// An [`OpenError`] as a message with its remedy.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: OpenError,
    path: &'a Path,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.error {
            OpenError::Open(errno) => node::write_not_opened(
                f,
                self.path,
                errno,
                "enable the I2C controller in the device tree and load its driver and i2c-dev",
            ),
            OpenError::Query(errno) => {
                write!(
                    f,
                    "{path}: not an I2C adapter ({errno}); name one such as /dev/i2c-1"
                )
            }
            OpenError::SmbusOnly => write!(
                f,
                "{path}: the adapter supports SMBus commands only; use another adapter"
            ),
            OpenError::Timeout { asked_ms, errno } => write!(
                f,
                "{path}: a time-out of {asked_ms} ms was refused ({errno}); use a multiple \
                 of 10 ms, at least 10 ms"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_of_the_kernel_has_its_error() {
        let from = |number| I2cError::from_errno(Errno(number));
        assert_eq!(from(libc::ENXIO), I2cError::NoAcknowledge);
        assert_eq!(from(libc::EREMOTEIO), I2cError::NoAcknowledge);
        assert_eq!(from(libc::EAGAIN), I2cError::ArbitrationLost);
        assert_eq!(from(libc::ETIMEDOUT), I2cError::TimedOut);
        assert_eq!(from(libc::EBUSY), I2cError::Busy);
        assert_eq!(from(libc::EIO), I2cError::Io);
        assert_eq!(from(libc::ENODEV), I2cError::Gone(Errno(libc::ENODEV)));
        assert_eq!(from(libc::EINVAL), I2cError::Kernel(Errno(libc::EINVAL)));
    }

    #[test]
    fn an_error_has_the_kind_of_embedded_hal_that_fits() {
        let kind = |number| I2cError::from_errno(Errno(number)).kind();
        let unknown = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown);
        assert_eq!(kind(libc::ENXIO), unknown);
        assert_eq!(kind(libc::EAGAIN), ErrorKind::ArbitrationLoss);
        assert_eq!(kind(libc::EBUSY), ErrorKind::Bus);
        assert_eq!(kind(libc::ETIMEDOUT), ErrorKind::Other);
    }
}
