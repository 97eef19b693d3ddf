//! PWM channels of the kernel through sysfs; [`bus::Pwm`](crate::bus::Pwm) makes one a
//! `embedded_hal::pwm::SetDutyCycle`
//! (Documentation/driver-api/pwm, "Using PWMs with the sysfs interface").
//!
//! A channel is set up at its safe duty and read back when it is opened. A new duty is one
//! write(2) of at most 10 bytes on an open file, without allocation; the driver may sleep
//! (an I2C expander does). A duty above the period is refused before anything is written.
//!
//! **The kernel keeps the signal running after this process has ended.** If any duty other
//! than the safe one is dangerous, add an enable line or a relay that drops out by itself.
//! [`Pwm`] says why `/dev/pwmchipN` is not used.

use crate::sys::{self, Errno, emergency};
use core::fmt;
use embedded_hal::pwm::ErrorKind;
use std::fs::{File, OpenOptions, read_to_string, write};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration as Wait, Instant as Now};

/// The level of the line during the duty.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Polarity {
    /// High for the duty, low for the rest of the period.
    #[default]
    Normal,
    /// Low for the duty, high for the rest of the period.
    Inversed,
}

impl Polarity {
    /// The value in sysfs.
    const fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Inversed => "inversed",
        }
    }
}

/// Settings of a channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PwmConfig {
    /// Channel of its chip, from 0.
    pub channel: u32,
    /// Period, ns, at least 1. The driver uses the next shorter period that the hardware
    /// supports, although sysfs reads back the requested one.
    pub period_ns: u32,
    /// The level of the line during the duty.
    pub polarity: Polarity,
    /// Safe duty, ns, at most the period; set when the channel is opened.
    pub safe_duty_ns: u32,
}

/// A file of a channel or chip in sysfs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `export` of the chip.
    Export,
    /// `period`, ns.
    Period,
    /// `duty_cycle`, ns.
    DutyCycle,
    /// `polarity`.
    Polarity,
    /// `enable`.
    Enable,
}

impl Attribute {
    const fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Period => "period",
            Self::DutyCycle => "duty_cycle",
            Self::Polarity => "polarity",
            Self::Enable => "enable",
        }
    }
}

/// Why a PWM operation failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PwmError {
    /// The chip does not exist.
    NoChip(Errno),
    /// The chip has no channel with this number.
    NoChannel {
        /// Number of channels of the chip.
        channels: u32,
    },
    /// The duty exceeds the period. Nothing was written.
    DutyTooLong {
        /// Requested duty, ns.
        duty_ns: u32,
        /// Period of the channel, ns.
        period_ns: u32,
    },
    /// The driver refused a value, or the file could not be opened.
    Refused {
        /// The attribute.
        attribute: Attribute,
        /// The kernel's error.
        errno: Errno,
    },
    /// The attribute reads back with another value than was written.
    Differs {
        /// The attribute.
        attribute: Attribute,
    },
}

impl PwmError {
    /// The error as a message with its remedy, for the chip at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// A [`PwmError`] as a message with its remedy.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: PwmError,
    path: &'a Path,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl fmt::Display for PwmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoChip(errno) => write!(
                f,
                "no such PWM chip ({errno}); enable the controller in the device tree \
                 and load its driver"
            ),
            Self::NoChannel { channels } => write!(
                f,
                "the chip has {channels} channels, numbered from 0; use one of them"
            ),
            Self::DutyTooLong { duty_ns, period_ns } => write!(
                f,
                "a duty of {duty_ns} ns exceeds the period of {period_ns} ns; use a shorter one"
            ),
            Self::Refused {
                attribute,
                errno: errno @ Errno(libc::EACCES),
            } => write!(
                f,
                "{} cannot be written ({errno}); give this user write access to the files of the \
                 channel with a udev rule, or run as root",
                attribute.name()
            ),
            Self::Refused {
                attribute: Attribute::Export,
                errno: errno @ Errno(libc::EBUSY),
            } => write!(
                f,
                "another driver uses the channel ({errno}); use another channel"
            ),
            Self::Refused { attribute, errno } => write!(
                f,
                "the driver refused {} ({errno}); use a value that it supports",
                attribute.name()
            ),
            Self::Differs { attribute } => write!(
                f,
                "{} reads back differently; use a value that the driver supports",
                attribute.name()
            ),
        }
    }
}

