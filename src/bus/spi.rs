//! One chip on an SPI bus.

use core::fmt;
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use std::path::Path;

use super::{SpiError, driven};
use crate::device::spi::{OpenError, SpiConfig, Spidev};
use crate::sim::{SpiChip, SpiFrame};
use crate::sys::Errno;
use crate::sys::emergency::Slot;

/// A handle of one chip on an SPI bus: through the kernel, by registers, or simulated.
#[derive(Debug)]
pub struct Spi {
    port: Port,
    driving: bool,
}

#[derive(Debug)]
enum Port {
    Device(Spidev),
    Simulated(Box<Simulated>),
}

struct Simulated {
    chip: Box<dyn SpiChip + Send>,
    frame: SpiFrame,
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").finish_non_exhaustive()
    }
}

impl Spi {
    /// Opens and configures the device at `path` (`/dev/spidev0.0`). Allocates: for
    /// start-up only.
    ///
    /// # Errors
    /// Those of [`Spidev::open`].
    pub fn open(path: &Path, config: &SpiConfig) -> Result<Self, OpenError> {
        Spidev::open(path, config).map(Self::from)
    }

    /// A simulated chip. A frame has at most [`MAX_EXCHANGE`](crate::sim::MAX_EXCHANGE)
    /// bytes; delays take no time.
    pub fn simulated(chip: impl SpiChip + Send + 'static) -> Self {
        let chip = Box::new(chip);
        let frame = SpiFrame::new();
        Self {
            port: Port::Simulated(Box::new(Simulated { chip, frame })),
            driving: false,
        }
    }

    /// Marks this handle as driving an output: after the safe-state latch was set, every
    /// transfer is refused ([`SpiError::Latched`]).
    #[must_use]
    pub fn driving(mut self) -> Self {
        self.driving = true;
        self
    }

    /// Registers a safe action: `frame`, sent as one message. `None` for a simulated chip.
    /// The action may block.
    ///
    /// # Errors
    /// Those of [`Spidev::safe_action`].
    pub fn safe_action(&self, frame: &[u8]) -> Result<Option<Slot>, Errno> {
        match &self.port {
            Port::Device(device) => device.safe_action(frame).map(Some),
            Port::Simulated(_) => Ok(None),
        }
    }
}

impl<M> From<Spidev<M>> for Spi
where
    Spidev: From<Spidev<M>>,
{
    /// A handle of an open device, not marked as driving.
    fn from(device: Spidev<M>) -> Self {
        Self {
            port: Port::Device(device.into()),
            driving: false,
        }
    }
}

impl ErrorType for Spi {
    type Error = SpiError;
}

impl SpiDevice for Spi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        let port = &mut self.port;
        driven(self.driving, || match port {
            Port::Device(device) => device.transaction(operations).map_err(SpiError::Device),
            Port::Simulated(simulated) => {
                let Simulated { chip, frame } = &mut **simulated;
                frame
                    .transact(&mut **chip, operations)
                    .map_err(SpiError::Simulated)
            }
        })
    }
}
