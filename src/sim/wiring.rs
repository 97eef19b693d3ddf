//! Wiring between the parts of a simulated board.

use super::motor::MotorParameter;
use super::thermal::ThermalParameter;
use crate::time::Duration;

/// Maximum number of motors on a board.
pub const MAX_MOTORS: usize = 8;
/// Maximum number of heaters on a board.
pub const MAX_HEATERS: usize = 4;
/// Maximum number of chips on a board.
pub const MAX_CHIPS: usize = 16;

/// Why a part cannot be added to the board.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WiringError {
    /// The board has the maximum number of parts of this kind.
    Full,
    /// There is no axis with this number.
    NoAxis(u8),
    /// There is no heater with this number.
    NoHeater(u8),
    /// There is no line with this number; lines are 0 to 31.
    NoLine(u8),
    /// A voltage is not finite, or a reference or supply is not above zero.
    Volts,
    /// A parameter of the motor is invalid.
    Motor(MotorParameter),
    /// A parameter of the heater is invalid.
    Thermal(ThermalParameter),
}

impl core::fmt::Display for WiringError {
    /// One line: what, and what to change in the board file.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "too many parts of one kind; use at most {MAX_MOTORS} motors, {MAX_HEATERS} heaters and {MAX_CHIPS} chips"
            ),
            Self::NoAxis(axis) => write!(f, "there is no motor {axis}; number motors from 0"),
            Self::NoHeater(heater) => {
                write!(f, "there is no heater {heater}; number heaters from 0")
            }
            Self::NoLine(line) => write!(f, "there is no line {line}; use a line from 0 to 31"),
            Self::Volts => {
                f.write_str("invalid voltage; make references and supplies finite and above 0")
            }
            Self::Motor(parameter) => write!(
                f,
                "invalid motor parameter {parameter:?}; make it finite and within its range"
            ),
            Self::Thermal(parameter) => write!(
                f,
                "invalid heater parameter {parameter:?}; make it finite and within its range"
            ),
        }
    }
}

/// A limit switch on the shaft.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LimitSwitch {
    /// The digital input, 0 to 31.
    pub input: u8,
    /// Switching position, rad.
    pub at_rad: f64,
}

/// The digital lines of an axis; `None` is not wired. Without an enable line the amplifier is
/// always enabled, without a brake line the brake is always released.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct AxisWiring {
    /// Output that enables the amplifier; inactive, there is no torque.
    pub enable: Option<u8>,
    /// Output that releases the brake; inactive, the brake blocks the shaft.
    pub brake_release: Option<u8>,
    /// Active at and below its position.
    pub lower_switch: Option<LimitSwitch>,
    /// Active at and above its position.
    pub upper_switch: Option<LimitSwitch>,
}

/// The digital line of a heater. An analog output may drive it as well.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaterWiring {
    /// Output that switches it to full power.
    pub switch: Option<u8>,
}

/// The load of an analog output.
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
    /// Output at 0 V at the pin, V.
    pub offset_volts: f64,
    /// Output per volt at the pin, V/V.
    pub gain: f64,
    /// Output while the pin is open (converter shut down), V. A stage with a bias network
    /// has 0 V.
    pub open_volts: f64,
}

impl OutputStage {
    /// A stage from `min_volts` at code 0 to `max_volts` at code 4095 of a converter with
    /// gain 1 and a reference of `reference_volts`; 0 V while the pin is open.
    #[must_use]
    pub const fn spanning(min_volts: f64, max_volts: f64, reference_volts: f64) -> Self {
        Self {
            offset_volts: min_volts,
            gain: (max_volts - min_volts) / (reference_volts * (4095.0 / 4096.0)),
            open_volts: 0.0,
        }
    }
}

/// The load of one channel of a converter and the amplifier between them.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Drive {
    /// The load.
    pub load: Load,
    /// The amplifier.
    pub stage: OutputStage,
}

/// Settings of a simulated encoder.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Maximum error of a reading in counts, 16384 per turn; triangular distribution around
    /// the true value.
    pub noise_counts: u16,
    /// Time from the first [`SimBoard::advance`](super::SimBoard::advance) to the first valid
    /// angle (t_pon, 10 ms in the datasheet).
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
