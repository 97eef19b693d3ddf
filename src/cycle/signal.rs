//! Signals: typed handles of values in the process image.
//!
//! The board file names the signals. A name is resolved to a handle once, when the file is
//! read; in the loop a handle costs an index. Its type is that of the value: [`bool`], [`f64`]
//! in the unit of the signal, or [`Angle`] (one turn).
//!
//! A device sets the signals that it senses ([`Readings`]) and reads those that it drives
//! ([`Commands`]); a control law reads the first and sets the second ([`Io`]). Each signal has
//! one writer, which is checked when the board file is read.

use core::marker::PhantomData;

use super::image::{
    Angle, InputChannel, InputError, Inputs, MAX_ANALOGS, MAX_COMMANDS, MAX_FLAGS, MAX_POSITIONS,
    OutputChannel, Outputs, Sample,
};
use super::ports::{Directive, Tick};
use super::received::{MAX_GROUPS, MAX_RECEIVED};
use crate::time::{Duration, Instant};

/// The place of a signal in the process image.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
enum Index {
    /// A digital input.
    Line(InputChannel),
    /// An index of [`Inputs::flags`], [`Inputs::analogs`] or [`Inputs::positions`], by the
    /// type.
    Sensed(u8),
    /// A digital output.
    OutputLine(OutputChannel),
    /// An index of [`Outputs::flags`] or [`Outputs::analogs`], by the type.
    Commanded(u8),
    /// A command from outside: its index, and its group.
    Received(u8, u8),
}

/// A signal that can be read: sensed by a device, or commanded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Input<T> {
    index: Index,
    of: PhantomData<fn() -> T>,
}

/// A signal that can be set: driven by a device, or read by another law.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output<T> {
    index: Index,
    of: PhantomData<fn(T)>,
}

impl<T> Input<T> {
    const fn at(index: Index) -> Self {
        Self {
            index,
            of: PhantomData,
        }
    }
}

impl<T> Output<T> {
    const fn at(index: Index) -> Self {
        Self {
            index,
            of: PhantomData,
        }
    }

    /// The same signal for reading, with its value in the cycle so far: the safe value until
    /// its writer has run.
    #[must_use]
    pub const fn reading(self) -> Input<T> {
        Input::at(self.index)
    }
}

impl Input<bool> {
    /// The digital input `channel`.
    #[must_use]
    pub const fn line(channel: InputChannel) -> Self {
        Self::at(Index::Line(channel))
    }
}

impl Output<bool> {
    /// The digital output `channel`.
    #[must_use]
    pub const fn line(channel: OutputChannel) -> Self {
        Self::at(Index::OutputLine(channel))
    }
}

impl Input<f64> {
    /// The command from outside with the number `index`, of the group `group`; `None` beyond the
    /// image. In a firmware the reader of the board file numbers them.
    #[must_use]
    pub const fn received(index: u8, group: u8) -> Option<Self> {
        if (index as usize) < MAX_RECEIVED && (group as usize) < MAX_GROUPS {
            Some(Self::at(Index::Received(index, group)))
        } else {
            None
        }
    }

    /// Its number among the commands from outside, and its group; `None` for other signals.
    #[must_use]
    pub const fn received_number(self) -> Option<(u8, u8)> {
        match self.index {
            Index::Received(number, group) => Some((number, group)),
            Index::Line(_) | Index::Sensed(_) | Index::OutputLine(_) | Index::Commanded(_) => None,
        }
    }
}

/// The type of a signal: [`bool`], [`f64`] or [`Angle`].
pub trait Value: Copy + sealed::Sealed {
    /// Most signals of this type that can be sensed.
    const MOST_SENSED: usize;
    /// Most signals of this type that can be commanded.
    const MOST_COMMANDED: usize;

