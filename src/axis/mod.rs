//! A servo controller of up to 32 axes: CiA 402 states, limits, monitored feedback, safe
//! outputs.
//!
//! ```text
//! servo     all axes, emergency stop, reset, arming: the control law of the firmware
//!   drive     one axis, one cycle
//!     memory    the state of an axis, and its accessors
//!     state     the state machine (CiA 402 / IEC 61800-7-201)
//!     feedback  encoder readings -> position and velocity, or a fault
//!     limits    range, switches, speed, following error
//!     motion    the next position of the list
//!     command   controlword, modes and targets from outside
//!     status    statusword and actual values for links
//!     config    the configuration of an axis
//!     parameters  what of it may change while the axis runs
//!   fault     the faults: number, code, texts
//! ```
//!
//! An axis without power leaves command, enable and brake release at their safe values. The
//! outputs have these values before a cycle decides anything, so a path that drives nothing is
//! safe.

pub mod command;
pub mod config;
pub mod drive;
pub mod fault;
pub mod feedback;
pub mod limits;
pub mod memory;
pub mod motion;
pub mod parameters;
pub mod servo;
mod servo_state;
pub mod state;
pub mod status;
pub mod words;

pub use command::config::{CommandConfig, CommandSignals, OnLoss, QuickStopOption};
pub use command::homing::HomingConfig;
pub use command::memory::{CommandState, Mode};
pub use config::{AxisConfig, MAX_AXES, Timing};
pub use drive::{Axis, Request};
pub use fault::Fault;
pub use feedback::{FeedbackConfig, Frozen};
pub use limits::{LimitSwitch, LimitsConfig, PositionRange};
pub use memory::AxisState;
pub use motion::Motion;
pub use parameters::{PARAMETERS, Parameter};
pub use servo::{Arm, Rearm, Servo, ServoConfig, ServoError};
pub use servo_state::ServoState;
pub use state::State;
pub use status::STATUS;

#[cfg(test)]
mod tests;
