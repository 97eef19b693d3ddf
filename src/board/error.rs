//! [`RunError`]: why a run did not start.

use std::fmt;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::device::can::CanError;
use crate::link::local::Refused;
use crate::realtime::runner::StartError;
use crate::sim::WiringError;
use crate::sys::Errno;
use crate::sys::arena::Full;
use crate::telemetry::flight::FlightError;
use crate::telemetry::notify::NotifyError;

/// Why a run did not start. Displayed as `what; remedy`.
#[derive(Clone, Debug)]
pub enum RunError {
    /// A device of the board file is missing, busy or refuses its settings.
    Device(ConfigError),
    /// The plants and chips of the simulated board cannot be connected.
    Wiring(WiringError),
    /// Devices, laws and plants of the board file do not fit into static memory.
    Full(Full),
    /// The virtual clock was requested for a real board.
    FreeOnRealBoard,
    /// The runner could not prepare the process or start the loop.
    Start(StartError),
    /// A helper thread could not be started: errno of pthread_create(3).
    Helper(i32),
    /// The service manager's socket or its watchdog interval cannot be used.
    Notify(NotifyError),
    /// The memory with the signals for links could not be made.
    Shared(Errno),
    /// The socket of `[link.local]` could not be opened.
    Link(PathBuf, Refused),
    /// The interface of `[link.can]` cannot be used.
    Can(String, CanError),
    /// The board file has `[link.can]`, and the firmware was built without CANopen.
    WithoutCanopen,
    /// Another run is active in this process.
    Busy,
    /// The folder of the flight file, `[black_box] memory`, cannot be used.
    Folder(ConfigError),
    /// The flight file cannot be used, or another process controls this board.
    Flight(FlightError),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => write!(f, "{error}"),
            Self::Wiring(error) => write!(f, "the simulated board cannot be wired: {error}"),
            Self::Full(full) => write!(f, "{full}; use fewer or smaller devices, laws and plants"),
            Self::FreeOnRealBoard => {
                f.write_str("--pace free needs a simulated board; run without it, or set devices = \"simulated\"")
            }
            Self::Start(error) => write!(f, "{error}"),
            Self::Helper(errno) => write!(
                f,
                "a helper thread could not be started ({}); raise the limits on processes and memory (in the unit: TasksMax=, MemoryMax=)",
                std::io::Error::from_raw_os_error(*errno)
            ),
            Self::Folder(error) => write!(f, "{error}"),
            Self::Flight(FlightError::Busy) => write!(f, "{}", FlightError::Busy),
            Self::Flight(error) => write!(f, "the flight file {error}"),
            Self::Notify(error) => write!(f, "{error}"),
            Self::Shared(errno) => write!(
                f,
                "memory for the signals of [link.local] could not be made ({errno}); it needs Linux 5.1 and memory that may be locked"
            ),
            Self::Link(path, Refused::InUse) => write!(
                f,
                "{}: another process listens on this socket; end it, or set another `path` in [link.local]",
                path.display()
            ),
            Self::Link(path, Refused::NotSocket) => write!(
                f,
                "{}: there is a file which is not a socket; set another `path` in [link.local], or move the file",
                path.display()
            ),
            Self::Link(path, Refused::Errno(errno)) => write!(
                f,
                "{}: the socket could not be opened ({errno}); set `path` in [link.local] to a folder below /run that this user can write",
                path.display()
            ),
            Self::WithoutCanopen => f.write_str(
                "the board file has [link.can], but this firmware was built without CANopen; build it with --features canopen",
            ),
            Self::Can(interface, error) => write!(f, "{interface}: {error}"),
            Self::Busy => f.write_str("another run is active in this process; end it first"),
        }
    }
}

impl std::error::Error for RunError {}
