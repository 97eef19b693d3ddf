//! What the service manager is told: sd_notify(3)'s protocol, without a library.
//!
//! systemd starts what comes after us when we say `READY=1`, and kills us when
//! `WATCHDOG=1` stays away. Both are worth only what they rest on, so
//!
//! - `READY=1` comes after the contract was judged and the first cycle was run by
//!   it. With `realtime = "best-effort"` and a broken contract it comes too, and
//!   the status line says NOT REAL-TIME.
//! - `WATCHDOG=1` comes from deadlines that were met: a loop that hangs, or is
//!   late in every cycle, is not alive, whatever the thread that reports it does.
//!
//! - `EXTEND_TIMEOUT_USEC` comes first, and again with `STOPPING=1`: a rehearsal and a
//!   stop take as long as the board file makes them, which a unit's TimeoutStartSec and
//!   TimeoutStopSec cannot know. Killed while it stops, a controller leaves its outputs
//!   as they are.
//!
//! The socket is opened before memory is sealed. After that a message is one
//! send(2) from an ordinary thread: nothing is allocated, nothing blocks, and a
//! message for which the manager has no room is sent again at the next turn.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU32, Ordering};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::cycle::record::{CycleRecord, flags};
use crate::realtime::audit::Promises;
use crate::realtime::contract::Contract;
use crate::realtime::required::LoopConfig;
use crate::realtime::runner;

/// Why the service manager cannot be told anything.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NotifyError {
    /// `NOTIFY_SOCKET` is neither a path nor an abstract name.
    Address,
    /// The socket that it names cannot be reached: the error number.
    Connect(i32),
    /// `WATCHDOG_USEC` is not a valid integer.
    Watchdog,
    /// `WATCHDOG_USEC` is over before a loop of this period can be seen alive.
    TooShort {
        /// The loop's period, ms.
        period_ms: u32,
    },
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str(
                "NOTIFY_SOCKET is neither an absolute path nor \"@\" and a name; unset it, or start this from a systemd unit",
            ),
            Self::Connect(errno) => write!(
                f,
                "NOTIFY_SOCKET cannot be reached ({}); let the unit have AF_UNIX (RestrictAddressFamilies=) and NotifyAccess=main",
                std::io::Error::from_raw_os_error(*errno)
            ),
            Self::TooShort { period_ms } => write!(
                f,
                "WATCHDOG_USEC is too short for a period of {period_ms} ms: half of it must hold a cycle and 50 ms; make WatchdogSec= of the unit longer"
            ),
            Self::Watchdog => f.write_str("WATCHDOG_USEC is not a valid integer; unset it"),
        }
    }
}

/// How the contract was judged, from the real-time thread to the one that tells.
#[derive(Debug, Default)]
pub struct Judged {
    /// 0 while it has not been, then one more than the rows that are broken.
    rows: AtomicU32,
}

impl Judged {
    /// Not yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rows: AtomicU32::new(0),
        }
    }

    /// Takes note. O(rows), allocates nothing.
    pub fn set(&self, contract: &Contract) {
        self.set_broken(contract.broken().count());
    }

    fn set_broken(&self, broken: usize) {
        let rows = u32::try_from(broken).unwrap_or(u32::MAX - 1) + 1;
        self.rows.store(rows, Ordering::Release);
    }

    fn broken(&self) -> Option<u32> {
        self.rows.load(Ordering::Acquire).checked_sub(1)
    }
}

/// The service manager's end of the socket, and what it has been told.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    /// Half of the time after which the manager takes us for dead.
    interval: Option<Duration>,
    fed: Instant,
    /// Whether a cycle was run, and whether one met its deadline since `fed`.
    driven: bool,
    progress: bool,
    told: Told,
    /// What broke of the contract while the loop ran, and what was told of it.
    broken: Promises,
    told_broken: Promises,
    /// How long a start takes by the board file, and how long a stop may.
    start: Duration,
    stop: Duration,
}

/// What else a start may take: opening devices, saving the last black box on a slow disk.
const START_MARGIN: Duration = Duration::from_secs(30);
/// What a stop may take after the loop has ended: saving the black box.
const STOP_MARGIN: Duration = Duration::from_secs(15);
/// What a cycle may wait until the reporter sees it.
const TURN: Duration = Duration::from_millis(50);

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Ready,
    Stopping,
}

impl Notify {
    /// What the environment names; `None` when no service manager asks.
    ///
    /// `WATCHDOG_USEC` and `WATCHDOG_PID` as in sd_watchdog_enabled(3).
    ///
    /// # Errors
    /// It names what cannot be used. A manager that waits for `READY=1` would
    /// kill a controller that runs well: better not to begin.
    pub fn from_environment() -> Result<Option<Self>, NotifyError> {
        let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let for_us =
            std::env::var("WATCHDOG_PID").map_or(true, |pid| pid.parse() == Ok(std::process::id()));
        let usec = std::env::var("WATCHDOG_USEC").ok().filter(|_| for_us);
        Self::new(socket.as_bytes(), usec.as_deref()).map(Some)
    }

