//! The tables that drivers, control laws and plants of one's own read of the board file.

use std::ops::{Deref, DerefMut, RangeInclusive};

use embedded_hal::spi::Mode;

use super::buses::Uses;
use super::error::ConfigError;
use super::io::{Io, SpiDevice};
use super::opening::{I2cClaim, PwmClaim, SpiClaim};
use super::reader::{At, Result, Table};
use super::signals::{Named, Signals};
use super::wiring::SIMULATED;
use crate::cycle::image::Outputs;
use crate::cycle::law::Drives;
use crate::cycle::signal::{Input, Output};
use crate::time::Duration;

/// `[device.NAME]`, as its driver reads it. What a [`Table`] has it has too.
pub struct DeviceTable<'d, 't> {
    pub(super) table: Table<'t>,
    pub(super) name: String,
    pub(super) signals: &'d mut Signals,
    pub(super) io: &'d Io,
    pub(super) uses: &'d mut Uses,
    pub(super) simulated: bool,
    /// The outputs, for `[device.NAME.safe]`.
    pub(super) safe: Vec<&'static str>,
    pub(super) drives: bool,
}

impl<'t> Deref for DeviceTable<'_, 't> {
    type Target = Table<'t>;
    fn deref(&self) -> &Table<'t> {
        &self.table
    }
}

impl DerefMut for DeviceTable<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.table
    }
}

