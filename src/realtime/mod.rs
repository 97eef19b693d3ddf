//! This process made real-time, and the proof that it is.
//!
//! Each part does one thing the kernel offers and reads back what the kernel
//! granted; none falls back silently. In the order of start-up:
//!
//! - [`memory`]: limits raised, pages locked, VmLck and VmRSS read
//! - [`stack`]: the real-time thread's own static stack
//! - [`allocator`]: allocations counted, and sealed off
//! - [`helper`]: threads that must not disturb the loop
//! - [`scheduler`]: policy, CPU, sleep states, the limit for a runaway
//! - [`clock`]: monotonic time and absolute sleep
//! - [`guard`]: the second real-time thread, for a loop that has stopped
//! - [`signals`]: what ends a run in order, and what is said when it dies
//! - [`faults`]: page faults of the loop, read from outside
//! - [`audit`]: whether the contract still holds while the loop runs
//! - [`suspend`]: whether the machine was suspended meanwhile
//! - [`platform`]: what this machine is, for `doctor`
//! - [`required`], [`observed`], [`contract`]: what the board file requires, what is read
//!   back from the kernel, and the verdict
//! - [`runner`]: all of this in its order, around the loop

pub mod allocator;
pub mod audit;
pub mod clock;
pub mod contract;
pub mod faults;
pub mod guard;
mod handshake;
pub mod helper;
pub mod memory;
pub mod observed;
pub mod platform;
pub mod required;
pub mod runner;
pub mod scheduler;
pub mod signals;
pub mod stack;
mod start;
mod supervise;
pub mod suspend;
pub(crate) mod text;
