//! The configuration of a commanded axis.

use super::homing::{Homing, HomingConfig};
use crate::axis::limits::{LimitsConfig, periods};
use crate::control::TrajectoryConfig;
use crate::control::param::{self, ParameterError, ParameterErrorKind};
use crate::cycle::image::{InputError, Inputs};
use crate::cycle::signal::Input;
use crate::cycle::word::{Word, number};
use crate::time::Duration;

/// The command signals of an axis: [`Input::received`], all four of one group, with consecutive
/// numbers.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct CommandSignals {
    /// Controlword (6040h), 0 to 65535.
    pub controlword: Input<f64>,
    /// Mode of operation (6060h), -128 to 127: 0 none, 1 profile position, 3 profile velocity,
    /// 6 homing, 8 cyclic synchronous position, 9 cyclic synchronous velocity. The axis keeps its
    /// mode if it does not have the commanded one.
    pub mode: Input<f64>,
    /// Target position (607Ah), rad.
    pub target_position: Input<f64>,
    /// Target velocity (60FFh), rad/s.
    pub target_velocity: Input<f64>,
}

/// The reaction to commands that are not refreshed within their timeout.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// The fault [`CommandLost`](crate::axis::Fault::CommandLost): quick stop, then power off.
    #[default]
    QuickStop,
    /// Stop on the ramp of the profile, stay enabled and hold the position.
    Hold,
}

/// The reaction to a quick stop of the controlword (605Ah, quick stop option code).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum QuickStopOption {
    /// 0: power off at once.
    Disable = 0,
    /// 1: the ramp of the profile, then Switch on disabled.
    SlowDown = 1,
    /// 2: the quick stop ramp, then Switch on disabled.
    #[default]
    QuickStop = 2,
    /// 5: the ramp of the profile, then hold in Quick stop active.
    SlowDownAndStay = 5,
    /// 6: the quick stop ramp, then hold in Quick stop active.
    QuickStopAndStay = 6,
}

impl QuickStopOption {
    /// The option with this code of 605Ah; `None` for the others.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            0 => Self::Disable,
            1 => Self::SlowDown,
            2 => Self::QuickStop,
            5 => Self::SlowDownAndStay,
            6 => Self::QuickStopAndStay,
            _ => return None,
        })
    }

    /// Whether the axis stays in Quick stop active.
    #[must_use]
    pub const fn stays(self) -> bool {
        matches!(self, Self::SlowDownAndStay | Self::QuickStopAndStay)
    }
}

/// Shutdown (605Bh), disable operation (605Ch) and halt (605Dh) option code: the ramp of the
/// profile.
pub const SLOW_DOWN_OPTION: i16 = 1;
/// Fault reaction option code (605Eh): the quick stop ramp.
pub const FAULT_REACTION_OPTION: i16 = 2;
/// Abort connection option code (6007h) of [`OnLoss::QuickStop`]: fault signal.
pub const ABORT_FAULT_OPTION: i16 = 1;
/// That of [`OnLoss::Hold`], of the manufacturer: the ramp of the profile, then hold.
pub const ABORT_HOLD_OPTION: i16 = -1;
/// Supported drive modes (6502h): pp, pv, hm, csp, csv.
pub const SUPPORTED_MODES: u32 = 1 | 1 << 2 | 1 << 5 | 1 << 7 | 1 << 8;

/// How a commanded axis reacts.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct CommandConfig {
    /// The reaction to a loss of the commands.
    pub on_loss: OnLoss,
    /// The reaction to a quick stop of the controlword.
    pub quick_stop: QuickStopOption,
    /// Position window (6067h), rad, greater than 0: the target is reached within it.
    pub position_window_rad: f64,
    /// Position window time (6068h): for so long.
    pub position_window_time: Duration,
    /// Interpolation time period (60C2h): the axis takes this time to a new target of mode csp.
    /// Zero, or up to one period: the next cycle has it.
    pub interpolation: Duration,
    /// Mode csp with SYNC: the setpoint goes on at its velocity for so long after the
    /// interpolation while SYNC is missing, then it stops on the ramp of the profile. Zero: it
    /// stands at once.
    pub extrapolation: Duration,
    /// Homing.
    pub homing: HomingConfig,
}

impl Default for CommandConfig {
    /// A window of 10 mrad for 10 ms, quick stop after a loss, no interpolation, no
    /// extrapolation, no homing.
    fn default() -> Self {
        Self {
            on_loss: OnLoss::QuickStop,
            quick_stop: QuickStopOption::QuickStop,
            position_window_rad: 0.01,
            position_window_time: Duration::from_millis(10),
            interpolation: Duration::ZERO,
            extrapolation: Duration::ZERO,
            homing: HomingConfig::NONE,
        }
    }
}

