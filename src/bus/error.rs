//! Errors of the bus handles.

use core::fmt;

use crate::device;

/// Why a transfer failed. `D` is the error type of the kernel's device, `K` the error kind
/// of a simulated one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Error<D, K> {
    /// The kernel's device refused the transfer or failed.
    Device(D),
    /// The simulated device failed.
    Simulated(K),
    /// Nothing was sent, or the safe values were sent after it: the safe-state latch is
    /// set, because the process ends.
    Latched,
}

/// Error of an [`Spi`](super::Spi).
pub type SpiError = Error<device::spi::SpiError, embedded_hal::spi::ErrorKind>;
/// Error of an [`I2c`](super::I2c).
pub type I2cError = Error<device::i2c::I2cError, embedded_hal::i2c::ErrorKind>;
/// Error of a [`Pwm`](super::Pwm).
pub type PwmError = Error<device::pwm::PwmError, embedded_hal::pwm::ErrorKind>;

impl embedded_hal::spi::Error for SpiError {
    fn kind(&self) -> embedded_hal::spi::ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::Simulated(kind) => *kind,
            Self::Latched => embedded_hal::spi::ErrorKind::Other,
        }
    }
}

impl embedded_hal::i2c::Error for I2cError {
    fn kind(&self) -> embedded_hal::i2c::ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::Simulated(kind) => *kind,
            Self::Latched => embedded_hal::i2c::ErrorKind::Other,
        }
    }
}

impl embedded_hal::pwm::Error for PwmError {
    fn kind(&self) -> embedded_hal::pwm::ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::Simulated(kind) => *kind,
            Self::Latched => embedded_hal::pwm::ErrorKind::Other,
        }
    }
}

impl<D: fmt::Display, K: fmt::Display> fmt::Display for Error<D, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Simulated(kind) => write!(
                f,
                "the simulated device failed ({kind}); check its model and the faults set on it"
            ),
            Self::Latched => f.write_str(
                "not driven: the outputs are held at their safe values while the process \
                 ends; see the black box for the cause",
            ),
        }
    }
}

impl<D, K> std::error::Error for Error<D, K>
where
    D: fmt::Debug + fmt::Display,
    K: fmt::Debug + fmt::Display,
{
}
