//! Reads `[safety]` and `[axis.X]`.
//!
//! Keys have the names of the fields of [`ServoConfig`] and its parts, so that an error of
//! the controller, which names a field, can be located in the file.

use std::sync::Arc;

use super::axes::{Axes, Names};
use super::bounds::{
    ACCELERATION, GAIN, HERTZ, JERK, RAD, RATIO, Result, SECONDS, VELOCITY, VOLTS, millis,
};
use super::read_command::command;
use crate::axis::{
    Arm, Axis, AxisConfig, FeedbackConfig, Frozen, LimitSwitch, LimitsConfig, MAX_AXES, Motion,
    PositionRange, Rearm, Servo, ServoConfig, ServoError, Timing,
};
use crate::config::{ConfigError, RootTables, Table, VoltsOutput, figure};
use crate::control::{Gains, ParameterErrorKind, TrajectoryConfig};

/// Reads `[safety]` and the axes; `None` for a board without axes.
pub(super) fn read(tables: &mut RootTables<'_, '_>) -> Result<Option<Axes>> {
    let mut servo = ServoConfig::<Vec<AxisConfig>>::default();
    let safety_table = tables.table_if("safety")?;
    let axes = tables.tables("axis", MAX_AXES)?;
    match (safety_table, axes.is_empty()) {
        // On a board without axes, `[safety]` is for a control law of the user.
        (Some(table), no_axes) => safety(tables, table, &mut servo, no_axes)?,
        (None, true) => {}
        (None, false) => {
            return Err(tables.error(
                "there are axes but no [safety]",
                "add a table [safety] with emergency_stop, reset and arm",
            ));
        }
    }
    if axes.is_empty() {
        return Ok(None);
    }
    let (mut names, mut places, mut encoders) = (Vec::new(), Vec::new(), Vec::new());
    for (name, table) in axes {
        names.push(name.to_owned());
        places.push(table.places());
        let (axis, encoder) = axis(tables, table, name)?;
        encoders.push(encoder);
        servo.axes.push(axis);
    }
    let by_command = servo.arm == Arm::OnCommand || servo.rearm == Rearm::OnCommand;
    if by_command && servo.axes.iter().all(|axis| axis.command.is_none()) {
        return Err(tables.error(
            "`arm` or `rearm` of [safety] is \"on-command\", but no axis takes commands",
            "add [axis.X.command] to an axis, or use \"on-reset\"",
        ));
    }
    let built: std::result::Result<Servo<Vec<Axis>>, _> = servo.build_in(tables.period());
    built.map_err(|error| refused(tables, &error, &names, &places))?;
    Ok(Some(Axes {
        config: servo,
        names: Arc::new(Names {
            axes: names,
            encoders,
        }),
        board: None,
        period: tables.period(),
        exchange: Arc::default(),
    }))
}

/// Converts an error of the controller to an error at the key that it names.
fn refused(
    root: &Table<'_>,
    error: &ServoError,
    names: &[String],
    places: &[Vec<(String, std::ops::Range<usize>)>],
) -> ConfigError {
    let parameter = error.parameter.name;
    let key = parameter.rsplit('.').next().unwrap_or(parameter);
    let axis = error.axis.map_or(0, usize::from);
    let span = places
        .get(axis)
        .and_then(|keys| {
            let exact = keys.iter().find(|(name, _)| name == key);
            // A key that is not in the file is reported at the table of the axis.
            exact.or_else(|| keys.first())
        })
        .map_or(0..0, |(_, span)| span.clone());
    let name = names.get(axis).map_or("", String::as_str);
    let (is, must) = match error.parameter.kind {
        ParameterErrorKind::NonFinite => {
            ("is not a finite number".to_owned(), "be finite".to_owned())
        }
        ParameterErrorKind::NotPositive { value } => (
            format!("is {}", figure(value)),
            "be greater than 0".to_owned(),
        ),
        ParameterErrorKind::BelowMinimum { min, value } => (
            format!("is {}", figure(value)),
            format!("be at least {}{}", figure(min), bound(key)),
        ),
        ParameterErrorKind::OutOfRange { min, max, value } => (
            format!("is {}", figure(value)),
            format!("be from {} to {}{}", figure(min), figure(max), bound(key)),
        ),
        ParameterErrorKind::AtOrAboveNyquist {
            nyquist_hz,
            value_hz,
        } => (
            format!("is {} Hz", figure(value_hz)),
            format!("be below half the loop's rate, {} Hz", figure(nyquist_hz)),
        ),
        ParameterErrorKind::Inverted { min, max } => (
            format!(
                "is {}, not above its lower end {}",
                figure(max),
                figure(min)
            ),
            "be the greater of the two".to_owned(),
        ),
        ParameterErrorKind::NoSuchChannel { .. }
        | ParameterErrorKind::Duplicate { .. }
        | ParameterErrorKind::Missing => (
            format!("cannot be used: {}", error.parameter),
            "be a channel that exists and is free".to_owned(),
        ),
    };
    root.source().error(
        &span,
        format!("`{key}` of [axis.{name}] {is}"),
        format!("it must {must}"),
    )
}

