//! Modes pv and csv.

use super::drive::*;
use crate::axis::*;

#[test]
fn pv_reaches_the_velocity_on_the_profile_and_reports_it() {
    let mut drive = Drive::enabled(PV, |c| c.axes[0].limits.position = None);
    drive.run(ENABLE, 50);
    assert!(drive.has(BIT_12), "speed 0");
    for velocity in [10.0, -15.0, 2.0] {
        drive.velocity(velocity);
        drive.run(ENABLE, 1);
        assert!(!drive.has(REACHED));
        drive.await_bits(REACHED, REACHED, 400);
        assert!((drive.axis().velocity_rad_s() - velocity).abs() <= STANDSTILL);
        assert!(!drive.has(BIT_12));
    }
    drive.velocity(0.0);
    drive.run(ENABLE, 1);
    drive.await_bits(REACHED | BIT_12, REACHED | BIT_12, 400);
}

#[test]
fn pv_follows_a_target_that_changes_in_each_cycle() {
    let mut drive = Drive::enabled(PV, |c| c.axes[0].limits.position = None);
    for cycle in 0..3_000 {
        drive.velocity(10.0 * libm::sin(f64::from(cycle) * 2e-3));
        drive.run(ENABLE, 1);
        assert_eq!(drive.state(), State::OperationEnabled);
        if cycle > 300 {
            let target = 10.0 * libm::sin(f64::from(cycle - 20) * 2e-3);
            assert!((drive.axis().velocity_rad_s() - target).abs() < 1.0);
        }
    }
}

#[test]
fn pv_limits_the_target_to_the_velocity_of_the_profile() {
    let mut drive = Drive::enabled(PV, |c| c.axes[0].limits.position = None);
    drive.velocity(1_000.0);
    drive.run(ENABLE, 400);
    assert!((drive.axis().velocity_rad_s() - 20.0).abs() < 0.5);
    assert!(drive.has(LIMITED));
}

#[test]
fn pv_stops_exactly_at_the_ends_of_the_range_and_leaves_them() {
    let mut drive = Drive::enabled(PV, |_| {});
    for (velocity, end) in [(15.0, 50.0), (-20.0, -50.0)] {
        drive.velocity(velocity);
        drive.run(ENABLE, 9_000);
        assert_eq!(drive.axis().setpoint_rad(), end);
        assert!(drive.has(LIMITED));
        assert_eq!(drive.state(), State::OperationEnabled);
        // Further out: nothing.
        drive.velocity(velocity / 2.0);
        drive.run(ENABLE, 300);
        assert_eq!(drive.axis().setpoint_rad(), end);
    }
    drive.velocity(5.0);
    drive.run(ENABLE, 500);
    assert!(drive.axis().velocity_rad_s() > 4.0);
    assert!(!drive.has(LIMITED));
}

#[test]
fn pv_halts_and_resumes() {
    let mut drive = Drive::enabled(PV, |c| c.axes[0].limits.position = None);
    drive.velocity(10.0);
    drive.run(ENABLE, 300);
    drive.run(ENABLE | HALT, 1);
    assert!(!drive.has(REACHED));
    drive.await_bits(REACHED | BIT_12, REACHED | BIT_12, 300);
    drive.run(ENABLE, 300);
    assert!((drive.axis().velocity_rad_s() - 10.0).abs() < 0.5);
}

#[test]
fn csv_follows_the_target_within_the_acceleration_and_stops_before_the_end_of_the_range() {
    let mut drive = Drive::enabled(CSV, |_| {});
    drive.velocity(10.0);
    let mut before = 0.0;
    for _ in 0..100 {
        drive.run(ENABLE, 1);
        let step = drive.axis().setpoint_rad() - before;
        before = drive.axis().setpoint_rad();
        assert!(step <= 0.01 + 1e-12);
    }
    assert!((drive.axis().velocity_rad_s() - 10.0).abs() < 0.5);
    assert!(drive.has(BIT_12) && !drive.has(LIMITED));
    for (velocity, end) in [(20.0, 50.0), (-20.0, -50.0)] {
        drive.velocity(velocity);
        drive.run(ENABLE, 9_000);
        let error = (drive.axis().setpoint_rad() - end).abs();
        assert!(error < 0.01, "{error}");
        assert!(drive.axis().setpoint_rad().abs() <= 50.0);
        assert!(drive.has(LIMITED));
        assert_eq!(drive.state(), State::OperationEnabled);
    }
    drive.run(ENABLE | HALT, 200);
    assert!(!drive.has(BIT_12));
}
