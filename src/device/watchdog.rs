//! The hardware watchdog: the last link of the safety chain.
//!
//! Why: when everything else has failed, including the kernel, a counter in
//! hardware resets the board unless it is fed. Opening the device starts it.
//!
//! Promises: the timeout that was granted is compared with the one asked; it is
//! fed only when [`Watchdog::feed`] is called; it is stopped only by
//! [`Watchdog::close`]. Dropping a `Watchdog` leaves it armed, because the way
//! out of a program that nobody planned (a panic, an early return) must end in
//! a reset, not in a board that runs on without its guard. Where the driver has
//! no magic close this cannot be had, since closing alone stops such a
//! watchdog: [`Properties::stops_when_dropped`] says so.
//!
//! Costs: one system call for each feeding.
//!
//! See Documentation/watchdog/watchdog-api and watchdog-kernel-api in the
//! kernel's sources.

use crate::device::node;
use crate::sys::watchdog::{self as calls, Info};
use crate::sys::{self, Errno};
use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

/// The calls made on a watchdog.
pub trait Timer {
    /// What it is and can do.
    ///
    /// # Errors
    /// As `WDIOC_GETSUPPORT` gives them.
    fn support(&self) -> Result<Info, Errno>;

    /// Why the board was last reset.
    ///
    /// # Errors
    /// As `WDIOC_GETBOOTSTATUS` gives them.
    fn boot_status(&self) -> Result<u32, Errno>;

    /// Asks for a timeout in seconds, returns the one granted.
    ///
    /// # Errors
    /// As `WDIOC_SETTIMEOUT` gives them.
    fn set_timeout(&self, seconds: u32) -> Result<u32, Errno>;

    /// Starts the timeout anew.
    ///
    /// # Errors
    /// As `WDIOC_KEEPALIVE` gives them.
    fn keep_alive(&self) -> Result<(), Errno>;

    /// Writes `byte` to the device.
    ///
    /// # Errors
    /// As write(2) gives them.
    fn write(&mut self, byte: u8) -> Result<(), Errno>;
}

/// [`Timer`] by the kernel.
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
        // write(2) itself: a loop over a short or interrupted write may not
        // swallow the error.
        match self.0.write(&[byte]) {
            Ok(1) => Ok(()),
            Ok(_) => Err(Errno(libc::EIO)),
            Err(error) => Err(Errno(error.raw_os_error().unwrap_or(0))),
        }
    }
}

/// Why a watchdog does not do what was asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WatchdogError {
    /// The device could not be opened. It can be open only once (`EBUSY`).
    Open(Errno),
    /// It does not answer as a watchdog.
    Support(Errno),
    /// It raises an alarm and resets nothing (`WDIOF_ALARMONLY`).
    AlarmOnly,
    /// The timeout was refused.
    Timeout {
        /// Seconds asked.
        asked: u32,
        /// The kernel's answer.
        errno: Errno,
    },
    /// Another timeout was granted than asked.
    TimeoutDiffers {
        /// Seconds asked.
        asked: u32,
        /// Seconds granted.
        granted: u32,
    },
    /// It could not be fed.
    Feed(Errno),
    /// It could not be told that closing is meant.
    Close(Errno),
}

impl WatchdogError {
    /// The error in words, with what to do about it, for the device at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// A [`WatchdogError`] in words.
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
                "another process feeds it; stop that one (systemd: RuntimeWatchdogSec=0)",
            ),
            WatchdogError::Open(Errno(libc::ENOENT)) => {
                f.write_str("no such watchdog; load its driver (modprobe), see /dev/watchdog*")
            }
            WatchdogError::Open(errno) => write!(f, "cannot be opened ({errno})"),
            WatchdogError::Support(errno) => write!(f, "does not answer as a watchdog ({errno})"),
            WatchdogError::AlarmOnly => {
                f.write_str("only raises an alarm, it resets nothing; choose another")
            }
            WatchdogError::Timeout { asked, errno } => {
                write!(
                    f,
                    "refuses a timeout of {asked} s ({errno}); ask for another"
                )
            }
            WatchdogError::TimeoutDiffers { asked, granted } => write!(
                f,
                "granted a timeout of {granted} s instead of {asked} s; ask for {granted} s"
            ),
            WatchdogError::Feed(errno) => write!(f, "could not be fed ({errno})"),
            WatchdogError::Close(errno) => write!(f, "could not be told to stop ({errno})"),
        }
    }
}

