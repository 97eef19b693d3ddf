//! The tables of drivers and control laws, for [`Driver::read`](super::Driver::read) and
//! [`LawKind::read`](super::LawKind::read).

use std::ops::{Deref, DerefMut, RangeInclusive};

use embedded_hal::spi::Mode;

use super::buses::Uses;
use super::error::ConfigError;
use super::io::{Io, SpiDevice};
use super::opening::{I2cClaim, PwmClaim, SpiClaim};
use super::reader::{At, Result, Table};
use super::signals::Signals;
use super::types::Named;
use super::wiring::SIMULATED;
use crate::cycle::image::Outputs;
use crate::cycle::law::Drives;
use crate::cycle::signal::{Input, Output};
use crate::time::Duration;

/// `[device.NAME]`: reads the bus and declares the signals of a device. It dereferences to
/// [`Table`] for other keys.
pub struct DeviceTable<'d, 't> {
    pub(super) table: Table<'t>,
    pub(super) name: String,
    pub(super) signals: &'d mut Signals,
    pub(super) io: &'d Io,
    pub(super) uses: &'d mut Uses,
    pub(super) simulated: bool,
    /// `[device.NAME.safe]`, once the device has declared an output.
    pub(super) safe: Option<Table<'t>>,
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
    /// Whether the board is simulated, and so has no buses.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Claims the SPI device that the key `spi` names, to be opened in `mode`. Its clock must
    /// not exceed `max_clock_hz`, Hz. On a simulated board the key must be absent.
    ///
    /// # Errors
    /// The key is missing; there is no such `[spi.X]`, another table uses it, or its clock is
    /// too fast.
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

    /// Claims the address of the key `address` (0x08 to 0x77) on the I2C adapter that the key
    /// `i2c` names. On a simulated board both keys must be absent.
    ///
    /// # Errors
    /// A key is missing; there is no such `[i2c.X]`, the address is out of range, or another
    /// table uses it.
    pub fn i2c(&mut self) -> Result<I2cClaim> {
        if self.no_bus(&["i2c", "address"])? {
            return Ok(I2cClaim(None));
        }
        let claim = self.uses.i2c(&mut self.table, self.io)?;
        Ok(I2cClaim(Some(claim)))
    }

    /// Claims the PWM channel that the key `pwm` names. On a simulated board the key must be
    /// absent.
    ///
    /// # Errors
    /// The key is missing; there is no such `[pwm.X]`, or another table uses it.
    pub fn pwm(&mut self) -> Result<PwmClaim> {
        self.pwm_at("pwm")
    }

    /// As [`DeviceTable::pwm`] with another `key`, for a device with several channels, such as
    /// an H-bridge with a channel for each direction.
    ///
    /// # Errors
    /// As [`DeviceTable::pwm`].
    pub fn pwm_at(&mut self, key: &'static str) -> Result<PwmClaim> {
        if self.no_bus(&[key])? {
            return Ok(PwmClaim(None));
        }
        let index = self.uses.pwm(&mut self.table, key, self.io)?;
        Ok(PwmClaim(Some(index)))
    }