    fn new(address: &[u8], watchdog_usec: Option<&str>) -> Result<Self, NotifyError> {
        let interval = match watchdog_usec {
            None => None,
            Some(text) => match text.parse::<u64>() {
                Ok(usec) if usec > 0 => Some(Duration::from_micros(usec / 2)),
                _ => return Err(NotifyError::Watchdog),
            },
        };
        let address = match address {
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address)),
            _ => return Err(NotifyError::Address),
        }
        .map_err(|_| NotifyError::Address)?;
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = connect().map_err(|error: std::io::Error| {
            NotifyError::Connect(error.raw_os_error().unwrap_or(0))
        })?;
        Ok(Self {
            socket,
            interval,
            fed: Instant::now(),
            driven: false,
            progress: false,
            told: Told::Nothing,
            broken: Promises::default(),
            told_broken: Promises::default(),
            start: Duration::ZERO,
            stop: Duration::ZERO,
        })
    }

    /// For a loop that runs as `config`: its start and its stop take what the board file
    /// makes them.
    ///
    /// # Errors
    /// [`NotifyError::TooShort`].
    pub fn for_run(mut self, config: &LoopConfig) -> Result<Self, NotifyError> {
        let std = |time: crate::time::Duration| Duration::from_nanos(time.as_nanos());
        let period = std(config.period);
        if self.interval.is_some_and(|half| half < period + TURN) {
            let period_ms = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
            return Err(NotifyError::TooShort { period_ms });
        }
        self.start = std(runner::rehearsal_time(config));
        self.stop = std(config.stop_time);
        Ok(self)
    }

    /// Tells the manager how long the start may take. For the main thread, before it.
    pub fn starting(&self) {
        // A manager that is not told goes by its own time.
        let _ = self.extend(self.start + START_MARGIN);
    }

    /// Asks the manager to wait for `time` from now on.
    fn extend(&self, time: Duration) -> bool {
        let mut message = heapless::String::<96>::new();
        // Longer than any number makes it.
        let _ = write!(message, "EXTEND_TIMEOUT_USEC={}", time.as_micros());
        self.send(message.as_bytes())
    }

    /// Takes note of one cycle.
    pub fn add(&mut self, record: &CycleRecord) {
        self.driven = true;
        self.progress |= record.flags & flags::OVERRUN == 0;
    }

    /// Takes note of what broke of the contract while the loop ran.
    pub fn broken(&mut self, broken: Promises) {
        self.broken = broken;
    }

    /// A status that stays: the manager shows the last one of a unit that ended.
    fn not_real_time(&mut self, before: &str) -> bool {
        let mut message = heapless::String::<256>::new();
        // Longer than all names together.
        let _ = write!(
            message,
            "{before}STATUS=NOT REAL-TIME: broken while running: {}",
            self.broken
        );
        let sent = self.send(message.as_bytes());
        if sent {
            self.told_broken = self.broken;
        }
        sent
    }

    fn stopping(&mut self) -> bool {
        if !self.extend(self.stop + STOP_MARGIN) {
            return false;
        }
        if self.broken.is_empty() {
            self.send(b"STOPPING=1\nSTATUS=stopping")
        } else {
            self.not_real_time("STOPPING=1\n")
        }
    }

    /// Tells what there is to tell: at most one message of each kind.
    pub fn turn(&mut self, now: Instant, judged: &Judged, stopping: bool) {
        if self.told == Told::Nothing && self.driven {
            self.ready(judged);
        }
        if self.told >= Told::Ready && self.told_broken != self.broken {
            self.not_real_time("");
        }
        if stopping && self.told == Told::Ready && self.stopping() {
            self.told = Told::Stopping;
        }
        let due = self.interval.is_some_and(|half| now - self.fed >= half);
        if due && self.progress && self.send(b"WATCHDOG=1") {
            self.fed = now;
            self.progress = false;
        }
    }

    /// The last word, when the loop has ended.
    pub fn end(&mut self, judged: &Judged) {
        if let (false, Some(broken)) = (self.driven, judged.broken()) {
            let mut message = heapless::String::<96>::new();
            // Longer than any number makes it.
            let _ = write!(
                message,
                "STATUS=contract refused: {broken} promises broken, nothing was energised"
            );
            self.send(message.as_bytes());
        }
        self.turn(self.fed, judged, true);
    }

    fn ready(&mut self, judged: &Judged) {
        let mut message = heapless::String::<96>::new();
        // Longer than any number makes it.
        let _ = match judged.broken() {
            // The record was there before the verdict: it is at the next turn.
            None => return,
            Some(0) => message
                .push_str("READY=1\nSTATUS=real-time: contract kept")
                .ok(),
            Some(broken) => write!(
                message,
                "READY=1\nSTATUS=NOT REAL-TIME: {broken} promises broken (steadfast doctor)"
            )
            .ok(),
        };
        if self.send(message.as_bytes()) {
            self.told = Told::Ready;
        }
    }

    /// Whether the message was taken.
    fn send(&self, message: &[u8]) -> bool {
        self.socket.send(message).is_ok()
    }
}

#[cfg(test)]
mod tests;
