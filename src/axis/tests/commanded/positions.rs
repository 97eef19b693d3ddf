//! Modes pp and csp.

use super::drive::*;
use crate::axis::*;
use crate::time::Duration;

#[test]
fn a_set_point_is_acknowledged_reached_and_reported() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.await_bits(REACHED, REACHED, 50);
    drive.set_point(5.0, 0);
    assert!(drive.has(BIT_12), "set-point acknowledge");
    assert!(!drive.has(REACHED), "in the cycle that takes the set-point");
    drive.run(ENABLE, 1);
    assert!(!drive.has(BIT_12));
    let cycles = drive.await_bits(REACHED, REACHED, 2_000);
    assert!((drive.position() - 5.0).abs() < 0.01);
    // v = 20, a = 200, j = 10,000: 5/20 + 20/200 + 200/10,000 = 370 ms, and the window's 10 ms.
    assert!((360..400).contains(&cycles), "{cycles} ms");
    assert_eq!(drive.axis().setpoint_rad(), 5.0);
}

#[test]
fn a_set_point_needs_a_rising_edge() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.target(5.0);
    drive.run(ENABLE, 100);
    assert_eq!(drive.axis().setpoint_rad(), 0.0);
    drive.set_point(1.0, 0);
    drive.target(3.0);
    drive.run(ENABLE | START, 1_000);
    assert_eq!(drive.axis().setpoint_rad(), 1.0);
    assert!(drive.has(BIT_12), "until bit 4 is 0");
}

#[test]
fn one_set_point_waits_while_another_is_processed_and_a_third_is_not_taken() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.set_point(5.0, 0);
    drive.run(ENABLE, 10);
    drive.set_point(2.0, 0);
    assert!(drive.has(BIT_12));
    drive.run(ENABLE, 1);
    assert!(drive.has(BIT_12), "the buffer is full");
    drive.set_point(9.0, 0);
    drive.run(ENABLE, 1);
    let mut highest = 0.0_f64;
    let mut free_at = None;
    for cycle in 0..1_000 {
        drive.run(ENABLE, 1);
        highest = highest.max(drive.axis().setpoint_rad());
        if free_at.is_none() && !drive.has(BIT_12) {
            free_at = Some((cycle, drive.axis().setpoint_rad()));
        }
    }
    assert_eq!(highest, 5.0, "the first is reached");
    assert_eq!(drive.axis().setpoint_rad(), 2.0, "then the second");
    let (_, at) = free_at.expect("bit 12 falls when the second begins");
    assert!((at - 5.0).abs() < 0.01);
    assert!(drive.has(REACHED));
}

#[test]
fn change_immediately_replaces_the_motion_and_the_waiting_set_point() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.set_point(20.0, 0);
    drive.run(ENABLE, 100);
    drive.set_point(1.0, 0);
    drive.run(ENABLE, 10);
    drive.set_point(30.0, IMMEDIATELY);
    drive.run(ENABLE, 1);
    assert!(!drive.has(BIT_12));
    let mut slowest = f64::MAX;
    for _ in 0..2_000 {
        drive.run(ENABLE, 1);
        if drive.axis().setpoint_rad() < 20.0 {
            slowest = slowest.min(drive.axis().velocity_rad_s());
        }
    }
    assert!(slowest > 5.0, "it does not stop at the first target");
    assert!((drive.position() - 30.0).abs() < 0.01);
    // Behind: back.
    drive.set_point(40.0, 0);
    drive.run(ENABLE, 200);
    drive.set_point(0.0, IMMEDIATELY);
    drive.run(ENABLE, 3_000);
    assert!(drive.position().abs() < 0.01);
}

#[test]
fn relative_set_points_add_to_the_last_accepted_target() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.set_point(2.0, RELATIVE);
    drive.run(ENABLE, 10);
    drive.set_point(3.0, RELATIVE);
    drive.run(ENABLE, 1_500);
    assert_eq!(drive.axis().setpoint_rad(), 5.0);
    drive.set_point(-1.0, RELATIVE);
    drive.run(ENABLE, 1_000);
    assert_eq!(drive.axis().setpoint_rad(), 4.0);
}

#[test]
fn halt_stops_and_its_end_resumes_the_motion() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.set_point(20.0, 0);
    drive.run(ENABLE, 200);
    drive.run(ENABLE | HALT, 1);
    assert!(!drive.has(REACHED));
    drive.await_bits(REACHED, REACHED, 300);
    let held = drive.axis().setpoint_rad();
    assert!(held < 15.0 && drive.axis().velocity_rad_s().abs() < STANDSTILL);
    drive.run(ENABLE | HALT, 300);
    assert_eq!(drive.axis().setpoint_rad(), held);
    assert_eq!(drive.state(), State::OperationEnabled);
    drive.run(ENABLE, 1);
    assert!(!drive.has(REACHED));
    drive.await_bits(REACHED, REACHED, 2_000);
    assert_eq!(drive.axis().setpoint_rad(), 20.0);
}

