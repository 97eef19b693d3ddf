//! Mode hm, with switches on the simulated shaft.

use super::drive::*;
use crate::axis::tests::plant::*;
use crate::axis::*;

const HOME: u8 = 4;

/// Runs one cycle with the switches where they are: limit switches at +-8 rad (normally closed),
/// the home switch active from `from` to `to`.
fn cycle(drive: &mut Drive, from: f64, to: f64) {
    let position = drive.bench.bodies[0].position;
    drive.bench.set(NEGATIVE, position > -8.0);
    drive.bench.set(POSITIVE, position < 8.0);
    drive.bench.set(HOME, position > from && position < to);
    drive.bench.cycle();
}

fn homing(method: i8) -> HomingConfig {
    HomingConfig {
        method,
        fast_rad_s: 4.0,
        slow_rad_s: 0.5,
        offset_rad: 1.0,
        switch: Some(LimitSwitch {
            channel: input(HOME),
            normally_closed: false,
        }),
        stop_command_volts: 2.0,
        max_travel_rad: 17.0,
    }
}

/// An axis in mode hm that stands at `start`.
fn at(method: i8, start: f64) -> Drive {
    let mut drive = Drive::new(|c| {
        c.axes[0].command_config.homing = homing(method);
        c.axes[0].feedback.frozen = None;
        // A range that the coordinates before homing may well leave.
        c.axes[0].limits.position = Some(PositionRange {
            min_rad: -3.0,
            max_rad: 3.0,
        });
    });
    drive.bench.bodies[0].position = start;
    drive.bench.levels &= !(1 << RESET);
    drive.mode(HM);
    drive.enable();
    drive
}

/// Homes and returns the shaft's position that became `offset_rad`.
fn home(drive: &mut Drive, from: f64, to: f64) -> f64 {
    drive.write(ENABLE);
    cycle(drive, from, to);
    drive.write(ENABLE | START);
    cycle(drive, from, to);
    assert_eq!(
        drive.status() & (REACHED | BIT_12 | BIT_13),
        0,
        "bit 10 is 0 in the cycle that sees the start"
    );
    for _ in 0..20_000 {
        if drive.has(BIT_12) {
            assert!(drive.has(REACHED));
            assert_eq!(drive.state(), State::OperationEnabled);
            return drive.bench.bodies[0].position - (drive.position() - 1.0);
        }
        assert!(!drive.has(BIT_13), "homing error");
        assert!(!drive.has(REACHED));
        cycle(drive, from, to);
    }
    panic!("not homed: {:?}", drive.axis());
}

#[test]
fn present_position_methods_home_where_the_axis_is() {
    for method in [35, 37] {
        let mut drive = at(method, 2.5);
        let found = home(&mut drive, 0.0, 0.0);
        assert!((found - 2.5).abs() < 1e-3, "{method}: {found}");
        assert!((drive.position() - 1.0).abs() < 1e-3);
        assert!((drive.axis().setpoint_rad() - 1.0).abs() < 1e-6);
        // The set-points after it are in the new coordinates, without a jump.
        drive.mode(PP);
        drive.run(ENABLE, 2);
        drive.set_point(0.0, 0);
        drive.run(ENABLE, 2_000);
        assert!((drive.bench.bodies[0].position - 1.5).abs() < 1e-2);
    }
}

#[test]
fn method_0_leaves_the_position_as_it_is() {
    let mut drive = at(0, 2.5);
    drive.run(ENABLE, 1);
    drive.run(ENABLE | START, 1);
    drive.await_bits(BIT_12 | REACHED, BIT_12 | REACHED, 50);
    assert!((drive.position() - 2.5).abs() < 1e-3);
}

#[test]
fn limit_switch_methods_home_at_the_edge_of_the_switch() {
    for (method, edge) in [(17, -8.0), (18, 8.0)] {
        for start in [0.0, edge * 1.01] {
            let mut drive = at(method, start);
            let found = home(&mut drive, 0.0, 0.0);
            assert!((found - edge).abs() < 5e-3, "{method}: {found}");
        }
    }
}

