//! Why there was no run.

use std::fmt;

use crate::config::ConfigError;
use crate::realtime::runner::StartError;
use crate::sim::WiringError;
use crate::sys::arena::Full;
use crate::telemetry::flight::FlightError;
use crate::telemetry::notify::NotifyError;

/// Why there was no run.
#[derive(Clone, Debug)]
pub enum RunError {
    /// A device that the board file names cannot be had on this machine.
    Device(ConfigError),
    /// The simulated board cannot be wired.
    Wiring(WiringError),
    /// What the board file has does not fit into static memory.
    Full(Full),
    /// A virtual clock and real devices do not go together.
    FreeOnRealBoard,
    /// The process could not even be prepared.
    Start(StartError),
    /// A helper thread could not be started.
    Helper(i32),
    /// The service manager that started this cannot be told how it goes.
    Notify(NotifyError),
    /// There is a run in this process already.
    Busy,
    /// The board file's folder for the flight file cannot be used.
    Folder(ConfigError),
    /// What is to survive the process cannot be had, or is another process's.
    Flight(FlightError),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => write!(f, "{error}"),
            Self::Wiring(error) => write!(f, "the simulated board cannot be wired: {error}"),
            Self::Full(full) => write!(f, "{full}; use fewer or smaller devices, laws and plants"),
            Self::FreeOnRealBoard => {
                f.write_str("--pace free needs a simulated board: real devices have real time")
            }
            Self::Start(error) => write!(f, "{error}"),
            Self::Helper(errno) => write!(
                f,
                "a helper thread could not be started ({}); raise the limits on processes and memory",
                std::io::Error::from_raw_os_error(*errno)
            ),
            Self::Folder(error) => write!(f, "{error}"),
            Self::Flight(FlightError::Busy) => write!(f, "{}", FlightError::Busy),
            Self::Flight(error) => write!(f, "the flight file {error}"),
            Self::Notify(error) => write!(f, "{error}"),
            Self::Busy => f.write_str("there is a run in this process already; end it first"),
        }
    }
}

impl std::error::Error for RunError {}
