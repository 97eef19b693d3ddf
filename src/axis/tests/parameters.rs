//! Parameters that change while the axis runs.

use super::plant::*;
use crate::axis::*;
use crate::control::ParameterErrorKind;

fn parameter(key: &str) -> &'static Parameter {
    let found = PARAMETERS.iter().find(|parameter| parameter.key == key);
    found.unwrap_or_else(|| panic!("no {key}"))
}

/// Changes parameters of the only axis of `bench`.
fn change(bench: &mut Bench, settings: &[(&str, f64)]) {
    let mut config = axis_config(0);
    for (key, value) in settings {
        parameter(key).set(&mut config, *value).unwrap();
    }
    let to = [config.build(PERIOD).unwrap()];
    bench.servo.take_over(&mut bench.state, &to);
}

#[test]
fn each_parameter_is_set_and_read_alone() {
    let before = axis_config(0);
    for (number, parameter) in PARAMETERS.iter().enumerate() {
        let mut config = before.clone();
        let value = parameter.get(&mut config) + 2.5;
        assert_eq!(config, before, "{}: reading changes nothing", parameter.key);
        parameter.set(&mut config, value).unwrap();
        assert_eq!(parameter.get(&mut config), value, "{}", parameter.key);
        for (other, its) in PARAMETERS.iter().enumerate() {
            let same = its.get(&mut config) == its.get(&mut before.clone());
            assert_eq!(same, other != number, "{} {}", parameter.key, its.key);
        }
        let doubled = PARAMETERS.iter().filter(|its| {
            its.key == parameter.key || its.object().is_some() && its.object() == parameter.object()
        });
        assert_eq!(doubled.count(), 1, "{}", parameter.key);
    }
}

#[test]
fn a_value_outside_of_the_range_of_its_parameter_is_refused() {
    for parameter in &PARAMETERS {
        let mut config = axis_config(0);
        for wrong in [
            f64::NAN,
            f64::INFINITY,
            parameter.range().0 - 1.0,
            parameter.range().1 * 1.1,
        ] {
            let error = parameter.set(&mut config, wrong).unwrap_err();
            assert_eq!(error.name, parameter.key);
            assert!(matches!(
                error.kind,
                ParameterErrorKind::NonFinite | ParameterErrorKind::OutOfRange { .. }
            ));
        }
        assert_eq!(config, axis_config(0), "{}", parameter.key);
        parameter.set(&mut config, parameter.range().1).unwrap();
        assert_eq!(parameter.get(&mut config), parameter.range().1);
    }
}

#[test]
fn an_axis_without_commands_has_no_parameters_of_commands_and_homing() {
    let config = axis_config(0);
    let has = |key| parameter(key).is_of(&config);
    assert!(has("gains.kp") && has("limits.following_error_timeout_ms"));
    assert!(!has("command.interpolation_ms") && !has("homing.fast_rad_s"));
}

/// The volts of the cycle after `settings`, and those without them, after `cycles` of operation.
fn after(cycles: u32, settings: &[(&str, f64)]) -> (Bench, f64, f64) {
    let [mut changed, mut same] = [Bench::operating(), Bench::operating()];
    changed.run(cycles);
    same.run(cycles);
    change(&mut changed, settings);
    changed.cycle();
    same.cycle();
    let volts = changed.axis().command_volts();
    (changed, volts, same.axis().command_volts())
}

#[test]
fn changed_gains_do_not_move_the_command() {
    let gains: [&[(&str, f64)]; 5] = [
        &[("gains.kp", 80.0)],
        &[("gains.kp", 20.0), ("gains.ki", 500.0)],
        &[("gains.kd", 0.6), ("gains.derivative_cutoff_hz", 100.0)],
        &[
            ("gains.velocity_feed_forward_v_s_rad", 0.05),
            ("gains.acceleration_feed_forward_v_s2_rad", 0.0),
        ],
        &[("feedback.velocity_cutoff_hz", 50.0)],
    ];
    for settings in gains {
        // In the acceleration, at constant velocity, and at rest.
        for cycles in [30, 300, 1300] {
            let (mut bench, volts, unchanged) = after(cycles, settings);
            let step = (volts - unchanged).abs();
            // What remains is what the new gains make of the change within one cycle: of the
            // setpoint, and of the encoder's steps.
            assert!(step < 0.2, "{settings:?} {cycles}: {volts} {unchanged}");
            bench.run(3000);
            assert_eq!(bench.axis().state(), State::OperationEnabled);
            assert!(bench.axis().tracking_error_max_rad() < 0.1);
        }
    }
}

#[test]
fn another_profile_holds_from_the_next_motion_on() {
    let mut bench = Bench::operating();
    bench.run(300);
    assert_eq!(bench.axis().setpoint_velocity_rad_s(), 20.0);
    change(&mut bench, &[("profile.velocity_rad_s", 5.0)]);
    bench.cycle();
    assert_eq!(bench.axis().setpoint_velocity_rad_s(), 20.0);
    bench.run_until(3000, |b| b.axis().setpoint_velocity_rad_s() == 0.0);
    bench.run(100);
    let fastest = (0..3000).map(|_| {
        bench.cycle();
        bench.axis().setpoint_velocity_rad_s().abs()
    });
    let fastest = fastest.fold(0.0, f64::max);
    assert!((4.9..=5.0).contains(&fastest), "{fastest}");
}

#[test]
fn a_narrower_window_of_the_following_error_holds_at_once() {
    let mut bench = Bench::operating();
    bench.run_until(3000, |b| b.axis().setpoint_velocity_rad_s() == 0.0);
    bench.bodies[0].blocked = true;
    let key = "limits.following_error_window_rad";
    change(&mut bench, &[(key, 1e-6)]);
    bench.run(500);
    assert_eq!(bench.axis().fault(), Some(Fault::FollowingError));
}

#[test]
fn a_change_without_power_moves_nothing() {
    let mut bench = Bench::new(&config(1, Arm::OnReset));
    bench.run(50);
    change(&mut bench, &[("gains.kp", 80.0)]);
    bench.run(50);
    assert!(bench.is_safe());
    bench.press_reset();
    bench.run(1000);
    assert_eq!(bench.axis().state(), State::OperationEnabled);
}