    #[doc(hidden)]
    fn sensed(inputs: &Inputs, index: u8) -> Sample<Self>;
    #[doc(hidden)]
    fn slot(inputs: &mut Inputs, index: u8) -> Option<&mut Sample<Self>>;
    #[doc(hidden)]
    fn line(_: &Inputs, _: InputChannel) -> Result<Self, InputError> {
        Err(InputError::NotRead)
    }
    #[doc(hidden)]
    fn received(_: &Inputs, _: u8, _: u8) -> Sample<Self> {
        Sample::NOT_READ
    }
    #[doc(hidden)]
    fn output_line(_: &Outputs, _: OutputChannel) -> Option<Self> {
        None
    }
    #[doc(hidden)]
    fn set_line(self, _: &mut Outputs, _: OutputChannel) {}
    #[doc(hidden)]
    fn commanded(outputs: &Outputs, index: u8) -> Option<Self>;
    #[doc(hidden)]
    fn command(self, outputs: &mut Outputs, index: u8);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bool {}
    impl Sealed for f64 {}
    impl Sealed for crate::cycle::image::Angle {}
}

impl<T: Value> Input<T> {
    /// The sensed signal of this type with this number; `None` beyond the image. For tests of a
    /// device or a law: in a firmware the reader of the board file numbers the signals.
    #[must_use]
    pub const fn numbered(number: u8) -> Option<Self> {
        if (number as usize) < T::MOST_SENSED {
            Some(Self::at(Index::Sensed(number)))
        } else {
            None
        }
    }
}

impl<T> Input<T> {
    /// Its number among the sensed signals of its type; `None` for a digital input and for a
    /// commanded signal.
    #[must_use]
    pub const fn number(self) -> Option<u8> {
        match self.index {
            Index::Sensed(number) => Some(number),
            Index::Line(_) | Index::OutputLine(_) | Index::Commanded(_) | Index::Received(..) => {
                None
            }
        }
    }
}

impl<T> Output<T> {
    /// Its number among the commanded signals of its type; `None` for a digital output.
    #[must_use]
    pub const fn number(self) -> Option<u8> {
        match self.index {
            Index::Commanded(number) => Some(number),
            Index::Line(_) | Index::OutputLine(_) | Index::Sensed(_) | Index::Received(..) => None,
        }
    }
}

impl<T: Value> Output<T> {
    /// The commanded signal of this type with this number; `None` beyond the image.
    #[must_use]
    pub const fn numbered(number: u8) -> Option<Self> {
        if (number as usize) < T::MOST_COMMANDED {
            Some(Self::at(Index::Commanded(number)))
        } else {
            None
        }
    }

    /// Its value in `outputs`.
    #[inline]
    #[must_use]
    pub fn of(self, outputs: &Outputs) -> Option<T> {
        match self.index {
            Index::OutputLine(channel) => T::output_line(outputs, channel),
            Index::Commanded(index) => T::commanded(outputs, index),
            Index::Line(_) | Index::Sensed(_) | Index::Received(..) => None,
        }
    }

    /// Sets it in `outputs`.
    #[inline]
    pub fn put(self, outputs: &mut Outputs, value: T) {
        match self.index {
            Index::OutputLine(channel) => value.set_line(outputs, channel),
            Index::Commanded(index) => value.command(outputs, index),
            Index::Line(_) | Index::Sensed(_) | Index::Received(..) => {}
        }
    }
}

impl Value for f64 {
    const MOST_SENSED: usize = MAX_ANALOGS;
    const MOST_COMMANDED: usize = MAX_COMMANDS;

    #[inline]
    fn received(inputs: &Inputs, index: u8, group: u8) -> Sample<Self> {
        inputs.received.get(index, group)
    }

    #[inline]
    fn sensed(inputs: &Inputs, index: u8) -> Sample<Self> {
        inputs.analogs[usize::from(index) % MAX_ANALOGS]
    }
    #[inline]
    fn slot(inputs: &mut Inputs, index: u8) -> Option<&mut Sample<Self>> {
        inputs.analogs.get_mut(usize::from(index))
    }
    #[inline]
    fn commanded(outputs: &Outputs, index: u8) -> Option<Self> {
        outputs.analogs.get(usize::from(index)).copied()
    }
    #[inline]
    fn command(self, outputs: &mut Outputs, index: u8) {
        if let Some(slot) = outputs.analogs.get_mut(usize::from(index)) {
            *slot = self;
        }
    }
}

