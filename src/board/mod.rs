//! Runs a controller from a board file.
//!
//! [`run`] opens or simulates the board's devices, starts the helper threads, runs the loop
//! through [`realtime::runner`](crate::realtime::runner), and makes the report. [`run_machine`]
//! does so for the control laws of the board file; [`run`] takes a control law as a type
//! parameter, see `examples/`. Start-up and report allocate; the loop does not.

mod error;
mod feeder;
mod gpio_chip;
mod helpers;
mod links;
mod linux;
mod machine;
mod options;
mod outcome;
mod own;
mod ports;
mod probe;
mod recorder;
mod run;
mod simulated;

pub use crate::config::open as buses;
pub use crate::telemetry::report::Description;
pub use error::RunError;
pub use links::can_is_supported;
pub use linux::{Linux, Opened};
pub use machine::{MachineLaws, laws, run_machine};
pub use options::Options;
pub use ports::{Devices, Ports, SpiMap};
pub use probe::{Machine, missing, warnings};
pub use run::run;
pub use simulated::Simulated;
