//! The process image: all inputs of a cycle and all outputs that it will drive.
//!
//! Channels have numbers; the names of the board file are resolved to them once, at the start.
//! Sizes are fixed, so an image is `Copy` and allocates nothing. A failed reading is data: the
//! error takes the place of the value, and the control law decides what it means. Each reading
//! has a time: see [`Sample`].

use super::received::Received;
pub use super::sample::{InputError, Sample};

/// Most angles of a machine.
pub const MAX_POSITIONS: usize = 32;
/// Most numbers that a machine can sense: analog inputs and readings of devices.
pub const MAX_ANALOGS: usize = 128;
/// Most numbers that can be commanded: analog outputs, commands of devices, and values that one
/// control law computes for another.
pub const MAX_COMMANDS: usize = 64;
/// Most flags that devices can read, and most that they can be given: one bit each of a `u32`.
pub const MAX_FLAGS: usize = 32;
/// Most channels of analog input chips; they come first in [`Inputs::analogs`].
pub const MAX_ANALOG_INPUTS: usize = 16;
/// Most channels of analog output chips; they come first in [`Outputs::analogs`].
pub const MAX_ANALOG_OUTPUTS: usize = 8;
/// Most digital inputs of a board, and most digital outputs: one bit each of a `u32`.
pub const MAX_DIGITAL: usize = 32;

/// A digital input of the process image. A type of its own, so that it cannot be confused with
/// an [`OutputChannel`] and is always below [`MAX_DIGITAL`]: a larger number would select the
/// bit of another channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct InputChannel(u8);

/// A digital output of the process image; see [`InputChannel`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputChannel(u8);

impl InputChannel {
    /// The input with this number, from 0; `None` from [`MAX_DIGITAL`] on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < MAX_DIGITAL {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number, 0 to 31.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its bit in the masks of [`DigitalInputs`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self.0
    }
}

impl OutputChannel {
    /// The output with this number, from 0; `None` from [`MAX_DIGITAL`] on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < MAX_DIGITAL {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number, 0 to 31.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its bit in [`Outputs::digital`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// An angle within one turn, as a fraction of it: 2^32 is one turn.
///
/// Differences wrap as angles do, so crossing the end of the turn needs no special case, and
/// every encoder resolution up to 32 bits is exact.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Angle(pub u32);

impl Angle {
    /// The angle of `counts` of an encoder with `bits` bits for one turn (1 to 32). Counts
    /// beyond one turn wrap.
    ///
    /// # Panics
    /// In a debug build, if `bits` is not 1 to 32.
    pub const fn from_counts(counts: u32, bits: u32) -> Self {
        Self(counts << (32 - bits))
    }

    /// The angle of `radians`, in any turn; 0 if it is not finite.
    #[must_use]
    pub fn from_radians(radians: f64) -> Self {
        let turns = radians / core::f64::consts::TAU;
        // A cast saturates, and gives 0 for NaN.
        Self(((turns - libm::floor(turns)) * 4_294_967_296.0) as u32)
    }

    /// The shortest difference from `from` to `self`, in 2^-32 turns, signed.
    pub const fn wrapping_difference(self, from: Self) -> i32 {
        self.0.wrapping_sub(from.0) as i32
    }

    /// The angle in radians, from 0 to below 2 pi.
    pub const fn as_radians(self) -> f64 {
        self.0 as f64 * RADIANS_PER_UNIT
    }
}

/// Radians in one unit of [`Angle`]: 2 pi / 2^32.
pub const RADIANS_PER_UNIT: f64 = core::f64::consts::TAU / 4_294_967_296.0;

/// Why the outputs were not written.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutputError {
    /// The digital outputs could not be set.
    Digital,
    /// The analog output with this number could not be set.
    Analog(u8),
    /// The device with this number could not be driven.
    Device(u8),
    /// The control law's command with this number, an index into [`Outputs::analogs`], is not
    /// finite; the output got its safe value. The device is in order, and another cycle would
    /// not repair the law.
    NotFinite(u8),
    /// A device has failed more often in a row than is tolerated.
    Lost(Lost),
}

