//! States by the controlword.

use super::drive::*;
use crate::axis::tests::plant::*;
use crate::axis::*;
use crate::cycle::image::InputError;

#[test]
fn the_usual_sequence_enables_and_the_brake_has_released_first() {
    let mut drive = Drive::new(|_| {});
    drive.run(DISABLE_VOLTAGE, 10);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    drive.run(SHUTDOWN, 1);
    assert_eq!(drive.state(), State::ReadyToSwitchOn);
    drive.run(SWITCH_ON, 1);
    assert_eq!(drive.state(), State::SwitchedOn);
    assert!(drive.bench.is_safe(), "no power before enable operation");
    drive.run(SWITCH_ON, 100);
    assert!(drive.bench.is_safe());
    drive.run(ENABLE, 1);
    assert!(drive.bench.is_enabled() && drive.bench.is_brake_released());
    assert_eq!(drive.state(), State::SwitchedOn);
    drive.run(ENABLE, 30);
    assert_eq!(drive.state(), State::OperationEnabled);
    assert!(drive.has(REMOTE));
}

#[test]
fn enable_operation_from_ready_to_switch_on_goes_through_switched_on() {
    let mut drive = Drive::new(|_| {});
    drive.until(SHUTDOWN, State::ReadyToSwitchOn, 10);
    drive.run(ENABLE, 1);
    assert_eq!(drive.state(), State::SwitchedOn);
    drive.until(ENABLE, State::OperationEnabled, 40);
}

#[test]
fn without_a_commander_and_without_a_list_the_axis_stays_switch_on_disabled() {
    let mut drive = Drive::new(|_| {});
    drive.bench.run(500);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    assert!(!drive.has(REMOTE));
    assert!(drive.bench.is_safe());
}

#[test]
fn the_list_of_positions_runs_until_the_first_command() {
    let mut drive = Drive::new(|c| c.axes[0].motion = axis_config(0).motion);
    drive.bench.run(300);
    assert_eq!(drive.state(), State::OperationEnabled);
    assert!(drive.position() > 1.0);
    drive.mode(PP);
    drive.run(ENABLE, 400);
    let stopped = drive.position();
    drive.run(ENABLE, 400);
    assert!((drive.position() - stopped).abs() < 1e-2);
    drive.fail(InputError::NotRead);
    drive.bench.run(1_000);
    assert_eq!(
        drive.state(),
        State::SwitchOnDisabled,
        "the list does not begin again"
    );
}

#[test]
fn nothing_but_shutdown_leaves_switch_on_disabled() {
    for word in [SWITCH_ON, ENABLE, QUICK_STOP, DISABLE_VOLTAGE, FAULT_RESET] {
        let mut drive = Drive::new(|_| {});
        drive.run(word, 50);
        assert_eq!(drive.state(), State::SwitchOnDisabled, "{word:#x}");
    }
}

#[test]
fn every_command_in_ready_and_switched_on_leads_to_its_state() {
    let from_ready = [
        (SHUTDOWN, State::ReadyToSwitchOn),
        (SWITCH_ON, State::SwitchedOn),
        (QUICK_STOP, State::SwitchOnDisabled),
        (DISABLE_VOLTAGE, State::SwitchOnDisabled),
    ];
    for (word, state) in from_ready {
        let mut drive = Drive::new(|_| {});
        drive.until(SHUTDOWN, State::ReadyToSwitchOn, 10);
        drive.run(word, 5);
        assert_eq!(drive.state(), state, "{word:#x}");
    }
    let from_switched_on = [
        (SHUTDOWN, State::ReadyToSwitchOn),
        (SWITCH_ON, State::SwitchedOn),
        (QUICK_STOP, State::SwitchOnDisabled),
        (DISABLE_VOLTAGE, State::SwitchOnDisabled),
    ];
    for (word, state) in from_switched_on {
        for releasing in [false, true] {
            let mut drive = Drive::new(|_| {});
            drive.until(SHUTDOWN, State::ReadyToSwitchOn, 10);
            drive.until(SWITCH_ON, State::SwitchedOn, 10);
            if releasing {
                drive.run(ENABLE, 10);
                assert!(drive.bench.is_enabled());
            }
            // The brake engages within 25 ms.
            drive.run(word, 27);
            assert_eq!(drive.state(), state, "{word:#x}, {releasing}");
            assert!(drive.bench.is_safe());
        }
    }
}

