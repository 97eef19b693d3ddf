//! Faults of an axis: detection, reaction and recovery.

use super::plant::*;
use crate::axis::*;
use crate::cycle::image::{Angle, InputError};
use crate::cycle::ports::Decide;

/// Runs until the axis is in Fault, at most `bound` cycles.
fn expect_fault(bench: &mut Bench, fault: Fault, bound: u32) {
    bench.run_until(bound, |b| b.axis().state() == State::Fault);
    assert_eq!(bench.axis().fault(), Some(fault));
    assert_eq!(
        Servo::fault(&bench.servo, &bench.state),
        Some(fault.number(0))
    );
    assert!(bench.is_safe());
    assert!(bench.outputs.is_active(output(LAMP)));
}

fn expect_recovery(bench: &mut Bench) {
    bench.press_reset();
    bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
    assert!(!bench.outputs.is_active(output(LAMP)));
}

#[test]
fn a_blocked_shaft_is_a_following_error_until_reset() {
    let mut bench = Bench::operating();
    bench.run_until(500, |b| b.bodies[0].velocity > 15.0);
    bench.bodies[0].blocked = true;
    expect_fault(&mut bench, Fault::FollowingError, 600);
    bench.run(1_000);
    assert!(bench.is_safe(), "a fault stays until it is reset");
    bench.bodies[0].blocked = false;
    expect_recovery(&mut bench);
}

#[test]
fn a_limit_switch_stops_motion_towards_it_and_lets_the_axis_leave() {
    for (channel, fault, direction) in [
        (POSITIVE, Fault::PositiveLimitSwitch, 1.0),
        (NEGATIVE, Fault::NegativeLimitSwitch, -1.0),
    ] {
        let mut bench = Bench::operating();
        bench.run_until(5_000, |b| b.bodies[0].velocity * direction > 15.0);
        bench.set(channel, false);
        let hit_at = bench.bodies[0].position;
        bench.cycle();
        assert_eq!(bench.axis().state(), State::FaultReactionActive);
        expect_fault(&mut bench, fault, 500);
        let overrun = (bench.bodies[0].position - hit_at) * direction;
        assert!(overrun < 1.5, "{overrun} rad");
        // The switch is still hit; the next position leads away from it.
        expect_recovery(&mut bench);
        bench.run_until(500, |b| b.bodies[0].velocity * direction < -10.0);
        // Moving back onto it is a fault again.
        expect_fault(&mut bench, fault, 5_000);
    }
}

#[test]
fn a_command_further_onto_a_limit_switch_is_a_fault_before_motion() {
    let mut c = config(1, Arm::OnReset);
    c.axes[0].motion.positions_rad = heapless::Vec::from_slice(&[5.0]).unwrap();
    let mut bench = Bench::new(&c);
    bench.set(POSITIVE, false);
    bench.run(5);
    for _ in 0..3 {
        bench.press_reset();
        expect_fault(&mut bench, Fault::PositiveLimitSwitch, 400);
        assert!(bench.bodies[0].position.abs() < 1e-3);
    }
}

#[test]
fn a_brief_touch_of_a_limit_switch_counts() {
    let mut bench = Bench::operating();
    bench.run_until(500, |b| b.bodies[0].velocity > 15.0);
    bench.dip = 1 << POSITIVE;
    bench.cycle();
    assert_eq!(bench.axis().fault(), Some(Fault::PositiveLimitSwitch));
}

#[test]
fn an_axis_outside_its_position_range_moves_only_inwards() {
    let mut bench = Bench::operating();
    bench.set(ESTOP, true);
    bench.cycle();
    bench.set(ESTOP, false);
    bench.bodies[0].blocked = true;
    while bench.bodies[0].position < 51.0 {
        bench.bodies[0].position += 0.05;
        bench.cycle();
    }
    bench.bodies[0].blocked = false;
    expect_recovery(&mut bench);
    bench.run_until(5_000, |b| b.bodies[0].position < 0.0);
    assert_eq!(bench.axis().fault(), None);
}

#[test]
fn unreadable_feedback_removes_power_after_the_tolerated_failures() {
    for (error, fault) in [
        (InputError::Bus, Fault::FeedbackBus),
        (InputError::Parity, Fault::FeedbackParity),
        (InputError::Framing, Fault::FeedbackFraming),
    ] {
        let mut bench = Bench::operating();
        bench.run(200);
        bench.bodies[0].reading = Some(error);
        bench.run(2);
        assert_eq!(
            bench.axis().state(),
            State::OperationEnabled,
            "two are tolerated"
        );
        bench.cycle();
        assert!(bench.is_safe());
        expect_fault(&mut bench, fault, 0);
        bench.press_reset();
        assert_eq!(bench.axis().state(), State::Fault, "the cause persists");
        bench.bodies[0].reading = None;
        bench.run(3);
        assert_eq!(bench.axis().state(), State::Fault, "the reset was lost");
        expect_recovery(&mut bench);
    }
}