/// What a commanded axis knows: validated.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Commands {
    group: u8,
    /// The number of the controlword; mode, position and velocity follow it.
    first: u8,
    pub(in crate::axis) on_loss: OnLoss,
    pub(in crate::axis) quick_stop: QuickStopOption,
    pub(in crate::axis) window_rad: f64,
    pub(in crate::axis) window_cycles: u32,
    pub(in crate::axis) interpolation_slots: u32,
    pub(in crate::axis) extrapolation_slots: u32,
    pub(in crate::axis) homing: Homing,
    /// The axis has a limit switch or a home switch, which its status shows.
    pub(in crate::axis) has_switches: bool,
    /// The range of targets, infinite without one.
    pub(in crate::axis) min_rad: f64,
    pub(in crate::axis) max_rad: f64,
    /// The period, s, and its reciprocal.
    pub(in crate::axis) period_s: f64,
    pub(in crate::axis) rate_hz: f64,
    /// Velocity of the profile, rad/s.
    pub(in crate::axis) velocity_rad_s: f64,
    /// Change of the velocity in a period by the acceleration of the profile, rad/s.
    pub(in crate::axis) velocity_step_rad_s: f64,
    /// Braking before the end of the range: see [`Commands::may_have`].
    twice_braking_rad_s: f64,
    twice_deceleration_rad_s2: f64,
}

/// The commands of a cycle.
#[derive(Copy, Clone, Debug)]
pub(in crate::axis) struct Order<'i> {
    pub(in crate::axis) controlword: u16,
    pub(in crate::axis) mode: i8,
    position: &'i Word,
    velocity: &'i Word,
}

impl Order<'_> {
    /// The target position; `None` if it is not finite, which links refuse.
    #[inline]
    pub(in crate::axis) fn target_position(&self) -> Option<f64> {
        Some(number(self.position)).filter(|position| position.is_finite())
    }

    /// The target velocity; 0 if it is not finite, which links refuse.
    #[inline]
    pub(in crate::axis) fn target_velocity(&self) -> f64 {
        let velocity = number(self.velocity);
        if velocity.is_finite() { velocity } else { 0.0 }
    }
}

impl CommandSignals {
    /// Validates the commands of an axis with `limits` and `profile` for cycles of `period`.
    ///
    /// # Errors
    /// Names the first parameter outside of its range, or `command` if the signals are not
    /// received, not of one group, or not consecutive.
    pub fn build(
        &self,
        config: &CommandConfig,
        limits: &LimitsConfig,
        profile: &TrajectoryConfig,
        period: Duration,
    ) -> Result<Commands, ParameterError> {
        let period_s = param::positive("period", period.as_secs_f64())?;
        let missing = ParameterError {
            name: "command",
            kind: ParameterErrorKind::Missing,
        };
        let (first, group) = self.controlword.received_number().ok_or(missing)?;
        let others = [self.mode, self.target_position, self.target_velocity];
        for (signal, number) in others.into_iter().zip(first + 1..) {
            if signal.received_number() != Some((number, group)) {
                return Err(missing);
            }
        }
        param::positive("position_window_rad", config.position_window_rad)?;
        let deceleration = profile.stop_deceleration_rad_s2;
        let range = limits.position;
        Ok(Commands {
            group,
            first,
            on_loss: config.on_loss,
            quick_stop: config.quick_stop,
            window_rad: config.position_window_rad,
            window_cycles: periods(config.position_window_time, period),
            interpolation_slots: periods(config.interpolation, period).max(1),
            extrapolation_slots: periods(config.extrapolation, period),
            homing: config.homing.build(limits, profile)?,
            has_switches: limits.negative_switch.is_some()
                || limits.positive_switch.is_some()
                || config.homing.switch.is_some(),
            min_rad: range.map_or(f64::NEG_INFINITY, |range| range.min_rad),
            max_rad: range.map_or(f64::INFINITY, |range| range.max_rad),
            period_s,
            rate_hz: 1.0 / period_s,
            velocity_rad_s: profile.velocity_rad_s,
            velocity_step_rad_s: profile.acceleration_rad_s2 * period_s,
            twice_braking_rad_s: deceleration * deceleration / profile.stop_jerk_rad_s3
                + 2.0 * deceleration * period_s,
            twice_deceleration_rad_s2: 2.0 * deceleration,
        })
    }
}

impl Commands {
    /// Controlword and mode.
    #[inline]
    pub(in crate::axis) fn read<'i>(&self, inputs: &'i Inputs) -> Result<Order<'i>, InputError> {
        let [controlword, mode, position, velocity] =
            inputs.received.commands(self.first, self.group)?;
        Ok(Order {
            controlword: number(controlword) as u16,
            mode: number(mode) as i8,
            position,
            velocity,
        })
    }

    /// Limits a position to the range.
    #[inline]
    pub(in crate::axis) fn within_range(&self, position_rad: f64) -> f64 {
        let below = if self.max_rad < position_rad {
            self.max_rad
        } else {
            position_rad
        };
        if self.min_rad > below {
            self.min_rad
        } else {
            below
        }
    }

    /// Whether a setpoint may have the velocity `v` (0 or more) at `left_rad` before the end of
    /// the range: after one more period the quick stop ramp must end within it.
    ///
    /// With deceleration A and jerk J a stop from v takes at most the distance v^2/2A + v A/2J
    /// (equal if A is reached), and one period takes v T.
    #[inline]
    pub(in crate::axis) fn may_have(&self, v: f64, left_rad: f64) -> bool {
        v * (v + self.twice_braking_rad_s) <= self.twice_deceleration_rad_s2 * left_rad
    }

    /// The highest velocity of [`Commands::may_have`].
    #[cold]
    #[inline(never)]
    pub(in crate::axis) fn highest(&self, left_rad: f64) -> f64 {
        let b = 0.5 * self.twice_braking_rad_s;
        let square = b * b + self.twice_deceleration_rad_s2 * left_rad.max(0.0);
        (libm::sqrt(square) - b).max(0.0)
    }
}