/// An axis that turns at 10 rad/s.
fn turning(change: impl FnOnce(&mut ServoConfig)) -> Drive {
    let mut drive = Drive::enabled(PV, |c| {
        c.axes[0].limits.position = None;
        change(c);
    });
    drive.velocity(10.0);
    drive.run(ENABLE, 200);
    assert!((drive.axis().velocity_rad_s() - 10.0).abs() < 0.5);
    drive
}

#[test]
fn shutdown_and_disable_operation_stop_on_the_profile_before_the_state_changes() {
    for (word, state) in [
        (SHUTDOWN, State::ReadyToSwitchOn),
        (SWITCH_ON, State::SwitchedOn),
    ] {
        let mut drive = turning(|_| {});
        drive.run(word, 20);
        assert_eq!(drive.state(), State::OperationEnabled);
        assert!(drive.bench.is_brake_released());
        drive.until(word, state, 200);
        assert!(drive.bench.is_safe());
    }
}

#[test]
fn enable_operation_during_the_stop_of_disable_operation_resumes() {
    let mut drive = turning(|_| {});
    drive.run(SWITCH_ON, 20);
    drive.run(ENABLE, 200);
    assert_eq!(drive.state(), State::OperationEnabled);
    assert!((drive.axis().velocity_rad_s() - 10.0).abs() < 0.5);
    // While the brake engages it is too late: it is released again from Switched on.
    drive.write(SWITCH_ON);
    drive
        .bench
        .run_until(300, |b| b.is_enabled() && !b.is_brake_released());
    drive.run(ENABLE, 26);
    assert_eq!(drive.state(), State::SwitchedOn);
    drive.until(ENABLE, State::OperationEnabled, 60);
}

#[test]
fn disable_voltage_removes_power_at_once() {
    let mut drive = turning(|_| {});
    drive.run(DISABLE_VOLTAGE, 1);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    assert!(drive.bench.is_safe());
}

#[test]
fn quick_stop_follows_its_option_code() {
    for (option, stays, ramp) in [
        (QuickStopOption::SlowDown, false, true),
        (QuickStopOption::QuickStop, false, true),
        (QuickStopOption::SlowDownAndStay, true, true),
        (QuickStopOption::QuickStopAndStay, true, true),
        (QuickStopOption::Disable, false, false),
    ] {
        let mut drive = turning(|c| c.axes[0].command_config.quick_stop = option);
        drive.run(QUICK_STOP, 1);
        if !ramp {
            assert_eq!(drive.state(), State::SwitchOnDisabled);
            continue;
        }
        assert_eq!(decoded(drive.status()), State::QuickStopActive);
        let fast = drive.axis().setpoint_rad();
        drive.run(QUICK_STOP, 500);
        let travel = drive.axis().setpoint_rad() - fast;
        let quick = matches!(
            option,
            QuickStopOption::QuickStop | QuickStopOption::QuickStopAndStay
        );
        assert_eq!(travel < 0.2, quick, "{option:?}: {travel} rad");
        if stays {
            assert_eq!(drive.state(), State::QuickStopActive);
            assert!(drive.bench.is_brake_released());
            drive.run(ENABLE, 2);
            assert_eq!(drive.state(), State::OperationEnabled, "transition 16");
        } else {
            assert_eq!(drive.state(), State::SwitchOnDisabled);
        }
    }
}

#[test]
fn an_axis_that_stays_in_quick_stop_leaves_it_by_disable_voltage_and_by_a_release() {
    for release in [false, true] {
        let mut drive =
            turning(|c| c.axes[0].command_config.quick_stop = QuickStopOption::QuickStopAndStay);
        drive.run(QUICK_STOP, 300);
        assert_eq!(drive.state(), State::QuickStopActive);
        if release {
            drive.fail(InputError::NotRead);
        } else {
            drive.write(DISABLE_VOLTAGE);
        }
        drive.bench.run(60);
        assert_eq!(drive.state(), State::SwitchOnDisabled);
        assert!(drive.bench.is_safe());
    }
}