impl<'t> DeviceTable<'_, 't> {
    /// Whether the board is simulated: there is no bus then.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// The SPI device that the key `spi` names, for this device alone: in `mode`, with a
    /// clock of at most `max_clock_hz`. A simulated board has none.
    ///
    /// # Errors
    /// There is no such [spi.X], somebody else uses it, or its clock is too fast.
    pub fn spi(&mut self, mode: Mode, max_clock_hz: u32) -> Result<SpiClaim> {
        if self.no_bus(&["spi"])? {
            return Ok(SpiClaim { index: None, mode });
        }
        let index = self.uses.spi(&mut self.table, self.io)?;
        let SpiDevice { name, speed_hz, .. } = &self.io.spi[index];
        if *speed_hz > max_clock_hz {
            let what = format!("[spi.{name}] has a clock of {speed_hz} Hz");
            let fix =
                format!("set its `speed_hz` to at most {max_clock_hz}, the limit of this device");
            return Err(self.table.error_at("spi", what, fix));
        }
        let index = Some(index);
        Ok(SpiClaim { index, mode })
    }

    /// The I2C adapter that the key `i2c` names, and the key `address` there, for this
    /// device alone. A simulated board has none.
    ///
    /// # Errors
    /// There is no such [i2c.X], the address cannot be, or somebody else uses it.
    pub fn i2c(&mut self) -> Result<I2cClaim> {
        if self.no_bus(&["i2c", "address"])? {
            return Ok(I2cClaim(None));
        }
        let claim = self.uses.i2c(&mut self.table, self.io)?;
        Ok(I2cClaim(Some(claim)))
    }

    /// The PWM channel that the key `pwm` names, for this device alone. A simulated board
    /// has none.
    ///
    /// # Errors
    /// There is no such [pwm.X], or somebody else uses it.
    pub fn pwm(&mut self) -> Result<PwmClaim> {
        self.pwm_at("pwm")
    }

    /// The PWM channel that `key` names, for a device with more than one: an H-bridge with
    /// a channel for each direction.
    ///
    /// # Errors
    /// As of [`DeviceTable::pwm`].
    pub fn pwm_at(&mut self, key: &'static str) -> Result<PwmClaim> {
        if self.no_bus(&[key])? {
            return Ok(PwmClaim(None));
        }
        let index = self.uses.pwm(&mut self.table, key, self.io)?;
        Ok(PwmClaim(Some(index)))
    }

    /// Whether this board has no buses, and then refuses the keys that name one.
    fn no_bus(&mut self, keys: &[&'static str]) -> Result<bool> {
        for key in keys.iter().filter(|_| self.simulated) {
            self.table.without(key, SIMULATED)?;
        }
        Ok(self.simulated)
    }

    /// A signal that the device senses, called `NAME.name` with the device's name; `unit`
    /// is that of a number.
    ///
    /// # Errors
    /// There are too many signals of this type.
    pub fn publish<T: Named>(&mut self, name: &str, unit: &'static str) -> Result<Input<T>> {
        let signal = self.signals.publish(&self.name, name, unit);
        signal.ok_or_else(|| too_many_signals(&self.table))
    }

    /// Signals that the device senses, one for each of `names`: see [`DeviceTable::publish`].
    ///
    /// # Errors
    /// As of [`DeviceTable::publish`].
    pub fn publish_each<T: Named, const N: usize>(
        &mut self,
        names: [impl AsRef<str>; N],
        unit: &'static str,
    ) -> Result<[Input<T>; N]> {
        all(names, |name| self.publish(name.as_ref(), unit))
    }

    /// A number that the device is driven by, called `NAME.name`, in `range`. Its safe
    /// value is the key `name` of `[device.NAME.safe]`.
    ///
    /// # Errors
    /// There is no such key, or its value is out of range; there are too many signals.
    pub fn command(
        &mut self,
        name: &'static str,
        unit: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<Output<f64>> {
        let mut safe = self.safe_of(name)?;
        let value = safe.number(name, range.clone())?;
        let signal = self.signals.command(&self.name, name, unit, &range, value);
        signal.ok_or_else(|| too_many_signals(&self.table))
    }

    /// Numbers that the device is driven by, one for each of `names`: see
    /// [`DeviceTable::command`].
    ///
    /// # Errors
    /// As of [`DeviceTable::command`].
    pub fn command_each<const N: usize>(
        &mut self,
        names: [&'static str; N],
        unit: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<[Output<f64>; N]> {
        all(names, |name| self.command(name, unit, range.clone()))
    }

    /// A flag that the device is driven by, called `NAME.name`. Its safe value is the
    /// key `name` of `[device.NAME.safe]`.
    ///
    /// # Errors
    /// As of [`DeviceTable::command`].
    pub fn command_flag(&mut self, name: &'static str) -> Result<Output<bool>> {
        let mut safe = self.safe_of(name)?;
        let value = safe.boolean(name)?;
        let signal = self.signals.command_flag(&self.name, name, value);
        signal.ok_or_else(|| too_many_signals(&self.table))
    }

    /// The safe value of `output`, for [`Opening::pwm`](super::Opening::pwm) and for the
    /// frames of [`Opening::safe_spi`](super::Opening::safe_spi).
    ///
    /// # Panics
    /// Never with an output of this device.
    #[must_use]
    pub fn safe_value<T: Named>(&self, output: Output<T>) -> T {
        let mut safe = Outputs::new(0, self.signals.safe());
        safe.flags = self.signals.safe_flags();
        output.of(&safe).expect("an output of this device")
    }

    /// The table with the safe value of the output `name`.
    fn safe_of(&mut self, name: &'static str) -> Result<Table<'t>> {
        self.drives = true;
        self.safe.push(name);
        let Some(safe) = self.table.table_if("safe")? else {
            let title = &self.name;
            let what = format!("an output without a safe value, `{name}`");
            let fix = format!(
                "add what it must be when the controller is not in control: \
                 a table [device.{title}.safe] with `{name} = ...`"
            );
            return Err(self.table.error(what, fix));
        };
        Ok(safe)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.drives
            && let Some(mut safe) = self.table.table_if("safe")?
        {
            safe.only(&self.safe)?;
        }
        self.table.finish()
    }
}

/// `[law.NAME]`, as the law reads it. What a [`Table`] has it has too.
pub struct LawTable<'l, 't> {
    pub(super) table: Table<'t>,
    pub(super) name: String,
    pub(super) signals: &'l mut Signals,
    pub(super) drives: Drives,
    pub(super) period: Duration,
}

impl<'t> Deref for LawTable<'_, 't> {
    type Target = Table<'t>;
    fn deref(&self) -> &Table<'t> {
        &self.table
    }
}

impl DerefMut for LawTable<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.table
    }
}

