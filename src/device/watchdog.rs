//! The hardware watchdog (Documentation/watchdog/watchdog-api in the kernel's sources).
//!
//! A hardware counter resets the board unless it is fed: it also covers a hang of the kernel.
//! Opening the device starts it. The granted timeout is compared with the requested one.
//!
//! Only [`Watchdog::feed`] feeds it, with one system call, and only [`Watchdog::close`] stops
//! it. Dropping a `Watchdog` leaves it armed, so that a panic or an early return ends in a
//! reset. A driver without magic close stops when the file is closed, so this does not hold
//! for it: see [`Properties::stops_when_dropped`].

use crate::device::node;
use crate::sys::watchdog::{self as calls, Info};
use crate::sys::{self, Errno};
use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

/// The system calls on a watchdog.
pub trait Timer {
    /// Its identity and options.
    ///
    /// # Errors
    /// Those of `WDIOC_GETSUPPORT`.
    fn support(&self) -> Result<Info, Errno>;

    /// The cause of the board's last reset, as option bits.
    ///
    /// # Errors
    /// Those of `WDIOC_GETBOOTSTATUS`.
    fn boot_status(&self) -> Result<u32, Errno>;

    /// Requests a timeout in seconds and returns the one granted.
    ///
    /// # Errors
    /// Those of `WDIOC_SETTIMEOUT`.
    fn set_timeout(&self, seconds: u32) -> Result<u32, Errno>;

    /// Restarts the timeout.
    ///
    /// # Errors
    /// Those of `WDIOC_KEEPALIVE`.
    fn keep_alive(&self) -> Result<(), Errno>;

    /// Writes `byte` to the device.
    ///
    /// # Errors
    /// Those of write(2).
    fn write(&mut self, byte: u8) -> Result<(), Errno>;
}

/// [`Timer`] over the kernel's watchdog device.
#[derive(Debug)]
pub struct Kernel(File);

impl Timer for Kernel {
    fn support(&self) -> Result<Info, Errno> {
        calls::support(self.0.as_fd())
    }

    fn boot_status(&self) -> Result<u32, Errno> {
        calls::boot_status(self.0.as_fd())
    }

    fn set_timeout(&self, seconds: u32) -> Result<u32, Errno> {
        calls::set_timeout(self.0.as_fd(), seconds)
    }

    fn keep_alive(&self) -> Result<(), Errno> {
        calls::keep_alive(self.0.as_fd())
    }

