//! Emergency stop and quick stop, in every state.

use super::plant::*;
use crate::axis::*;
use crate::cycle::image::InputError;
use crate::cycle::ports::{Decide, Directive};
use crate::cycle::stop::StopCause;

/// A bench with its axis in `state`, and the setpoint moving where the state allows it.
fn bench_in(state: State) -> Bench {
    let mut bench = Bench::new(&config(1, Arm::AtStart));
    match state {
        State::NotReadyToSwitchOn => {
            bench.bodies[0].reading = Some(InputError::NotReady);
            bench.run(3);
        }
        State::SwitchOnDisabled => bench.run(1),
        State::ReadyToSwitchOn => bench.run(2),
        State::SwitchedOn => bench.run(10),
        State::OperationEnabled => bench.run(400),
        State::QuickStopActive => {
            bench.run(400);
            bench.directive = Directive::QuickStop(StopCause::RunEnds);
            bench.run(3);
        }
        State::FaultReactionActive => {
            bench.run(400);
            bench.set(POSITIVE, false);
            bench.run(3);
        }
        State::Fault => {
            bench.run(400);
            bench.set(POSITIVE, false);
            bench.run(600);
        }
    }
    assert_eq!(bench.axis().state(), state);
    bench
}

#[test]
fn the_emergency_stop_removes_power_in_the_same_cycle_in_every_state() {
    for state in State::ALL {
        let mut bench = bench_in(state);
        bench.set(ESTOP, true);
        bench.cycle();
        assert!(bench.is_safe(), "{state:?}");
        assert_eq!(bench.axis().state(), State::Fault, "{state:?}");
        assert!(!bench.state.is_armed());
    }
}

#[test]
fn releasing_the_emergency_stop_does_not_re_arm() {
    for state in State::ALL {
        let mut bench = bench_in(state);
        bench.set(ESTOP, true);
        bench.run(5);
        bench.set(ESTOP, false);
        bench.directive = Directive::Run;
        bench.bodies[0].reading = None;
        for _ in 0..500 {
            bench.cycle();
            assert!(bench.is_safe(), "{state:?}");
        }
        bench.set(POSITIVE, true);
        bench.press_reset();
        bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
    }
}

#[test]
fn an_emergency_stop_shorter_than_a_period_counts() {
    let mut bench = Bench::operating();
    bench.pulse = 1 << ESTOP;
    bench.cycle();
    assert!(bench.is_safe());
    assert_eq!(bench.axis().fault(), Some(Fault::EmergencyStop));
    bench.run(100);
    assert!(bench.is_safe());
}

#[test]
fn reset_is_refused_while_the_emergency_stop_is_pressed_and_in_the_cycle_of_its_release() {
    let mut bench = Bench::operating();
    bench.set(ESTOP, true);
    bench.cycle();
    bench.press_reset();
    assert_eq!(bench.axis().state(), State::Fault);
    bench.set(ESTOP, false);
    bench.set(RESET, true);
    bench.run(100);
    assert_eq!(bench.axis().state(), State::Fault);
    bench.set(RESET, false);
    bench.run(100);
    assert!(bench.is_safe());
    bench.press_reset();
    bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
}

#[test]
fn an_emergency_stop_that_is_pressed_at_the_start_prevents_arming() {
    let mut bench = Bench::new(&config(1, Arm::AtStart));
    bench.set(ESTOP, true);
    bench.run(10);
    bench.set(ESTOP, false);
    bench.run(500);
    assert!(bench.is_safe());
    assert_eq!(bench.axis().fault(), Some(Fault::EmergencyStop));
}

#[test]
fn digital_inputs_that_cannot_be_read_stop_like_the_emergency_stop() {
    for state in State::ALL {
        let mut bench = bench_in(state);
        bench.digital = Some(InputError::Bus);
        bench.cycle();
        assert!(bench.is_safe(), "{state:?}");
        bench.digital = None;
        bench.run(100);
        assert!(bench.is_safe(), "{state:?}");
    }
}

#[test]
fn digital_inputs_that_nothing_needs_may_fail() {
    let mut c = config(1, Arm::AtStart);
    (c.emergency_stop, c.reset) = (None, None);
    c.axes[0].limits.negative_switch = None;
    c.axes[0].limits.positive_switch = None;
    let mut bench = Bench::new(&c);
    bench.digital = Some(InputError::NotRead);
    bench.run(200);
    assert_eq!(bench.axis().state(), State::OperationEnabled);
}

