//! The signals of a machine: names, types, units, places in the process image and writers.
//!
//! A channel of the board is a signal with the name of its table: `input.door`,
//! `encoder.shaft`. A signal of a `[device.X]` or a `[law.X]` begins with that table's name:
//! `imu.rate_z` of `[device.imu]`. Each signal has at most one writer.

use std::ops::{Range, RangeInclusive};

use super::error::{ConfigError, Source};

use super::groups::Groups;
use super::guarded::Guarded;
use super::io::Io;
use super::reader::{At, Result, nearest};
use super::types::{Named, Type};
use crate::cycle::law::Drives;
use crate::cycle::signal::{Input, Output};

/// In place of a unit: the signal may have any unit.
pub const ANY_UNIT: &str = "*";

/// Where a signal is in the process image.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Index {
    InputLine(u8),
    OutputLine(u8),
    Sensed(u8),
    Commanded(u8),
    /// A command from outside: its number, and its group.
    Received(u8, u8),
}

/// One signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its name, as control laws and plants name it in the board file.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// The unit of a number; empty for anything else, and for a number without one.
    pub unit: &'static str,
    index: Index,
    /// Its only writer: the header of the table, and its line.
    writer: Option<(String, usize)>,
}

/// All signals of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    all: Vec<Signal>,
    /// The next free number of each type, sensed and commanded.
    sensed: [usize; 3],
    commanded: [usize; 3],
    /// The range of each commanded number, and its safe value.
    ranges: Vec<(f64, f64)>,
    safe: Vec<f64>,
    safe_flags: u32,
    /// Number of signals that are channels of the board; these come first.
    channels: usize,
    /// Commands from outside.
    pub(super) received: Groups,
    /// Channels that are needed for safety.
    pub(super) guarded: Guarded,
}

impl Signals {
    /// The signals of the board's channels.
    pub(super) fn of(io: &Io) -> Self {
        let mut signals = Self::default();
        for (number, channel) in io.inputs.iter().enumerate() {
            let index = Index::InputLine(number as u8);
            signals.add("input", &channel.name, Type::Flag, "", index);
        }
        for (number, channel) in io.outputs.iter().enumerate() {
            let index = Index::OutputLine(number as u8);
            signals.add("output", &channel.name, Type::Flag, "", index);
        }
        for (number, channel) in io.encoders.iter().enumerate() {
            let index = Index::Sensed(number as u8);
            signals.add("encoder", &channel.name, Type::Angle, "", index);
        }
        for (number, channel) in io.analog_inputs.iter().enumerate() {
            let index = Index::Sensed(number as u8);
            signals.add("analog_input", &channel.name, Type::Number, "V", index);
        }
        for (number, channel) in io.analog_outputs.iter().enumerate() {
            let index = Index::Commanded(number as u8);
            signals.add("analog_output", &channel.name, Type::Number, "V", index);
            signals.ranges.push((channel.min_volts, channel.max_volts));
            signals.safe.push(channel.safe_volts);
        }
        signals.channels = signals.all.len();
        signals.sensed[Type::Angle as usize] = io.encoders.len();
        signals.sensed[Type::Number as usize] = io.analog_inputs.len();
        signals.commanded[Type::Number as usize] = io.analog_outputs.len();
        signals
    }

    pub(super) fn add(
        &mut self,
        owner: &str,
        name: &str,
        of: Type,
        unit: &'static str,
        index: Index,
    ) {
        self.all.push(Signal {
            name: format!("{owner}.{name}"),
            of,
            unit,
            index,
            writer: None,
        });
    }

