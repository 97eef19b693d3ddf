//! A board file made into a running controller.
//!
//! [`run`] is what a firmware is made of: it opens or simulates the board's
//! devices, starts the helper threads, hands everything to the runner, and
//! makes the report. A control law of one's own goes in as its first argument's
//! type; see `examples/`.

mod error;
mod feeder;
mod helpers;
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
pub use linux::{Linux, Opened};
pub use machine::{MachineLaws, laws, run_machine};
pub use options::Options;
pub use ports::{Devices, Ports, SpiMap};
pub use probe::{Machine, missing, warnings};
pub use run::run;
pub use simulated::Simulated;