/// The origin of the limit of `key`, if another key sets it.
fn bound(key: &str) -> &'static str {
    match key {
        "velocity_rad_s" => ", the limit `max_velocity_rad_s`",
        "max_velocity_rad_s" => ", which is `plausible_velocity_rad_s`",
        "plausible_velocity_rad_s" => ", half a turn of the encoder in each period",
        "positions_rad" => ", the limits `min_rad` and `max_rad`",
        "tracking_time_s" => ", one period",
        "stop_deceleration_rad_s2" => ", the `acceleration_rad_s2` of the profile",
        "stop_jerk_rad_s3" => ", the `jerk_rad_s3` of the profile",
        _ => "",
    }
}

/// Reads `[safety]`, including the heartbeat.
fn safety(
    tables: &mut RootTables<'_, '_>,
    mut table: Table<'_>,
    servo: &mut ServoConfig<Vec<AxisConfig>>,
    no_axes: bool,
) -> Result<()> {
    servo.emergency_stop = tables.input_if(&mut table, "emergency_stop")?;
    tables.ends_forces(servo.emergency_stop);
    servo.reset = tables.input_if(&mut table, "reset")?;
    tables.heartbeat(&mut table, "heartbeat")?;
    servo.fault_lamp = tables.output_if(&mut table, "fault_lamp")?;
    let arms = [
        ("at-start", Arm::AtStart),
        ("on-reset", Arm::OnReset),
        ("on-command", Arm::OnCommand),
    ];
    servo.arm = table.choice_or("arm", &arms, Arm::OnReset)?;
    let rearms = [
        ("on-reset", Rearm::OnReset),
        ("when-in-time", Rearm::WhenInTime),
        ("on-command", Rearm::OnCommand),
    ];
    servo.rearm = table.choice_or("rearm", &rearms, Rearm::OnReset)?;
    if servo.arm == Arm::OnReset && servo.reset.is_none() && !no_axes {
        let what = "nothing can arm the axes: `arm` is \"on-reset\" and there is no `reset`";
        return Err(table.error(what, "name the reset input, or set arm = \"at-start\""));
    }
    table.finish()
}

/// Reads `[axis.X]`; also returns the description of its encoder.
fn axis(
    tables: &mut RootTables<'_, '_>,
    mut table: Table<'_>,
    name: &str,
) -> Result<(AxisConfig, String)> {
    let encoder = tables.angle(&mut table, "encoder")?;
    let output = tables.volts(&mut table, "analog_output")?;
    let enable_channel = tables.output(&mut table, "enable")?;
    let brake_channel = tables.output_if(&mut table, "brake_release")?;
    tables.guard(Some(enable_channel), true);
    tables.guard(brake_channel, false);
    let gains = table.table("gains")?;
    let (gains, [velocity_feed_forward, acceleration_feed_forward]) = read_gains(gains)?;
    let (command, command_config) = command(tables, &mut table, name)?;
    let axis = AxisConfig {
        feedback: feedback(table.table("feedback")?, encoder.number)?,
        command_channel: output.number,
        command_inverted: table.boolean_or("command_inverted", false)?,
        enable_channel,
        brake_channel,
        gains,
        velocity_feed_forward_v_s_rad: velocity_feed_forward,
        acceleration_feed_forward_v_s2_rad: acceleration_feed_forward,
        profile: profile(table.table("profile")?)?,
        limits: limits(tables, table.table("limits")?, &output)?,
        timing: timing(table.table("timing")?)?,
        motion: match table.table_if("motion")? {
            Some(table) => motion(table)?,
            None => Motion::default(),
        },
        command,
        command_config,
    };
    table.finish()?;
    Ok((axis, encoder.device))
}

/// Reads `[axis.X.limits]` of an axis with the output `command`.
fn limits(
    tables: &mut RootTables<'_, '_>,
    mut table: Table<'_>,
    command: &VoltsOutput,
) -> Result<LimitsConfig> {
    let position = if table.has("min_rad") || table.has("max_rad") {
        Some(PositionRange {
            min_rad: table.number("min_rad", RAD)?,
            max_rad: table.number("max_rad", RAD)?,
        })
    } else {
        None
    };
    let normally_closed = table.boolean_or("switches_normally_closed", false)?;
    let limits = LimitsConfig {
        position,
        max_velocity_rad_s: table.number("max_velocity_rad_s", VELOCITY)?,
        max_command_volts: table.number("max_command_volts", VOLTS)?,
        negative_switch: switch(tables, &mut table, "negative_switch", normally_closed)?,
        positive_switch: switch(tables, &mut table, "positive_switch", normally_closed)?,
        following_error_window_rad: table.number("following_error_window_rad", RAD)?,
        following_error_timeout: millis(&mut table, "following_error_timeout_ms", 0)?,
    };
    // A command that the converter clamps would wind up the integrator.
    let (least, most) = (*command.range.start(), *command.range.end());
    let reach = most.min(-least);
    if limits.max_command_volts > reach {
        let what = format!(
            "`max_command_volts` is {}, but the range of {} is {} to {} V",
            figure(limits.max_command_volts),
            command.device,
            figure(least),
            figure(most)
        );
        let fix = if reach > 0.0 {
            format!("it must be at most {}", figure(reach))
        } else {
            "name an output whose range includes both signs".to_owned()
        };
        return Err(table.error_at("max_command_volts", what, fix));
    }
    table.finish()?;
    Ok(limits)
}