#[test]
fn a_quick_stop_in_every_state_ends_at_rest_and_does_not_re_arm() {
    for state in State::ALL {
        let mut bench = bench_in(state);
        bench.directive = Directive::QuickStop(StopCause::RunEnds);
        let cycles = bench.run_until(500, |b| Servo::at_rest(&b.servo, &b.state) && b.is_safe());
        assert!(cycles < 500, "{state:?}");
        bench.run(2);
        assert!(bench.bodies[0].velocity.abs() < 1e-9, "{state:?}");
        bench.bodies[0].reading = None;
        bench.directive = Directive::Run;
        bench.run(500);
        assert!(bench.is_safe(), "{state:?}");
    }
}

#[test]
fn a_quick_stop_is_a_ramp_then_the_brake_then_power_off() {
    let mut bench = bench_in(State::OperationEnabled);
    let speed = bench.bodies[0].velocity.abs();
    assert!(speed > 5.0, "it moves at {speed} rad/s");
    bench.directive = Directive::QuickStop(StopCause::RunEnds);
    let mut before = bench.bodies[0].velocity;
    let mut held_by_both = 0;
    for _ in 0..500 {
        bench.cycle();
        if bench.is_brake_released() {
            let slowed = (bench.bodies[0].velocity - before).abs();
            assert!(slowed < 0.6, "{slowed} rad/s in one period");
            before = bench.bodies[0].velocity;
        } else if bench.is_enabled() {
            assert!(before.abs() < 0.3, "the brake took hold at {before} rad/s");
            held_by_both += 1;
        }
    }
    assert_eq!(held_by_both, 25, "cycles of brake engagement");
    assert_eq!(bench.axis().state(), State::SwitchOnDisabled);
    assert_eq!(bench.axis().fault(), None);
}

#[test]
fn the_wait_for_standstill_is_bounded() {
    let mut bench = bench_in(State::OperationEnabled);
    bench.directive = Directive::QuickStop(StopCause::RunEnds);
    // The encoder jitters so much that the measured velocity never falls below standstill.
    let cycles = (0..2_000).find(|k| {
        bench.bodies[0].position += if k % 2 == 0 { 0.005 } else { -0.005 };
        bench.cycle();
        Servo::at_rest(&bench.servo, &bench.state)
    });
    assert!(cycles.expect("it comes to rest") < 600);
}

#[test]
fn a_reset_during_a_quick_stop_is_ignored() {
    let mut bench = bench_in(State::QuickStopActive);
    bench.press_reset();
    bench.directive = Directive::Run;
    bench.press_reset();
    bench.run(500);
    assert_eq!(bench.axis().state(), State::SwitchOnDisabled);
    bench.press_reset();
    bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
}

/// The loop requests a quick stop while the axis moves, and ends the request before the axis is
/// at rest.
fn stopped_by_the_loop(rearm: Rearm, cause: StopCause) -> Bench {
    let mut c = config(1, Arm::AtStart);
    c.rearm = rearm;
    let mut bench = Bench::new(&c);
    bench.run(400);
    assert!(bench.bodies[0].velocity.abs() > 5.0, "it moves");
    bench.directive = Directive::QuickStop(cause);
    bench.run(3);
    assert!(bench.outputs.is_active(output(LAMP)), "{cause:?}");
    bench.directive = Directive::Run;
    bench
}

/// Runs until power returns, which must be at 0 V with the setpoint at the measured position.
fn expect_a_start_from_rest(bench: &mut Bench) {
    bench.run_until(1_000, |b| !b.axis().is_powered());
    assert!(bench.bodies[0].velocity.abs() < 0.1, "off only at rest");
    bench.run_until(10, |b| b.axis().is_powered());
    assert_eq!(bench.outputs.analogs[0], 0.0);
    assert_eq!(bench.axis().setpoint_rad(), bench.axis().position_rad());
    assert!(!bench.outputs.is_active(output(LAMP)), "it is armed again");
    bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
    assert_eq!(bench.axis().fault(), None);
}