impl Value for bool {
    const MOST_SENSED: usize = MAX_FLAGS;
    const MOST_COMMANDED: usize = MAX_FLAGS;

    #[inline]
    fn sensed(inputs: &Inputs, index: u8) -> Sample<Self> {
        inputs.flags[usize::from(index) % MAX_FLAGS]
    }
    #[inline]
    fn slot(inputs: &mut Inputs, index: u8) -> Option<&mut Sample<Self>> {
        inputs.flags.get_mut(usize::from(index))
    }
    #[inline]
    fn line(inputs: &Inputs, channel: InputChannel) -> Result<Self, InputError> {
        inputs.digital.map(|digital| digital.is_active(channel))
    }
    #[inline]
    fn output_line(outputs: &Outputs, channel: OutputChannel) -> Option<Self> {
        Some(outputs.is_active(channel))
    }
    #[inline]
    fn set_line(self, outputs: &mut Outputs, channel: OutputChannel) {
        outputs.set(channel, self);
    }
    #[inline]
    fn commanded(outputs: &Outputs, index: u8) -> Option<Self> {
        Some(outputs.flags >> (index % MAX_FLAGS as u8) & 1 != 0)
    }
    #[inline]
    fn command(self, outputs: &mut Outputs, index: u8) {
        let bit = 1 << (index % MAX_FLAGS as u8);
        if self {
            outputs.flags |= bit;
        } else {
            outputs.flags &= !bit;
        }
    }
}

impl Value for Angle {
    const MOST_SENSED: usize = MAX_POSITIONS;
    const MOST_COMMANDED: usize = 0;

    #[inline]
    fn sensed(inputs: &Inputs, index: u8) -> Sample<Self> {
        inputs.positions[usize::from(index) % MAX_POSITIONS]
    }
    #[inline]
    fn slot(inputs: &mut Inputs, index: u8) -> Option<&mut Sample<Self>> {
        inputs.positions.get_mut(usize::from(index))
    }
    fn commanded(_: &Outputs, _: u8) -> Option<Self> {
        None
    }
    fn command(self, _: &mut Outputs, _: u8) {}
}

/// The value of `signal` and its time, in a cycle that began at `now`.
#[inline]
fn read<T: Value>(signal: Input<T>, inputs: &Inputs, outputs: &Outputs, now: Instant) -> Sample<T> {
    let value = match signal.index {
        Index::Sensed(index) => return T::sensed(inputs, index),
        Index::Received(index, group) => return T::received(inputs, index, group),
        Index::Line(channel) => T::line(inputs, channel),
        Index::OutputLine(channel) => T::output_line(outputs, channel).ok_or(InputError::NotRead),
        Index::Commanded(index) => T::commanded(outputs, index).ok_or(InputError::NotRead),
    };
    Sample { value, at: now }
}

/// The signals that a device sets in a cycle.
pub struct Readings<'c> {
    inputs: &'c mut Inputs,
    tick: &'c Tick,
    began: Instant,
    failed: bool,
}

impl<'c> Readings<'c> {
    /// The signals in `inputs`. [`Readings::put`] uses `began` as the time of a value.
    pub const fn new(inputs: &'c mut Inputs, tick: &'c Tick, began: Instant) -> Self {
        Self {
            inputs,
            tick,
            began,
            failed: false,
        }
    }

    /// The time of the cycle.
    #[must_use]
    pub const fn tick(&self) -> &Tick {
        self.tick
    }

    /// Sets `signal` to `value`, which was true when the cycle began.
    #[inline]
    pub fn put<T: Value>(&mut self, signal: Input<T>, value: Result<T, InputError>) {
        self.put_at(signal, value, self.began);
    }

