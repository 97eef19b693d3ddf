//! What a driver opens its device with: the buses that its table names, and the safe
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

/// The SPI device of a `[device.X]`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpiClaim {
    pub(super) index: Option<usize>,
    pub(super) mode: Mode,
}

/// The I2C adapter of a `[device.X]`, and its address there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct I2cClaim(pub(super) Option<(usize, u8)>);

/// The PWM channel of a `[device.X]`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PwmClaim(pub(super) Option<usize>);

/// What a driver is given to open its device with.
#[derive(Debug)]
pub struct Opening<'o> {
    buses: Buses<'o>,
    position: Position,
    title: &'o str,
    drives: bool,
    actions: Vec<Slot, MAX_ACTIONS>,
}

impl<'o> Opening<'o> {
    /// For the device of the table `title`, which stands at `position`; `drives` says
    /// whether it has outputs.
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

    /// The safe actions that were given.
    pub(crate) fn into_actions(self) -> Vec<Slot, MAX_ACTIONS> {
        self.actions
    }

    /// The error that the device does not do what it should: `what` is wrong, and how
    /// to put it right.
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
            "its bus was not claimed on this board",
            "claim it when the table is read, on a board that has one",
        )
    }

    /// Opens the SPI device. Where the device has outputs, its handle sends nothing more
    /// once the safe-state latch is set.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn spi(&self, claim: SpiClaim) -> Result<Spi, ConfigError> {
        let index = claim.index.ok_or_else(|| self.unclaimed())?;
        let spi = open::spi(self.buses, index, claim.mode)?;
        Ok(if self.drives { spi.driving() } else { spi })
    }

    /// Opens the I2C adapter, with a handle of the device's own, and gives its address.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn i2c(&self, claim: I2cClaim) -> Result<(I2c, u8), ConfigError> {
        let (index, address) = claim.0.ok_or_else(|| self.unclaimed())?;
        let i2c = open::i2c(self.buses, index)?;
        Ok((if self.drives { i2c.driving() } else { i2c }, address))
    }

    /// Opens the PWM channel at the duty `safe`, a share of the period from 0 to 1, to
    /// which it goes back in a crash.
    ///
    /// # Errors
    /// What the kernel refuses; too many safe actions.
    pub fn pwm(&mut self, claim: PwmClaim, safe: f64) -> Result<Pwm, ConfigError> {
        let index = claim.0.ok_or_else(|| self.unclaimed())?;
        let period_ns = self.buses.io.pwm[index].period_ns;
        let safe_ns = (f64::from(period_ns) * safe.clamp(0.0, 1.0)) as u32;
        let pwm = open::pwm(self.buses, index, safe_ns)?;
        let action = pwm.safe_action();
        self.keep(action)?;
        Ok(pwm)
    }

    /// In a crash `frame` is sent to the chip behind `spi`, one message: what makes it
    /// safe.
    ///
    /// # Errors
    /// It is too long; too many safe actions.
    pub fn safe_spi(&mut self, spi: &Spi, frame: &[u8]) -> Result<(), ConfigError> {
        self.keep(spi.safe_action(frame))
    }

    /// In a crash `bytes` are written to the chip at `address` behind `i2c`: what makes
    /// it safe.
    ///
    /// # Errors
    /// They are too many; too many safe actions.
    pub fn safe_i2c(&mut self, i2c: &I2c, address: u8, bytes: &[u8]) -> Result<(), ConfigError> {
        self.keep(i2c.safe_action(address, bytes))
    }

    fn keep(&mut self, action: Result<Option<Slot>, Errno>) -> Result<(), ConfigError> {
        let full = |errno: Errno| {
            self.error(
                format_args!("its safe action cannot be kept ({errno})"),
                "make it shorter, or use fewer of them",
            )
        };
        match action.map_err(full)? {
            Some(slot) => {
                let kept = self.actions.push(slot);
                kept.map_err(|slot| {
                    slot.clear();
                    self.error(
                        format_args!("it has more than {MAX_ACTIONS} safe actions"),
                        "put them into fewer frames",
                    )
                })
            }
            None => Ok(()),
        }
    }
}