    fn write(&mut self, byte: u8) -> Result<(), Errno> {
        // Not `write_all`, which would retry an interrupted write and hide the error.
        match self.0.write(&[byte]) {
            Ok(1) => Ok(()),
            Ok(_) => Err(Errno(libc::EIO)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a watchdog operation failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WatchdogError {
    /// The device could not be opened; `EBUSY` if another process has it open.
    Open(Errno),
    /// The file is not a watchdog: `WDIOC_GETSUPPORT` fails.
    Support(Errno),
    /// It raises an alarm and does not reset the board (`WDIOF_ALARMONLY`).
    AlarmOnly,
    /// The timeout was refused.
    Timeout {
        /// Seconds requested.
        asked: u32,
        /// The kernel's error.
        errno: Errno,
    },
    /// The granted timeout differs from the requested one.
    TimeoutDiffers {
        /// Seconds requested.
        asked: u32,
        /// Seconds granted.
        granted: u32,
    },
    /// It could not be fed.
    Feed(Errno),
    /// It could not be stopped.
    Close(Errno),
}

impl WatchdogError {
    /// The error as a message with its remedy, for the device at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// A [`WatchdogError`] as a message with its remedy.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: WatchdogError,
    path: &'a Path,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match self.error {
            WatchdogError::Open(Errno(libc::EBUSY)) => f.write_str(
                "another process has it open; stop that process (systemd: RuntimeWatchdogSec=0)",
            ),
            WatchdogError::Open(Errno(libc::ENOENT)) => {
                f.write_str("no such watchdog; load its driver (modprobe), see /dev/watchdog*")
            }
            WatchdogError::Open(errno @ Errno(libc::EACCES)) => write!(
                f,
                "permission denied ({errno}); run as root or as a member of the group that owns it"
            ),
            WatchdogError::Open(errno) => {
                write!(f, "cannot be opened ({errno}); see the kernel log (dmesg)")
            }
            WatchdogError::Support(errno) => write!(
                f,
                "not a watchdog ({errno}); name one such as /dev/watchdog0"
            ),
            WatchdogError::AlarmOnly => {
                f.write_str("raises an alarm and does not reset the board; choose another watchdog")
            }
            WatchdogError::Timeout { asked, errno } => {
                write!(
                    f,
                    "refuses a timeout of {asked} s ({errno}); choose another timeout"
                )
            }
            WatchdogError::TimeoutDiffers { asked, granted } => write!(
                f,
                "granted a timeout of {granted} s instead of {asked} s; set {granted} s"
            ),
            WatchdogError::Feed(errno) => write!(
                f,
                "feeding failed ({errno}); the board will reset; see the kernel log (dmesg)"
            ),
            WatchdogError::Close(errno) => write!(
                f,
                "stopping failed ({errno}); the board will reset; see the kernel log (dmesg)"
            ),
        }
    }
}

/// Properties of a watchdog, read from the kernel when it was opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The timeout, in seconds.
    pub timeout_s: u32,
    /// Whether this watchdog caused the board's last reset. `None` if the driver does not
    /// report it: many drivers never set the bit, so a clear bit means "no" only if the
    /// driver declares it (`WDIOF_CARDRESET` among its options).
    pub caused_last_reset: Option<bool>,
    /// The driver has no magic close: closing the file stops the watchdog, so the board is
    /// not reset when this process dies.
    pub stops_when_dropped: bool,
    /// Name of the watchdog.
    pub identity: sys::gpio::Name,
}

impl Properties {
    /// Reads the properties of `timer` and sets its timeout to `timeout_s` seconds.
    fn of(timer: &impl Timer, timeout_s: u32) -> Result<Self, WatchdogError> {
        let info = timer.support().map_err(WatchdogError::Support)?;
        if info.options & calls::ALARM_ONLY != 0 {
            return Err(WatchdogError::AlarmOnly);
        }
        let granted = timer
            .set_timeout(timeout_s)
            .map_err(|errno| WatchdogError::Timeout {
                asked: timeout_s,
                errno,
            })?;
        if granted != timeout_s {
            return Err(WatchdogError::TimeoutDiffers {
                asked: timeout_s,
                granted,
            });
        }
        Ok(Self {
            timeout_s,
            caused_last_reset: timer
                .boot_status()
                .ok()
                .and_then(|status| caused_reset(status, info.options)),
            stops_when_dropped: info.options & calls::MAGIC_CLOSE == 0,
            identity: sys::gpio::Name::from_bytes(info.identity),
        })
    }
}

/// Whether the watchdog caused the last reset, by boot status and options of its driver.
const fn caused_reset(status: u32, options: u32) -> Option<bool> {
    if status & calls::CARD_RESET != 0 {
        Some(true)
    } else if options & calls::CARD_RESET != 0 {
        Some(false)
    } else {
        None
    }
}

/// An armed watchdog.
#[derive(Debug)]
pub struct Watchdog<T = Kernel> {
    timer: T,
    properties: Properties,
}

impl Watchdog {
    /// Opens the watchdog at `path`, which starts it, with a timeout of
    /// `timeout_s` seconds.
    ///
    /// # Errors
    /// Those of [`Watchdog::with`].
    pub fn open(path: &Path, timeout_s: u32) -> Result<Self, WatchdogError> {
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|error| WatchdogError::Open(error.into()))?;
        Self::with(Kernel(file), timeout_s)
    }
}

impl<T: Timer> Watchdog<T> {
    /// A watchdog that makes its calls through `timer`, with a timeout of `timeout_s`
    /// seconds.
    ///
    /// # Errors
    /// [`WatchdogError`]; the watchdog is then stopped again, because nothing will feed it:
    /// a refused timeout must not reset the board at every start.
    pub fn with(mut timer: T, timeout_s: u32) -> Result<Self, WatchdogError> {
        match Properties::of(&timer, timeout_s) {
            Ok(properties) => Ok(Self { timer, properties }),
            Err(error) => {
                // If it cannot be stopped, the board resets with safe outputs.
                let _ = timer.write(b'V');
                Err(error)
            }
        }
    }

    /// The properties of this watchdog.
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Restarts the timeout. Call it only after a cycle that met its deadline.
    ///
    /// # Errors
    /// [`WatchdogError::Feed`].
    pub fn feed(&mut self) -> Result<(), WatchdogError> {
        self.timer.keep_alive().map_err(WatchdogError::Feed)
    }