    /// All signals: channels of the board, then the others in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Signal> {
        self.all.iter()
    }

    /// The signals of `[device.X]` and `[law.X]`, in the order of the file.
    pub fn own(&self) -> impl Iterator<Item = &Signal> {
        self.all.iter().skip(self.channels)
    }

    /// The range of `signal`, in its unit; `None` for a signal that is not a commanded number
    /// or has no limits.
    #[must_use]
    pub fn range(&self, signal: &Signal) -> Option<(f64, f64)> {
        let (Type::Number, Index::Commanded(number)) = (signal.of, signal.index) else {
            return None;
        };
        let range = self.ranges.get(usize::from(number)).copied();
        range.filter(|range| *range != (f64::MIN, f64::MAX))
    }

    /// The ranges of all commanded numbers, each in its unit; the board's analog outputs first.
    #[must_use]
    pub fn ranges(&self) -> &[(f64, f64)] {
        &self.ranges
    }

    /// The safe values of all commanded numbers, in the order of [`Signals::ranges`].
    #[must_use]
    pub fn safe(&self) -> &[f64] {
        &self.safe
    }

    /// The safe values of commanded flags, one bit each.
    #[must_use]
    pub const fn safe_flags(&self) -> u32 {
        self.safe_flags
    }

    /// The name of the commanded number with this index; `?` for an unknown index.
    #[must_use]
    pub fn command_name(&self, index: u8) -> &str {
        let is_it =
            |signal: &&Signal| signal.of == Type::Number && signal.index == Index::Commanded(index);
        self.all
            .iter()
            .find(is_it)
            .map_or("?", |signal| &signal.name)
    }

    /// The number of sensed signals so far, by [`Type`].
    pub(super) const fn sensed(&self) -> [usize; 3] {
        self.sensed
    }

    /// The handle to read the signal `name`; `None` without a signal of this name and type.
    #[must_use]
    pub fn reading<T: Named>(&self, name: &str) -> Option<Input<T>> {
        let is_it = |signal: &&Signal| signal.name == name && signal.of == T::TYPE;
        self.all
            .iter()
            .find(is_it)
            .and_then(|signal| readable(signal.index))
    }

    /// Adds a signal that `owner` senses; `None` when the process image is full.
    pub(super) fn publish<T: Named>(
        &mut self,
        owner: &str,
        name: &str,
        unit: &'static str,
    ) -> Option<Input<T>> {
        let next = &mut self.sensed[T::TYPE as usize];
        let number = u8::try_from(*next).ok()?;
        let signal = Input::numbered(number)?;
        *next += 1;
        self.add(owner, name, T::TYPE, unit, Index::Sensed(number));
        Some(signal)
    }

    /// Adds a number that `owner` is commanded by; `None` when the process image is full.
    pub(super) fn command(
        &mut self,
        owner: &str,
        name: &str,
        unit: &'static str,
        range: &RangeInclusive<f64>,
        safe: f64,
    ) -> Option<Output<f64>> {
        let next = &mut self.commanded[Type::Number as usize];
        let number = u8::try_from(*next).ok()?;
        let signal = Output::numbered(number)?;
        *next += 1;
        self.ranges.push((*range.start(), *range.end()));
        self.safe.push(safe);
        self.add(owner, name, Type::Number, unit, Index::Commanded(number));
        Some(signal)
    }

    /// Adds a flag that `owner` is commanded by; `None` when the process image is full.
    pub(super) fn command_flag(
        &mut self,
        owner: &str,
        name: &str,
        safe: bool,
    ) -> Option<Output<bool>> {
        let next = &mut self.commanded[Type::Flag as usize];
        let number = u8::try_from(*next).ok()?;
        let signal = Output::numbered(number)?;
        *next += 1;
        self.safe_flags |= u32::from(safe) << number;
        self.add(owner, name, Type::Flag, "", Index::Commanded(number));
        Some(signal)
    }

    /// The signal that `at` names, of any type. The error lists the signals of type `of`.
    pub(super) fn named(
        &self,
        source: Source<'_>,
        at: &At<&str>,
        of: Option<Type>,
    ) -> Result<&Signal> {
        if let Some(signal) = self.all.iter().find(|signal| signal.name == at.value) {
            return Ok(signal);
        }
        let wanted = |signal: &&Signal| of.is_none_or(|of| signal.of == of);
        let names: Vec<_> = (self.all.iter().filter(wanted))
            .map(|signal| signal.name.as_str())
            .collect();
        let fix = match nearest(&names, at.value) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names.is_empty() => {
                "add a table that provides such a signal before this one".to_owned()
            }
            None => format!("available: {}", names.join(", ")),
        };
        let what = format!("there is no signal \"{}\"", at.value);
        Err(source.error(&at.span, what, fix))
    }

    /// The signal that `at` names, or the error that it has not the type `of` or not `unit`.
    fn find(
        &mut self,
        source: Source<'_>,
        at: &At<&str>,
        of: Type,
        unit: &str,
    ) -> Result<&mut Signal> {
        let error = |what: String, fix: String| source.error(&at.span, what, fix);
        self.named(source, at, Some(of))?;
        let signal = (self.all.iter_mut())
            .find(|signal| signal.name == at.value)
            .expect("it was found before");
        if signal.of != of {
            return Err(error(
                format!(
                    "\"{}\" is {}, not {}",
                    at.value,
                    signal.of.describe(),
                    of.describe()
                ),
                "name another signal".to_owned(),
            ));
        }
        if unit != ANY_UNIT && signal.unit != unit {
            let shown = |unit: &str| match unit {
                "" | "1" => "without a unit".to_owned(),
                unit => format!("in {unit}"),
            };
            return Err(error(
                format!(
                    "\"{}\" is {}, expected {}",
                    at.value,
                    shown(signal.unit),
                    shown(unit)
                ),
                "name another signal, or put a law between them that converts it".to_owned(),
            ));
        }
        Ok(signal)
    }

    /// The handle to read the signal that `at` names.
    pub(super) fn input<T: Named>(
        &mut self,
        source: Source<'_>,
        at: &At<&str>,
        unit: &str,
    ) -> Result<Input<T>> {
        let index = self.find(source, at, T::TYPE, unit)?.index;
        readable(index).ok_or_else(|| cannot(source, at, "be read"))
    }

    /// The handle to set the signal that `at` names, with `writer` as its only writer.
    pub(super) fn output<T: Named>(
        &mut self,
        source: Source<'_>,
        at: &At<&str>,
        unit: &str,
        writer: &str,
    ) -> Result<(Output<T>, Drives)> {
        let signal = self.find(source, at, T::TYPE, unit)?;
        let mut drives = Drives::default();
        let found = match signal.index {
            Index::OutputLine(number) => {
                drives.digital = 1 << number;
                T::at_output_line(number)
            }
            Index::Commanded(number) => {
                match T::TYPE {
                    Type::Flag => drives.flags = 1 << number,
                    Type::Number | Type::Angle => drives.commands = 1 << number,
                }
                Output::numbered(number)
            }
            Index::InputLine(_) | Index::Sensed(_) | Index::Received(..) => None,
        };
        let found = found.ok_or_else(|| cannot(source, at, "be set: it is an input"))?;
        signal.claim(source, at.value, &at.span, writer)?;
        Ok((found, drives))
    }

    /// Notes that `writer` sets the signal `name`. The caller has checked that the signal has
    /// no other writer.
    pub(super) fn taken(&mut self, name: &str, writer: &str, line: usize) {
        let found = self.all.iter_mut().find(|signal| signal.name == name);
        if let Some(signal) = found {
            signal.writer = Some((writer.to_owned(), line));
        }
    }

    /// The handle to set the sensed signal that `at` names, with the plant `writer` as its only
    /// writer.
    pub(super) fn source<T: Named>(
        &mut self,
        source: Source<'_>,
        at: &At<&str>,
        unit: &str,
        writer: &str,
    ) -> Result<Input<T>> {
        // Channels of the board get their values from [simulation.motor.X] and
        // [simulation.heater.X], so a value that is set here would be lost.
        let channels = ["input.", "encoder.", "analog_input."];
        if channels.iter().any(|owner| at.value.starts_with(owner)) {
            return Err(source.error(
                &at.span,
                format!(
                    "\"{}\" is a channel of the board, which a plant cannot set",
                    at.value
                ),
                "name a signal of a [device.X]",
            ));
        }
        let signal = self.find(source, at, T::TYPE, unit)?;
        let found = match signal.index {
            Index::Sensed(number) => Input::numbered(number),
            Index::InputLine(_)
            | Index::OutputLine(_)
            | Index::Commanded(_)
            | Index::Received(..) => None,
        };
        let found =
            found.ok_or_else(|| cannot(source, at, "be set by a plant: no device senses it"))?;
        signal.claim(source, at.value, &at.span, writer)?;
        Ok(found)
    }

    /// The sensed signal that `at` names, which a plant before this table sets.
    pub(super) fn given<T: Named>(
        &mut self,
        source: Source<'_>,
        at: &At<&str>,
    ) -> Result<Input<T>> {
        let signal = self.find(source, at, T::TYPE, ANY_UNIT)?;
        let given = match (signal.index, &signal.writer) {
            (Index::Sensed(number), Some(_)) => Input::numbered(number),
            _ => None,
        };
        given.ok_or_else(|| {
            source.error(
                &at.span,
                format!("\"{}\" is not set by a plant before this table", at.value),
                "name a signal that a plant sets, and put this table after that plant",
            )
        })
    }

    /// The handle to read the output that `at` names, which drives a plant.
    pub(super) fn driven<T: Named>(
        &mut self,
        source: Source<'_>,
        at: &At<&str>,
        unit: &str,
    ) -> Result<Output<T>> {
        let found = match self.find(source, at, T::TYPE, unit)?.index {
            Index::OutputLine(number) => T::at_output_line(number),
            Index::Commanded(number) => Output::numbered(number),
            Index::InputLine(_) | Index::Sensed(_) | Index::Received(..) => None,
        };
        found.ok_or_else(|| cannot(source, at, "drive a plant: it is an input"))
    }
}

/// The handle to read the signal at `index`.
fn readable<T: Named>(index: Index) -> Option<Input<T>> {
    match index {
        Index::InputLine(number) => T::at_input_line(number),
        Index::OutputLine(number) => T::at_output_line(number).map(Output::reading),
        Index::Sensed(number) => Input::numbered(number),
        Index::Commanded(number) => Output::numbered(number).map(Output::reading),
        Index::Received(number, group) => T::at_received(number, group),
    }
}

fn cannot(source: Source<'_>, at: &At<&str>, what: &str) -> ConfigError {
    source.error(
        &at.span,
        format!("\"{}\" cannot {what}", at.value),
        "name another signal",
    )
}

impl Signal {
    pub(super) const fn index(&self) -> Index {
        self.index
    }

    fn claim(
        &mut self,
        source: Source<'_>,
        name: &str,
        span: &Range<usize>,
        writer: &str,
    ) -> Result<()> {
        if let Some((first, line)) = &self.writer {
            return Err(source.error(
                span,
                format!("\"{name}\" is already set by {first} in line {line}"),
                "name another signal, each has one writer",
            ));
        }
        self.writer = Some((writer.to_owned(), source.position(span).line));
        Ok(())
    }
}
