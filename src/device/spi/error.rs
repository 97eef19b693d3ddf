//! Errors of SPI transactions.

use crate::sys::Errno;
use embedded_hal::spi::{Error, ErrorKind};

/// Why an SPI transaction failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SpiError {
    /// More operations than [`MAX_OPERATIONS`](super::MAX_OPERATIONS) in one
    /// transaction. Nothing was clocked out.
    TooManyOperations {
        /// Number of operations.
        operations: usize,
    },
    /// The operations need more than [`MAX_TRANSFERS`](super::MAX_TRANSFERS)
    /// transfers: a pause is too long to share a message with the rest.
    /// Nothing was clocked out.
    TooManyTransfers,
    /// The transaction exceeds spidev's buffer (`EMSGSIZE`): parameter `bufsiz` of the
    /// module, 4,096 bytes by default. Nothing was clocked out.
    MessageTooLong {
        /// Bytes of the transaction.
        bytes: usize,
    },
    /// Fewer bytes were clocked than requested.
    Short {
        /// Bytes requested.
        expected: usize,
        /// Bytes clocked.
        got: usize,
    },
    /// The controller did not finish within its driver's time-out (`ETIMEDOUT`); by registers,
    /// it delivered no word for too long ([`registers`](super::registers)).
    TimedOut,
    /// A received word was lost in the controller (`EOVERFLOW`).
    Overrun,
    /// By registers: the controller cannot pause there with the chip selected (`ENOTSUP`).
    /// Nothing was clocked out.
    Pause,
    /// By registers: the safe plan drives the controller (`ECANCELED`).
    TakenOver,
    /// The controller's driver reports a failed transfer (`EIO`).
    Io,
    /// The device or its controller was removed (`ENODEV`, `ENXIO`, `ESHUTDOWN`,
    /// `ECONNABORTED`, `ENOTCONN`).
    Gone(Errno),
    /// Any other error of the kernel.
    Kernel(Errno),
}

impl SpiError {
    /// The error for an errno of `SPI_IOC_MESSAGE` with `bytes` bytes.
    pub(super) const fn from_errno(errno: Errno, bytes: usize) -> Self {
        match errno.0 {
            libc::EMSGSIZE => Self::MessageTooLong { bytes },
            libc::ETIMEDOUT => Self::TimedOut,
            libc::EIO => Self::Io,
            libc::EOVERFLOW => Self::Overrun,
            libc::ECANCELED => Self::TakenOver,
            libc::ENOTSUP => Self::Pause,
            libc::ENODEV | libc::ENXIO | libc::ESHUTDOWN | libc::ECONNABORTED | libc::ENOTCONN => {
                Self::Gone(errno)
            }
            _ => Self::Kernel(errno),
        }
    }
}

impl Error for SpiError {
    /// `EOVERFLOW` is `Overrun`, `EPROTO` is `FrameFormat`, all others are `Other`. A driver
    /// that needs the distinction matches on the error itself.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Overrun => ErrorKind::Overrun,
            Self::Kernel(Errno(libc::EPROTO)) => ErrorKind::FrameFormat,
            Self::TooManyOperations { .. }
            | Self::TooManyTransfers
            | Self::MessageTooLong { .. }
            | Self::Short { .. }
            | Self::TimedOut
            | Self::Pause
            | Self::TakenOver
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
                "{operations} operations exceed one SPI transaction, at most {} fit; split it",
                super::MAX_OPERATIONS
            ),
            Self::TooManyTransfers => write!(
                f,
                "the pauses of one SPI transaction need more than {} transfers; \
                 split the transaction, and wait between its parts",
                super::MAX_TRANSFERS
            ),
            Self::MessageTooLong { bytes } => write!(
                f,
                "{bytes} bytes exceed one SPI message; split it, or load \
                 spidev with a larger bufsiz (kernel command line: spidev.bufsiz=65536); \
                 by registers of ECSPI 512 bytes are the most"
            ),
            Self::Short { expected, got } => {
                write!(
                    f,
                    "{got} of {expected} bytes were transferred over SPI; see the kernel log (dmesg)"
                )
            }
            Self::TimedOut => f.write_str(
                "the SPI controller did not finish in time; raise `irq_priority` if its interrupt \
                 thread starves, or `speed_hz` if the message takes too long; by registers, \
                 compare `clock_hz` with the controller's clock",
            ),
            Self::Overrun => f.write_str("a received word was lost in the SPI controller"),
            Self::Pause => f.write_str(
                "the SPI controller cannot pause there by registers; put the pause where a word of \
                 4 bytes ends, counted from the end, or use access = \"kernel\"",
            ),
            Self::TakenOver => f.write_str("the safe plan drives the SPI controller"),
            Self::Io => f.write_str(
                "the SPI controller's driver reports a failed transfer; see the kernel log (dmesg)",
            ),
            Self::Gone(errno) => write!(
                f,
                "the SPI device was removed ({errno}); see the kernel log (dmesg)"
            ),
            Self::Kernel(errno) => write!(
                f,
                "the kernel refused the SPI message ({errno}); see the kernel log (dmesg)"
            ),
        }
    }
}

impl std::error::Error for SpiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_of_the_kernel_has_its_error() {
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
        assert_eq!(from(libc::EOVERFLOW), SpiError::Overrun);
        assert_eq!(from(libc::ECANCELED), SpiError::TakenOver);
        assert_eq!(from(libc::ENOTSUP), SpiError::Pause);
        assert_eq!(from(libc::EINVAL), SpiError::Kernel(Errno(libc::EINVAL)));
    }

    #[test]
    fn an_error_has_the_kind_of_embedded_hal_that_fits() {
        let kind = |number| SpiError::from_errno(Errno(number), 0).kind();
        assert_eq!(kind(libc::EOVERFLOW), ErrorKind::Overrun);
        assert_eq!(kind(libc::EPROTO), ErrorKind::FrameFormat);
        assert_eq!(kind(libc::EIO), ErrorKind::Other);
    }
}