#[test]
fn a_machine_that_is_not_armed_keeps_the_axis_in_switch_on_disabled() {
    let mut drive = Drive::new(|c| c.arm = Arm::OnReset);
    drive.run(SHUTDOWN, 50);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    assert!(!drive.has(1 << 4), "voltage enabled");
    drive.bench.press_reset();
    drive.bench.run(2);
    assert_eq!(drive.state(), State::ReadyToSwitchOn);
    assert!(drive.has(1 << 4));
}

#[test]
fn an_emergency_stop_removes_power_and_fault_reset_alone_does_not_bring_it_back() {
    let mut drive = turning(|_| {});
    drive.bench.set(ESTOP, true);
    drive.bench.cycle();
    assert!(drive.bench.is_safe());
    assert_eq!(decoded(drive.status()), State::Fault);
    drive.bench.set(ESTOP, false);
    for word in [SHUTDOWN, FAULT_RESET, SHUTDOWN] {
        drive.run(word, 20);
        assert_eq!(drive.state(), State::Fault);
    }
    drive.bench.press_reset();
    assert_ne!(drive.state(), State::Fault);
    drive.until(SHUTDOWN, State::ReadyToSwitchOn, 5);
}

#[test]
fn fault_reset_clears_the_fault_of_its_axis_once_the_cause_is_gone() {
    let mut drive = turning(|_| {});
    drive.bench.bodies[0].reading = Some(InputError::Bus);
    drive.run(ENABLE, 5);
    assert_eq!(drive.axis().fault(), Some(Fault::FeedbackBus));
    drive.run(FAULT_RESET, 5);
    assert_eq!(drive.state(), State::Fault, "the cause persists");
    drive.bench.bodies[0].reading = None;
    drive.run(FAULT_RESET, 5);
    assert_eq!(drive.state(), State::Fault, "no rising edge");
    drive.run(SHUTDOWN, 1);
    drive.run(FAULT_RESET, 1);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    drive.run(SHUTDOWN, 20);
    assert_eq!(drive.state(), State::SwitchOnDisabled, "not armed");
    drive.bench.press_reset();
    drive.until(SHUTDOWN, State::ReadyToSwitchOn, 5);
}

#[test]
fn with_rearm_on_command_fault_reset_acts_as_the_reset_input() {
    let mut drive = turning(|c| {
        c.rearm = Rearm::OnCommand;
        c.reset = None;
    });
    for emergency in [false, true] {
        if emergency {
            drive.bench.set(ESTOP, true);
        } else {
            drive.bench.bodies[0].reading = Some(InputError::Bus);
        }
        drive.run(ENABLE, 5);
        assert_eq!(decoded(drive.status()), State::Fault);
        drive.run(FAULT_RESET, 5);
        assert_eq!(drive.state(), State::Fault, "the cause persists");
        drive.bench.set(ESTOP, false);
        drive.bench.bodies[0].reading = None;
        drive.run(SHUTDOWN, 3);
        assert_eq!(drive.state(), State::Fault);
        drive.run(FAULT_RESET, 1);
        assert_eq!(drive.state(), State::SwitchOnDisabled);
        drive.enable();
    }
}

#[test]
fn with_arm_on_command_the_first_fault_reset_arms_and_later_ones_do_not() {
    let mut drive = Drive::new(|c| c.arm = Arm::OnCommand);
    drive.run(SHUTDOWN, 50);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    drive.run(FAULT_RESET, 1);
    drive.enable();
    drive.bench.set(ESTOP, true);
    drive.run(ENABLE, 2);
    drive.bench.set(ESTOP, false);
    drive.run(SHUTDOWN, 2);
    drive.run(FAULT_RESET, 2);
    assert_eq!(drive.state(), State::Fault, "rearm is by the reset input");
}

#[test]
fn on_command_without_an_axis_that_takes_commands_is_refused() {
    let mut by_arm = config(1, Arm::OnCommand);
    by_arm.reset = None;
    let mut by_rearm = config(1, Arm::AtStart);
    by_rearm.rearm = Rearm::OnCommand;
    for config in [by_arm, by_rearm] {
        let error = config.build(PERIOD).unwrap_err();
        assert_eq!(error.parameter.name, "command");
    }
}