#[test]
fn a_quick_stop_by_the_loop_is_latched_and_shown_until_reset() {
    for cause in [StopCause::Overrun, StopCause::Held] {
        let mut bench = stopped_by_the_loop(Rearm::OnReset, cause);
        bench.run(1_000);
        assert!(bench.is_safe(), "{cause:?}");
        assert!(!bench.state.is_armed());
        assert_eq!(Servo::stopped(&bench.servo, &bench.state), Some(cause));
        bench.set(RESET, true);
        expect_a_start_from_rest(&mut bench);
        assert_eq!(bench.state.stopped(), None);
    }
}

#[test]
fn axes_re_arm_without_a_step_of_the_output_once_cycles_are_in_time() {
    for cause in [StopCause::Overrun, StopCause::Held] {
        let mut bench = stopped_by_the_loop(Rearm::WhenInTime, cause);
        assert_eq!(bench.axis().state(), State::QuickStopActive);
        expect_a_start_from_rest(&mut bench);
        assert_eq!(bench.state.stopped(), None, "{cause:?}");
    }
}

#[test]
fn axes_do_not_re_arm_while_the_loop_demands_the_stop() {
    let mut bench = stopped_by_the_loop(Rearm::WhenInTime, StopCause::Overrun);
    bench.directive = Directive::QuickStop(StopCause::Overrun);
    bench.run(1_000);
    assert!(bench.is_safe());
    bench.press_reset();
    assert!(bench.is_safe(), "nor by the reset");
    bench.directive = Directive::Run;
    expect_a_start_from_rest(&mut bench);
}

#[test]
fn axes_do_not_re_arm_by_themselves_after_a_fault_or_an_emergency_stop() {
    for input in [ESTOP, POSITIVE] {
        let mut bench = stopped_by_the_loop(Rearm::WhenInTime, StopCause::Overrun);
        let pressed = input == ESTOP;
        bench.set(input, pressed);
        bench.set(NEGATIVE, pressed);
        bench.run(5);
        bench.set(input, !pressed);
        bench.set(NEGATIVE, true);
        bench.run(1_000);
        assert!(bench.axis().fault().is_some(), "input {input}");
        assert!(bench.is_safe(), "input {input}");
        bench.press_reset();
        assert_eq!((bench.axis().fault(), bench.state.stopped()), (None, None));
    }
}

#[test]
fn a_quick_stop_of_unarmed_axes_is_not_recorded() {
    let mut c = config(1, Arm::OnReset);
    c.rearm = Rearm::WhenInTime;
    let mut bench = Bench::new(&c);
    bench.run(10);
    bench.directive = Directive::QuickStop(StopCause::Overrun);
    bench.run(10);
    bench.directive = Directive::Run;
    bench.run(500);
    assert_eq!(bench.state.stopped(), None);
    assert!(bench.is_safe() && !bench.state.is_armed());
}

#[test]
fn axes_armed_at_the_start_recover_from_a_stop_before_arming() {
    for (rearm, armed) in [(Rearm::OnReset, false), (Rearm::WhenInTime, true)] {
        let mut c = config(1, Arm::AtStart);
        c.rearm = rearm;
        let mut bench = Bench::new(&c);
        bench.bodies[0].reading = Some(InputError::NotReady);
        bench.run(3);
        bench.directive = Directive::QuickStop(StopCause::Overrun);
        bench.run(3);
        bench.directive = Directive::Run;
        bench.run(3);
        assert_eq!(bench.state.stopped(), Some(StopCause::Overrun));
        bench.bodies[0].reading = None;
        bench.run(100);
        assert_eq!(bench.state.is_armed(), armed, "{rearm:?}");
        assert_eq!(bench.state.stopped().is_none(), armed);
    }
}

#[test]
fn the_stop_at_the_end_of_a_run_is_not_recorded_as_a_quick_stop() {
    let mut bench = Bench::operating();
    bench.directive = Directive::QuickStop(StopCause::RunEnds);
    bench.run(500);
    assert_eq!(bench.state.stopped(), None);
    assert!(!bench.outputs.is_active(output(LAMP)));
    // A stop of the loop before the end of the run is kept.
    let mut bench = stopped_by_the_loop(Rearm::OnReset, StopCause::Held);
    bench.directive = Directive::QuickStop(StopCause::RunEnds);
    bench.run(500);
    assert_eq!(bench.state.stopped(), Some(StopCause::Held));
}
