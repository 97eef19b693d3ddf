//! Opens the buses that a board file names, for who drives what is on them.
//!
//! Each takes the index of an entry of [`Io`]. An error names the entry's position in the
//! file. All of it allocates; for start-up. A simulated board has no
//! entries.

use std::path::Path;

use embedded_hal::spi::Mode;

use super::error::{ConfigError, Position, device_error};
use super::io::Io;
use crate::bus::{I2c, Pwm, Spi};
use crate::device::i2c::I2cConfig;
use crate::device::pwm::{self, PwmConfig, PwmError};
use crate::device::spi::irq::{self, IrqError};
use crate::device::spi::{SpiConfig, Spidev};
use crate::sys::Errno;

/// The buses that a board file names.
#[derive(Copy, Clone, Debug)]
pub struct Buses<'c> {
    /// The file, as errors call it.
    pub file: &'c str,
    /// What it names.
    pub io: &'c Io,
}

/// The device of `[spi.NAME]`, in `mode`, with its clock and the priority of its
/// controller's interrupt thread as the file says.
///
/// # Errors
/// The device or its interrupt thread cannot be had.
pub fn spi(buses: Buses<'_>, index: usize, mode: Mode) -> Result<Spi, ConfigError> {
    spidev(buses, index, mode).map(Spi::from)
}

/// As [`spi`], for a driver over the kernel's device alone.
pub(crate) fn spidev(buses: Buses<'_>, index: usize, mode: Mode) -> Result<Spidev, ConfigError> {
    let entry = &buses.io.spi[index];
    let path = Path::new(&entry.path);
    let asked = SpiConfig {
        mode,
        max_speed_hz: entry.speed_hz,
    };
    let refused = |position: Position, what: String| device_error(buses.file, position, &what);
    let spi = Spidev::open(path, &asked)
        .map_err(|error| refused(entry.position, error.explain(path).to_string()))?;
    if let Some(priority) = entry.irq_priority {
        match irq::ensure_priority(Path::new("/"), path, priority) {
            // `probe::warnings` says it: `setup` has read back what it had set.
            Ok(_) | Err(IrqError::Hidden) => {}
            Err(error) => return Err(refused(entry.position, error.to_string())),
        }
    }
    Ok(spi)
}

/// The adapter of `[i2c.NAME]`. Each call opens it anew, for a handle of its own.
///
/// # Errors
/// The adapter cannot be had, or cannot transfer plain messages.
pub fn i2c(buses: Buses<'_>, index: usize) -> Result<I2c, ConfigError> {
    let entry = &buses.io.i2c[index];
    let path = Path::new(&entry.path);
    let asked = I2cConfig {
        timeout_ms: entry.timeout_ms,
    };
    I2c::open(path, &asked)
        .map_err(|error| device_error(buses.file, entry.position, &error.explain(path).to_string()))
}

/// The channel of `[pwm.NAME]`, enabled, at its safe duty in ns, which is at most the
/// period of the file.
///
/// # Errors
/// The chip or the channel cannot be had, or refuses its settings.
pub fn pwm(buses: Buses<'_>, index: usize, safe_duty_ns: u32) -> Result<Pwm, ConfigError> {
    let entry = &buses.io.pwm[index];
    let asked = PwmConfig {
        channel: entry.channel,
        period_ns: entry.period_ns,
        polarity: entry.polarity,
        safe_duty_ns,
    };
    let chip = pwm::find_chip(Path::new("/"), &entry.chip);
    chip.ok_or(PwmError::NoChip(Errno(libc::ENOENT)))
        .and_then(|chip| Pwm::open(&chip, &asked))
        .map_err(|error| {
            let what = error.explain(Path::new(&entry.chip)).to_string();
            device_error(buses.file, entry.position, &what)
        })
}
