//! Bus handles: `embedded_hal` over a device of the kernel or a simulated one, each one
//! concrete type.
//!
//! Why: a driver that owns a handle is compiled once, for the board and for the
//! simulation, and keeps any published `embedded_hal` driver crate inside.
//!
//! | handle | trait | on a board | simulated |
//! |---|---|---|---|
//! | [`Spi`] | `embedded_hal::spi::SpiDevice` | spidev, [`device::spi`](crate::device::spi) | [`SpiChip`] |
//! | [`I2c`] | `embedded_hal::i2c::I2c` | i2c-dev, [`device::i2c`](crate::device::i2c) | [`I2cChip`], by address |
//! | [`Pwm`] | `embedded_hal::pwm::SetDutyCycle` | sysfs, [`device::pwm`](crate::device::pwm) | [`PwmLoad`] |
//!
//! Promises:
//!
//! - Nothing is allocated in a transfer; opening and making handles allocates.
//! - A handle can be sent to the thread of the loop. Handles of one I2C bus are
//!   independent: each has a descriptor of its own.
//! - A handle that drives an output sends nothing once the safe-state latch is set
//!   ([`emergency::latched`]): the transfer is refused.
//!   One that was under way when it was set is followed by the whole safe plan.
//! - The safe value of an output is registered on the handle's own device
//!   (`safe_action`), for crash handlers, the stall guard and the loop alike. A
//!   simulated device has no such action: a process that dies takes it along.
//!
//! Costs beside the device's own: a branch, and for a driving handle two relaxed loads.
//!
//! # Testing a driver of one's own
//!
//! A simulated chip can be shared between a handle and a test or a plant by
//! `Arc<Mutex<Chip>>`. [`SimSpi`](crate::sim::SimSpi), [`SimI2c`](crate::sim::SimI2c) and
//! [`SimPwm`](crate::sim::SimPwm) fail on demand:
//!
//! ```
//! use embedded_hal::i2c::{ErrorKind, I2c as _, Operation};
//! use std::sync::{Arc, Mutex};
//! use steadfast::bus::I2c;
//! use steadfast::sim::{I2cChip, SimI2c};
//!
//! /// Answers every read with its temperature.
//! struct Sensor(u8);
//!
//! impl I2cChip for Sensor {
//!     fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
//!         for operation in operations {
//!             if let Operation::Read(bytes) = operation {
//!                 bytes.fill(self.0);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let sensor = Arc::new(Mutex::new(SimI2c::new(0x48, Sensor(21))));
//! let mut bus = I2c::simulated().with_chip(0x48, sensor.clone());
//! let mut read = [0];
//! bus.write_read(0x48, &[0x00], &mut read)?;
//! assert_eq!(read, [21]);
//!
//! sensor.lock().unwrap().fail_next(1, ErrorKind::Bus);
//! assert!(bus.read(0x48, &mut read).is_err());
//! bus.read(0x48, &mut read)?;
//! # Ok::<(), steadfast::bus::I2cError>(())
//! ```

mod error;
mod i2c;
mod pwm;
mod shared;
mod spi;

pub use crate::sim::{I2cChip, PwmLoad, SpiChip};
pub use error::{Error, I2cError, PwmError, SpiError};
pub use i2c::I2c;
pub use pwm::Pwm;
pub use spi::Spi;

use crate::sys::emergency;

/// What `transfer` gives, unless the outputs are no longer the loop's.
fn driven<D, K>(
    driving: bool,
    transfer: impl FnOnce() -> Result<(), Error<D, K>>,
) -> Result<(), Error<D, K>> {
    if driving && emergency::latched() {
        return Err(Error::Latched);
    }
    let result = transfer();
    if driving && emergency::latched() {
        emergency::repeat();
        return Err(Error::Latched);
    }
    result
}