#[test]
fn a_set_point_under_halt_is_acknowledged_and_begins_at_its_end() {
    let mut drive = Drive::enabled(PP, |_| {});
    drive.set_point(3.0, HALT);
    assert!(drive.has(BIT_12));
    drive.run(ENABLE | HALT, 300);
    assert!(drive.axis().setpoint_rad() < 0.01);
    drive.run(ENABLE, 1_000);
    assert_eq!(drive.axis().setpoint_rad(), 3.0);
}

#[test]
fn a_set_point_beyond_the_range_is_limited_and_reported() {
    let mut drive = Drive::enabled(PP, |_| {});
    for (target, end) in [(1e6, 50.0), (-70.0, -50.0)] {
        drive.set_point(target, 0);
        assert!(drive.has(LIMITED));
        drive.run(ENABLE, 8_000);
        assert_eq!(drive.axis().setpoint_rad(), end);
        assert_eq!(drive.axis().fault(), None);
    }
    drive.set_point(0.0, 0);
    assert!(!drive.has(LIMITED));
}

#[test]
fn a_mode_change_while_moving_and_under_halt_is_accepted_at_once() {
    for halt in [0, HALT] {
        let mut drive = Drive::enabled(PP, |_| {});
        drive.set_point(20.0, 0);
        drive.run(ENABLE, 200);
        drive.mode(CSP);
        drive.target(drive.axis().setpoint_rad());
        drive.run(ENABLE | halt, 1);
        assert_eq!(drive.axis().command().mode(), Mode::SyncPosition);
        drive.mode(PP);
        drive.run(ENABLE | halt, 1);
        assert_eq!(drive.axis().command().mode(), Mode::ProfilePosition);
        drive.run(ENABLE | halt, 400);
        let held = drive.axis().setpoint_rad();
        drive.run(ENABLE, 400);
        assert_eq!(drive.axis().setpoint_rad(), held, "the old target is gone");
    }
}

#[test]
fn a_mode_that_the_axis_does_not_have_changes_nothing() {
    let mut drive = Drive::enabled(PP, |_| {});
    for mode in [2, 4, 7, 10, -1, 127, -128] {
        drive.mode(mode);
        drive.run(ENABLE, 2);
        assert_eq!(drive.axis().command().mode(), Mode::ProfilePosition);
    }
}

#[test]
fn csp_follows_the_target_of_each_cycle() {
    let mut drive = Drive::enabled(CSP, |_| {});
    for cycle in 1..=2_000 {
        let target = 5.0 * (1.0 - libm::cos(f64::from(cycle) * 2e-3));
        drive.target(target);
        drive.run(ENABLE, 1);
        assert!((drive.axis().setpoint_rad() - target).abs() < 1e-9);
        assert!((drive.position() - target).abs() < 0.1);
        assert!(drive.has(BIT_12), "the drive follows");
    }
    assert!(!drive.has(LIMITED));
}

#[test]
fn csp_interpolates_between_targets_that_come_less_often() {
    let mut drive = Drive::enabled(CSP, |c| {
        c.axes[0].command_config.interpolation = Duration::from_millis(10);
    });
    let mut before = drive.axis().setpoint_rad();
    for cycle in 1..=500_u32 {
        // A new target each 10 ms, 4 rad/s; the commands are refreshed in each cycle.
        drive.target(0.04 * f64::from((cycle - 1) / 10));
        drive.run(ENABLE, 1);
        let step = drive.axis().setpoint_rad() - before;
        before = drive.axis().setpoint_rad();
        if cycle > 20 {
            assert!((step - 0.004).abs() < 1e-9, "{cycle}: {step}");
        }
    }
}

/// The setpoint in each cycle of csp with SYNC every 10 ms and a target 0.04 rad further each
/// time, without the SYNC messages of `missing`.
fn paced(extrapolation_ms: u64, missing: core::ops::Range<u32>) -> (Drive, Vec<f64>) {
    let mut drive = Drive::enabled(CSP, |c| {
        c.axes[0].command_config.interpolation = Duration::from_millis(10);
        c.axes[0].command_config.extrapolation = Duration::from_millis(extrapolation_ms);
    });
    let mut setpoints = Vec::new();
    let mut word = ENABLE | PACED;
    for cycle in 0..400_u32 {
        if cycle.is_multiple_of(10) && !missing.contains(&(cycle / 10)) {
            drive.target(0.04 * f64::from(cycle / 10));
            word ^= PACE;
        }
        drive.run(word, 1);
        setpoints.push(drive.axis().setpoint_rad());
    }
    (drive, setpoints)
}