impl std::error::Error for PwmError {}

impl embedded_hal::pwm::Error for PwmError {
    /// Always [`ErrorKind::Other`], the only kind of the trait.
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// One PWM channel, enabled.
///
/// Why not `/dev/pwmchipN` (include/uapi/linux/pwm.h, kernels from the second half of 2025):
/// it would set period and duty in one ioctl (`PWM_IOCTL_SETROUNDEDWF`), report rounding,
/// reserve the channel and need no wait for udev. But only drivers with waveform operations
/// have it, each ioctl takes a lock common to all PWM chips, so one hanging chip would block
/// the others, and closing it leaves the signal running as well.
#[derive(Debug)]
pub struct Pwm {
    duty: File,
    period_ns: u32,
    safe_duty_ns: u32,
}

impl Pwm {
    /// Opens and enables a channel of the chip at `chip` (`/sys/class/pwm/pwmchip0`) at its
    /// safe duty. For start-up only: it allocates, and waits up to one second until udev has
    /// changed the owner of a newly exported channel.
    ///
    /// # Errors
    /// [`PwmError`]. If the set-up fails, a channel that was disabled before stays disabled.
    pub fn open(chip: &Path, config: &PwmConfig) -> Result<Self, PwmError> {
        if config.safe_duty_ns > config.period_ns {
            return Err(PwmError::DutyTooLong {
                duty_ns: config.safe_duty_ns,
                period_ns: config.period_ns,
            });
        }
        let channel = export(chip, config.channel)?;
        let set = |attribute: Attribute, value: &str| set(&channel, attribute, value);
        let enabled = read_to_string(channel.join(Attribute::Enable.name()));
        if enabled.is_ok_and(|text| text.trim() == "1") {
            // Left enabled by another process: polarity can be set only while disabled.
            set(Attribute::Enable, "0")?;
        }
        // The kernel refuses a period below the present duty and a duty above the period.
        set(Attribute::DutyCycle, "0")?;
        set(Attribute::Period, &config.period_ns.to_string())?;
        set(Attribute::Polarity, config.polarity.word())?;
        set(Attribute::DutyCycle, &config.safe_duty_ns.to_string())?;
        set(Attribute::Enable, "1")?;
        let path = channel.join(Attribute::DutyCycle.name());
        let duty = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(refused(Attribute::DutyCycle))?;
        Ok(Self {
            duty,
            period_ns: config.period_ns,
            safe_duty_ns: config.safe_duty_ns,
        })
    }

    /// Period of the channel, ns.
    #[must_use]
    pub const fn period_ns(&self) -> u32 {
        self.period_ns
    }

