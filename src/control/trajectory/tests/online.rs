//! New targets while moving, checked sample by sample.

use super::*;

/// Advances by one period and checks the limits of a move; returns the sample.
fn checked(trajectory: &Trajectory, state: &mut TrajectoryState, what: &str) -> Sample {
    let c = trajectory.config();
    let before = *state.last();
    let now = trajectory.advance(state, 1);
    let (v, a) = (now.velocity_rad_s, now.acceleration_rad_s2);
    assert!(within(v, c.velocity_rad_s), "{what}: velocity {v}");
    assert!(
        within(a, c.acceleration_rad_s2),
        "{what}: acceleration {a} of {}",
        c.acceleration_rad_s2
    );
    let jerk = (a - before.acceleration_rad_s2) * 1e3;
    assert!(
        within(jerk * (1.0 - 1e-6), c.jerk_rad_s3),
        "{what}: jerk {jerk} of {}",
        c.jerk_rad_s3
    );
    // The position follows from the velocities: the error of the trapezoid is bounded by the
    // jerk.
    let moved = now.position_rad - before.position_rad;
    let mean = 0.5 * (v + before.velocity_rad_s);
    let bound = c.jerk_rad_s3 * 1e-9 + 2e-9 + 1e-12 * now.position_rad.abs();
    assert!(
        (moved - mean * 1e-3).abs() <= bound,
        "{what}: position moved by {moved}, velocity {mean}"
    );
    now
}

/// A random command to a motion in any state.
fn command(random: &mut Random, trajectory: &Trajectory, state: &mut TrajectoryState) {
    let v = trajectory.config().velocity_rad_s;
    let kind = random.unit();
    if kind < 0.6 {
        let travel = v * random.decades(-5.0, 0.3);
        let target = state.last().position_rad + travel * (random.unit() - 0.5).signum();
        let speed = v * random.decades(-1.5, 0.2);
        assert!(trajectory.retarget(state, target, speed));
    } else if kind < 0.9 {
        assert!(trajectory.velocity_to(state, v * (2.4 * random.unit() - 1.2)));
    } else {
        assert!(trajectory.velocity_to(state, 0.0));
    }
}

#[test]
fn random_targets_while_moving_keep_the_limits_and_the_last_is_reached_exactly() {
    let mut random = Random(0xA11CE);
    for number in 0..400 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let mut state = TrajectoryState::at_rest(10.0 * random.unit() - 5.0);
        for turn in 0..6 {
            command(&mut random, &trajectory, &mut state);
            let until = (1e3 * random.decades(-3.0, 0.0)) as u32;
            for _ in 0..until {
                checked(&trajectory, &mut state, &format!("{number}, {turn}"));
            }
        }
        let target = state.last().position_rad + c.velocity_rad_s * (4.0 * random.unit() - 2.0);
        let speed = c.velocity_rad_s * random.decades(-0.5, 0.0);
        assert!(trajectory.retarget(&mut state, target, speed));
        let bound = state.duration_s() * 1e3 + 2.0;
        let mut steps = 0.0;
        while !state.is_at_rest() {
            checked(&trajectory, &mut state, &format!("{number}, last"));
            steps += 1.0;
            assert!(steps <= bound, "{number} does not end");
        }
        assert_eq!(*state.last(), Sample::at_rest(target), "{number}");
    }
}

#[test]
fn a_velocity_is_reached_within_the_limits_and_kept() {
    let mut random = Random(0xFEED);
    for number in 0..200 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let mut state = TrajectoryState::at_rest(0.0);
        for turn in 0..4 {
            let to = c.velocity_rad_s * (2.0 * random.unit() - 1.0);
            assert!(trajectory.velocity_to(&mut state, to));
            // v/a + a/j is the longest ramp from rest; from any state at most three times.
            let longest = 3.0 * (2.0 * c.velocity_rad_s / c.acceleration_rad_s2)
                + 3.0 * c.acceleration_rad_s2 / c.jerk_rad_s3;
            let whole = random.unit() < 0.5;
            let steps = longest * 1e3 * if whole { 1.0 } else { 0.2 * random.unit() };
            for _ in 0..steps as u32 + 2 {
                checked(&trajectory, &mut state, &format!("{number}, {turn}"));
            }
            if whole {
                let now = state.last();
                assert_eq!((now.velocity_rad_s, now.acceleration_rad_s2), (to, 0.0));
                assert!(!state.is_at_rest());
            }
        }
    }
}

