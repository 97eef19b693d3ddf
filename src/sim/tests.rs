//! The drivers against the simulated chips, and the plant against mechanics.
//!
//! Drivers and chips were written apart, from the datasheets; here they meet.

mod board;
mod converters;
mod encoder;
mod encoder_protocol;
mod motor;
