//! The parameters of an axis that may change while it runs, in one table, and their change.
//!
//! [`PARAMETERS`] has gains, profile, windows and times. Channels, the scale of the encoder and
//! the limits that protect the machine (range, largest velocity and command) are not in it: they
//! need a restart. A change is made to an [`AxisConfig`], whose [`build`](AxisConfig::build)
//! checks it as a whole outside of the loop; [`Axis::take_over`] then puts the new [`Axis`] in
//! place of the old before a cycle decides.

use super::command::config::{
    ABORT_FAULT_OPTION, ABORT_HOLD_OPTION, FAULT_REACTION_OPTION, OnLoss, SLOW_DOWN_OPTION,
};
use super::config::AxisConfig;
use super::drive::Axis;
use super::memory::AxisState;
use crate::control::param::{self, ParameterError};
use crate::time::Duration;

/// The value of a parameter.
enum Place<'c> {
    Number(&'c mut f64),
    /// A time, in milliseconds outside.
    Millis(&'c mut Duration),
}

use Place::{Millis, Number};

/// A parameter that may change while the axis runs.
#[derive(Copy, Clone, Debug)]
pub struct Parameter {
    /// Its key in the board file, below `[axis.X]`.
    pub key: &'static str,
    place: fn(&mut AxisConfig) -> Place<'_>,
    kind: Kind,
    sub: u8,
    /// 0 for one that the standard does not have.
    index: u16,
}

/// What a parameter measures.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Proportional,
    Integral,
    Derivative,
    Inertia,
    Hertz,
    Seconds,
    Millis,
    Angle,
    Offset,
    Velocity,
    Acceleration,
    Jerk,
    Volts,
}

const NS_PER_MS: f64 = 1e6;

impl Parameter {
    /// Its unit.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        self.about().0
    }

    /// Its least and its greatest value. Some with the least value 0 must be greater, and other
    /// parameters may limit it further: [`AxisConfig::build`] tells.
    #[must_use]
    pub const fn range(&self) -> (f64, f64) {
        let most = self.about().1;
        match self.kind {
            Kind::Offset => (-most, most),
            _ => (0.0, most),
        }
    }

    /// Unit and largest value. The values are those of the board file: they exceed any machine,
    /// and only prevent overflow in the arithmetic of a cycle.
    const fn about(&self) -> (&'static str, f64) {
        match self.kind {
            Kind::Proportional => ("V/rad", 1e9),
            Kind::Integral => ("V/rad/s", 1e9),
            Kind::Derivative => ("V/(rad/s)", 1e9),
            Kind::Inertia => ("V/(rad/s^2)", 1e9),
            Kind::Hertz => ("Hz", 1e5),
            Kind::Seconds => ("s", 1e4),
            Kind::Millis => ("ms", 600_000.0),
            Kind::Angle | Kind::Offset => ("rad", 1e6),
            Kind::Velocity => ("rad/s", 1e5),
            Kind::Acceleration => ("rad/s^2", 1e8),
            Kind::Jerk => ("rad/s^3", 1e11),
            Kind::Volts => ("V", 1e3),
        }
    }

    /// Its index and sub-index in the dictionary of CiA 402; `None` for one that the standard
    /// does not have.
    #[must_use]
    pub const fn object(&self) -> Option<(u16, u8)> {
        match self.index {
            0 => None,
            index => Some((index, self.sub)),
        }
    }

    /// Its value for one SI unit: 1000 for a time, which is in ms.
    #[must_use]
    pub const fn per_si(&self) -> f64 {
        match self.kind {
            Kind::Millis => 1e3,
            _ => 1.0,
        }
    }

    /// Whether an axis with this configuration has it: one without commands has none of
    /// `command`, one without homing none of `homing`.
    #[must_use]
    pub fn is_of(&self, config: &AxisConfig) -> bool {
        match self.key.as_bytes()[0] {
            b'c' => config.command.is_some(),
            b'h' => config.command_config.homing.method != 0,
            _ => true,
        }
    }

    /// Its value. Changes nothing.
    #[must_use]
    pub fn get(&self, config: &mut AxisConfig) -> f64 {
        match (self.place)(config) {
            Number(value) => *value,
            Millis(time) => time.as_nanos() as f64 / NS_PER_MS,
        }
    }

    /// Sets it to `value`; times are rounded to nanoseconds.
    ///
    /// # Errors
    /// `value` is not finite or outside of its range. [`AxisConfig::build`] checks the rest.
    pub fn set(&self, config: &mut AxisConfig, value: f64) -> Result<(), ParameterError> {
        let (min, max) = self.range();
        let value = param::in_range(self.key, value, min, max)?;
        match (self.place)(config) {
            Number(to) => *to = value,
            Millis(to) => *to = Duration::from_nanos(libm::round(value * NS_PER_MS) as u64),
        }
        Ok(())
    }
}