#[test]
fn a_target_ahead_is_reached_without_a_stop_and_one_behind_by_turning_back_once() {
    let mut random = Random(0xC0DE);
    for number in 0..2_000 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let mut state = TrajectoryState::at_rest(0.0);
        assert!(trajectory.velocity_to(&mut state, c.velocity_rad_s * random.decades(-2.0, 0.0)));
        for _ in 0..(1e3 * random.decades(-2.5, 0.0)) as u32 + 1 {
            trajectory.advance(&mut state, 1);
        }
        let rest = trajectory.rest_position_rad(&state);
        let span = c.velocity_rad_s * random.decades(-4.0, 0.3);
        let ahead = random.unit() < 0.5;
        let target = if ahead { rest + span } else { rest - span };
        assert!(trajectory.retarget(&mut state, target, c.velocity_rad_s));
        let mut turns = 0;
        let mut before = 1.0_f64;
        while !state.is_at_rest() {
            let now = trajectory.advance(&mut state, 1);
            let scale = 1e-7 * c.velocity_rad_s;
            if now.velocity_rad_s.abs() > scale && now.velocity_rad_s.signum() != before {
                before = now.velocity_rad_s.signum();
                turns += 1;
            }
        }
        let least = u32::from(!ahead);
        // Below one sample the turn cannot be seen.
        assert!(turns <= least, "{number}: {turns} turns, ahead {ahead}");
        assert_eq!(state.last().position_rad, target);
    }
}

#[test]
fn the_same_target_again_takes_the_time_that_the_move_has_left() {
    let mut random = Random(0xFA57);
    for number in 0..2_000 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let target = c.velocity_rad_s * random.decades(-4.0, 0.5);
        let mut optimal = TrajectoryState::at_rest(0.0);
        assert!(trajectory.move_to(&mut optimal, target));
        let mut state = optimal;
        let at = random.unit() * optimal.duration_s();
        let periods = (at * 1e3) as u32;
        trajectory.advance(&mut state, periods);
        assert!(trajectory.retarget(&mut state, target, c.velocity_rad_s));
        let late = f64::from(periods) * 1e-3 + state.duration_s() - optimal.duration_s();
        assert!(late.abs() <= 1e-6, "{number}: {late} s later");
    }
}

#[test]
fn a_speed_below_that_of_the_motion_is_reached_first() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut state = TrajectoryState::at_rest(0.0);
    assert!(trajectory.velocity_to(&mut state, 10.0));
    trajectory.advance(&mut state, 1_000);
    assert!(trajectory.retarget(&mut state, 30.0, 2.0));
    let mut slow = 0;
    while !state.is_at_rest() {
        let v = checked(&trajectory, &mut state, "slower").velocity_rad_s;
        slow += u32::from((v - 2.0).abs() < 1e-9);
    }
    assert!(slow > 5_000, "{slow} periods at the speed");
}

#[test]
fn commands_that_are_not_finite_are_refused_and_change_nothing() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut state = TrajectoryState::at_rest(0.0);
    assert!(trajectory.velocity_to(&mut state, 3.0));
    trajectory.advance(&mut state, 20);
    let before = state;
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!trajectory.velocity_to(&mut state, bad));
        assert!(!trajectory.retarget(&mut state, bad, 1.0));
        assert!(!trajectory.retarget(&mut state, 1.0, bad));
    }
    assert!(!trajectory.retarget(&mut state, 1.0, 0.0));
    assert_eq!(state, before);
}

#[test]
fn a_setpoint_from_outside_can_be_stopped_and_retargeted() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut state = TrajectoryState::at_rest(0.0);
    let moving = Sample {
        position_rad: 1.0,
        velocity_rad_s: 5.0,
        acceleration_rad_s2: 0.0,
    };
    state.follow(moving);
    assert_eq!(trajectory.advance(&mut state, 1), moving);
    assert!(!trajectory.move_to(&mut state, 2.0));
    let mut stopped = state;
    trajectory.stop(&mut stopped);
    assert!(!stopped.is_at_rest());
    assert!(trajectory.retarget(&mut state, 3.0, 10.0));
    while !state.is_at_rest() {
        checked(&trajectory, &mut state, "followed");
    }
    assert_eq!(*state.last(), Sample::at_rest(3.0));
}
