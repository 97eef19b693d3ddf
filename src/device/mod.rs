//! Kernel devices for the loop: SPI, I2C and PWM as `embedded_hal`, GPIO, the
//! watchdog.
//!
//! Devices are found, opened and checked at start-up, where allocating and reading files
//! is allowed. In the loop each bus transaction costs one system call, as do all inputs
//! and all outputs of a GPIO chip; buffers are fixed and nothing allocates.
//!
//! A small trait ([`spi::Message`], [`i2c::Transfer`], [`gpio::Chip`], [`gpio::Lines`],
//! [`watchdog::Timer`]) separates each device from its system calls, so tests and
//! simulations replace the kernel. The trait is a type parameter and costs nothing at
//! run time.

pub mod can;
pub mod gpio;
pub mod i2c;
pub mod node;
pub mod pwm;
pub mod registers;
pub mod spi;
pub mod watchdog;
