//! Why a transaction failed.

use crate::sys::Errno;
use embedded_hal::spi::{Error, ErrorKind};

/// Why a transaction failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SpiError {
    /// More operations than [`MAX_OPERATIONS`](super::MAX_OPERATIONS) in one
    /// transaction. Nothing was clocked out.
    TooManyOperations {
        /// How many there were.
        operations: usize,
    },
    /// The operations need more than [`MAX_TRANSFERS`](super::MAX_TRANSFERS)
    /// transfers: a pause is too long to share a message with the rest.
    /// Nothing was clocked out.
    TooManyTransfers,
    /// More bytes than a message takes: spidev's `bufsiz`, 4,096 unless the
    /// module was told otherwise (`EMSGSIZE`). Nothing was clocked out.
    MessageTooLong {
        /// Bytes of the transaction.
        bytes: usize,
    },
    /// Fewer bytes were clocked than asked.
    Short {
        /// Bytes asked.
        expected: usize,
        /// Bytes clocked.
        got: usize,
    },
    /// The controller did not finish in the time its driver allows
    /// (`ETIMEDOUT`).
    TimedOut,
    /// The controller's driver reports a failed transfer (`EIO`).
    Io,
    /// The device or what serves it is gone (`ENODEV`, `ENXIO`, `ESHUTDOWN`,
    /// `ECONNABORTED`, `ENOTCONN`).
    Gone(Errno),
    /// Any other answer of the kernel.
    Kernel(Errno),
}

impl SpiError {
    /// The error for what `SPI_IOC_MESSAGE` answered to `bytes` bytes.
    pub(super) const fn from_errno(errno: Errno, bytes: usize) -> Self {
        match errno.0 {
            libc::EMSGSIZE => Self::MessageTooLong { bytes },
            libc::ETIMEDOUT => Self::TimedOut,
            libc::EIO => Self::Io,
            libc::ENODEV | libc::ENXIO | libc::ESHUTDOWN | libc::ECONNABORTED | libc::ENOTCONN => {
                Self::Gone(errno)
            }
            _ => Self::Kernel(errno),
        }
    }
}

impl Error for SpiError {
    /// What `embedded_hal` has a word for: `EOVERFLOW` is an overrun, `EPROTO`
    /// a frame that does not conform. The rest is `Other`; drivers that can
    /// tell more apart match on the error itself.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Kernel(Errno(libc::EOVERFLOW)) => ErrorKind::Overrun,
            Self::Kernel(Errno(libc::EPROTO)) => ErrorKind::FrameFormat,
            Self::TooManyOperations { .. }
            | Self::TooManyTransfers
            | Self::MessageTooLong { .. }
            | Self::Short { .. }
            | Self::TimedOut
            | Self::Io
            | Self::Gone(_)
            | Self::Kernel(_) => ErrorKind::Other,
        }
    }
}

impl core::fmt::Display for SpiError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyOperations { operations } => write!(
                f,
                "{operations} operations in one SPI transaction, at most {} fit; split it",
                super::MAX_OPERATIONS
            ),
            Self::TooManyTransfers => write!(
                f,
                "the pauses of one SPI transaction need more than {} transfers; \
                 wait outside of the transaction",
                super::MAX_TRANSFERS
            ),
            Self::MessageTooLong { bytes } => write!(
                f,
                "{bytes} bytes are more than one SPI message takes; split it, or load \
                 spidev with a larger bufsiz (kernel command line: spidev.bufsiz=65536)"
            ),
            Self::Short { expected, got } => {
                write!(f, "{got} of {expected} bytes were transferred")
            }
            Self::TimedOut => f.write_str(
                "the SPI controller did not finish in time; raise irq_priority if its interrupt \
                 thread starves, or the clock if it is too slow for the message",
            ),
            Self::Io => f.write_str("the SPI controller's driver reports a failed transfer"),
            Self::Gone(errno) => write!(f, "the SPI device is gone ({errno})"),
            Self::Kernel(errno) => write!(f, "the kernel refused the SPI message ({errno})"),
        }
    }
}

impl std::error::Error for SpiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_kernel_are_told_apart() {
        let from = |number| SpiError::from_errno(Errno(number), 7);
        assert_eq!(from(libc::EMSGSIZE), SpiError::MessageTooLong { bytes: 7 });
        assert_eq!(from(libc::ETIMEDOUT), SpiError::TimedOut);
        assert_eq!(from(libc::EIO), SpiError::Io);
        for gone in [
            libc::ENODEV,
            libc::ENXIO,
            libc::ESHUTDOWN,
            libc::ECONNABORTED,
            libc::ENOTCONN,
        ] {
            assert_eq!(from(gone), SpiError::Gone(Errno(gone)));
        }
        assert_eq!(from(libc::EINVAL), SpiError::Kernel(Errno(libc::EINVAL)));
    }

    #[test]
    fn kinds_are_given_where_embedded_hal_has_a_word() {
        let kind = |number| SpiError::from_errno(Errno(number), 0).kind();
        assert_eq!(kind(libc::EOVERFLOW), ErrorKind::Overrun);
        assert_eq!(kind(libc::EPROTO), ErrorKind::FrameFormat);
        assert_eq!(kind(libc::EIO), ErrorKind::Other);
    }
}