    /// Stops the watchdog after an orderly end with safe outputs. With `nowayout` the
    /// kernel does not stop it, see [`no_way_out`].
    ///
    /// # Errors
    /// [`WatchdogError::Close`]; the watchdog then stays armed.
    pub fn close(mut self) -> Result<(), WatchdogError> {
        self.timer.write(b'V').map_err(WatchdogError::Close)
    }
}

/// State of a watchdog, read from sysfs without opening the device, which would start it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it runs: another process feeds it, or a process has ended without stopping it.
    /// `None` without `CONFIG_WATCHDOG_SYSFS`.
    pub running: Option<bool>,
    /// Whether it caused the board's last reset, as in [`Properties`].
    pub caused_last_reset: Option<bool>,
}

impl Standing {
    /// Reads the state of the watchdog at `path` from sysfs
    /// (Documentation/ABI/testing/sysfs-class-watchdog). `root` is `/` on a running system.
    #[must_use]
    pub fn read(root: &Path, path: &Path) -> Self {
        let running = attribute(root, path, "state");
        let boot = attribute(root, path, "bootstatus");
        let boot = boot.and_then(|status| status.parse::<u32>().ok());
        let options = attribute(root, path, "options");
        let options = options.as_deref().and_then(|text| text.strip_prefix("0x"));
        let options = options.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let options = options.unwrap_or(0);
        Self {
            running: running.and_then(|state| match state.as_str() {
                "active" => Some(true),
                "inactive" => Some(false),
                _ => None,
            }),
            caused_last_reset: boot.and_then(|status| caused_reset(status, options)),
        }
    }
}

/// Whether the kernel never stops the watchdog at `path` once it runs (`nowayout`): the
/// board then also resets after an orderly end. `None` if sysfs has no such attribute.
/// `root` is `/` on a running system.
#[must_use]
pub fn no_way_out(root: &Path, path: &Path) -> Option<bool> {
    match attribute(root, path, "nowayout")?.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// A warning if the kernel never stops the watchdog at `path`, which has a timeout of
/// `timeout_s` seconds; for the user to read before the first stop. `None` if it can be
/// stopped or sysfs does not say. `root` is `/` on a running system.
#[must_use]
pub fn no_way_out_warning(root: &Path, path: &Path, timeout_s: u32) -> Option<String> {
    if no_way_out(root, path) != Some(true) {
        return None;
    }
    let driver = directory(root, path)
        .and_then(|directory| std::fs::read_link(directory.join("device/driver")).ok())
        .and_then(|driver| Some(driver.file_name()?.to_str()?.replace('-', "_")));
    let driver = driver.as_deref().unwrap_or("DRIVER");
    Some(format!(
        "{}: the kernel never stops this watchdog (nowayout): the board resets {timeout_s} s after every end of the controller, an orderly stop included; boot with {driver}.nowayout=0, or expect the reset",
        path.display()
    ))
}

/// Why the watchdog at `path` will refuse a timeout of `timeout_s` seconds or cannot reset
/// the board, according to sysfs. The device is not opened, because that would start it.
/// `root` is `/` on a running system.
#[must_use]
pub fn refusal(root: &Path, path: &Path, timeout_s: u32) -> Option<WatchdogError> {
    let number = |name| attribute(root, path, name)?.parse::<u32>().ok();
    let options = attribute(root, path, "options");
    let options = options.and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    if options.is_some_and(|options| options & calls::ALARM_ONLY != 0) {
        return Some(WatchdogError::AlarmOnly);
    }
    let least = number("min_timeout").unwrap_or(0);
    // 0 means no limit.
    let most = number("max_timeout").filter(|most| *most > 0);
    let refused = timeout_s < least || most.is_some_and(|most| timeout_s > most);
    refused.then_some(WatchdogError::Timeout {
        asked: timeout_s,
        errno: Errno(libc::EINVAL),
    })
}

/// Where sysfs describes the watchdog at `path` (CONFIG_WATCHDOG_SYSFS).
fn directory(root: &Path, path: &Path) -> Option<std::path::PathBuf> {
    let name = node::kernel_name(root, path)?;
    // "/dev/watchdog" is the old name of the first watchdog.
    let name = if name == "watchdog" {
        "watchdog0"
    } else {
        name.as_str()
    };
    Some(root.join("sys/class/watchdog").join(name))
}

/// The content of the attribute `name` of the watchdog at `path`.
fn attribute(root: &Path, path: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(directory(root, path)?.join(name)).ok()?;
    Some(text.trim().to_owned())
}
