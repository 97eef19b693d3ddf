//! The drivers against the simulated chips, and the plant against mechanics.
//!
//! Frames are given as bytes on either side; here the two sides meet.

mod board;
mod converters;
mod encoder;
mod encoder_protocol;
mod motor;