#[test]
fn home_switch_methods_home_at_the_edge_of_the_standard() {
    // Positive home switch: active above 3. Negative: active below -3.
    for (method, from, to, edge) in [
        (19, 3.0, 99.0, 3.0),
        (20, 3.0, 99.0, 3.0),
        (21, -99.0, -3.0, -3.0),
        (22, -99.0, -3.0, -3.0),
    ] {
        for start in [0.0, 1.6 * edge] {
            let mut drive = at(method, start);
            let found = home(&mut drive, from, to);
            assert!((found - edge).abs() < 5e-3, "{method}: {found}");
        }
    }
}

#[test]
fn a_limit_switch_on_the_way_is_a_homing_error_and_the_axis_stays_enabled() {
    let mut drive = at(19, 0.0);
    drive.write(ENABLE);
    cycle(&mut drive, 99.0, 99.0);
    drive.write(ENABLE | START);
    for _ in 0..4_000 {
        cycle(&mut drive, 99.0, 99.0);
    }
    assert!(drive.has(BIT_13) && !drive.has(BIT_12));
    assert!(drive.has(REACHED), "the axis stands");
    assert_eq!(drive.axis().fault(), None);
}

/// A broken home switch, a missing limit switch, no hard stop.
#[test]
fn a_search_without_an_end_is_a_homing_error_after_its_longest_travel() {
    for (method, most) in [(17, 4.0), (19, 4.0), (22, 6.5), (-3, 2.0), (-4, 5.0)] {
        let mut drive = Drive::new(|c| {
            c.axes[0].command_config.homing = HomingConfig {
                max_travel_rad: most,
                ..homing(method)
            };
            c.axes[0].feedback.frozen = None;
        });
        drive.bench.levels &= !(1 << RESET);
        drive.mode(HM);
        drive.enable();
        drive.write(ENABLE);
        cycle(&mut drive, 99.0, 99.0);
        drive.write(ENABLE | START);
        for _ in 0..15_000 {
            cycle(&mut drive, 99.0, 99.0);
        }
        assert!(drive.has(BIT_13) && !drive.has(BIT_12), "{method}");
        assert_eq!(drive.state(), State::OperationEnabled);
        assert!(drive.axis().velocity_rad_s().abs() < STANDSTILL);
        let travel = drive.bench.bodies[0].position.abs();
        // The axis stops on its ramp behind the bound.
        assert!((most..most + 1.5).contains(&travel), "{method}: {travel}");
    }
}

#[test]
fn hard_stop_methods_home_where_the_axis_cannot_move_further() {
    for (method, direction) in [(-3, 1.0), (-4, -1.0)] {
        let mut drive = at(method, 0.0);
        drive.write(ENABLE);
        cycle(&mut drive, 99.0, 99.0);
        drive.write(ENABLE | START);
        let mut most = 0.0_f64;
        for _ in 0..10_000 {
            let body = &mut drive.bench.bodies[0];
            // A wall at 2 rad.
            let pushes = drive.bench.outputs.analogs[0] * direction > 0.0;
            body.blocked = body.position * direction >= 2.0 && pushes;
            most = most.max(
                drive.bench.outputs.analogs[0].abs()
                    * f64::from(u8::from(drive.bench.is_enabled())),
            );
            cycle(&mut drive, 99.0, 99.0);
            if drive.has(BIT_12) {
                break;
            }
        }
        assert!(drive.has(BIT_12), "{method}: {:?}", drive.axis().fault());
        assert!((drive.position() - 1.0).abs() < 0.02);
        assert!(most < 4.0, "{most} V");
        drive.bench.run(500);
        assert_eq!(drive.axis().fault(), None);
        let volts = drive.bench.outputs.analogs[0].abs();
        assert!(volts < 0.5, "it does not go on pushing: {volts} V");
    }
}

