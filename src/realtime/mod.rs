//! Makes this process real-time, and verifies what the kernel granted.
//!
//! Each part uses one service of the kernel and reads back the result; none falls back
//! silently. In the order of start-up:
//!
//! - [`memory`]: raises limits, locks pages, reads VmLck and VmRSS
//! - [`stack`]: the real-time thread's static stack
//! - [`allocator`]: counts allocations, and seals the allocator
//! - [`helper`]: threads that must not disturb the loop
//! - [`scheduler`]: policy, CPU, sleep states, runaway limit
//! - [`clock`]: monotonic time and absolute sleep
//! - [`guard`]: the second real-time thread, which ends a stalled loop
//! - [`signals`]: regular and fatal ends by signals
//! - [`faults`]: counts page faults of the loop from outside
//! - [`interrupts`]: counts what disturbs the loop on its CPU
//! - [`contention`]: measures what other CPUs take from it in the memory, for `doctor`
//! - [`audit`]: verifies the contract while the loop runs
//! - [`suspend`]: detects a suspend of the machine
//! - [`platform`]: reads the properties of this machine, for `doctor`
//! - [`required`], [`observed`], [`contract`]: what the board file requires, what was read back
//!   from the kernel, and the verdict
//! - [`runner`]: calls all of this in order, and runs the loop

pub mod allocator;
pub mod audit;
pub mod clock;
pub mod contention;
pub mod contract;
pub mod faults;
pub mod guard;
mod handshake;
pub mod helper;
pub mod interrupts;
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
