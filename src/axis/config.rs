//! What an axis is made from, and the checks between its parts.

use super::drive::Axis;
use super::feedback::FeedbackConfig;
use super::limits::{LimitsConfig, periods};
use super::motion::Motion;
use crate::control::param::{self, ParameterError, ParameterErrorKind};
use crate::control::{Gains, PidConfig, TrajectoryConfig};
use crate::cycle::image::{MAX_COMMANDS, OutputChannel};
use crate::time::Duration;

/// Times of an axis' sequences. They are rounded up to whole periods.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Timing {
    /// How long the encoder may take until its first good reading.
    pub start_timeout: Duration,
    /// From the release of the brake until it has let go. The position is held
    /// meanwhile.
    pub brake_release: Duration,
    /// From the engagement of the brake until it holds. Power stays on
    /// meanwhile.
    pub brake_engage: Duration,
    /// How long after the end of the quick stop ramp standstill is waited for;
    /// then the brake engages whatever the velocity is.
    pub standstill_timeout: Duration,
    /// Velocity below which the axis stands still, rad/s, greater than 0.
    pub standstill_velocity_rad_s: f64,
}

/// Most axes of a servo controller.
pub const MAX_AXES: usize = 32;

/// One axis: channels of the process image, limits and tuning.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisConfig {
    /// The encoder.
    pub feedback: FeedbackConfig,
    /// Analog output that drives the motor, volts.
    pub command_channel: u8,
    /// Whether a positive command moves the axis in negative direction.
    pub command_inverted: bool,
    /// Digital output that applies power.
    pub enable_channel: OutputChannel,
    /// Digital output that releases the brake, if there is one.
    pub brake_channel: Option<OutputChannel>,
    /// Gains of the position controller: radians in, volts out.
    pub gains: Gains,
    /// Volts for each rad/s of the setpoint, 0 or more: the motor's back-EMF.
    /// What the derivative gain takes away is made up for besides.
    pub velocity_feed_forward_v_s_rad: f64,
    /// Volts for each rad/s^2 of the setpoint, 0 or more: the inertia.
    pub acceleration_feed_forward_v_s2_rad: f64,
    /// Limits of the motion that is asked of the axis.
    pub profile: TrajectoryConfig,
    /// Limits of the motion that is measured.
    pub limits: LimitsConfig,
    /// Times of the sequences.
    pub timing: Timing,
    /// Where the axis goes.
    pub motion: Motion,
}

impl AxisConfig {
    /// Validates everything for cycles every `period`.
    ///
    /// # Errors
    /// The first parameter outside of the range that its documentation states,
    /// or in contradiction to another one.
    pub fn build(&self, period: Duration) -> Result<Axis, ParameterError> {
        let feedback = self.feedback.build(period)?;
        let limits = self.limits.build(period)?;
        let profile = self.profile.build(period)?;
        let pid = PidConfig {
            gains: self.gains,
            output_min: -self.limits.max_command_volts,
            output_max: self.limits.max_command_volts,
        }
        .build(period)?;
        param::channel("command_channel", self.command_channel, MAX_COMMANDS)?;
        if let Some(brake) = self.brake_channel
            && brake == self.enable_channel
        {
            return Err(ParameterError {
                name: "brake_channel",
                kind: ParameterErrorKind::Duplicate {
                    channel: brake.number(),
                },
            });
        }
        for (name, value) in [
            (
                "velocity_feed_forward_v_s_rad",
                self.velocity_feed_forward_v_s_rad,
            ),
            (
                "acceleration_feed_forward_v_s2_rad",
                self.acceleration_feed_forward_v_s2_rad,
            ),
        ] {
            param::at_least(name, value, 0.0)?;
        }
        // A profile faster than the limit, or a limit that is not plausible,
        // would be a fault in every move.
        param::in_range(
            "velocity_rad_s",
            self.profile.velocity_rad_s,
            0.0,
            self.limits.max_velocity_rad_s,
        )?;
        param::in_range(
            "max_velocity_rad_s",
            self.limits.max_velocity_rad_s,
            0.0,
            self.feedback.plausible_velocity_rad_s,
        )?;
        let t = &self.timing;
        param::positive("standstill_velocity_rad_s", t.standstill_velocity_rad_s)?;
        let program = self.motion.build(&limits, period)?;
        Ok(Axis {
            feedback,
            limits,
            profile,
            velocity_gain: self.velocity_feed_forward_v_s_rad + pid.derivative_gain(),
            acceleration_gain: self.acceleration_feed_forward_v_s2_rad,
            pid,
            program,
            command_channel: self.command_channel,
            command_sign: if self.command_inverted { -1.0 } else { 1.0 },
            enable_channel: self.enable_channel,
            brake_channel: self.brake_channel,
            start_slots: periods(t.start_timeout, period),
            brake_release_slots: periods(t.brake_release, period),
            brake_engage_slots: periods(t.brake_engage, period),
            standstill_slots: periods(t.standstill_timeout, period),
            standstill_velocity_rad_s: t.standstill_velocity_rad_s,
        })
    }
}
