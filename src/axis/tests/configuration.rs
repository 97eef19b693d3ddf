//! Each invalid parameter is refused with its name and axis.

use super::plant::*;
use crate::axis::*;
use crate::control::{ParameterError, ParameterErrorKind};
use crate::time::Duration;

type Spoil = fn(&mut ServoConfig);

fn refusal(spoil: Spoil) -> ServoError {
    let mut spoilt = config(2, Arm::OnReset);
    assert!(spoilt.build(PERIOD).is_ok());
    spoil(&mut spoilt);
    spoilt.build(PERIOD).unwrap_err()
}

#[test]
fn each_invalid_axis_parameter_is_named_with_its_axis() {
    let cases: [(&str, Spoil); 17] = [
        ("encoder_channel", |c| {
            c.axes[1].feedback.encoder_channel = 32
        }),
        ("command_channel", |c| c.axes[1].command_channel = 64),
        ("kp", |c| c.axes[1].gains.kp = f64::NAN),
        ("kd", |c| c.axes[1].gains.kd = -1.0),
        ("velocity_feed_forward_v_s_rad", |c| {
            c.axes[1].velocity_feed_forward_v_s_rad = f64::NAN
        }),
        ("acceleration_feed_forward_v_s2_rad", |c| {
            c.axes[1].acceleration_feed_forward_v_s2_rad = -0.1;
        }),
        ("jerk_rad_s3", |c| c.axes[1].profile.jerk_rad_s3 = 0.0),
        ("max_command_volts", |c| {
            c.axes[1].limits.max_command_volts = -10.0
        }),
        ("position.max_rad", |c| {
            c.axes[1].limits.position = Some(PositionRange {
                min_rad: 1.0,
                max_rad: 0.0,
            });
        }),
        ("velocity_rad_s", |c| {
            c.axes[1].profile.velocity_rad_s = 40.1
        }),
        ("max_velocity_rad_s", |c| {
            c.axes[1].limits.max_velocity_rad_s = 100.1
        }),
        ("standstill_velocity_rad_s", |c| {
            c.axes[1].timing.standstill_velocity_rad_s = 0.0
        }),
        ("positions_rad", |c| {
            c.axes[1].motion.positions_rad[0] = 50.1
        }),
        ("dwell_s", |c| c.axes[1].motion.dwell_s = f64::NAN),
        ("velocity_cutoff_hz", |c| {
            c.axes[1].feedback.velocity_cutoff_hz = 500.0
        }),
        ("gear_ratio", |c| {
            c.axes[1].feedback.gear_ratio = f64::INFINITY
        }),
        ("tracking_time_s", |c| {
            c.axes[1].gains.tracking_time_s = 1e-4
        }),
    ];
    for (name, spoil) in cases {
        let error = refusal(spoil);
        assert_eq!((error.parameter.name, error.axis), (name, Some(1)));
    }
}

#[test]
fn a_channel_used_twice_is_refused() {
    let cases: [(&str, u8, Spoil); 8] = [
        ("encoder_channel", 0, |c| {
            c.axes[1].feedback.encoder_channel = 0
        }),
        ("command_channel", 0, |c| c.axes[1].command_channel = 0),
        ("enable_channel", 0, |c| {
            c.axes[1].enable_channel = output(0)
        }),
        ("enable_channel", 1, |c| {
            c.axes[1].enable_channel = output(1)
        }),
        ("enable_channel", LAMP, |c| {
            c.axes[1].enable_channel = output(LAMP)
        }),
        ("brake_channel", 2, |c| {
            c.axes[1].brake_channel = Some(output(2))
        }),
        ("brake_channel", 0, |c| {
            c.axes[1].brake_channel = Some(output(0))
        }),
        ("positive_switch.channel", NEGATIVE, |c| {
            c.axes[1].limits.positive_switch = Some(LimitSwitch {
                channel: input(NEGATIVE),
                normally_closed: true,
            });
        }),
    ];
    for (name, channel, spoil) in cases {
        let parameter = ParameterError {
            name,
            kind: ParameterErrorKind::Duplicate { channel },
        };
        assert_eq!(
            refusal(spoil),
            ServoError {
                axis: Some(1),
                parameter
            }
        );
    }
    let shared = refusal(|c| c.reset = c.emergency_stop);
    assert_eq!((shared.axis, shared.parameter.name), (None, "reset"));
}

#[test]
fn missing_axes_reset_and_period_are_refused() {
    let missing = |name| ServoError {
        axis: None,
        parameter: ParameterError {
            name,
            kind: ParameterErrorKind::Missing,
        },
    };
    assert_eq!(refusal(|c| c.axes.clear()), missing("axes"));
    assert_eq!(refusal(|c| c.reset = None), missing("reset"));
    let error = config(1, Arm::AtStart).build(Duration::ZERO).unwrap_err();
    assert_eq!(error.parameter.name, "period");
}

#[test]
fn the_message_names_the_axis() {
    let error = refusal(|c| c.axes[1].gains.kp = -2.0);
    let mut text = heapless::String::<128>::new();
    core::fmt::write(&mut text, format_args!("{error}")).unwrap();
    assert_eq!(text.as_str(), "axis 1: kp is -2, it must be at least 0");
}
