//! A simulated board: motors, heaters, and the chips that see and drive them.
//!
//! The chips are modelled at the level of their registers and frames, so the
//! shipped drivers run against them unchanged. Drivers and models share their
//! authors: a slip in one of them shows, a datasheet misread stands in both, and
//! only a real chip can tell. All chips of a
//! board share one plant: the converter drives the motor whose shaft the
//! encoder reads.
//!
//! ```text
//! driver -> BoardSpi -> faults on the wire -> chip registers
//!                                               |       ^
//!                                   DAC volts   v       |  shaft angle, volts
//!          digital outputs -> enable, brake -> plant ---+--> limit switches
//! ```
//!
//! What it promises:
//!
//! - The same seed and the same calls give the same result to the last bit:
//!   `f64` with a fixed order of operations, a written-out random generator,
//!   no clock, no hash map, no fused multiply-add.
//! - No heap and no interior mutability: a [`SimBoard`] is one value that can
//!   be moved to another thread.
//! - Every error that a driver can report can be provoked: see [`Fault`].
//!
//! What it is not: a model of the analog world. Converters are ideal and settle
//! at once, the amplifier has no bandwidth limit, wires have no length.

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
pub use i2c::{I2cChip, NOBODY, SimI2c};
pub use mcp3208::Mcp3208Chip;
pub use mcp4922::Mcp4922Chip;
pub use motor::{EndStops, Motor, MotorConfig, MotorParameter};
pub use pwm::{PwmLoad, SimPwm};
pub use random::Random;
pub use spi::{MAX_EXCHANGE, MAX_FRAME, SimChip, SimSpi, SpiChip, SpiFrame};
pub use thermal::{Thermal, ThermalConfig, ThermalParameter};
pub use wiring::{
    AnalogSource, AxisWiring, Drive, EncoderConfig, HeaterWiring, LimitSwitch, Load, MAX_CHIPS,
    MAX_HEATERS, MAX_MOTORS, OutputStage, WiringError,
};
pub use world::{Plant, World};