/// The steps of the setpoint between cycles.
fn steps(setpoints: &[f64]) -> impl Iterator<Item = f64> + '_ {
    setpoints.windows(2).map(|pair| pair[1] - pair[0])
}

#[test]
fn csp_goes_on_at_its_velocity_while_one_sync_is_missing() {
    let (_, setpoints) = paced(15, 20..21);
    for (cycle, step) in steps(&setpoints).enumerate().skip(30) {
        assert!((step - 0.004).abs() < 1e-9, "{cycle}: {step}");
    }
    let (_, stands) = paced(0, 20..21);
    assert!(steps(&stands).any(|step| step == 0.0), "without it");
}

#[test]
fn csp_stops_on_the_ramp_when_sync_is_missing_for_longer_and_follows_again() {
    let (drive, setpoints) = paced(15, 20..30);
    let all: Vec<f64> = steps(&setpoints).collect();
    // The last target is reached in cycle 199; 15 cycles go on.
    assert!(all[30..214].iter().all(|step| (step - 0.004).abs() < 1e-9));
    let ramp: Vec<f64> = all[214..299].to_vec();
    assert!(ramp.iter().all(|step| (0.0..=0.004 + 1e-9).contains(step)));
    let sudden = |pair: &[f64]| pair[0] - pair[1] > 0.001;
    assert!(!ramp.windows(2).any(sudden), "no step of the velocity");
    assert_eq!(ramp.last(), Some(&0.0), "it stands");
    assert_eq!(drive.axis().setpoint_rad(), 0.04 * 39.0);
    assert_eq!(drive.axis().fault(), None);
}

#[test]
fn csp_does_not_go_on_beyond_a_target_that_stays_or_that_it_did_not_reach_in_time() {
    for distance in [0.05, 1.0] {
        let mut drive = Drive::enabled(CSP, |c| {
            c.axes[0].command_config.interpolation = Duration::from_millis(10);
            c.axes[0].command_config.extrapolation = Duration::from_millis(15);
            c.axes[0].limits.following_error_window_rad = 5.0;
        });
        let mut word = ENABLE | PACED;
        drive.target(distance);
        for cycle in 0..200_u32 {
            // SYNC goes on with the same target, half a cycle of interpolation late.
            if cycle % 10 == 5 {
                word ^= PACE;
            }
            drive.run(word, 1);
            assert!(drive.axis().setpoint_rad() <= distance + 0.05 / 10.0 * 5.1);
        }
        assert!((drive.axis().setpoint_rad() - distance).abs() < 1e-12);
    }
}

#[test]
fn csp_approaches_a_distant_target_at_the_velocity_of_the_profile() {
    let mut drive = Drive::enabled(CSP, |c| {
        c.axes[0].limits.following_error_window_rad = 5.0;
    });
    drive.target(10.0);
    let mut before = drive.axis().setpoint_rad();
    for _ in 0..600 {
        drive.run(ENABLE, 1);
        let step = drive.axis().setpoint_rad() - before;
        before = drive.axis().setpoint_rad();
        assert!(step <= 0.02 + 1e-9, "{step}");
    }
    assert_eq!(drive.axis().setpoint_rad(), 10.0);
}

#[test]
fn csp_halts_on_the_ramp_of_the_profile() {
    let mut drive = Drive::enabled(CSP, |_| {});
    for cycle in 1..=500 {
        drive.target(0.01 * f64::from(cycle));
        drive.run(ENABLE, 1);
    }
    drive.target(20.0);
    drive.run(ENABLE | HALT, 300);
    assert!(drive.axis().setpoint_rad() < 5.6);
    assert!(drive.axis().velocity_rad_s().abs() < STANDSTILL);
    assert!(!drive.has(BIT_12));
}

#[test]
fn following_error_beyond_its_window_is_bit_13() {
    let mut drive = Drive::enabled(PP, |c| {
        c.axes[0].limits.following_error_timeout = Duration::from_millis(1_000);
        c.axes[0].feedback.frozen = None;
    });
    drive.bench.bodies[0].blocked = true;
    drive.set_point(5.0, 0);
    assert!(!drive.has(BIT_13));
    drive.run(ENABLE, 300);
    assert!(drive.has(BIT_13));
    assert_eq!(drive.state(), State::OperationEnabled);
}
