//! [`Opening`]: how a driver opens the buses that its table names, and registers the safe
//! actions of its outputs.

use std::fmt::Display;

use embedded_hal::spi::Mode;
use heapless::Vec;

use super::error::{ConfigError, Details, Position};
use super::open::{self, Buses};
use crate::bus::{I2c, Pwm, Spi};
use crate::sys::Errno;
use crate::sys::arena::Full;
use crate::sys::emergency::Slot;

/// Most safe actions of one device.
pub const MAX_ACTIONS: usize = 8;

/// The SPI device of a `[device.X]`, to be opened with [`Opening::spi`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpiClaim {
    pub(super) index: Option<usize>,
    pub(super) mode: Mode,
}

/// The I2C adapter and address of a `[device.X]`, to be opened with [`Opening::i2c`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct I2cClaim(pub(super) Option<(usize, u8)>);

/// The PWM channel of a `[device.X]`, to be opened with [`Opening::pwm`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PwmClaim(pub(super) Option<usize>);

/// Opens the claimed buses of one device, and collects its safe actions: the argument of
/// [`Driver::open`](super::Driver::open). It allocates, and is for start-up.
#[derive(Debug)]
pub struct Opening<'o> {
    buses: Buses<'o>,
    position: Position,
    title: &'o str,
    drives: bool,
    actions: Vec<Slot, MAX_ACTIONS>,
}

impl<'o> Opening<'o> {
    /// For the device of the table `title` at `position`; `drives`: it has outputs.
    pub(crate) const fn new(
        buses: Buses<'o>,
        position: Position,
        title: &'o str,
        drives: bool,
    ) -> Self {
        Self {
            buses,
            position,
            title,
            drives,
            actions: Vec::new(),
        }
    }

    /// The registered safe actions.
    pub(crate) fn into_actions(self) -> Vec<Slot, MAX_ACTIONS> {
        self.actions
    }

    /// An error of the device, such as a wrong chip identification: `what` is wrong, and
    /// `fix`, what to do. It names the table and its position in the file.
    pub fn error(&self, what: impl Display, fix: impl Into<String>) -> ConfigError {
        ConfigError::from(Details {
            file: self.buses.file.to_owned(),
            position: Some(self.position),
            what: format!("{}: {what}", self.title),
            fix: fix.into(),
        })
    }

    pub(super) fn full(&self, full: Full) -> ConfigError {
        self.error(full, "use fewer or smaller devices")
    }

    fn unclaimed(&self) -> ConfigError {
        self.error(
            "its driver opens a bus that it did not claim",
            "register the claim in `Driver::read`; a simulated board has no buses",
        )
    }

    /// Opens the SPI device. If the device has outputs, its handle refuses transfers from the
    /// moment at which the guard or a crash handler makes the outputs safe.
    ///
    /// # Errors
    /// The kernel refuses the device or its settings; the claim is of a simulated board.
    pub fn spi(&self, claim: SpiClaim) -> Result<Spi, ConfigError> {
        let index = claim.index.ok_or_else(|| self.unclaimed())?;
        let spi = open::spi(self.buses, index, claim.mode)?;
        Ok(if self.drives { spi.driving() } else { spi })
    }

    /// Opens the I2C adapter with a handle for this device alone, and gives the address of
    /// the key `address`. If the device has outputs, the handle refuses transfers as that of
    /// [`Opening::spi`] does.
    ///
    /// # Errors
    /// The kernel refuses the adapter or its settings; the claim is of a simulated board.
    pub fn i2c(&self, claim: I2cClaim) -> Result<(I2c, u8), ConfigError> {
        let (index, address) = claim.0.ok_or_else(|| self.unclaimed())?;
        let i2c = open::i2c(self.buses, index)?;
        Ok((if self.drives { i2c.driving() } else { i2c }, address))
    }

    /// Opens the PWM channel with the duty `safe`, a fraction of the period from 0 to 1
    /// (clamped), and registers that duty as a safe action.
    ///
    /// # Errors
    /// The kernel refuses the channel or its settings; the claim is of a simulated board;
    /// there are more than [`MAX_ACTIONS`] safe actions, or the board's table is full.
    pub fn pwm(&mut self, claim: PwmClaim, safe: f64) -> Result<Pwm, ConfigError> {
        let index = claim.0.ok_or_else(|| self.unclaimed())?;
        let period_ns = self.buses.io.pwm[index].period_ns;
        let safe_ns = (f64::from(period_ns) * safe.clamp(0.0, 1.0)) as u32;
        let pwm = open::pwm(self.buses, index, safe_ns)?;
        let action = pwm.safe_action();
        self.keep(action)?;
        Ok(pwm)
    }

    /// Registers a safe action: `frame` is sent as one message to the chip at `spi` when the
    /// guard or a crash handler makes the outputs safe.
    ///
    /// # Errors
    /// `frame` is too long; there are more than [`MAX_ACTIONS`] safe actions, or the board's
    /// table is full.
    pub fn safe_spi(&mut self, spi: &Spi, frame: &[u8]) -> Result<(), ConfigError> {
        self.keep(spi.safe_action(frame))
    }

    /// As [`Opening::safe_spi`]: `bytes` are written as one message to the chip at `address`
    /// (7 bits) on `i2c`.
    ///
    /// # Errors
    /// `address` is not a 7-bit address, or `bytes` are too long; there are more than
    /// [`MAX_ACTIONS`] safe actions, or the board's table is full.
    pub fn safe_i2c(&mut self, i2c: &I2c, address: u8, bytes: &[u8]) -> Result<(), ConfigError> {
        self.keep(i2c.safe_action(address, bytes))
    }

    fn keep(&mut self, action: Result<Option<Slot>, Errno>) -> Result<(), ConfigError> {
        let full = |errno: Errno| {
            self.error(
                format_args!("its safe action cannot be registered ({errno})"),
                "make it shorter, or use fewer safe actions",
            )
        };
        match action.map_err(full)? {
            Some(slot) => {
                let kept = self.actions.push(slot);
                kept.map_err(|slot| {
                    slot.clear();
                    self.error(
                        format_args!("it has more than {MAX_ACTIONS} safe actions"),
                        "put more outputs into one frame",
                    )
                })
            }
            None => Ok(()),
        }
    }
}
