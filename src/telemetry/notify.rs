//! Reports to the service manager by the protocol of sd_notify(3), without a library.
//!
//! Each message is sent only when it is true: systemd starts dependent units at `READY=1`, and
//! kills the process when `WATCHDOG=1` stays away. [`Notify`] lists the messages.
//!
//! The socket is opened before the allocator is sealed. After that a message costs one send(2)
//! on an ordinary thread: it allocates nothing and never blocks, and a message that the manager
//! cannot take is sent again at the next turn.

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

/// Why the service manager cannot be used.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NotifyError {
    /// `NOTIFY_SOCKET` is neither a path nor an abstract name.
    Address,
    /// The socket cannot be reached: the error number of connect(2).
    Connect(i32),
    /// `WATCHDOG_USEC` is not a valid integer.
    Watchdog,
    /// `WATCHDOG_USEC` is too short for a loop of this period.
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

/// The verdict on the contract, passed from the thread that judges it to the reporter.
#[derive(Debug, Default)]
pub struct Judged {
    /// 0 before the verdict, then the number of broken rows plus one.
    rows: AtomicU32,
}

impl Judged {
    /// Not judged yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rows: AtomicU32::new(0),
        }
    }

    /// Publishes the verdict. O(rows), allocates nothing.
    pub fn set(&self, contract: &Contract) {
        self.set_broken(contract.broken().count());
    }

    fn set_broken(&self, broken: usize) {
        let rows = u32::try_from(broken).unwrap_or(u32::MAX - 1) + 1;
        self.rows.store(rows, Ordering::Release);
    }

    /// Whether there is a verdict: the rehearsal is over.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.broken().is_some()
    }

    fn broken(&self) -> Option<u32> {
        self.rows.load(Ordering::Acquire).checked_sub(1)
    }
}

/// A connection to the service manager, and what was sent over it.
///
/// - `READY=1` follows the verdict on the contract and the first cycle. With
///   `realtime = "best-effort"` and a broken contract it is sent too, with a status line
///   NOT REAL-TIME.
/// - `WATCHDOG=1` is sent only if a deadline was met since the last one: a loop that hangs, or
///   is late in every cycle, is not alive.
/// - `EXTEND_TIMEOUT_USEC` is sent before the start and with `STOPPING=1`: the board file sets
///   how long rehearsal and stop take, which TimeoutStartSec and TimeoutStopSec of the unit
///   cannot know. A controller that is killed while it stops leaves its outputs as they are.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    /// Half of the manager's watchdog timeout.
    interval: Option<Duration>,
    fed: Instant,
    /// Whether a cycle was run, and whether a deadline was met since `fed`.
    driven: bool,
    progress: bool,
    sent: Sent,
    /// The promises that broke while the loop ran, and those that were reported.
    broken: Promises,
    sent_broken: Promises,
    /// How long a start takes by the board file, and the longest stop.
    start: Duration,
    stop: Duration,
}

/// Added to the time of a start: opening devices, saving the last black box on a slow disk.
const START_MARGIN: Duration = Duration::from_secs(30);
/// Added to the time of a stop: saving the black box.
const STOP_MARGIN: Duration = Duration::from_secs(15);
/// The longest time until the reporter sees a cycle.
const TURN: Duration = Duration::from_millis(50);

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Nothing,
    Ready,
    Stopping,
}

impl Notify {
    /// Connects to the manager that the environment names. `None` when `NOTIFY_SOCKET` is not
    /// set.
    ///
    /// `WATCHDOG_USEC` and `WATCHDOG_PID` are read as in sd_watchdog_enabled(3).
    ///
    /// # Errors
    /// [`NotifyError`] names the variable that cannot be used. The run must not start then: a
    /// manager that waits for `READY=1` would kill a controller that works.
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
            NotifyError::Connect(crate::sys::Errno::from(error).0)
        })?;
        Ok(Self {
            socket,
            interval,
            fed: Instant::now(),
            driven: false,
            progress: false,
            sent: Sent::Nothing,
            broken: Promises::default(),
            sent_broken: Promises::default(),
            start: Duration::ZERO,
            stop: Duration::ZERO,
        })
    }

    /// Takes the times of start and stop from `config`.
    ///
    /// # Errors
    /// [`NotifyError::TooShort`]: half of `WATCHDOG_USEC` is shorter than a period and 50 ms.
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

    /// Tells the manager how long the start may take. Called on the main thread, before the
    /// start.
    pub fn starting(&self) {
        // If it is not sent, the manager's own timeout applies.
        let _ = self.extend(self.start + START_MARGIN);
    }

    /// Sets the manager's timeout to `time` from now on.
    fn extend(&self, time: Duration) -> bool {
        let mut message = heapless::String::<96>::new();
        // The capacity exceeds the longest message.
        let _ = write!(message, "EXTEND_TIMEOUT_USEC={}", time.as_micros());
        self.send(message.as_bytes())
    }

    /// Notes one cycle.
    pub fn add(&mut self, record: &CycleRecord) {
        self.driven = true;
        self.progress |= record.flags & flags::OVERRUN == 0;
    }

    /// Notes the promises that broke while the loop ran.
    pub fn broken(&mut self, broken: Promises) {
        self.broken = broken;
    }

    /// Sends the status of a broken contract. The manager shows the last status of a unit that
    /// has ended.
    fn not_real_time(&mut self, before: &str) -> bool {
        let mut message = heapless::String::<256>::new();
        // The capacity exceeds all names together.
        let _ = write!(
            message,
            "{before}STATUS=NOT REAL-TIME: broken while running: {}",
            self.broken
        );
        let sent = self.send(message.as_bytes());
        if sent {
            self.sent_broken = self.broken;
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

    /// Sends what is due: at most one message of each kind. Called once in each turn of the
    /// reporter; `stopping` is whether the loop is asked to stop.
    pub fn turn(&mut self, now: Instant, judged: &Judged, stopping: bool) {
        if self.sent == Sent::Nothing && self.driven {
            self.ready(judged);
        }
        if self.sent >= Sent::Ready && self.sent_broken != self.broken {
            self.not_real_time("");
        }
        if stopping && self.sent == Sent::Ready && self.stopping() {
            self.sent = Sent::Stopping;
        }
        let due = self.interval.is_some_and(|half| now - self.fed >= half);
        if due && self.progress && self.send(b"WATCHDOG=1") {
            self.fed = now;
            self.progress = false;
        }
    }

    /// Sends the last messages, after the loop has ended.
    pub fn end(&mut self, judged: &Judged) {
        if let (false, Some(broken)) = (self.driven, judged.broken()) {
            let mut message = heapless::String::<128>::new();
            // The capacity exceeds the longest message.
            let _ = write!(
                message,
                "STATUS=contract refused: {broken} promises broken (steadfast doctor), no output was enabled"
            );
            self.send(message.as_bytes());
        }
        self.turn(self.fed, judged, true);
    }

    fn ready(&mut self, judged: &Judged) {
        let mut message = heapless::String::<96>::new();
        // The capacity exceeds the longest message.
        let _ = match judged.broken() {
            // The record came before the verdict: ready is sent at the next turn.
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
            self.sent = Sent::Ready;
        }
    }

    /// Returns whether the message was sent.
    fn send(&self, message: &[u8]) -> bool {
        self.socket.send(message).is_ok()
    }
}

#[cfg(test)]
mod tests;
