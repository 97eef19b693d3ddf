//! Commands that end, and commands that are not refreshed.

use super::drive::*;
use crate::axis::tests::plant::*;
use crate::axis::*;
use crate::cycle::image::InputError;

/// An axis that turns at 10 rad/s.
fn turning(on_loss: OnLoss) -> Drive {
    let mut drive = Drive::enabled(PV, |c| {
        c.axes[0].limits.position = None;
        c.axes[0].command_config.on_loss = on_loss;
    });
    drive.velocity(10.0);
    drive.run(ENABLE, 200);
    drive
}

#[test]
fn stale_commands_are_a_fault_with_a_quick_stop() {
    let mut drive = turning(OnLoss::QuickStop);
    drive.fail(InputError::Stale);
    drive.bench.cycle();
    assert_eq!(drive.state(), State::FaultReactionActive);
    assert!(!drive.has(REMOTE));
    drive
        .bench
        .run_until(300, |b| b.axis().state() == State::Fault);
    assert!(drive.bench.is_safe());
    assert_eq!(drive.axis().fault(), Some(Fault::CommandLost));
    assert_eq!(Fault::CommandLost.code(), 0x8130);
    // The master comes back.
    drive.run(SHUTDOWN, 3);
    drive.run(FAULT_RESET, 1);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    drive.bench.press_reset();
    drive.enable();
}

#[test]
fn stale_commands_without_power_lead_to_switch_on_disabled_without_a_fault() {
    for word in [SHUTDOWN, SWITCH_ON] {
        let mut drive = Drive::new(|_| {});
        drive.until(SHUTDOWN, State::ReadyToSwitchOn, 10);
        drive.run(word, 2);
        drive.fail(InputError::Stale);
        drive.bench.run(2);
        assert_eq!(drive.state(), State::SwitchOnDisabled);
        assert_eq!(drive.axis().fault(), None);
        drive.bench.run(100);
        assert_eq!(drive.state(), State::SwitchOnDisabled);
    }
}

#[test]
fn with_hold_the_axis_stops_on_the_profile_stays_enabled_and_obeys_again() {
    let mut drive = turning(OnLoss::Hold);
    drive.fail(InputError::Stale);
    drive.bench.run(300);
    assert_eq!(drive.state(), State::OperationEnabled);
    assert!(drive.axis().velocity_rad_s().abs() < STANDSTILL);
    let held = drive.position();
    drive.bench.run(1_000);
    assert!((drive.position() - held).abs() < 1e-2);
    assert_eq!(drive.axis().fault(), None);
    drive.run(ENABLE, 200);
    assert!((drive.axis().velocity_rad_s() - 10.0).abs() < 0.5);
}

#[test]
fn with_hold_an_axis_that_is_stopping_finishes_the_stop() {
    let mut drive = turning(OnLoss::Hold);
    drive.run(SWITCH_ON, 10);
    drive.fail(InputError::Stale);
    drive.bench.run(300);
    assert_eq!(drive.state(), State::SwitchedOn);
    assert!(drive.bench.is_safe());
}

#[test]
fn with_hold_an_emergency_stop_and_a_disarm_still_act() {
    let mut drive = turning(OnLoss::Hold);
    drive.fail(InputError::Stale);
    drive.bench.run(300);
    drive.bench.set(ESTOP, true);
    drive.bench.cycle();
    assert!(drive.bench.is_safe());
}

#[test]
fn a_release_stops_on_the_profile_and_removes_power_without_a_fault() {
    for on_loss in [OnLoss::QuickStop, OnLoss::Hold] {
        let mut drive = turning(on_loss);
        drive.fail(InputError::NotRead);
        drive.bench.run(20);
        assert_eq!(drive.state(), State::OperationEnabled, "it stops");
        drive
            .bench
            .run_until(300, |b| b.axis().state() == State::SwitchOnDisabled);
        assert!(drive.bench.is_safe());
        assert_eq!(drive.axis().fault(), None);
        drive.bench.run(300);
        assert_eq!(drive.state(), State::SwitchOnDisabled);
        drive.enable();
    }
}

#[test]
fn a_loss_in_each_mode_stops_the_axis() {
    for mode in [PP, PV, CSP, CSV] {
        for on_loss in [OnLoss::QuickStop, OnLoss::Hold] {
            let mut drive = Drive::enabled(mode, |c| {
                c.axes[0].command_config.on_loss = on_loss;
            });
            drive.velocity(10.0);
            drive.target(40.0);
            drive.run(ENABLE, 1);
            for _ in 0..300 {
                if mode == CSP {
                    drive.target(drive.axis().setpoint_rad() + 0.01);
                }
                drive.run(ENABLE | START, 1);
            }
            assert!(drive.axis().velocity_rad_s() > 5.0, "mode {mode}");
            drive.fail(InputError::Stale);
            drive.bench.run(400);
            let still = drive.axis().velocity_rad_s().abs() < STANDSTILL;
            assert!(still, "mode {mode}, {on_loss:?}");
            let faulted = drive.axis().fault() == Some(Fault::CommandLost);
            assert_eq!(faulted, on_loss == OnLoss::QuickStop);
        }
    }
}

#[test]
fn a_fault_reset_that_stays_set_over_a_loss_is_no_edge() {
    let mut drive = turning(OnLoss::QuickStop);
    drive.run(ENABLE | FAULT_RESET, 2);
    drive.fail(InputError::Stale);
    drive.bench.run(400);
    assert_eq!(drive.state(), State::Fault);
    drive.run(ENABLE | FAULT_RESET, 10);
    assert_eq!(drive.state(), State::Fault);
}
