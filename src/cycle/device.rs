//! A device that senses and drives signals: a chip, a board on a bus, an actuator.

use super::image::{InputError, Inputs, Outputs, Sample};
use super::ports::Tick;
use super::signal::{Commands, Input, Output, Readings, Value};
use crate::time::Instant;

/// A device of your own machine, after it was opened. It owns its bus handle, so that a
/// published `embedded-hal` driver can be kept in it while the loop runs.
///
/// Both methods run on the loop's thread, in each cycle or with `every = n` of the board file
/// in each nth. They must not allocate, and must wait for nothing but their bus. A failure is
/// data: put the error into the signal.
pub trait Device: Send {
    /// Reads the device and sets each of its signals.
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let _ = readings;
    }

    /// Drives the device to `commands`.
    ///
    /// # Errors
    /// [`NotDriven`]: the device could not be driven. It is called again in the next cycle.
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let _ = commands;
        Ok(())
    }

    /// Copies the values of plants into a simulated chip, before it is sensed. Called only for
    /// a device whose bus leads to a register model.
    fn model(&mut self, world: &mut World<'_>) {
        let _ = world;
    }
}

/// The device could not be driven: its bus or the chip refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct NotDriven;

impl core::fmt::Display for NotDriven {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the device could not be driven; check its bus and its supply")
    }
}

impl core::error::Error for NotDriven {}

/// The signals of a machine for a plant: it reads outputs and sets inputs.
pub struct World<'w> {
    readings: Readings<'w>,
    commands: Commands<'w>,
}

impl<'w> World<'w> {
    /// The signals of `inputs` and `outputs` at the instant `now`.
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

    /// The value to which `signal` is driven; its safe value before the first cycle.
    #[must_use]
    pub fn get<T: Value>(&self, signal: Output<T>) -> T {
        self.commands.get(signal)
    }

    /// The value that a plant has set for `signal`; an error before that.
    #[must_use]
    pub fn given<T: Value>(&self, signal: Input<T>) -> Sample<T> {
        self.readings.get(signal)
    }

    /// The value of any `signal`: set by a plant, or driven or computed by a law in the last
    /// cycle.
    #[must_use]
    pub fn read<T: Value>(&self, signal: Input<T>) -> Sample<T> {
        let sample = self.readings.get(signal);
        let at = self.commands.tick().now;
        (self.commands.reading(signal)).map_or(sample, |value| Sample {
            value: Ok(value),
            at,
        })
    }

    /// Sets `signal` to `value` from now on.
    pub fn put<T: Value>(&mut self, signal: Input<T>, value: T) {
        self.readings.put(signal, Ok(value));
    }

    /// Makes `signal` fail with `error` from now on, as with a broken sensor. A device that is
    /// simulated at its signals reads this error, and is lost when it occurs more often in a
    /// row than the board file tolerates. A device with a register model gets it in
    /// [`Device::model`], and translates it into the behaviour of the chip.
    pub fn fail<T: Value>(&mut self, signal: Input<T>, error: InputError) {
        self.readings.put(signal, Err(error));
    }
}