    /// Sets the duty, ns. One system call.
    ///
    /// # Errors
    /// [`PwmError::DutyTooLong`] above the period; [`PwmError::Refused`] if the driver
    /// refuses it.
    pub fn set_duty_ns(&mut self, duty_ns: u32) -> Result<(), PwmError> {
        if duty_ns > self.period_ns {
            return Err(PwmError::DutyTooLong {
                duty_ns,
                period_ns: self.period_ns,
            });
        }
        let mut digits = [0; 10];
        let text = decimal(duty_ns, &mut digits);
        match self.duty.write_at(text, 0) {
            Ok(written) if written == text.len() => Ok(()),
            Ok(_) => Err(PwmError::Refused {
                attribute: Attribute::DutyCycle,
                errno: Errno(libc::EIO),
            }),
            Err(error) => Err(refused(Attribute::DutyCycle)(error)),
        }
    }
}

impl Pwm {
    /// Registers the write of the safe duty with the safe plan, as an action that may block:
    /// the driver may sleep.
    ///
    /// # Errors
    /// Those of [`emergency::register_write`].
    pub fn register_emergency(&self) -> Result<emergency::Slot, Errno> {
        let mut digits = [0; 10];
        let text = decimal(self.safe_duty_ns, &mut digits);
        emergency::register_write(self.duty.as_fd(), text, emergency::When::MayBlock)
    }
}

/// The share of `duty` / 65,535 of a period, ns, rounded down.
pub(crate) const fn share_ns(period_ns: u32, duty: u16) -> u32 {
    // The result is at most the period, so it fits into 32 bits.
    (period_ns as u64 * duty as u64 / u16::MAX as u64) as u32
}

/// `number` as text in `digits`.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}

fn refused(attribute: Attribute) -> impl Fn(io::Error) -> PwmError {
    move |error| PwmError::Refused {
        attribute,
        errno: error.into(),
    }
}

/// Writes `value` and reads it back.
fn set(channel: &Path, attribute: Attribute, value: &str) -> Result<(), PwmError> {
    let path = channel.join(attribute.name());
    write(&path, value).map_err(refused(attribute))?;
    let back = read_to_string(&path).map_err(refused(attribute))?;
    if back.trim() == value {
        Ok(())
    } else {
        Err(PwmError::Differs { attribute })
    }
}

/// The folder of the PWM chip `chip` under `root`, `/` on a running system. `chip` is the
/// name of its device (`30660000.pwm`), the same at each boot; its kernel name
/// (`pwmchip0`), which depends on the order in which drivers start; or the path of its
/// folder. `None` if it does not exist.
#[must_use]
#[inline(never)]
pub fn find_chip(root: &Path, chip: &str) -> Option<PathBuf> {
    if let Some(path) = chip.strip_prefix('/') {
        return Some(root.join(path)).filter(|folder| folder.exists());
    }
    let class = root.join("sys/class/pwm");
    let named = class.join(chip);
    if named.exists() {
        return Some(named);
    }
    for entry in std::fs::read_dir(class).ok()?.flatten() {
        let folder = entry.path();
        let device = std::fs::read_link(folder.join("device")).unwrap_or_default();
        if device.file_name().is_some_and(|name| name == chip) {
            return Some(folder);
        }
    }
    None
}

/// Checks, without changing anything, that `channel` of the chip at `chip` can be opened.
///
/// # Errors
/// [`PwmError::NoChip`], [`PwmError::NoChannel`], and [`PwmError::Refused`] for a file
/// without write permission.
pub fn check(chip: &Path, channel: u32) -> Result<(), PwmError> {
    has_channel(chip, channel)?;
    let folder = chip.join(format!("pwm{channel}"));
    let (attribute, file) = if folder.exists() {
        let name = Attribute::DutyCycle.name();
        (Attribute::DutyCycle, folder.join(name))
    } else {
        (Attribute::Export, chip.join(Attribute::Export.name()))
    };
    if sys::may_write(&file) {
        return Ok(());
    }
    let errno = Errno(libc::EACCES);
    Err(PwmError::Refused { attribute, errno })
}

fn has_channel(chip: &Path, channel: u32) -> Result<(), PwmError> {
    let count =
        read_to_string(chip.join("npwm")).map_err(|error| PwmError::NoChip(error.into()))?;
    let channels = count.trim().parse().unwrap_or(0);
    if channel >= channels {
        return Err(PwmError::NoChannel { channels });
    }
    Ok(())
}

/// How long udev may take to change the owner of a new channel.
const HANDED_OVER: Wait = Wait::from_secs(1);

/// The folder of `channel`, which is exported first if necessary.
fn export(chip: &Path, channel: u32) -> Result<PathBuf, PwmError> {
    has_channel(chip, channel)?;
    let folder = chip.join(format!("pwm{channel}"));
    if !folder.exists() {
        write(chip.join(Attribute::Export.name()), channel.to_string())
            .map_err(refused(Attribute::Export))?;
    }
    let end = Now::now() + HANDED_OVER;
    loop {
        // udev changes the owner some time after the files have appeared.
        let ready = OpenOptions::new()
            .write(true)
            .open(folder.join(Attribute::Enable.name()));
        match ready {
            Ok(_) => return Ok(folder),
            Err(error) if Now::now() >= end => return Err(refused(Attribute::Enable)(error)),
            Err(_) => std::thread::sleep(Wait::from_millis(10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal_for_sysfs() {
        let mut digits = [0; 10];
        for number in [0, 7, 10, 4_095, u32::MAX] {
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}
