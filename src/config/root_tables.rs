//! The board file as a control law reads it that has tables of its own at the root, such as
//! `[axis.NAME]`, instead of `[law.NAME]`.

use std::ops::{Deref, DerefMut, RangeInclusive};

use super::io::Io;
use super::names::{Claims, Kind};
use super::reader::{Result, Table};
use super::signals::Signals;
use crate::cycle::image::{Angle, InputChannel, OutputChannel};
use crate::time::Duration;

/// The root of the board file, for a law with tables of its own. It dereferences to
/// [`Table`].
pub struct RootTables<'r, 't> {
    pub(super) root: &'r mut Table<'t>,
    pub(super) io: &'r Io,
    pub(super) signals: &'r mut Signals,
    pub(super) claims: &'r mut Claims,
    pub(super) heartbeat: &'r mut Option<OutputChannel>,
    pub(super) period: Duration,
}

/// An angle that a law reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AngleInput {
    /// Its index in [`Inputs::positions`](crate::cycle::image::Inputs::positions).
    pub(crate) number: u8,
    /// The device that measures it, as messages call it.
    pub(crate) device: String,
}

/// A voltage that a law sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VoltsOutput {
    /// Its index in [`Outputs::analogs`](crate::cycle::image::Outputs::analogs).
    pub(crate) number: u8,
    /// Range of the output, V.
    pub(crate) range: RangeInclusive<f64>,
    /// The device that outputs it, as messages call it.
    pub(crate) device: String,
}

impl<'t> Deref for RootTables<'_, 't> {
    type Target = Table<'t>;
    fn deref(&self) -> &Table<'t> {
        self.root
    }
}

impl DerefMut for RootTables<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.root
    }
}

impl RootTables<'_, '_> {
    /// The loop's period.
    pub(crate) const fn period(&self) -> Duration {
        self.period
    }

    /// Makes the output that `key` of `table` names the heartbeat, which toggles in every
    /// cycle. Without the key there is no heartbeat.
    pub(crate) fn heartbeat(&mut self, table: &mut Table<'_>, key: &'static str) -> Result<()> {
        *self.heartbeat = self.output_if(table, key)?;
        self.guard(*self.heartbeat, false);
        Ok(())
    }

    /// The digital input that `key` of `table` names, claimed by this table; `None` without the
    /// key. It is one of safety: it is never forced.
    pub(crate) fn input_if(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Result<Option<InputChannel>> {
        let channel = self.claims.input_if(table, key, self.io)?;
        self.signals.guarded.inputs |= channel.map_or(0, InputChannel::bit);
        Ok(channel)
    }

    /// Marks `input` as the emergency stop: no signal is forced while it is active.
    pub(crate) fn ends_forces(&mut self, input: Option<InputChannel>) {
        self.signals.guarded.stop |= input.map_or(0, InputChannel::bit);
    }

    /// Marks `output` as needed for safety: it is never forced. With `gives_power` other signals
    /// are not forced either while it is active.
    pub(crate) fn guard(&mut self, output: Option<OutputChannel>, gives_power: bool) {
        let bit = output.map_or(0, OutputChannel::bit);
        self.signals.guarded.outputs |= bit;
        self.signals.guarded.power |= if gives_power { bit } else { 0 };
    }

    /// The digital output that `key` of `table` names, claimed by this table.
    pub(crate) fn output(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Result<OutputChannel> {
        self.claims.output(table, key, self.io)
    }

    /// The digital output that `key` of `table` names, claimed by this table; `None` without the
    /// key.
    pub(crate) fn output_if(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Result<Option<OutputChannel>> {
        self.claims.output_if(table, key, self.io)
    }

    /// The angle that `key` of `table` names, claimed by this table: the name of an
    /// `[encoder.NAME]`, or a signal of a `[device.NAME]`, as `NAME.angle`. It is one of safety: it is never forced.
    pub(crate) fn angle(&mut self, table: &mut Table<'_>, key: &'static str) -> Result<AngleInput> {
        let at = table.signal::<Angle>(key, "", false)?;
        let is_channel = self
            .io
            .encoders
            .iter()
            .any(|channel| channel.name == at.value);
        if let (false, Some((device, _))) = (is_channel, at.value.split_once('.')) {
            let signal = self.signals.input::<Angle>(table.source(), &at, "")?;
            let channels = self.io.encoders.len();
            let number = own_number(table, key, at.value, signal.number(), channels)?;
            let shown = format!("\"{}\"", at.value);
            self.claims
                .take(table, key, (Kind::Encoder, number), &shown)?;
            self.signals.guarded.angles |= 1 << number;
            return Ok(AngleInput {
                number,
                device: format!("[device.{device}]"),
            });
        }
        let number = self.claims.channel(table, key, Kind::Encoder, self.io)?;
        self.signals.guarded.angles |= 1 << number;
        let encoder = &self.io.encoders[usize::from(number)];
        let device = self.io.device_name(encoder.spi);
        Ok(AngleInput {
            number,
            device: format!("[encoder.{}]{device}", encoder.name),
        })
    }

    /// The voltage that `key` of `table` names, claimed by this table: the name of an
    /// `[analog_output.NAME]`, or a command of a `[device.NAME]` in V, as `NAME.volts`.
    pub(crate) fn volts(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Result<VoltsOutput> {
        let at = table.signal::<f64>(key, "V", true)?;
        let is_channel = self
            .io
            .analog_outputs
            .iter()
            .any(|channel| channel.name == at.value);
        if let (false, Some((device, _))) = (is_channel, at.value.split_once('.')) {
            let title = format!("`{key}` of {}", table.title());
            let (signal, _) = self
                .signals
                .output::<f64>(table.source(), &at, "V", &title)?;
            let channels = self.io.analog_outputs.len();
            let number = own_number(table, key, at.value, signal.number(), channels)?;
            self.signals.guarded.volts |= 1 << number;
            let (least, most) = self.signals.ranges()[usize::from(number)];
            return Ok(VoltsOutput {
                number,
                range: least..=most,
                device: format!("[device.{device}]"),
            });
        }
        let number = self
            .claims
            .channel(table, key, Kind::AnalogOutput, self.io)?;
        self.signals.guarded.volts |= 1 << number;
        let output = &self.io.analog_outputs[usize::from(number)];
        Ok(VoltsOutput {
            number,
            range: output.min_volts..=output.max_volts,
            device: format!("[analog_output.{}]", output.name),
        })
    }
}

/// The number of the signal `name` of a device, or the error that it is one of the board's
/// `channels`. These have the lowest numbers, and `key` names them without their table.
fn own_number(
    table: &mut Table<'_>,
    key: &'static str,
    name: &str,
    number: Option<u8>,
    channels: usize,
) -> Result<u8> {
    number
        .filter(|number| usize::from(*number) >= channels)
        .ok_or_else(|| {
            let bare = name.split_once('.').map_or(name, |(_, bare)| bare);
            table.error_at(
                key,
                format!(
                    "\"{name}\" is a channel of the board, which is named without its table here"
                ),
                format!("write `{key} = \"{bare}\"`"),
            )
        })
}
