//! What senses and drives signals: a chip, a board behind a bus, an actuator.

use super::image::{InputError, Inputs, Outputs, Sample};
use super::ports::Tick;
use super::signal::{Commands, Input, Output, Readings, Value};
use crate::time::Instant;

/// A device of one's own, opened. It owns its bus handle, so that a published
/// `embedded-hal` driver can be kept in it for as long as the loop runs.
///
/// Both methods run in each cycle, or in each nth where the board file says
/// `every = n`. They allocate nothing and wait for nothing but their bus. What fails
/// is data: it stands in the signal as the error it is.
pub trait Device: Send {
    /// Reads the device, and puts each of its signals.
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let _ = readings;
    }

    /// Drives the device as `commands` say.
    ///
    /// # Errors
    /// When it could not be driven. It is called again in the next cycle all the same.
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let _ = commands;
        Ok(())
    }

    /// Of a device whose bus leads to a chip made of software: puts what plants give its
    /// signals into the chip, before it is sensed.
    fn model(&mut self, world: &mut World<'_>) {
        let _ = world;
    }
}

/// A device could not be driven: its bus, or the chip itself, refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct NotDriven;

impl core::fmt::Display for NotDriven {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the device could not be driven; check its bus and its supply")
    }
}

impl core::error::Error for NotDriven {}

/// The signals of a machine, as a plant sees them: outputs are read, inputs are set.
pub struct World<'w> {
    readings: Readings<'w>,
    commands: Commands<'w>,
}

impl<'w> World<'w> {
    /// Over what is sensed and what was driven, at the instant `now`.
    pub const fn new(
        inputs: &'w mut Inputs,
        outputs: &'w Outputs,
        tick: &'w Tick,
        now: Instant,
    ) -> Self {
        Self {
            readings: Readings::new(inputs, tick, now),
            commands: Commands::new(outputs, tick),
        }
    }

    /// What `signal` is driven to; its safe value until the first cycle has driven it.
    #[must_use]
    pub fn get<T: Value>(&self, signal: Output<T>) -> T {
        self.commands.get(signal)
    }

    /// What a plant has given `signal`; an error until one has.
    #[must_use]
    pub fn given<T: Value>(&self, signal: Input<T>) -> Sample<T> {
        self.readings.get(signal)
    }

    /// What stands in `signal`, whichever it is: what a plant has given, or what was driven
    /// or computed by a law in the last cycle.
    #[must_use]
    pub fn read<T: Value>(&self, signal: Input<T>) -> Sample<T> {
        let sample = self.readings.get(signal);
        let at = self.commands.tick().now;
        (self.commands.reading(signal)).map_or(sample, |value| Sample {
            value: Ok(value),
            at,
        })
    }

    /// `signal` is `value` from now on.
    pub fn put<T: Value>(&mut self, signal: Input<T>, value: T) {
        self.readings.put(signal, Ok(value));
    }

    /// `signal` cannot be had from now on, as of a sensor that is broken. A device that is
    /// simulated at its signals reads this error, and is lost when that happens more often in
    /// a row than the board file tolerates; one with a chip made of software sees it in
    /// [`Device::model`], and makes of it what the chip would.
    pub fn fail<T: Value>(&mut self, signal: Input<T>, error: InputError) {
        self.readings.put(signal, Err(error));
    }
}
