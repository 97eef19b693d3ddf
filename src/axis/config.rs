//! The configuration of an axis, and the checks between its parts.

use super::command::config::{CommandConfig, CommandSignals};
use super::drive::Axis;
use super::feedback::FeedbackConfig;
use super::limits::{LimitsConfig, periods};
use super::motion::Motion;
use crate::control::param::{self, ParameterError, ParameterErrorKind};
use crate::control::{Gains, PidConfig, TrajectoryConfig};
use crate::cycle::image::{MAX_COMMANDS, OutputChannel};
use crate::time::Duration;

/// Times of the sequences of an axis. They are rounded up to whole periods.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Timing {
    /// The longest time from the start to the first good reading of the encoder.
    pub start_timeout: Duration,
    /// Time that the brake takes to release. The axis holds its position meanwhile.
    pub brake_release: Duration,
    /// Time that the brake takes to engage. Power stays on meanwhile.
    pub brake_engage: Duration,
    /// The longest wait for standstill after the quick stop ramp. After it the brake engages at
    /// any velocity.
    pub standstill_timeout: Duration,
    /// Velocity below which the axis counts as at standstill, rad/s, greater than 0.
    pub standstill_velocity_rad_s: f64,
}

/// Most axes of a servo controller.
pub const MAX_AXES: usize = 32;

/// One axis: channels of the process image, limits and tuning.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisConfig {
    /// The encoder.
    pub feedback: FeedbackConfig,
    /// Analog output for the motor, volts.
    pub command_channel: u8,
    /// Whether a positive command moves the axis in negative direction.
    pub command_inverted: bool,
    /// Digital output that applies power to the drive.
    pub enable_channel: OutputChannel,
    /// Digital output that releases the brake, if there is one.
    pub brake_channel: Option<OutputChannel>,
    /// Gains of the position controller: radians in, volts out.
    pub gains: Gains,
    /// Velocity feed-forward, volts for each rad/s of the setpoint, 0 or more: the back-EMF of
    /// the motor. The reaction of the derivative gain to the setpoint's velocity is compensated
    /// in addition.
    pub velocity_feed_forward_v_s_rad: f64,
    /// Acceleration feed-forward, volts for each rad/s^2 of the setpoint, 0 or more: the
    /// inertia.
    pub acceleration_feed_forward_v_s2_rad: f64,
    /// Limits of the commanded motion.
    pub profile: TrajectoryConfig,
    /// Limits of the measured motion.
    pub limits: LimitsConfig,
    /// Times of the sequences.
    pub timing: Timing,
    /// The positions to move to.
    pub motion: Motion,
    /// The commands from outside; `None` for an axis that only moves through its list.
    pub command: Option<CommandSignals>,
    /// How the axis reacts to commands.
    pub command_config: CommandConfig,
}

impl AxisConfig {
    /// Validates the configuration for cycles of `period`.
    ///
    /// # Errors
    /// The first parameter that is outside of its documented range or contradicts another one.
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
        // Otherwise every move would end in a fault.
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
        let command = match &self.command {
            Some(signals) => {
                Some(signals.build(&self.command_config, &self.limits, &self.profile, period)?)
            }
            None => None,
        };
        let brake_bit = self.brake_channel.map_or(0, OutputChannel::bit);
        Ok(Axis {
            feedback,
            limits,
            profile,
            velocity_gain: self.velocity_feed_forward_v_s_rad + pid.derivative_gain(),
            acceleration_gain: self.acceleration_feed_forward_v_s2_rad,
            pid,
            program,
            command,
            command_channel: self.command_channel,
            command_sign: if self.command_inverted { -1.0 } else { 1.0 },
            power_bits: self.enable_channel.bit() | brake_bit,
            brake_bit,
            start_slots: periods(t.start_timeout, period),
            brake_release_slots: periods(t.brake_release, period),
            brake_engage_slots: periods(t.brake_engage, period),
            standstill_slots: periods(t.standstill_timeout, period),
            standstill_velocity_rad_s: t.standstill_velocity_rad_s,
        })
    }
}
