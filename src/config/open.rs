//! Opens the buses of a board file.
//!
//! Each function takes the index of an entry of [`Io`] and panics if there is no such entry: a
//! simulated board has none. An error names the entry's position in the file. All of it
//! allocates, and is for start-up.

use std::path::Path;

use embedded_hal::spi::Mode;

use super::error::{ConfigError, Position, device_error};
use super::io::Io;
use crate::bus::{I2c, Pwm, Spi};
use crate::device::i2c::I2cConfig;
use crate::device::pwm::{self, PwmConfig, PwmError};
use crate::device::spi::irq::{self, IrqError};
use crate::device::spi::registers::{Chip, Wire};
use crate::device::spi::{SpiConfig, Spidev};
use crate::sys::Errno;

/// The buses of a board file, from [`Config::buses`](super::Config::buses).
#[derive(Copy, Clone, Debug)]
pub struct Buses<'c> {
    /// Name of the file, for errors.
    pub file: &'c str,
    /// Its devices.
    pub io: &'c Io,
}

/// Opens the device of `[spi.NAME]` in `mode`, with the clock of the file: maps the registers of
/// its controller (`access = "registers"`), or opens it through spidev and ensures the
/// priority of its controller's interrupt thread (`irq_priority`).
///
/// # Errors
/// The kernel refuses the device, its settings or the priority.
pub fn spi(buses: Buses<'_>, index: usize, mode: Mode) -> Result<Spi, ConfigError> {
    spidev(buses, index, mode).map(Spi::from)
}

/// As [`spi`], without the bus handle that can also be simulated.
pub(crate) fn spidev(buses: Buses<'_>, index: usize, mode: Mode) -> Result<Spidev, ConfigError> {
    let entry = &buses.io.spi[index];
    let path = Path::new(&entry.path);
    let asked = SpiConfig {
        mode,
        max_speed_hz: entry.speed_hz,
    };
    let refused = |position: Position, what: String| device_error(buses.file, position, &what);
    if let Some((registers, place)) = entry.place() {
        let wire = Wire {
            mode,
            select: registers.chip_select,
            divider: registers.divider,
            setup_ns: registers.setup_ns,
        };
        let chip = Chip::open(registers.kind, place, wire);
        let chip = chip.map_err(|error| refused(entry.position, error.explain(path).to_string()));
        return chip.map(Spidev::by_registers);
    }
    let spi = Spidev::open(path, &asked)
        .map_err(|error| refused(entry.position, error.explain(path).to_string()))?;
    if let Some(priority) = entry.irq_priority {
        match irq::ensure_priority(Path::new("/"), path, priority) {
            // A hidden thread is a warning of `probe::warnings`: `setup` has verified its
            // priority.
            Ok(_) | Err(IrqError::Hidden) => {}
            Err(error) => return Err(refused(entry.position, error.to_string())),
        }
    }
    Ok(spi)
}

/// Opens the adapter of `[i2c.NAME]`. Each call opens the device node again.
///
/// # Errors
/// The kernel refuses the adapter or its settings, or the adapter does not support plain I2C
/// messages.
pub fn i2c(buses: Buses<'_>, index: usize) -> Result<I2c, ConfigError> {
    let entry = &buses.io.i2c[index];
    let path = Path::new(&entry.path);
    let asked = I2cConfig {
        timeout_ms: entry.timeout_ms,
    };
    I2c::open(path, &asked)
        .map_err(|error| device_error(buses.file, entry.position, &error.explain(path).to_string()))
}

/// Opens and enables the channel of `[pwm.NAME]` with the duty `safe_duty_ns`, ns: at most the
/// period of the file.
///
/// # Errors
/// The kernel refuses the chip, the channel or its settings.
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
