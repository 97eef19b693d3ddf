//! `[safety]` and `[axis.X]`: the servo controller.
//!
//! Keys are named as the fields of [`ServoConfig`] and its parts, so that what
//! the controller refuses by name is found in the file.

use super::Servo;
use super::error::ConfigError;
use super::io::Io;
use super::names::{Kind, channel, channel_if};
use super::reader::Table;
use crate::axis::servo::MAX_AXES;
use crate::axis::{
    Arm, AxisConfig, FeedbackConfig, Frozen, LimitSwitch, LimitsConfig, Motion, PositionRange,
    ServoConfig, ServoError, Timing,
};
use crate::control::{Gains, ParameterErrorKind, TrajectoryConfig};
use crate::time::Duration;

type Result<T> = std::result::Result<T, ConfigError>;

/// Any finite number: the controller knows the ranges and refuses by name.
const ANY: std::ops::RangeInclusive<f64> = f64::MIN..=f64::MAX;

/// Reads the axes; `None` for a board without any. `safety` is `[safety]`, of
/// which the heartbeat has been read.
pub(super) fn read(
    root: &mut Table<'_>,
    safety: Option<Table<'_>>,
    io: &Io,
    period: Duration,
) -> Result<Option<Servo>> {
    let mut servo = ServoConfig::default();
    let mut names = Vec::new();
    let tables = root.tables("axis", MAX_AXES)?;
    if let Some(mut safety) = safety {
        // On a board without axes these belong to the user's own controller.
        servo.emergency_stop = channel_if(&mut safety, "emergency_stop", Kind::Input, io)?;
        servo.reset = channel_if(&mut safety, "reset", Kind::Input, io)?;
        servo.fault_lamp = channel_if(&mut safety, "fault_lamp", Kind::Output, io)?;
        let arms = [("at-start", Arm::AtStart), ("on-reset", Arm::OnReset)];
        servo.arm = safety.choice_or("arm", &arms, Arm::OnReset)?;
        if servo.arm == Arm::OnReset && servo.reset.is_none() && !tables.is_empty() {
            let what = "nothing can arm the axes: arm = \"on-reset\" without a `reset` input";
            return Err(safety.error(what, "name the reset input, or set arm = \"at-start\""));
        }
        safety.finish()?;
    } else if !tables.is_empty() {
        return Err(root.error(
            "there are axes but no [safety]",
            "add [safety] with emergency_stop, reset, and arm",
        ));
    }
    if tables.is_empty() {
        return Ok(None);
    }
    let mut places = Vec::new();
    for (name, table) in tables {
        names.push(name.to_owned());
        places.push(table.places());
        let axis = axis(table, io)?;
        // `tables` has seen to it that they fit.
        let _ = servo.axes.push(axis);
    }
    servo
        .build(period)
        .map_err(|error| refused(root, &error, &names, &places))?;
    Ok(Some(Servo {
        config: servo,
        names,
    }))
}

/// The controller's refusal as an error at the key that it names.
fn refused(
    root: &Table<'_>,
    error: &ServoError,
    names: &[String],
    places: &[Vec<(String, std::ops::Range<usize>)>],
) -> ConfigError {
    let parameter = error.parameter.name;
    let key = match parameter.rsplit('.').next().unwrap_or(parameter) {
        "encoder_channel" => "encoder",
        "command_channel" => "analog_output",
        "enable_channel" => "enable",
        "brake_channel" => "brake_release",
        other => other,
    };
    let axis = error.axis.map_or(0, usize::from);
    let span = places
        .get(axis)
        .and_then(|keys| {
            let exact = keys.iter().find(|(name, _)| name == key);
            // A parameter of several keys, such as a range, is meant as a whole.
            exact.or_else(|| keys.first())
        })
        .map_or(0..0, |(_, span)| span.clone());
    let name = names.get(axis).map_or("", String::as_str);
    let fix = match error.parameter.kind {
        ParameterErrorKind::Missing => "add it",
        ParameterErrorKind::Duplicate { .. } => "use each channel only once",
        _ => "change it, or what it depends on",
    };
    root.source()
        .error(&span, format!("[axis.{name}]: {}", error.parameter), fix)
}

fn millis(table: &mut Table<'_>, key: &'static str, default_ms: u64) -> Result<Duration> {
    table
        .integer_or(key, 0..=600_000, default_ms)
        .map(Duration::from_millis)
}