    /// Sets `signal` to `value`, which was true at `at`.
    #[inline]
    pub fn put_at<T: Value>(
        &mut self,
        signal: Input<T>,
        value: Result<T, InputError>,
        at: Instant,
    ) {
        self.failed |= value.is_err();
        if let Index::Sensed(index) = signal.index
            && let Some(slot) = T::slot(self.inputs, index)
        {
            *slot = Sample { value, at };
        }
    }

    /// The value of `signal`: that of an earlier cycle until it is set.
    #[must_use]
    pub fn get<T: Value>(&self, signal: Input<T>) -> Sample<T> {
        match signal.index {
            Index::Sensed(index) => T::sensed(self.inputs, index),
            Index::Line(channel) => Sample {
                value: T::line(self.inputs, channel),
                at: self.began,
            },
            Index::Received(index, group) => T::received(self.inputs, index, group),
            Index::OutputLine(_) | Index::Commanded(_) => Sample::NOT_READ,
        }
    }

    /// Whether a value set so far was a failure.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.failed
    }
}

/// The commands to a device in a cycle.
#[derive(Copy, Clone)]
pub struct Commands<'c> {
    outputs: &'c Outputs,
    tick: &'c Tick,
}

impl<'c> Commands<'c> {
    /// The commands in `outputs`.
    #[must_use]
    pub const fn new(outputs: &'c Outputs, tick: &'c Tick) -> Self {
        Self { outputs, tick }
    }

    /// The time of the cycle.
    #[must_use]
    pub const fn tick(&self) -> &Tick {
        self.tick
    }

    /// The command of `signal`. An `f64` is finite and within the range that the driver
    /// declared.
    ///
    /// # Panics
    /// Never with a handle of [`Output::numbered`] or of the board file's reader.
    #[inline]
    #[must_use]
    pub fn get<T: Value>(&self, signal: Output<T>) -> T {
        signal.of(self.outputs).expect("an output's index")
    }

    /// The value of `signal` if it is a commanded signal.
    pub(super) fn reading<T: Value>(&self, signal: Input<T>) -> Option<T> {
        Output::at(signal.index).of(self.outputs)
    }
}

/// The signals that a control law reads and sets in a cycle.
pub struct Io<'c> {
    inputs: &'c Inputs,
    outputs: &'c mut Outputs,
    tick: &'c Tick,
    elapsed: Duration,
}

impl<'c> Io<'c> {
    /// The signals of the process image; the law's last step was `elapsed` ago.
    pub const fn new(
        inputs: &'c Inputs,
        outputs: &'c mut Outputs,
        tick: &'c Tick,
        elapsed: Duration,
    ) -> Self {
        Self {
            inputs,
            outputs,
            tick,
            elapsed,
        }
    }

    /// The time of the cycle.
    #[must_use]
    pub const fn tick(&self) -> &Tick {
        self.tick
    }

    /// Whether the law must bring what it drives to rest and keep it there.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        !matches!(self.tick.directive, Directive::Run)
    }

    /// The planned time since the law's last step: a whole number of periods, more after
    /// skipped slots. To differentiate a sample, divide by the distance of the samples' times
    /// instead.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Runs `step` for a law whose last step was `elapsed` ago.
    pub(super) fn after<R>(&mut self, elapsed: Duration, step: impl FnOnce(&mut Self) -> R) -> R {
        let others = core::mem::replace(&mut self.elapsed, elapsed);
        let done = step(self);
        self.elapsed = others;
        done
    }

    /// The value of `signal`, or why it is missing, and its time.
    #[inline]
    #[must_use]
    pub fn read<T: Value>(&self, signal: Input<T>) -> Sample<T> {
        read(signal, self.inputs, self.outputs, self.tick.now)
    }

    /// Sets `signal`. A signal that no law sets in a cycle has its safe value.
    #[inline]
    pub fn set<T: Value>(&mut self, signal: Output<T>, value: T) {
        signal.put(self.outputs, value);
    }

    /// The whole process image, for a law that works on channels.
    pub const fn image(&mut self) -> (&Inputs, &mut Outputs, &Tick) {
        (self.inputs, &mut *self.outputs, self.tick)
    }
}

#[cfg(test)]
mod tests;