fn switch(
    tables: &mut RootTables<'_, '_>,
    table: &mut Table<'_>,
    key: &'static str,
    normally_closed: bool,
) -> Result<Option<LimitSwitch>> {
    let channel = tables.input_if(table, key)?;
    Ok(channel.map(|channel| LimitSwitch {
        channel,
        normally_closed,
    }))
}

/// Reads `[axis.X.gains]`: the gains of the controller, then the feed-forwards of velocity
/// and acceleration.
fn read_gains(mut table: Table<'_>) -> Result<(Gains, [f64; 2])> {
    let gains = Gains {
        kp: table.number("kp", GAIN)?,
        ki: table.number("ki", GAIN)?,
        kd: table.number("kd", GAIN)?,
        derivative_cutoff_hz: table.number("derivative_cutoff_hz", HERTZ)?,
        tracking_time_s: table.number("tracking_time_s", SECONDS)?,
    };
    let feed_forward = [
        table.number_or("velocity_feed_forward_v_s_rad", GAIN, 0.0)?,
        table.number_or("acceleration_feed_forward_v_s2_rad", GAIN, 0.0)?,
    ];
    table.finish()?;
    Ok((gains, feed_forward))
}

fn feedback(mut table: Table<'_>, encoder_channel: u8) -> Result<FeedbackConfig> {
    let frozen = if table.has("frozen_cycles") || table.has("frozen_command_volts") {
        Some(Frozen {
            frozen_cycles: table.integer("frozen_cycles", 1..=1_000_000)? as u32,
            frozen_command_volts: table.number("frozen_command_volts", VOLTS)?,
        })
    } else {
        None
    };
    let config = FeedbackConfig {
        encoder_channel,
        gear_ratio: table.number_or("gear_ratio", RATIO, 1.0)?,
        encoder_inverted: table.boolean_or("encoder_inverted", false)?,
        offset_rad: table.number_or("offset_rad", RAD, 0.0)?,
        plausible_velocity_rad_s: table.number("plausible_velocity_rad_s", VELOCITY)?,
        velocity_cutoff_hz: table.number("velocity_cutoff_hz", HERTZ)?,
        tolerated_failures: table.integer_or("tolerated_failures", 0..=100, 2)? as u16,
        frozen,
    };
    table.finish()?;
    Ok(config)
}

fn profile(mut table: Table<'_>) -> Result<TrajectoryConfig> {
    let acceleration_rad_s2 = table.number("acceleration_rad_s2", ACCELERATION)?;
    let jerk_rad_s3 = table.number("jerk_rad_s3", JERK)?;
    let config = TrajectoryConfig {
        velocity_rad_s: table.number("velocity_rad_s", VELOCITY)?,
        acceleration_rad_s2,
        jerk_rad_s3,
        stop_deceleration_rad_s2: table.number_or(
            "stop_deceleration_rad_s2",
            ACCELERATION,
            acceleration_rad_s2,
        )?,
        stop_jerk_rad_s3: table.number_or("stop_jerk_rad_s3", JERK, jerk_rad_s3)?,
    };
    table.finish()?;
    Ok(config)
}

fn timing(mut table: Table<'_>) -> Result<Timing> {
    let config = Timing {
        start_timeout: millis(&mut table, "start_timeout_ms", 1_000)?,
        brake_release: millis(&mut table, "brake_release_ms", 0)?,
        brake_engage: millis(&mut table, "brake_engage_ms", 0)?,
        standstill_timeout: millis(&mut table, "standstill_timeout_ms", 500)?,
        standstill_velocity_rad_s: table.number("standstill_velocity_rad_s", VELOCITY)?,
    };
    table.finish()?;
    Ok(config)
}

fn motion(mut table: Table<'_>) -> Result<Motion> {
    let most = Motion::default().positions_rad.capacity();
    let positions = table.numbers("positions_rad", RAD, most)?;
    let config = Motion {
        // `numbers` has checked that they fit.
        positions_rad: positions.into_iter().collect(),
        dwell_s: table.number_or("dwell_s", SECONDS, 0.0)?,
    };
    table.finish()?;
    Ok(config)
}
