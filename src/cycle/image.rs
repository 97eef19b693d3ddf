//! The process image: what a cycle has sensed and what it will drive.
//!
//! Channels are numbered; the board file gives the numbers names, and they are
//! resolved once, at start-up. Sizes are fixed, so an image is `Copy` and lives
//! on the stack. A reading that failed is data, not an early return: it stands
//! in the image as the error it is, and the control law decides what it means.

/// Most encoder channels a board can have.
pub const MAX_POSITIONS: usize = 8;
/// Most analog input channels a board can have.
pub const MAX_ANALOG_INPUTS: usize = 16;
/// Most analog output channels a board can have.
pub const MAX_ANALOG_OUTPUTS: usize = 8;
/// Most digital inputs, and most digital outputs, a board can have: one bit
/// each of a `u32`.
pub const MAX_DIGITAL: usize = 32;

/// An angle within one turn, as a binary fraction of it: 2^32 is one turn.
///
/// Differences wrap as angles do, so a step over the end of the turn needs no
/// special case, and every encoder resolution up to 32 bits is exact.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Angle(pub u32);

impl Angle {
    /// The angle of `counts` on an encoder of `bits` bits a turn (1 to 32).
    /// Counts beyond one turn wrap.
    pub const fn from_counts(counts: u32, bits: u32) -> Self {
        Self(counts << (32 - bits))
    }

    /// The shortest way from `from` to `self`, in 2^-32 turns, signed.
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

/// Why a reading is not there.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum InputError {
    /// The channel has not been read yet, or does not exist.
    NotRead,
    /// The transfer itself failed: the kernel or the controller refused it.
    Bus,
    /// The frame came back with wrong parity.
    Parity,
    /// The chip says that our previous frame was malformed.
    Framing,
    /// The sensor cannot measure yet (start-up not finished, or not alive).
    NotReady,
    /// The magnet is too far away.
    FieldWeak,
    /// The magnet is too close.
    FieldStrong,
    /// The value is outside of what the sensor can truthfully report.
    OutOfRange,
}

/// Why an output was not written.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutputError {
    /// The digital outputs could not be set.
    Digital,
    /// The analog output with this number could not be set.
    Analog(u8),
    /// The control law's command for the analog output with this number is not
    /// finite: it got its safe value instead. Nothing is wrong with the device, and
    /// no further cycle would mend the law.
    NotFinite(u8),
    /// A device has failed more often in a row than is tolerated of it.
    Lost(Lost),
}

/// A device that has failed more often in a row than is tolerated of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// The analog input with this number, and how it failed last.
    AnalogInput(u8, InputError),
    /// The analog output with this number.
    AnalogOutput(u8),
    /// The analog output with this number does not give what it is told to, says
    /// the input that watches it.
    Monitored(u8),
}

impl Lost {
    /// Whether the axes can still be brought to rest in order: what is lost is
    /// none of the outputs.
    pub const fn can_stop(self) -> bool {
        matches!(self, Self::AnalogInput(..))
    }
}

/// The state of all digital inputs, one bit each, in logical levels (an
/// active-low line that is asserted reads 1).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitalInputs {
    /// The level at the moment of sensing.
    pub levels: u32,
    /// Inputs that became active since the last cycle, however briefly.
    pub rose: u32,
    /// Inputs that became inactive since the last cycle, however briefly.
    pub fell: u32,
}

impl DigitalInputs {
    /// Whether input `channel` is active now.
    pub const fn is_active(&self, channel: u8) -> bool {
        self.levels & (1 << channel) != 0
    }

    /// Whether input `channel` is active now or was at any time since the last
    /// cycle: a pulse shorter than a period counts.
    pub const fn was_active(&self, channel: u8) -> bool {
        (self.levels | self.rose | self.fell) & (1 << channel) != 0
    }

    /// Whether input `channel` became active since the last cycle.
    pub const fn became_active(&self, channel: u8) -> bool {
        self.rose & (1 << channel) != 0
    }
}

/// Everything sensed in one cycle.
#[derive(Copy, Clone, Debug)]
pub struct Inputs {
    /// All digital inputs.
    pub digital: Result<DigitalInputs, InputError>,
    /// Shaft angles, by encoder channel.
    pub positions: [Result<Angle, InputError>; MAX_POSITIONS],
    /// Volts, by analog input channel.
    pub analogs: [Result<f64, InputError>; MAX_ANALOG_INPUTS],
}

impl Inputs {
    /// An image in which nothing has been read yet.
    pub const NOT_READ: Self = Self {
        digital: Err(InputError::NotRead),
        positions: [Err(InputError::NotRead); MAX_POSITIONS],
        analogs: [Err(InputError::NotRead); MAX_ANALOG_INPUTS],
    };
}

impl Default for Inputs {
    fn default() -> Self {
        Self::NOT_READ
    }
}

/// Everything to be driven in one cycle. Channels that the board does not have
/// are ignored.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Digital outputs, one bit each, in logical levels.
    pub digital: u32,
    /// Volts, by analog output channel.
    pub analogs: [f64; MAX_ANALOG_OUTPUTS],
}

impl Outputs {
    /// Sets digital output `channel` to `active`.
    pub const fn set(&mut self, channel: u8, active: bool) {
        let bit = 1 << channel;
        if active {
            self.digital |= bit;
        } else {
            self.digital &= !bit;
        }
    }

    /// Whether digital output `channel` is active.
    pub const fn is_active(&self, channel: u8) -> bool {
        self.digital & (1 << channel) != 0
    }
}
