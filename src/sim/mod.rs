//! A simulated board: motors, heaters, and their chips at register level.
//!
//! The shipped drivers run against these chips unchanged. All chips of a board share one
//! plant: the converter drives the motor whose shaft the encoder reads.
//!
//! ```text
//! driver -> BoardSpi -> faults on the wire -> chip registers
//!                                               |       ^
//!                                   DAC volts   v       |  shaft angle, volts
//!          digital outputs -> enable, brake -> plant ---+--> limit switches
//! ```
//!
//! The same seed and the same calls give a bit-identical result. No heap, no interior
//! mutability: a [`SimBoard`] is one `Send` value. [`Fault`] provokes every error that a
//! driver can report. Not modelled: settling and errors of converters, the bandwidth of
//! amplifiers, wires. Drivers and models have the same authors: a misread datasheet would be
//! wrong in both, which only a real chip shows.

mod as5047p;
mod board;
mod clock;
mod fault;
mod gpio;
mod i2c;
mod mcp3208;
mod mcp4922;
mod motor;
mod plant;
mod pwm;
mod random;
mod spi;
mod thermal;
mod wiring;
mod world;

#[cfg(test)]
mod tests;

pub use as5047p::{As5047pChip, NOMINAL_FIELD};
pub use board::{BoardSpi, SimBoard};
pub use clock::VirtualClock;
pub use fault::{Active, FOREVER, Fault, FaultPlan, PlanFull};
pub use gpio::SimGpio;
pub use i2c::{I2cChip, NO_ACKNOWLEDGE, SimI2c};
pub use mcp3208::Mcp3208Chip;
pub use mcp4922::Mcp4922Chip;
pub use motor::{EndStops, Motor, MotorConfig, MotorParameter};
pub use pwm::{PwmLoad, SimPwm};
pub use random::Random;
pub use spi::{MAX_EXCHANGE, MAX_FRAME, SimChip, SimSpi, SpiChip, SpiFrame};
pub use thermal::{Thermal, ThermalConfig, ThermalParameter};
pub use wiring::{
    AxisWiring, Drive, EncoderConfig, HeaterWiring, LimitSwitch, Load, MAX_CHIPS, MAX_HEATERS,
    MAX_MOTORS, OutputStage, WiringError,
};
pub use world::{Plant, World};
