//! Links: commands from outside, and status for the outside.
//!
//! ```text
//! canopen   a CANopen node with a CiA 402 drive for each axis
//! ```

pub mod canopen;
