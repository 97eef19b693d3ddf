//! How the parts of a simulated board are wired to each other.

use super::motor::MotorParameter;
use super::thermal::ThermalParameter;
use crate::time::Duration;

/// Most motors on a board.
pub const MAX_MOTORS: usize = 8;
/// Most heaters on a board.
pub const MAX_HEATERS: usize = 4;
/// Most chips on a board.
pub const MAX_CHIPS: usize = 16;

/// Why a part cannot be put onto the board.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WiringError {
    /// There is no room for another part of this kind.
    Full,
    /// There is no axis with this number.
    NoAxis(u8),
    /// There is no heater with this number.
    NoHeater(u8),
    /// There is no line with this number: 0 to 31.
    NoLine(u8),
    /// A voltage is not finite, or a reference or supply is not above zero.
    Volts,
    /// A parameter of the motor cannot be.
    Motor(MotorParameter),
    /// A parameter of the heater cannot be.
    Thermal(ThermalParameter),
}

impl core::fmt::Display for WiringError {
    /// One line: what, and what to change in the board file.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "too many parts of one kind; at most {MAX_MOTORS} motors, {MAX_HEATERS} heaters and {MAX_CHIPS} chips"
            ),
            Self::NoAxis(axis) => write!(f, "there is no motor {axis}; count them from 0"),
            Self::NoHeater(heater) => write!(f, "there is no heater {heater}; count them from 0"),
            Self::NoLine(line) => write!(f, "there is no line {line}; lines are 0 to 31"),
            Self::Volts => {
                f.write_str("invalid voltage; make references and supplies finite and above 0")
            }
            Self::Motor(parameter) => write!(
                f,
                "invalid motor parameter {parameter:?}; make it finite, and above 0 where it divides"
            ),
            Self::Thermal(parameter) => write!(
                f,
                "invalid heater parameter {parameter:?}; make it finite, and above 0 where it divides"
            ),
        }
    }
}

/// An input that is active from a position of the shaft on.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LimitSwitch {
    /// The input.
    pub input: u8,
    /// Where it switches, rad.
    pub at_rad: f64,
}

/// The digital lines of an axis. What is `None` is not wired: no enable means
/// always enabled, no brake means always released.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct AxisWiring {
    /// Output without which the amplifier gives no torque.
    pub enable: Option<u8>,
    /// Output without which the brake blocks the shaft.
    pub brake_release: Option<u8>,
    /// Active at and below its position.
    pub lower_switch: Option<LimitSwitch>,
    /// Active at and above its position.
    pub upper_switch: Option<LimitSwitch>,
}

/// What switches a heater, beside an analog output that may drive it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaterWiring {
    /// Output that turns it to full power.
    pub switch: Option<u8>,
}

/// What an analog output drives.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// The amplifier of this axis.
    Axis(u8),
    /// This heater.
    Heater(u8),
}

/// The amplifier between the pin of a converter and its load:
/// `offset_volts + gain * pin`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct OutputStage {
    /// Output at a pin of 0 V.
    pub offset_volts: f64,
    /// Output volts for a volt at the pin.
    pub gain: f64,
    /// Output while the pin is open (converter shut down). A stage with a bias
    /// network goes to 0 V.
    pub open_volts: f64,
}

impl OutputStage {
    /// A stage from `min_volts` at code 0 to `max_volts` at code 4095 of a
    /// converter with gain 1, at 0 V while the pin is open.
    #[must_use]
    pub const fn spanning(min_volts: f64, max_volts: f64, reference_volts: f64) -> Self {
        Self {
            offset_volts: min_volts,
            gain: (max_volts - min_volts) / (reference_volts * (4095.0 / 4096.0)),
            open_volts: 0.0,
        }
    }
}

/// One channel of a converter with what hangs on it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Drive {
    /// What it drives.
    pub load: Load,
    /// The amplifier between them.
    pub stage: OutputStage,
}

/// What an analog input sees.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum AnalogSource {
    /// A constant voltage.
    Volts(f64),
    /// The sensor of this heater.
    Heater(u8),
    /// The monitor output of an axis' amplifier: what it is commanded to while
    /// it is enabled, else 0; `offset_volts + gain * command`.
    Command {
        /// The axis.
        axis: u8,
        /// Volts at a command of 0.
        offset_volts: f64,
        /// Volts for a volt of command.
        gain: f64,
    },
}

/// How an encoder sees its shaft.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Largest error of a reading in counts of 16384 in a turn; readings are
    /// spread as the sum of two dice, with the true one in the middle.
    pub noise_counts: u16,
    /// Time after the first [`SimBoard::advance`](super::SimBoard::advance) until the chip has an angle
    /// (t_pon, 10 ms in the datasheet).
    pub power_on: Duration,
}

pub(super) fn check_lines(lines: &[Option<u8>]) -> Result<(), WiringError> {
    match lines.iter().flatten().find(|line| **line >= 32) {
        Some(line) => Err(WiringError::NoLine(*line)),
        None => Ok(()),
    }
}

pub(super) fn check_finite(volts: f64) -> Result<(), WiringError> {
    match volts.is_finite() {
        true => Ok(()),
        false => Err(WiringError::Volts),
    }
}

pub(super) fn check_positive(volts: f64) -> Result<(), WiringError> {
    match volts.is_finite() && volts > 0.0 {
        true => Ok(()),
        false => Err(WiringError::Volts),
    }
}
