//! A servo axis: CiA 402 states, limits, trusted feedback, safe outputs.
//!
//! ```text
//! servo     all axes, emergency stop, reset, arming: the Decide of the firmware
//!   drive     one axis, one cycle
//!     memory    what it remembers, and what may be read of it
//!     state     which state follows which event (CiA 402 / IEC 61800-7-201)
//!     feedback  encoder readings -> position, velocity, or why not
//!     limits    range, switches, speed, following error
//!     motion    which position is next
//!     config    what an axis is made from
//!   fault     why an axis stopped, as number, code and words
//! ```
//!
//! A cycle of an axis without power leaves command, enable and brake release at
//! their safe values, which outputs have before anything is decided: a path that
//! forgets to drive them is safe.

pub mod config;
pub mod drive;
pub mod fault;
pub mod feedback;
pub mod limits;
pub mod memory;
pub mod motion;
pub mod servo;
mod servo_state;
pub mod state;

pub use config::{AxisConfig, MAX_AXES, Timing};
pub use drive::{Axis, Request};
pub use fault::Fault;
pub use feedback::{FeedbackConfig, Frozen};
pub use limits::{LimitSwitch, LimitsConfig, PositionRange};
pub use memory::AxisState;
pub use motion::Motion;
pub use servo::{Arm, Rearm, Servo, ServoConfig, ServoError};
pub use servo_state::ServoState;
pub use state::State;

#[cfg(test)]
mod tests;
