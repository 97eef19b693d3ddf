//! The chips on an I2C bus, by address.

use core::fmt;
use embedded_hal::i2c::{self, ErrorType, Operation};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::shared::locked;
use super::{I2cError, driven};
use crate::device::i2c::{self as kernel, Address, I2cConfig, I2cdev, OpenError};
use crate::sim::{I2cChip, NO_ACKNOWLEDGE};
use crate::sys::Errno;
use crate::sys::emergency::{self, Slot};

/// A handle of an I2C bus, of the kernel or simulated. [`I2c::try_clone`] makes further
/// handles of the same bus.
#[derive(Debug)]
pub struct I2c {
    port: Port,
    driving: bool,
}

enum Port {
    Kernel(I2cdev),
    Simulated(Arc<Mutex<Chips>>),
}

/// The chips of a simulated bus, with their addresses.
type Chips = Vec<(u8, Box<dyn I2cChip + Send>)>;

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(device) => device.fmt(f),
            Self::Simulated(_) => f.write_str("Simulated"),
        }
    }
}

impl I2c {
    /// Opens the adapter at `path` (`/dev/i2c-0`). Allocates: for start-up only.
    ///
    /// # Errors
    /// Those of [`I2cdev::open`].
    pub fn open(path: &Path, config: &I2cConfig) -> Result<Self, OpenError> {
        I2cdev::open(path, config).map(Self::from)
    }

    /// A simulated bus without chips: no address is acknowledged.
    #[must_use]
    pub fn simulated() -> Self {
        Self {
            port: Port::Simulated(Arc::default()),
            driving: false,
        }
    }

    /// Adds a chip at the seven-bit `address` to a simulated bus, visible to all handles of
    /// this bus. If two chips have the same address, the first one answers.
    ///
    /// # Panics
    /// On a bus of the kernel.
    #[must_use]
    pub fn with_chip(self, address: u8, chip: impl I2cChip + Send + 'static) -> Self {
        let Port::Simulated(chips) = &self.port else {
            panic!("a chip cannot be added to a bus of the kernel");
        };
        locked(chips).push((address, Box::new(chip)));
        self
    }

    /// Another handle of the same bus, with a descriptor of its own and not marked as
    /// driving. For start-up only.
    ///
    /// # Errors
    /// `EMFILE` if the process has reached its limit of descriptors.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let port = match &self.port {
            Port::Kernel(device) => {
                let own = device.calls().as_fd().try_clone_to_owned()?;
                Port::Kernel(I2cdev::with(kernel::Kernel::from(own)))
            }
            Port::Simulated(chips) => Port::Simulated(Arc::clone(chips)),
        };
        Ok(Self {
            port,
            driving: false,
        })
    }

    /// Marks this handle as driving an output: after the safe-state latch was set, every
    /// transfer is refused ([`I2cError::Latched`]).
    #[must_use]
    pub fn driving(mut self) -> Self {
        self.driving = true;
        self
    }

    /// Registers a safe action: one message with `bytes` to the chip at the seven-bit
    /// `address`. `None` on a simulated bus. The action may block.
    ///
    /// # Errors
    /// `EINVAL` for an address above 0x7F; else those of [`emergency::register_i2c`].
    pub fn safe_action(&self, address: u8, bytes: &[u8]) -> Result<Option<Slot>, Errno> {
        let Port::Kernel(device) = &self.port else {
            return Ok(None);
        };
        let address = Address::seven_bit(address).ok_or(Errno(libc::EINVAL))?;
        emergency::register_i2c(device.calls().as_fd(), address, bytes).map(Some)
    }
}

impl From<I2cdev> for I2c {
    /// A handle of an open adapter, not marked as driving.
    fn from(device: I2cdev) -> Self {
        Self {
            port: Port::Kernel(device),
            driving: false,
        }
    }
}

impl ErrorType for I2c {
    type Error = I2cError;
}

impl i2c::I2c for I2c {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        let port = &mut self.port;
        driven(self.driving, || match port {
            Port::Kernel(device) => {
                i2c::I2c::transaction(device, address, operations).map_err(I2cError::Device)
            }
            Port::Simulated(chips) => {
                let mut chips = locked(chips);
                let chip = chips.iter_mut().find(|(at, _)| *at == address);
                chip.map_or(Err(NO_ACKNOWLEDGE), |(_, chip)| {
                    chip.transaction(operations)
                })
                .map_err(I2cError::Simulated)
            }
        })
    }
}