#[test]
fn tolerated_failures_at_full_speed_do_not_disturb_the_motion() {
    let mut bench = Bench::operating();
    for k in 0..5_000 {
        bench.bodies[0].reading = (k % 20 < 2).then_some(InputError::Parity);
        bench.cycle();
        assert_eq!(bench.axis().state(), State::OperationEnabled);
    }
    let error = bench.axis().tracking_error_max_rad();
    assert!(error < 0.1, "{error}");
}

#[test]
fn a_lost_magnet_removes_power_in_the_same_cycle() {
    for (error, fault) in [
        (InputError::FieldWeak, Fault::FieldWeak),
        (InputError::FieldStrong, Fault::FieldStrong),
        (InputError::NotReady, Fault::FeedbackNotReady),
    ] {
        let mut bench = Bench::operating();
        bench.run(200);
        bench.bodies[0].reading = Some(error);
        bench.cycle();
        assert!(bench.is_safe());
        expect_fault(&mut bench, fault, 0);
    }
}

#[test]
fn a_position_jump_removes_power_in_the_same_cycle() {
    let mut bench = Bench::operating();
    bench.run(200);
    bench.bodies[0].position += 1.0;
    bench.cycle();
    assert!(bench.is_safe());
    expect_fault(&mut bench, Fault::FeedbackJump, 0);
}

#[test]
fn a_frozen_encoder_is_detected_while_the_motor_is_driven() {
    let mut c = config(1, Arm::AtStart);
    c.axes[0].limits.following_error_timeout = crate::time::Duration::from_secs(1);
    let mut bench = Bench::new(&c);
    bench.run_until(500, |b| b.bodies[0].velocity > 5.0);
    bench.bodies[0].stuck = Some(Angle(0));
    let at = bench.bodies[0].position;
    bench.bodies[0].stuck = Some(Angle(
        (at / core::f64::consts::TAU * 4_294_967_296.0) as u32,
    ));
    expect_fault(&mut bench, Fault::FeedbackFrozen, 300);
}

#[test]
fn an_encoder_that_never_answers_is_a_fault_after_the_start_time() {
    let mut bench = Bench::new(&config(1, Arm::AtStart));
    bench.bodies[0].reading = Some(InputError::Bus);
    bench.run(19);
    assert_eq!(bench.axis().state(), State::NotReadyToSwitchOn);
    bench.cycle();
    expect_fault(&mut bench, Fault::FeedbackBus, 0);
}

#[test]
fn a_motor_with_the_wrong_sign_is_switched_off() {
    let mut c = config(1, Arm::AtStart);
    c.axes[0].command_inverted = true;
    c.axes[0].limits.following_error_window_rad = 1e3;
    let mut bench = Bench::new(&c);
    expect_fault(&mut bench, Fault::Overspeed, 1_000);
}

#[test]
fn a_non_finite_command_is_never_written() {
    let mut c = config(1, Arm::AtStart);
    // Finite itself, but infinite when multiplied by the velocity of the profile.
    c.axes[0].velocity_feed_forward_v_s_rad = f64::MAX;
    c.axes[0].acceleration_feed_forward_v_s2_rad = f64::MAX;
    let mut bench = Bench::new(&c);
    for _ in 0..200 {
        bench.cycle();
        assert!(bench.outputs.analogs[0].is_finite());
    }
    expect_fault(&mut bench, Fault::NonFiniteCommand, 0);
}

#[test]
fn a_worse_fault_during_the_reaction_removes_power_and_the_first_fault_is_kept() {
    let mut bench = Bench::operating();
    bench.run_until(500, |b| b.bodies[0].velocity > 15.0);
    bench.set(POSITIVE, false);
    bench.run(3);
    assert_eq!(bench.axis().state(), State::FaultReactionActive);
    bench.bodies[0].reading = Some(InputError::FieldWeak);
    bench.cycle();
    assert!(bench.is_safe());
    expect_fault(&mut bench, Fault::PositiveLimitSwitch, 0);
}

#[test]
fn a_fault_of_one_axis_stops_the_others() {
    let mut bench = Bench::new(&config(3, Arm::AtStart));
    bench.run(300);
    bench.bodies[1].reading = Some(InputError::FieldWeak);
    bench.run(2);
    let states = |b: &Bench| [0, 1, 2].map(|n: usize| b.state.axes()[n].state());
    let stopping = [State::QuickStopActive, State::Fault, State::QuickStopActive];
    assert_eq!(states(&bench), stopping);
    bench.run(500);
    let stopped = [
        State::SwitchOnDisabled,
        State::Fault,
        State::SwitchOnDisabled,
    ];
    assert_eq!(states(&bench), stopped);
    bench.press_reset();
    assert_eq!(
        states(&bench),
        stopped,
        "no axis comes up while a cause persists"
    );
    bench.bodies[1].reading = None;
    bench.cycle();
    bench.press_reset();
    bench.run(50);
    assert_eq!(states(&bench), [State::OperationEnabled; 3]);
}