fn axis(mut table: Table<'_>, io: &Io) -> Result<AxisConfig> {
    let encoder = channel(&mut table, "encoder", Kind::Encoder, io)?;
    let mut gains = table.table("gains")?;
    let mut limits = table.table("limits")?;
    let axis = AxisConfig {
        feedback: feedback(table.table("feedback")?, encoder)?,
        command_channel: channel(&mut table, "analog_output", Kind::AnalogOutput, io)?,
        command_inverted: table.boolean_or("command_inverted", false)?,
        enable_channel: channel(&mut table, "enable", Kind::Output, io)?,
        brake_channel: channel_if(&mut table, "brake_release", Kind::Output, io)?,
        gains: Gains {
            kp: gains.number("kp", ANY)?,
            ki: gains.number("ki", ANY)?,
            kd: gains.number("kd", ANY)?,
            derivative_cutoff_hz: gains.number("derivative_cutoff_hz", ANY)?,
            tracking_time_s: gains.number("tracking_time_s", ANY)?,
        },
        velocity_feed_forward_v_s_rad: gains.number_or(
            "velocity_feed_forward_v_s_rad",
            ANY,
            0.0,
        )?,
        acceleration_feed_forward_v_s2_rad: gains.number_or(
            "acceleration_feed_forward_v_s2_rad",
            ANY,
            0.0,
        )?,
        profile: profile(table.table("profile")?)?,
        limits: read_limits(&mut limits, io)?,
        timing: timing(table.table("timing")?)?,
        motion: match table.table_if("motion")? {
            Some(table) => motion(table)?,
            None => Motion::default(),
        },
    };
    gains.finish()?;
    limits.finish()?;
    table.finish()?;
    Ok(axis)
}

fn feedback(mut table: Table<'_>, encoder_channel: u8) -> Result<FeedbackConfig> {
    let frozen = if table.has("frozen_cycles") || table.has("frozen_command_volts") {
        Some(Frozen {
            frozen_cycles: table.integer("frozen_cycles", 1..=1_000_000)? as u32,
            frozen_command_volts: table.number("frozen_command_volts", ANY)?,
        })
    } else {
        None
    };
    let config = FeedbackConfig {
        encoder_channel,
        gear_ratio: table.number_or("gear_ratio", ANY, 1.0)?,
        encoder_inverted: table.boolean_or("encoder_inverted", false)?,
        offset_rad: table.number_or("offset_rad", ANY, 0.0)?,
        plausible_velocity_rad_s: table.number("plausible_velocity_rad_s", ANY)?,
        velocity_cutoff_hz: table.number("velocity_cutoff_hz", ANY)?,
        tolerated_failures: table.integer_or("tolerated_failures", 0..=100, 2)? as u16,
        frozen,
    };
    table.finish()?;
    Ok(config)
}

fn profile(mut table: Table<'_>) -> Result<TrajectoryConfig> {
    let acceleration_rad_s2 = table.number("acceleration_rad_s2", ANY)?;
    let jerk_rad_s3 = table.number("jerk_rad_s3", ANY)?;
    let config = TrajectoryConfig {
        velocity_rad_s: table.number("velocity_rad_s", ANY)?,
        acceleration_rad_s2,
        jerk_rad_s3,
        stop_deceleration_rad_s2: table.number_or(
            "stop_deceleration_rad_s2",
            ANY,
            acceleration_rad_s2,
        )?,
        stop_jerk_rad_s3: table.number_or("stop_jerk_rad_s3", ANY, jerk_rad_s3)?,
    };
    table.finish()?;
    Ok(config)
}

fn switch(
    table: &mut Table<'_>,
    key: &'static str,
    normally_closed: bool,
    io: &Io,
) -> Result<Option<LimitSwitch>> {
    let channel = channel_if(table, key, Kind::Input, io)?;
    Ok(channel.map(|channel| LimitSwitch {
        channel,
        normally_closed,
    }))
}

fn read_limits(table: &mut Table<'_>, io: &Io) -> Result<LimitsConfig> {
    let position = if table.has("min_rad") || table.has("max_rad") {
        Some(PositionRange {
            min_rad: table.number("min_rad", ANY)?,
            max_rad: table.number("max_rad", ANY)?,
        })
    } else {
        None
    };
    let normally_closed = table.boolean_or("switches_normally_closed", false)?;
    Ok(LimitsConfig {
        position,
        max_velocity_rad_s: table.number("max_velocity_rad_s", ANY)?,
        max_command_volts: table.number("max_command_volts", ANY)?,
        negative_switch: switch(table, "negative_switch", normally_closed, io)?,
        positive_switch: switch(table, "positive_switch", normally_closed, io)?,
        following_error_window_rad: table.number("following_error_window_rad", ANY)?,
        following_error_timeout: millis(table, "following_error_timeout_ms", 0)?,
    })
}

fn timing(mut table: Table<'_>) -> Result<Timing> {
    let config = Timing {
        start_timeout: millis(&mut table, "start_timeout_ms", 1_000)?,
        brake_release: millis(&mut table, "brake_release_ms", 0)?,
        brake_engage: millis(&mut table, "brake_engage_ms", 0)?,
        standstill_timeout: millis(&mut table, "standstill_timeout_ms", 500)?,
        standstill_velocity_rad_s: table.number("standstill_velocity_rad_s", ANY)?,
    };
    table.finish()?;
    Ok(config)
}

fn motion(mut table: Table<'_>) -> Result<Motion> {
    let most = Motion::default().positions_rad.capacity();
    let positions = table.numbers("positions_rad", ANY, most)?;
    let config = Motion {
        // `numbers` has seen to it that they fit.
        positions_rad: positions.into_iter().collect(),
        dwell_s: table.number_or("dwell_s", ANY, 0.0)?,
    };
    table.finish()?;
    Ok(config)
}
