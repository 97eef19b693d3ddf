//! PWM channels of the kernel through sysfs, as `embedded_hal::pwm::SetDutyCycle`.
//!
//! Why sysfs: it is what every kernel of the supported boards has
//! (Documentation/driver-api/pwm, "Using PWMs with the sysfs interface").
//!
//! Promises: the channel is set up and read back when it is opened, with the duty
//! that the caller names as safe; a new duty is one write(2) of at most 20 bytes on an
//! open file, without allocation; a duty above the period is an error before anything
//! is written.
//!
//! Costs: one system call for each duty. Its driver may sleep (an I2C expander does),
//! so a write belongs to what a crash does last.
//!
//! What `/dev/pwmchipN` would give (include/uapi/linux/pwm.h, in kernels from the second
//! half of 2025 on): period and duty in one ioctl (`PWM_IOCTL_SETROUNDEDWF`), which says
//! what it had to round, a channel that nobody else can take, and no wait for udev. It is
//! not used: only drivers with waveform operations have the node, every ioctl takes a
//! lock of all PWM chips together, so that one that hangs would hold up the others, and
//! closing it leaves the signal as it is too.
//!
//! What it cannot do: **the kernel keeps the signal running when this process ends**,
//! however it ends. An output of which a duty other than the safe one is dangerous
//! needs an enable line or a relay that falls by itself.

use crate::sys::{self, Errno, emergency};
use core::fmt;
use embedded_hal::pwm::{ErrorKind, ErrorType, SetDutyCycle};
use std::fs::{File, OpenOptions, read_to_string, write};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration as Wait, Instant as Now};

/// Which level the duty is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Polarity {
    /// High for the duty, low for the rest of the period.
    #[default]
    Normal,
    /// Low for the duty, high for the rest of the period.
    Inversed,
}

impl Polarity {
    /// The word of sysfs.
    const fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Inversed => "inversed",
        }
    }
}

/// How a channel is set up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PwmConfig {
    /// Channel of its chip, from 0.
    pub channel: u32,
    /// Period, ns, at least 1. The hardware's grid decides what is possible: the
    /// kernel takes the next shorter one it can make, and reads back what was asked.
    pub period_ns: u32,
    /// Which level the duty is.
    pub polarity: Polarity,
    /// Duty from opening on, ns, at most the period.
    pub safe_duty_ns: u32,
}

/// An attribute of a channel in sysfs.
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

/// Why a PWM channel does not do what was asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PwmError {
    /// There is no such chip.
    NoChip(Errno),
    /// The chip has no such channel.
    NoChannel {
        /// Channels of the chip.
        channels: u32,
    },
    /// The duty exceeds the period. Nothing was written.
    DutyTooLong {
        /// Duty asked, ns.
        duty_ns: u32,
        /// Period of the channel, ns.
        period_ns: u32,
    },
    /// The driver refused a value, or the file could not be opened.
    Refused {
        /// Which attribute.
        attribute: Attribute,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The attribute reads back differently.
    Differs {
        /// Which attribute.
        attribute: Attribute,
    },
}

impl PwmError {
    /// The error in words, with what to do about it, for the chip at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// A [`PwmError`] in words.
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
                "{} cannot be written ({errno}); give the user the files by a udev \
                 rule",
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
    /// Always [`ErrorKind::Other`]: the trait has no other word.
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// One PWM channel, enabled.
#[derive(Debug)]
pub struct Pwm {
    duty: File,
    period_ns: u32,
    safe_duty_ns: u32,
}

impl Pwm {
    /// Opens and enables a channel of the chip at `chip`
    /// (`/sys/class/pwm/pwmchip0`), at its safe duty. For start-up: it allocates, and
    /// waits up to a second for udev to hand over the files of a channel that it has
    /// exported.
    ///
    /// # Errors
    /// [`PwmError`]. A channel whose set-up was refused is left disabled if it was
    /// disabled before.
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
            // Somebody else's signal: polarity can be set only without it.
            set(Attribute::Enable, "0")?;
        }
        // A period below the old duty is refused, and the other way round.
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
    /// [`PwmError::DutyTooLong`] above the period; [`PwmError::Refused`] as the driver
    /// answers.
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
    /// Registers the writing of the safe duty, for an emergency. It may block: whether
    /// the driver sleeps is not known.
    ///
    /// # Errors
    /// As [`emergency::register_write`].
    pub fn register_emergency(&self) -> Result<emergency::Slot, Errno> {
        let mut digits = [0; 10];
        let text = decimal(self.safe_duty_ns, &mut digits);
        emergency::register_write(self.duty.as_fd(), text, emergency::When::MayBlock)
    }
}

impl ErrorType for Pwm {
    type Error = PwmError;
}

impl SetDutyCycle for Pwm {
    /// The full scale of a duty, whatever the period is.
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    /// Sets the duty as a share of 65,535, rounded down to whole nanoseconds.
    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), PwmError> {
        self.set_duty_ns(share_ns(self.period_ns, duty))
    }
}

/// The share of `duty` / 65,535 of a period, ns, rounded down.
pub(crate) const fn share_ns(period_ns: u32, duty: u16) -> u32 {
    // At most the period, which has 32 bits.
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
        errno: errno(&error),
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(0))
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
/// name of the device that it belongs to (`30660000.pwm`), which no other driver's start
/// changes; its kernel name (`pwmchip0`), which counts in the order of the drivers'
/// start; or the path of its folder. `None` when there is none.
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

/// What opening `channel` of the chip at `chip` would refuse as far as it can be known
/// without changing anything.
///
/// # Errors
/// [`PwmError::NoChip`], [`PwmError::NoChannel`], and [`PwmError::Refused`] for a file that
/// this process may not write.
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
        read_to_string(chip.join("npwm")).map_err(|error| PwmError::NoChip(errno(&error)))?;
    let channels = count.trim().parse().unwrap_or(0);
    if channel >= channels {
        return Err(PwmError::NoChannel { channels });
    }
    Ok(())
}

/// How long udev may take to hand over a new channel.
const HANDED_OVER: Wait = Wait::from_secs(1);

/// The folder of `channel`, exported if it is not yet.
fn export(chip: &Path, channel: u32) -> Result<PathBuf, PwmError> {
    has_channel(chip, channel)?;
    let folder = chip.join(format!("pwm{channel}"));
    if !folder.exists() {
        write(chip.join(Attribute::Export.name()), channel.to_string())
            .map_err(refused(Attribute::Export))?;
    }
    let end = Now::now() + HANDED_OVER;
    loop {
        // Its owner changes some time after it has appeared.
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
    fn numbers_are_written_as_the_kernel_reads_them() {
        let mut digits = [0; 10];
        for number in [0, 7, 10, 4_095, u32::MAX] {
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}