/// A device that has failed more often in a row than is tolerated.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// The analog input with this number, and its last error.
    AnalogInput(u8, InputError),
    /// The analog output with this number.
    AnalogOutput(u8),
    /// The device with this number cannot be read.
    Sensor(u8),
    /// The device with this number could not be driven.
    Actuator(u8),
    /// The analog output with this number deviates from its commanded value, as read by the
    /// input that monitors it.
    Monitored(u8),
}

impl Lost {
    /// Whether a quick stop is still possible: only inputs are lost.
    pub const fn can_stop(self) -> bool {
        matches!(self, Self::AnalogInput(..) | Self::Sensor(_))
    }
}

/// The state of all digital inputs, one bit each, in logical levels (an active-low line reads 1
/// when it is asserted).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitalInputs {
    /// The levels when they were read.
    pub levels: u32,
    /// Inputs that became active since the last cycle, also for less than a period.
    pub rose: u32,
    /// Inputs that became inactive since the last cycle, also for less than a period.
    pub fell: u32,
}

impl DigitalInputs {
    /// Whether input `channel` is active now.
    pub const fn is_active(&self, channel: InputChannel) -> bool {
        self.levels & channel.bit() != 0
    }

    /// Whether input `channel` is active now or was at any time since the last cycle: a pulse
    /// shorter than a period counts.
    pub const fn was_active(&self, channel: InputChannel) -> bool {
        self.were_active(channel.bit())
    }

    /// As [`was_active`](Self::was_active), for any input of `bits` ([`InputChannel::bit`]).
    #[inline]
    pub const fn were_active(&self, bits: u32) -> bool {
        (self.levels | self.rose | self.fell) & bits != 0
    }

    /// Whether input `channel` became active since the last cycle.
    pub const fn became_active(&self, channel: InputChannel) -> bool {
        self.rose & channel.bit() != 0
    }
}

/// All inputs of one cycle.
#[derive(Copy, Clone, Debug)]
pub struct Inputs {
    /// All digital inputs.
    pub digital: Result<DigitalInputs, InputError>,
    /// Shaft angles, by encoder channel.
    pub positions: [Sample<Angle>; MAX_POSITIONS],
    /// Analog inputs by channel, volts; behind them the readings of devices, in the unit of the
    /// signal.
    pub analogs: [Sample<f64>; MAX_ANALOGS],
    /// Flags that devices read.
    pub flags: [Sample<bool>; MAX_FLAGS],
    /// Commands from outside.
    pub received: Received,
}

impl Inputs {
    /// An image before the first reading.
    pub const NOT_READ: Self = Self {
        digital: Err(InputError::NotRead),
        positions: [Sample::NOT_READ; MAX_POSITIONS],
        analogs: [Sample::NOT_READ; MAX_ANALOGS],
        flags: [Sample::NOT_READ; MAX_FLAGS],
        received: Received::NONE,
    };

    /// The digital inputs, if they could be read.
    // Not `as_ref().ok()`, which computes the address of the value or of the error.
    #[inline]
    #[must_use]
    pub const fn digital_ok(&self) -> Option<&DigitalInputs> {
        match &self.digital {
            Ok(digital) => Some(digital),
            Err(_) => None,
        }
    }
}

impl Default for Inputs {
    fn default() -> Self {
        Self::NOT_READ
    }
}

/// All outputs of one cycle. Channels that the board does not have are ignored.
///
/// There is no `Default`: an output that is not set has its safe value, which only the board
/// file knows. Each cycle begins with [`Act::safe_image`](super::ports::Act).
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Digital outputs, one bit each, in logical levels.
    pub digital: u32,
    /// Flags for devices, one bit each.
    pub flags: u32,
    /// Analog outputs by channel, volts; behind them the commands of devices and the values
    /// that control laws compute for each other, in the unit of the signal.
    pub analogs: [f64; MAX_COMMANDS],
    /// How many of `analogs` are used.
    pub commands: usize,
}

/// Commands that are copied together.
const PIECE: usize = 2;
const _: () = assert!(MAX_COMMANDS.is_multiple_of(PIECE));

