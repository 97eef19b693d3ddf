//! A real-time controller for embedded Linux on ARM: locked into memory,
//! allocation-free, one cycle every millisecond.
#![cfg_attr(not(any(test, feature = "linux")), no_std)]

pub mod axis;
pub mod control;
pub mod cycle;
pub mod driver;
pub mod sim;
pub mod time;

#[cfg(feature = "linux")]
pub mod board;
#[cfg(feature = "linux")]
pub mod command;
#[cfg(feature = "linux")]
pub mod config;
#[cfg(feature = "linux")]
pub mod device;
#[cfg(feature = "linux")]
pub mod realtime;
#[cfg(feature = "linux")]
pub mod sys;
#[cfg(feature = "linux")]
pub mod telemetry;