/// A parameter of CiA 402 if `index` is not 0.
const fn entry(
    key: &'static str,
    kind: Kind,
    (index, sub): (u16, u8),
    place: fn(&mut AxisConfig) -> Place<'_>,
) -> Parameter {
    Parameter {
        key,
        place,
        kind,
        sub,
        index,
    }
}

/// Not in the standard.
const OWN: (u16, u8) = (0, 0);

/// All parameters. Their place in it is their number.
pub static PARAMETERS: [Parameter; 24] = [
    entry("gains.kp", Kind::Proportional, OWN, |c| {
        Number(&mut c.gains.kp)
    }),
    entry("gains.ki", Kind::Integral, OWN, |c| Number(&mut c.gains.ki)),
    entry("gains.kd", Kind::Derivative, OWN, |c| {
        Number(&mut c.gains.kd)
    }),
    entry("gains.derivative_cutoff_hz", Kind::Hertz, OWN, |c| {
        Number(&mut c.gains.derivative_cutoff_hz)
    }),
    entry("gains.tracking_time_s", Kind::Seconds, OWN, |c| {
        Number(&mut c.gains.tracking_time_s)
    }),
    entry(
        "gains.velocity_feed_forward_v_s_rad",
        Kind::Derivative,
        OWN,
        |c| Number(&mut c.velocity_feed_forward_v_s_rad),
    ),
    entry(
        "gains.acceleration_feed_forward_v_s2_rad",
        Kind::Inertia,
        OWN,
        |c| Number(&mut c.acceleration_feed_forward_v_s2_rad),
    ),
    entry("feedback.velocity_cutoff_hz", Kind::Hertz, OWN, |c| {
        Number(&mut c.feedback.velocity_cutoff_hz)
    }),
    entry("profile.velocity_rad_s", Kind::Velocity, (0x6081, 0), |c| {
        Number(&mut c.profile.velocity_rad_s)
    }),
    entry(
        "profile.acceleration_rad_s2",
        Kind::Acceleration,
        (0x6083, 0),
        |c| Number(&mut c.profile.acceleration_rad_s2),
    ),
    entry("profile.jerk_rad_s3", Kind::Jerk, (0x60A4, 1), |c| {
        Number(&mut c.profile.jerk_rad_s3)
    }),
    entry(
        "profile.stop_deceleration_rad_s2",
        Kind::Acceleration,
        (0x6085, 0),
        |c| Number(&mut c.profile.stop_deceleration_rad_s2),
    ),
    entry("profile.stop_jerk_rad_s3", Kind::Jerk, OWN, |c| {
        Number(&mut c.profile.stop_jerk_rad_s3)
    }),
    entry(
        "limits.following_error_window_rad",
        Kind::Angle,
        (0x6065, 0),
        |c| Number(&mut c.limits.following_error_window_rad),
    ),
    entry(
        "limits.following_error_timeout_ms",
        Kind::Millis,
        (0x6066, 0),
        |c| Millis(&mut c.limits.following_error_timeout),
    ),
    entry(
        "timing.standstill_velocity_rad_s",
        Kind::Velocity,
        OWN,
        |c| Number(&mut c.timing.standstill_velocity_rad_s),
    ),
    entry("timing.standstill_timeout_ms", Kind::Millis, OWN, |c| {
        Millis(&mut c.timing.standstill_timeout)
    }),
    entry(
        "command.position_window_rad",
        Kind::Angle,
        (0x6067, 0),
        |c| Number(&mut c.command_config.position_window_rad),
    ),
    entry(
        "command.position_window_time_ms",
        Kind::Millis,
        (0x6068, 0),
        |c| Millis(&mut c.command_config.position_window_time),
    ),
    entry("command.interpolation_ms", Kind::Millis, (0x60C2, 1), |c| {
        Millis(&mut c.command_config.interpolation)
    }),
    entry("homing.fast_rad_s", Kind::Velocity, (0x6099, 1), |c| {
        Number(&mut c.command_config.homing.fast_rad_s)
    }),
    entry("homing.slow_rad_s", Kind::Velocity, (0x6099, 2), |c| {
        Number(&mut c.command_config.homing.slow_rad_s)
    }),
    entry("homing.offset_rad", Kind::Offset, (0x607C, 0), |c| {
        Number(&mut c.command_config.homing.offset_rad)
    }),
    entry("homing.stop_command_volts", Kind::Volts, OWN, |c| {
        Number(&mut c.command_config.homing.stop_command_volts)
    }),
];

