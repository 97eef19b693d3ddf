//! Kernel devices for the loop: SPI, I2C and PWM as `embedded_hal`, GPIO, the
//! watchdog.
//!
//! Everything is opened, looked up and checked at start-up, where allocating
//! and reading files is allowed. What is left for the loop is one system call
//! for each bus transaction, one for all inputs of a GPIO chip and one for all
//! its outputs, with fixed buffers and no allocation.
//!
//! Each device is split from the calls it makes by a small trait
//! ([`spi::Message`], [`i2c::Transfer`], [`gpio::Chip`], [`gpio::Lines`],
//! [`watchdog::Timer`]), so that the code that runs in the loop is tested, and
//! simulated, with something other than a kernel behind it. The trait is a type parameter: with the
//! kernel behind it nothing of the split is left in the machine code.

pub mod gpio;
pub mod i2c;
pub mod node;
pub mod pwm;
pub mod spi;
pub mod watchdog;