#[test]
fn a_fault_of_another_axis_stops_a_commanded_one() {
    let mut drive = Drive::enabled(PV, |c| {
        c.axes.push(axis_config(1)).unwrap();
        c.axes[1].motion = Motion::default();
        c.axes[0].limits.position = None;
    });
    drive.velocity(10.0);
    drive.run(ENABLE, 100);
    drive.bench.bodies[1].reading = Some(InputError::Bus);
    drive.run(ENABLE, 5);
    assert_eq!(drive.state(), State::QuickStopActive);
    drive.run(ENABLE, 300);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
    drive.run(SHUTDOWN, 10);
    assert_eq!(drive.state(), State::SwitchOnDisabled);
}

#[test]
fn the_statusword_shows_each_state_by_the_masks_of_the_standard() {
    let mut drive = Drive::new(|c| c.axes[0].feedback.frozen = None);
    assert_eq!(decoded(drive.status()), State::NotReadyToSwitchOn);
    let mut seen = vec![drive.state()];
    let words = [SHUTDOWN, SWITCH_ON, ENABLE, QUICK_STOP, SHUTDOWN, ENABLE];
    for word in words {
        drive.write(word);
        for _ in 0..80 {
            drive.bench.cycle();
            assert_eq!(decoded(drive.status()), drive.state());
            if !seen.contains(&drive.state()) {
                seen.push(drive.state());
            }
        }
    }
    drive.enable();
    drive.bench.bodies[0].blocked = true;
    drive.mode(PV);
    drive.velocity(20.0);
    drive.write(ENABLE);
    for _ in 0..800 {
        drive.bench.cycle();
        assert_eq!(decoded(drive.status()), drive.state());
        if !seen.contains(&drive.state()) {
            seen.push(drive.state());
        }
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn the_status_has_the_names_and_values_of_the_axis() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.set_point(2.0, 0);
    drive.run(ENABLE | START, 50);
    let values = drive.values();
    let axis = drive.axis();
    let expected = [
        f64::from(drive.status()),
        1.0,
        axis.position_rad(),
        axis.velocity_rad_s(),
        axis.setpoint_rad(),
        axis.tracking_error_rad(),
        axis.command_volts(),
        0.0,
        2.0,
        axis.setpoint_velocity_rad_s(),
        0.0,
    ];
    assert_eq!(values, expected);
    assert!(values[9] > 1.0, "it moves");
    assert_eq!(STATUS[0].0, "statusword");
    drive.bench.set(ESTOP, true);
    drive.bench.cycle();
    let values = drive.values();
    assert_eq!(values[7], f64::from(Fault::EmergencyStop.code()));
}

#[test]
fn the_status_has_the_switches_of_the_axis_with_and_without_power() {
    const HOME: u8 = 5;
    let mut drive = Drive::new(|c| {
        let switch = |number, normally_closed| LimitSwitch {
            channel: input(number),
            normally_closed,
        };
        c.axes[0].limits.negative_switch = Some(switch(NEGATIVE, true));
        c.axes[0].limits.positive_switch = Some(switch(POSITIVE, false));
        c.axes[0].command_config.homing.switch = Some(switch(HOME, false));
    });
    let seen = |drive: &Drive| drive.values()[10];
    for (levels, expected) in [
        ([true, false, false], 0.0),
        ([false, false, false], 1.0),
        ([true, true, false], 2.0),
        ([true, false, true], 4.0),
        ([false, false, true], 5.0),
    ] {
        for (channel, level) in [NEGATIVE, POSITIVE, HOME].into_iter().zip(levels) {
            drive.bench.set(channel, level);
        }
        // Beyond the cycle that sees the edges.
        drive.run(SHUTDOWN, 2);
        assert_eq!(seen(&drive), expected, "{levels:?}");
    }
    drive.bench.digital = Some(InputError::NotRead);
    drive.run(SHUTDOWN, 1);
    assert!(seen(&drive).is_nan(), "they were not read");
}
