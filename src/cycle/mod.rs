//! One period of the control loop: sense, decide, act, record.
//!
//! This module knows the order of things and their time, and nothing of chips,
//! axes or kernels: devices come in through the traits of [`ports`], the
//! process image of [`image`] is all that passes between the stages.

pub mod image;
pub mod ports;
pub mod record;
