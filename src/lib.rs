//! A real-time controller for embedded Linux on ARM: locked into memory,
//! allocation-free, one cycle every millisecond.
#![cfg_attr(not(feature = "linux"), no_std)]

pub mod time;
pub mod cycle;
pub mod control;
pub mod axis;
pub mod driver;
pub mod sim;

#[cfg(feature = "linux")]
#[expect(unsafe_code, reason = "system calls, and nothing else, need it; the rest of the crate is safe")]
pub mod sys;
#[cfg(feature = "linux")]
pub mod realtime;
#[cfg(feature = "linux")]
pub mod device;
