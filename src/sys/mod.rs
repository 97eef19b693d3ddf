//! The only unsafe code: each system call and each ioctl once, typed.
//!
//! Nothing here decides anything. A function is a call with its arguments made
//! into types, its result made into a `Result`, and its man page named. Which
//! calls are made, when, and what a refusal means stands in `realtime` and
//! `device`.

mod errno;
pub mod gpio;
mod ioctl;
pub mod spi;
pub mod watchdog;

pub use errno::Errno;
