//! Bus handles: one concrete type per bus, over a kernel device or a simulated one.
//!
//! A driver that owns a handle is compiled once for board and simulation, and can wrap a
//! published `embedded_hal` driver crate unchanged.
//!
//! | handle | trait | on a board | simulated |
//! |---|---|---|---|
//! | [`Spi`] | `embedded_hal::spi::SpiDevice` | spidev or registers, [`device::spi`](crate::device::spi) | [`SpiChip`] |
//! | [`I2c`] | `embedded_hal::i2c::I2c` | i2c-dev, [`device::i2c`](crate::device::i2c) | [`I2cChip`], by address |
//! | [`Pwm`] | `embedded_hal::pwm::SetDutyCycle` | sysfs, [`device::pwm`](crate::device::pwm) | [`PwmLoad`] |
//!
//! Promises:
//!
//! - A transfer does not allocate; opening and cloning a handle does.
//! - A handle is `Send`. Handles of one I2C bus are independent: each has its own
//!   descriptor.
//! - After the safe-state latch was set ([`emergency::latched`]), a handle that drives an
//!   output refuses every transfer. After a transfer during which it was set, the handle
//!   executes the whole safe plan.
//! - `safe_action` registers the safe value of an output on the handle's own device, for
//!   crash handlers, the stall guard and the loop. A simulated device has no such action,
//!   because it ends with the process.
//!
//! Costs in addition to those of the device: a branch, and two relaxed loads for a driving
//! handle.
//!
//! # Testing your driver
//!
//! `Arc<Mutex<Chip>>` shares a simulated chip between a handle and a test or a plant.
//! [`SimSpi`](crate::sim::SimSpi), [`SimI2c`](crate::sim::SimI2c) and
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

/// Runs `transfer`. A driving handle is refused after the safe-state latch was set.
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