impl AxisConfig {
    /// The value, in SI units, of an object of CiA 402 that is not one of [`PARAMETERS`]: its
    /// index and sub-index. `None` for one that the axis does not have.
    #[must_use]
    pub fn fixed_object(&self, object: (u16, u8)) -> Option<f64> {
        let range = self.limits.position;
        Some(match object {
            (0x6007, 0) => f64::from(match self.command_config.on_loss {
                OnLoss::QuickStop => ABORT_FAULT_OPTION,
                OnLoss::Hold => ABORT_HOLD_OPTION,
            }),
            (0x605A, 0) => f64::from(self.command_config.quick_stop as i8),
            (0x605B..=0x605D, 0) => f64::from(SLOW_DOWN_OPTION),
            (0x605E, 0) => f64::from(FAULT_REACTION_OPTION),
            (0x607D, 1) => range?.min_rad,
            (0x607D, 2) => range?.max_rad,
            (0x607F, 0) => self.limits.max_velocity_rad_s,
            // A move, and homing, decelerate as they accelerate (6083h).
            (0x6084 | 0x609A, 0) => self.profile.acceleration_rad_s2,
            (0x6098, 0) => f64::from(self.command_config.homing.method),
            // Relative to the last accepted target; a new set-point waits.
            (0x60F2, 0) => 0.0,
            _ => return None,
        })
    }
}

impl Axis {
    /// Takes over `to`, which was built from the same configuration with other values of
    /// [`PARAMETERS`], before a cycle decides.
    ///
    /// Bumpless: with the same error and setpoint, the next command is as it would have been. The
    /// integrator takes the difference ([`Pid::hand_over`](crate::control::Pid::hand_over)). A
    /// motion in progress goes on as it was planned; its stop, and the next motion, have the new
    /// profile. Cost: a few hundred instructions, once. Allocates nothing.
    pub fn take_over(&mut self, state: &mut AxisState, to: &Self) {
        let setpoint = *state.trajectory.last();
        let feed_forward = (to.velocity_gain - self.velocity_gain) * setpoint.velocity_rad_s
            + (to.acceleration_gain - self.acceleration_gain) * setpoint.acceleration_rad_s2;
        self.pid.hand_over(
            &mut state.pid,
            &to.pid,
            setpoint.position_rad - state.feedback.position_rad(),
            state.feedback.velocity_rad_s(),
            feed_forward,
        );
        self.feedback.hand_over(&mut state.feedback, &to.feedback);
        self.clone_from(to);
    }
}
