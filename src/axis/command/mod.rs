//! Commands of an axis from outside, as of a CiA 402 drive: controlword, mode, targets.
//!
//! An axis with [`CommandSignals`](config::CommandSignals) is driven by its controlword while the
//! machine is armed. Emergency stop, reset and arming of the [`Servo`](super::servo::Servo) stay
//! above it: an axis of a machine that is not armed stops and stays in Switch on disabled.
//!
//! ```text
//! config     signals, windows, option codes, reaction to a loss
//! memory     what a commanded axis remembers between cycles
//! automaton  the controlword: states and losses
//! modes      pp, pv, csp, csv
//! homing     hm: methods
//! search     hm: one cycle
//! ```
//!
//! Cost: 100 to 160 instructions in a cycle; a plan in a cycle with a new target.

pub(super) mod automaton;
pub mod config;
pub mod homing;
pub mod memory;
mod modes;
mod search;