    /// Whether this board has no buses. If so, refuses `keys`, which name one.
    fn no_bus(&mut self, keys: &[&'static str]) -> Result<bool> {
        for key in keys.iter().filter(|_| self.simulated) {
            self.table.without(key, SIMULATED)?;
        }
        Ok(self.simulated)
    }

    /// Declares a signal that the device senses, `NAME.name` with the device's name; `unit` is
    /// for numbers.
    ///
    /// # Errors
    /// The process image has no room for another signal of this type.
    pub fn publish<T: Named>(&mut self, name: &str, unit: &'static str) -> Result<Input<T>> {
        let signal = self.signals.publish(&self.name, name, unit);
        signal.ok_or_else(|| too_many_signals(&self.table))
    }

    /// Declares a sensed signal for each of `names`: see [`DeviceTable::publish`].
    ///
    /// # Errors
    /// As [`DeviceTable::publish`].
    pub fn publish_each<T: Named, const N: usize>(
        &mut self,
        names: [impl AsRef<str>; N],
        unit: &'static str,
    ) -> Result<[Input<T>; N]> {
        all(names, |name| self.publish(name.as_ref(), unit))
    }

    /// Declares a number that the device is commanded by, `NAME.name`, in `unit`. The loop
    /// clamps commands to `range`. The key `name` of `[device.NAME.safe]` is its safe value.
    ///
    /// # Errors
    /// That key is missing, or its value is out of range; the process image has no room for
    /// another signal of this type.
    pub fn command(
        &mut self,
        name: &'static str,
        unit: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<Output<f64>> {
        let value = self.safe_of(name)?.number(name, range.clone())?;
        let signal = self.signals.command(&self.name, name, unit, &range, value);
        signal.ok_or_else(|| too_many_signals(&self.table))
    }

    /// Declares a commanded number for each of `names`: see [`DeviceTable::command`].
    ///
    /// # Errors
    /// As [`DeviceTable::command`].
    pub fn command_each<const N: usize>(
        &mut self,
        names: [&'static str; N],
        unit: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<[Output<f64>; N]> {
        all(names, |name| self.command(name, unit, range.clone()))
    }

    /// Declares a flag that the device is commanded by, `NAME.name`. The key `name` of
    /// `[device.NAME.safe]` is its safe value.
    ///
    /// # Errors
    /// As [`DeviceTable::command`].
    pub fn command_flag(&mut self, name: &'static str) -> Result<Output<bool>> {
        let value = self.safe_of(name)?.boolean(name)?;
        let signal = self.signals.command_flag(&self.name, name, value);
        signal.ok_or_else(|| too_many_signals(&self.table))
    }

    /// The safe value of `output`, for [`Opening::pwm`](super::Opening::pwm) and for the
    /// frames of [`Opening::safe_spi`](super::Opening::safe_spi).
    ///
    /// # Panics
    /// May panic if `output` is of another board file.
    #[must_use]
    pub fn safe_value<T: Named>(&self, output: Output<T>) -> T {
        let mut safe = Outputs::new(0, self.signals.safe());
        safe.flags = self.signals.safe_flags();
        output.of(&safe).expect("an output of this device")
    }

    /// `[device.NAME.safe]`, which has to have the safe value of the output `name`.
    fn safe_of(&mut self, name: &'static str) -> Result<&mut Table<'t>> {
        if self.safe.is_none() {
            self.safe = self.table.table_if("safe")?;
        }
        self.safe.as_mut().ok_or_else(|| {
            let what = format!("the output `{name}` has no safe value");
            let fix = format!(
                "add a table [device.{}.safe] with `{name} = ...`, \
                 its value while the controller is not in control",
                self.name
            );
            self.table.error(what, fix)
        })
    }

    pub(super) fn finish(self) -> Result<()> {
        self.safe.map_or(Ok(()), Table::finish)?;
        self.table.finish()
    }
}

/// `[law.NAME]`: reads the signals of a control law. It dereferences to [`Table`] for other
/// keys.
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
    /// The nominal time between two steps of the law: `every` periods of the loop. Design
    /// filters and controllers for this sample time.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The unit of the signal that `key` names; empty for a signal without a unit.
    ///
    /// # Errors
    /// The key is missing; there is no such signal of the board, a device or a law before this
    /// one.
    pub fn unit_of(&mut self, key: &'static str) -> Result<&'static str> {
        let at = self.table.any_signal(key)?;
        let signal = self.signals.named(self.table.source(), &at, None)?;
        Ok(signal.unit)
    }

    /// The lower and upper end of the range of `output`, in its unit. The loop clamps commands
    /// to it.
    ///
    /// # Panics
    /// May panic if `output` is of another board file.
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

    /// The handle to read the signal that `key` names; a number is in `unit`, or in any unit
    /// with [`ANY_UNIT`](super::ANY_UNIT).
    ///
    /// # Errors
    /// The key is missing; there is no such signal of the board, a device or a law before this
    /// one, or it has another type or unit.
    pub fn input<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Input<T>> {
        let at = self.table.signal::<T>(key, unit, false)?;
        self.signals.input(self.table.source(), &at, unit)
    }

    /// The handles to read the `N` signals that `key` names in a list; numbers are in `unit`.
    ///
    /// # Errors
    /// As [`LawTable::input`]; the list has not `N` entries.
    pub fn inputs<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
    ) -> Result<[Input<T>; N]> {
        let names = self.table.signals::<T, N>(key, unit, false)?;
        let source = self.table.source();
        all(names, |at| self.signals.input(source, at, unit))
    }

    /// The handle to set the signal that `key` names; this law becomes its only writer. A
    /// number is in `unit`.
    ///
    /// # Errors
    /// As [`LawTable::input`]; the signal is sensed, or has another writer.
    pub fn output<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Output<T>> {
        let at = self.table.signal::<T>(key, unit, true)?;
        self.claim(&at, unit)
    }

    /// The handles to set the `N` signals that `key` names in a list; this law becomes their
    /// only writer. Numbers are in `unit`.
    ///
    /// # Errors
    /// As [`LawTable::output`]; the list has not `N` entries.
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

    /// Declares a number that this law computes for other laws, `NAME.name` with the law's
    /// name, in `unit`. It is `initial` at the start of each cycle.
    ///
    /// # Errors
    /// The process image has no room for another signal of this type.
    pub fn publish(
        &mut self,
        name: &'static str,
        unit: &'static str,
        initial: f64,
    ) -> Result<Output<f64>> {
        const ANY: RangeInclusive<f64> = f64::MIN..=f64::MAX;
        let signal = self.signals.command(&self.name, name, unit, &ANY, initial);
        let signal = signal.ok_or_else(|| too_many_signals(&self.table))?;
        // Commands have the numbers of their safe values.
        self.drives.commands |= 1 << (self.signals.safe().len() - 1);
        let full = format!("{}.{name}", self.name);
        let line = self.table.source().position(self.table.span()).line;
        self.signals.taken(&full, &self.table.title(), line);
        Ok(signal)
    }
}

/// `signal` of each of `names`, or the first error.
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
        "the board file has too many signals of this type",
        "remove some, see the constants of cycle::image for the limits",
    )
}

#[cfg(test)]
mod tests;