impl LawTable<'_, '_> {
    /// By plan, the time from one step of the law to the next: `every` periods of the
    /// loop. What is built for a sample rate, as a PID controller, is built for this.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The unit of the signal that `key` names; empty where it has none.
    ///
    /// # Errors
    /// There is no such signal so far in the file.
    pub fn unit_of(&mut self, key: &'static str) -> Result<&'static str> {
        let at = self.table.any_signal(key)?;
        let signal = self.signals.named(self.table.source(), &at, None)?;
        Ok(signal.unit)
    }

    /// The range that is declared for `output`, lower and upper end: beyond it a command
    /// is limited.
    ///
    /// # Panics
    /// Never with an output of this machine.
    #[must_use]
    pub fn range_of(&self, output: Output<f64>) -> (f64, f64) {
        let ranges = self.signals.ranges();
        let ends = |end: fn(&(f64, f64)) -> f64| {
            let ends: Vec<_> = ranges.iter().map(end).collect();
            let ends = output.of(&Outputs::new(0, &ends));
            ends.expect("an output of this machine")
        };
        (ends(|range| range.0), ends(|range| range.1))
    }

    /// The signal that `key` names, to be read; a number is in `unit`, or in any with
    /// [`ANY_UNIT`](super::ANY_UNIT).
    ///
    /// # Errors
    /// There is no such signal so far in the file, or it is of another type or unit.
    pub fn input<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Input<T>> {
        let at = self.table.signal::<T>(key, unit, false)?;
        self.signals.input(self.table.source(), &at, unit)
    }

    /// The `N` signals that `key` names in a list, to be read; numbers are in `unit`.
    ///
    /// # Errors
    /// As of [`LawTable::input`]; there are more or fewer than `N` of them.
    pub fn inputs<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
    ) -> Result<[Input<T>; N]> {
        let names = self.table.signals::<T, N>(key, unit, false)?;
        let source = self.table.source();
        all(names, |at| self.signals.input(source, at, unit))
    }

    /// The signal that `key` names, to be set by this law and by nobody else; a number
    /// is in `unit`.
    ///
    /// # Errors
    /// As of [`LawTable::input`]; somebody else sets it.
    pub fn output<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Output<T>> {
        let at = self.table.signal::<T>(key, unit, true)?;
        self.claim(&at, unit)
    }

    /// The `N` signals that `key` names in a list, to be set by this law and by nobody else;
    /// numbers are in `unit`.
    ///
    /// # Errors
    /// As of [`LawTable::output`]; there are more or fewer than `N` of them.
    pub fn outputs<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
    ) -> Result<[Output<T>; N]> {
        let names = self.table.signals::<T, N>(key, unit, true)?;
        all(names, |at| self.claim(at, unit))
    }

    fn claim<T: Named>(&mut self, at: &At<&str>, unit: &str) -> Result<Output<T>> {
        let (source, writer) = (self.table.source(), self.table.title());
        let (signal, drives) = self.signals.output(source, at, unit, &writer)?;
        self.drives.digital |= drives.digital;
        self.drives.flags |= drives.flags;
        self.drives.commands |= drives.commands;
        Ok(signal)
    }

    /// A number that this law computes for others, called `NAME.name` with the law's
    /// name. It is `initial` at the beginning of each cycle.
    ///
    /// # Errors
    /// There are too many signals.
    pub fn publish(
        &mut self,
        name: &'static str,
        unit: &'static str,
        initial: f64,
    ) -> Result<Output<f64>> {
        const ANY: RangeInclusive<f64> = f64::MIN..=f64::MAX;
        let signal = self.signals.command(&self.name, name, unit, &ANY, initial);
        let signal = signal.ok_or_else(|| too_many_signals(&self.table))?;
        // Numbered in the order of their safe values.
        self.drives.commands |= 1 << (self.signals.safe().len() - 1);
        let full = format!("{}.{name}", self.name);
        let line = self.table.source().position(self.table.span()).line;
        self.signals.taken(&full, &self.table.title(), line);
        Ok(signal)
    }
}

/// The signal of each of `names`, or the first error.
pub(super) fn all<A, S, const N: usize>(
    names: [A; N],
    mut signal: impl FnMut(&A) -> Result<S>,
) -> Result<[S; N]> {
    let signals = (names.iter().map(&mut signal)).collect::<Result<Vec<_>>>()?;
    Ok(signals
        .try_into()
        .unwrap_or_else(|_| unreachable!("as many signals as names")))
}

fn too_many_signals(table: &Table<'_>) -> ConfigError {
    table.error(
        "there are too many signals of this type",
        "see the constants of cycle::image for how many there can be",
    )
}

#[cfg(test)]
mod tests;