/// Properties of a watchdog, read from the kernel when it was opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The timeout, in seconds.
    pub timeout_s: u32,
    /// The board's last reset was the watchdog's. `None` when the driver does not
    /// tell: many never set the bit, so a clear one means "no" only where the driver
    /// claims to have it (`WDIOF_CARDRESET` among its options).
    pub caused_last_reset: Option<bool>,
    /// Closing stops it with or without the magic 'V': when this process dies,
    /// the board is not reset.
    pub stops_when_dropped: bool,
    /// Name of the watchdog.
    pub identity: sys::gpio::Name,
}

impl Properties {
    /// Those of `timer`, which is given a timeout of `timeout_s` seconds.
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

/// What the boot status of a driver with these options says.
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
    /// As for [`Watchdog::with`].
    pub fn open(path: &Path, timeout_s: u32) -> Result<Self, WatchdogError> {
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|error| WatchdogError::Open(Errno(error.raw_os_error().unwrap_or(0))))?;
        Self::with(Kernel(file), timeout_s)
    }
}

impl<T: Timer> Watchdog<T> {
    /// A watchdog whose calls go to `timer`, with a timeout of `timeout_s`
    /// seconds.
    ///
    /// # Errors
    /// [`WatchdogError`]; it is then stopped again, as nobody will feed it: a
    /// timeout that is not granted must not have the board reset at every start.
    pub fn with(mut timer: T, timeout_s: u32) -> Result<Self, WatchdogError> {
        match Properties::of(&timer, timeout_s) {
            Ok(properties) => Ok(Self { timer, properties }),
            Err(error) => {
                // One that cannot be stopped resets a board whose outputs are safe.
                let _ = timer.write(b'V');
                Err(error)
            }
        }
    }

    /// What this watchdog is.
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Starts the timeout anew. To be called from a completed deadline only.
    ///
    /// # Errors
    /// [`WatchdogError::Feed`].
    pub fn feed(&mut self) -> Result<(), WatchdogError> {
        self.timer.keep_alive().map_err(WatchdogError::Feed)
    }

    /// Stops the watchdog: the end of a run in order, outputs safe. A kernel
    /// with `nowayout` does not stop it all the same, see [`no_way_out`].
    ///
    /// # Errors
    /// [`WatchdogError::Close`]; the watchdog then stays armed.
    pub fn close(mut self) -> Result<(), WatchdogError> {
        self.timer.write(b'V').map_err(WatchdogError::Close)
    }
}

/// What the kernel says of a watchdog that is not open: opening it would start it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It runs: a process that has ended left it, or another one feeds it. `None` where
    /// the kernel does not say (`CONFIG_WATCHDOG_SYSFS`).
    pub running: Option<bool>,
    /// The board's last reset was its doing; as in [`Properties`].
    pub caused_last_reset: Option<bool>,
}

impl Standing {
    /// That of the watchdog at `path`, by its files in sysfs
    /// (Documentation/ABI/testing/sysfs-class-watchdog). `root` is `/` on a running
    /// system.
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

/// Whether the kernel refuses to ever stop the watchdog at `path` once it
/// runs (`nowayout`): the board is then reset after the end of a run in order
/// too. `None` where the kernel does not say. `root` is `/` on a running
/// system.
#[must_use]
pub fn no_way_out(root: &Path, path: &Path) -> Option<bool> {
    match attribute(root, path, "nowayout")?.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// What a person must know of the watchdog at `path` with a timeout of `timeout_s`
/// seconds that cannot be stopped: before the first stop, not after it. `None` where it
/// can be stopped or the kernel does not say. `root` is `/` on a running system.
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

/// Why the watchdog at `path` will refuse a timeout of `timeout_s` seconds, or to reset
/// the board at all, as far as sysfs says it: without opening the device, which would
/// start it. `root` is `/` on a running system.
#[must_use]
pub fn refusal(root: &Path, path: &Path, timeout_s: u32) -> Option<WatchdogError> {
    let number = |name| attribute(root, path, name)?.parse::<u32>().ok();
    let options = attribute(root, path, "options");
    let options = options.and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    if options.is_some_and(|options| options & calls::ALARM_ONLY != 0) {
        return Some(WatchdogError::AlarmOnly);
    }
    let least = number("min_timeout").unwrap_or(0);
    // 0 is no limit.
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
    // "/dev/watchdog" is the first one under its old name.
    let name = if name == "watchdog" {
        "watchdog0"
    } else {
        name.as_str()
    };
    Some(root.join("sys/class/watchdog").join(name))
}

/// What stands in the file `name` of the watchdog at `path`.
fn attribute(root: &Path, path: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(directory(root, path)?.join(name)).ok()?;
    Some(text.trim().to_owned())
}
