//! Start, motion, hold, and start after a stop.

use super::plant::*;
use crate::axis::*;
use crate::cycle::ports::{Decide, TRACE_LEN};

#[test]
fn the_axis_starts_through_every_state_and_waits_for_the_brake() {
    let mut bench = Bench::new(&config(1, Arm::AtStart));
    let mut states = heapless::Vec::<State, 8>::new();
    let mut switched_on = 0;
    for _ in 0..40 {
        bench.cycle();
        let state = bench.axis().state();
        if states.last() != Some(&state) {
            states.push(state).unwrap();
        }
        if state == State::SwitchedOn {
            switched_on += 1;
            assert!(bench.is_enabled() && bench.is_brake_released());
            assert_eq!(bench.axis().setpoint_rad(), bench.axis().position_rad());
        }
    }
    let expected = [
        State::SwitchOnDisabled,
        State::ReadyToSwitchOn,
        State::SwitchedOn,
        State::OperationEnabled,
    ];
    assert_eq!(states.as_slice(), expected);
    assert_eq!(switched_on, 30, "cycles of brake release");
}

#[test]
fn an_axis_armed_on_reset_waits_for_the_button() {
    let mut bench = Bench::new(&config(1, Arm::OnReset));
    bench.run(500);
    assert_eq!(bench.axis().state(), State::SwitchOnDisabled);
    bench.press_reset();
    bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
}

#[test]
fn a_reset_button_stuck_at_the_start_does_not_arm() {
    let mut bench = Bench::new(&config(1, Arm::OnReset));
    bench.set(RESET, true);
    // The edge comes before the first reading of the encoder.
    bench.bodies[0].reading = Some(crate::cycle::image::InputError::NotReady);
    bench.run(5);
    bench.bodies[0].reading = None;
    bench.run(500);
    assert_eq!(bench.axis().state(), State::SwitchOnDisabled);
}

#[test]
fn the_profile_is_followed_through_many_moves() {
    let mut bench = Bench::operating();
    let (mut lowest, mut highest) = (0.0_f64, 0.0_f64);
    for _ in 0..10_000 {
        bench.cycle();
        lowest = lowest.min(bench.bodies[0].position);
        highest = highest.max(bench.bodies[0].position);
    }
    assert_eq!(bench.axis().state(), State::OperationEnabled);
    assert!((highest - 10.0).abs() < 0.01 && (lowest + 10.0).abs() < 0.01);
    let (max, rms) = (
        bench.axis().tracking_error_max_rad(),
        bench.axis().tracking_error_rms_rad(),
    );
    assert!(max > 0.0 && max < 0.05, "{max}");
    assert!(rms > 0.0 && rms < max, "{rms}");
}

#[test]
fn skipped_slots_disturb_neither_velocity_nor_operation() {
    let mut bench = Bench::operating();
    bench.run_until(500, |b| b.axis().setpoint_rad() > 4.0);
    for skipped in [2, 3, 5, 2, 8] {
        bench.cycle_after(skipped);
        let error = bench.axis().velocity_rad_s() - bench.bodies[0].velocity;
        assert!(error.abs() < 3.0, "{error} rad/s after {skipped} slots");
        bench.run(10);
    }
    bench.run(3_000);
    assert_eq!(bench.axis().state(), State::OperationEnabled);
}

#[test]
fn re_arming_starts_at_the_actual_position_of_a_moved_shaft() {
    let mut bench = Bench::operating();
    bench.run(300);
    bench.set(ESTOP, true);
    bench.cycle();
    bench.set(ESTOP, false);
    for _ in 0..300 {
        bench.bodies[0].position += 0.02;
        bench.cycle();
    }
    let moved_to = bench.bodies[0].position;
    bench.press_reset();
    let mut before: Option<f64> = None;
    for _ in 0..100 {
        bench.cycle();
        let now = bench.axis().setpoint_rad();
        if bench.is_enabled() {
            let step = (now - before.unwrap_or(moved_to)).abs();
            assert!(step <= 0.0201, "the setpoint jumped by {step} rad");
            before = Some(now);
            if bench.axis().state() == State::SwitchedOn {
                assert!(
                    bench.outputs.analogs[0].abs() < 0.2,
                    "{}",
                    bench.outputs.analogs[0]
                );
                assert!((bench.bodies[0].position - moved_to).abs() < 0.01);
            }
        }
    }
    assert_eq!(bench.axis().state(), State::OperationEnabled);
}

#[test]
fn without_positions_the_axis_holds_where_it_was_armed() {
    let mut c = config(1, Arm::AtStart);
    c.axes[0].motion.positions_rad.clear();
    let mut bench = Bench::new(&c);
    bench.bodies[0].position = 1.25;
    bench.run(1_000);
    assert_eq!(bench.axis().state(), State::OperationEnabled);
    assert!((bench.bodies[0].position - 1.25).abs() < 1e-3);
}

#[test]
fn an_inverted_motor_and_encoder_behave_like_a_non_inverted_one() {
    let mut c = config(1, Arm::AtStart);
    c.axes[0].command_inverted = true;
    c.axes[0].feedback.encoder_inverted = true;
    let mut bench = Bench::new(&c);
    bench.run(3_000);
    assert_eq!(bench.axis().state(), State::OperationEnabled);
    assert!((bench.bodies[0].position + bench.axis().position_rad()).abs() < 0.01);
    assert!(bench.axis().tracking_error_max_rad() < 0.05);
}

#[test]
fn eight_axes_run_side_by_side_on_their_own_channels() {
    let mut bench = Bench::new(&config(8, Arm::AtStart));
    bench.run(2_000);
    for (axis, body) in bench.state.axes().iter().zip(&bench.bodies) {
        assert_eq!(axis.state(), State::OperationEnabled);
        assert!((axis.position_rad() - body.position).abs() < 1e-3);
    }
    assert_eq!(bench.outputs.digital, 0xFFFF | SAFE.digital);
}

#[test]
fn the_trace_matches_its_names() {
    let mut bench = Bench::operating();
    bench.run(300);
    let trace = Servo::trace(&bench.servo, &bench.state);
    assert_eq!(Servo::TRACE.len(), TRACE_LEN);
    let axis = bench.axis();
    let expected = [
        axis.tracking_error_rad(),
        axis.position_rad(),
        axis.setpoint_rad(),
        axis.velocity_rad_s(),
        axis.command_volts(),
        4.0,
        axis.tracking_error_max_rad(),
        1.0,
    ];
    assert_eq!(trace, expected.map(|value| value as f32));
}