impl Outputs {
    /// Outputs with `digital` in logical levels and the commands `analogs`. Commands beyond
    /// [`MAX_COMMANDS`] are left out.
    #[must_use]
    pub const fn new(digital: u32, analogs: &[f64]) -> Self {
        let mut outputs = Self {
            digital,
            flags: 0,
            analogs: [0.0; MAX_COMMANDS],
            commands: 0,
        };
        while outputs.commands < MAX_COMMANDS && outputs.commands < analogs.len() {
            outputs.analogs[outputs.commands] = analogs[outputs.commands];
            outputs.commands += 1;
        }
        outputs
    }

    /// Copies the used values of `other`.
    #[inline]
    pub fn take(&mut self, other: &Self) {
        self.digital = other.digital;
        self.flags = other.flags;
        // In pieces, each of which compiles to two moves of a vector register. The last piece may
        // include an unused value, which no one reads.
        let (to, _) = self.analogs.as_chunks_mut::<PIECE>();
        let (from, _) = other.analogs.as_chunks::<PIECE>();
        let mut left = other.commands;
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
            if left <= PIECE {
                break;
            }
            left -= PIECE;
        }
        self.commands = other.commands;
    }

    /// Sets digital output `channel` to `active`.
    pub const fn set(&mut self, channel: OutputChannel, active: bool) {
        self.set_bits(channel.bit(), active);
    }

    /// Sets the digital outputs of `bits` ([`OutputChannel::bit`]) to `active`.
    #[inline]
    pub const fn set_bits(&mut self, bits: u32, active: bool) {
        if active {
            self.digital |= bits;
        } else {
            self.digital &= !bits;
        }
    }

    /// Whether digital output `channel` is active.
    pub const fn is_active(&self, channel: OutputChannel) -> bool {
        self.digital & channel.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_copied_for_any_number_of_commands() {
        let mut values = [0.0; MAX_COMMANDS];
        for (number, value) in (1_u8..).zip(&mut values) {
            *value = f64::from(number);
        }
        for count in 0..=MAX_COMMANDS {
            let safe = Outputs {
                flags: 5,
                ..Outputs::new(9, &values[..count])
            };
            let mut outputs = Outputs::new(0, &[-1.0; MAX_COMMANDS][..count]);
            outputs.take(&safe);
            assert_eq!(outputs.analogs[..count], values[..count]);
            assert_eq!((outputs.digital, outputs.flags), (9, 5));
            assert_eq!(outputs.commands, count);
        }
    }

    #[test]
    fn radians_convert_to_an_angle_within_one_turn() {
        use core::f64::consts::{FRAC_PI_2, PI, TAU};
        for (radians, quarters) in [
            (0.0, 0),
            (FRAC_PI_2, 1),
            (PI, 2),
            (-FRAC_PI_2, 3),
            (FRAC_PI_2 - 3.0 * TAU, 1),
            (PI + 5.0 * TAU, 2),
        ] {
            let off =
                Angle::from_radians(radians).wrapping_difference(Angle::from_counts(quarters, 2));
            assert!(off.abs() < 100, "{radians}: {off}");
        }
        for nothing in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Angle::from_radians(nothing), Angle::from_counts(0, 2));
        }
    }

    #[test]
    fn channel_numbers_beyond_the_image_are_refused() {
        let digital = MAX_DIGITAL as u8;
        for number in 0..=u8::MAX {
            let there = number < digital;
            let input = InputChannel::new(number);
            let output = OutputChannel::new(number);
            assert_eq!(input.map(InputChannel::number), there.then_some(number));
            assert_eq!(output.map(OutputChannel::number), there.then_some(number));
        }
    }

    #[test]
    fn a_channel_reads_and_sets_only_its_own_bit() {
        for number in 0..MAX_DIGITAL as u8 {
            let input = InputChannel::new(number).unwrap();
            let output = OutputChannel::new(number).unwrap();
            let alone = DigitalInputs {
                levels: 1 << number,
                ..DigitalInputs::default()
            };
            let others = DigitalInputs {
                levels: !(1 << number),
                ..DigitalInputs::default()
            };
            assert!(alone.is_active(input) && !others.is_active(input));
            let mut outputs = Outputs::new(0, &[]);
            outputs.set(output, true);
            assert_eq!(outputs.digital, 1 << number);
            assert!(outputs.is_active(output));
            outputs.digital = u32::MAX;
            outputs.set(output, false);
            assert_eq!(outputs.digital, !(1 << number));
        }
    }
}