#[test]
fn the_end_of_the_start_bit_and_halt_interrupt_homing() {
    for word in [ENABLE, ENABLE | START | HALT] {
        let mut drive = at(17, 0.0);
        drive.write(ENABLE);
        cycle(&mut drive, 99.0, 99.0);
        drive.write(ENABLE | START);
        for _ in 0..300 {
            cycle(&mut drive, 99.0, 99.0);
        }
        drive.write(word);
        for _ in 0..400 {
            cycle(&mut drive, 99.0, 99.0);
        }
        assert_eq!(drive.status() & (REACHED | BIT_12 | BIT_13), REACHED);
        assert!(drive.axis().velocity_rad_s().abs() < STANDSTILL);
        let found = home(&mut drive, 99.0, 99.0);
        assert!((found + 8.0).abs() < 5e-3);
    }
}

#[test]
fn homing_stays_attained_after_the_start_bit_and_in_other_modes() {
    let mut drive = at(37, 0.5);
    home(&mut drive, 0.0, 0.0);
    drive.run(ENABLE, 100);
    assert!(drive.has(BIT_12) && drive.has(REACHED));
    drive.mode(PP);
    drive.run(ENABLE, 10);
    drive.mode(HM);
    drive.run(ENABLE, 10);
    assert!(drive.has(BIT_12) && drive.has(REACHED));
}

#[test]
fn methods_that_need_an_index_or_a_missing_switch_are_refused() {
    let build = |change: fn(&mut AxisConfig)| {
        let mut config = config(1, Arm::AtStart);
        config.axes[0].command = Some(signals(0));
        change(&mut config.axes[0]);
        config.build(PERIOD).map_err(|error| error.parameter.name)
    };
    assert!(build(|_| {}).is_ok());
    for (name, change) in [
        (
            "method",
            (|c| c.command_config.homing = homing(33)) as fn(&mut AxisConfig),
        ),
        ("method", |c| c.command_config.homing = homing(1)),
        ("switch", |c| {
            c.command_config.homing = HomingConfig {
                switch: None,
                ..homing(19)
            }
        }),
        ("negative_switch", |c| {
            c.command_config.homing = homing(17);
            c.limits.negative_switch = None;
        }),
        ("fast_rad_s", |c| {
            c.command_config.homing = HomingConfig {
                fast_rad_s: 20.1,
                ..homing(17)
            }
        }),
        ("stop_command_volts", |c| {
            c.command_config.homing = HomingConfig {
                stop_command_volts: 10.1,
                ..homing(-3)
            }
        }),
        ("max_travel_rad", |c| {
            c.command_config.homing = HomingConfig {
                max_travel_rad: 0.0,
                ..homing(-3)
            }
        }),
        ("position_window_rad", |c| {
            c.command_config.position_window_rad = 0.0
        }),
        ("command", |c| {
            let other = signals(1).mode;
            c.command = Some(CommandSignals {
                mode: other,
                ..signals(0)
            });
        }),
        ("command", |c| {
            let signals = signals(0);
            c.command = Some(CommandSignals {
                target_velocity: signals.target_position,
                target_position: signals.target_velocity,
                ..signals
            });
        }),
    ] {
        assert_eq!(build(change).unwrap_err(), name);
    }
}

#[test]
fn a_blocked_shaft_outside_of_the_range_is_a_following_error_while_homing() {
    let mut drive = at(17, 0.0);
    drive.write(ENABLE);
    cycle(&mut drive, 99.0, 99.0);
    drive.write(ENABLE | START);
    for _ in 0..2_500 {
        // The range ends at -3 rad, its margin at -3.5.
        drive.bench.bodies[0].blocked |= drive.bench.bodies[0].position < -5.0;
        cycle(&mut drive, 99.0, 99.0);
    }
    assert_eq!(drive.axis().fault(), Some(Fault::FollowingError));
}
