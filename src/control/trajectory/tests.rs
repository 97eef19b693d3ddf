//! Moves and stops, checked sample by sample.

mod online;

use super::*;

const PERIOD: Duration = Duration::from_millis(1);

/// xorshift64* (Vigna 2014): a seed gives the same moves on every machine.
struct Random(u64);

impl Random {
    /// Evenly in the logarithm from `10^low` to `10^high`.
    fn decades(&mut self, low: f64, high: f64) -> f64 {
        libm::pow(10.0, low + (high - low) * self.unit())
    }

    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn config() -> TrajectoryConfig {
    TrajectoryConfig {
        velocity_rad_s: 10.0,
        acceleration_rad_s2: 100.0,
        jerk_rad_s3: 5_000.0,
        stop_deceleration_rad_s2: 300.0,
        stop_jerk_rad_s3: 20_000.0,
    }
}

fn random_config(random: &mut Random) -> TrajectoryConfig {
    let velocity_rad_s = random.decades(-1.0, 2.0);
    let acceleration_rad_s2 = velocity_rad_s * random.decades(0.0, 2.0);
    let jerk_rad_s3 = acceleration_rad_s2 * random.decades(0.0, 3.0);
    TrajectoryConfig {
        velocity_rad_s,
        acceleration_rad_s2,
        jerk_rad_s3,
        stop_deceleration_rad_s2: acceleration_rad_s2 * random.decades(0.0, 1.0),
        stop_jerk_rad_s3: jerk_rad_s3 * random.decades(0.0, 1.0),
    }
}

/// `value` is within `limit`, but for rounding.
fn within(value: f64, limit: f64) -> bool {
    value.abs() <= limit * (1.0 + 1e-9) + 1e-9
}

#[test]
fn random_moves_keep_their_limits_never_turn_back_and_reach_their_target() {
    let mut random = Random(0x5EED);
    for number in 0..3_000 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let start = 20.0 * random.unit() - 10.0;
        let travel = c.velocity_rad_s * random.decades(-5.0, 0.3);
        let target = if random.unit() < 0.5 {
            start + travel
        } else {
            start - travel
        };
        let direction = (target - start).signum();
        let mut state = TrajectoryState::at_rest(start);
        assert!(trajectory.move_to(&mut state, target));
        let mut before = *state.last();
        let mut steps = 0_u32;
        while !state.is_at_rest() {
            let now = trajectory.advance(&mut state, 1);
            let forward = (now.position_rad - before.position_rad) * direction;
            assert!(forward >= -1e-12, "move {number} turned back by {forward}");
            assert!(now.velocity_rad_s * direction >= -1e-9, "move {number}");
            assert!(
                within(now.velocity_rad_s, c.velocity_rad_s),
                "move {number}"
            );
            assert!(
                within(now.acceleration_rad_s2, c.acceleration_rad_s2),
                "move {number}"
            );
            let jerk = (now.acceleration_rad_s2 - before.acceleration_rad_s2) * 1e3;
            assert!(
                within(jerk * (1.0 - 1e-6), c.jerk_rad_s3),
                "move {number}: {jerk}"
            );
            assert!(within(forward * 1e3, c.velocity_rad_s), "move {number}");
            before = now;
            steps += 1;
            assert!(steps < 1_000_000, "move {number} does not end");
        }
        assert_eq!(*state.last(), Sample::at_rest(target), "move {number}");
    }
}

#[test]
fn a_move_is_continuous_between_its_segments() {
    let mut random = Random(77);
    for _ in 0..2_000 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let mut state = TrajectoryState::at_rest(0.0);
        assert!(trajectory.move_to(&mut state, c.velocity_rad_s * random.decades(-4.0, 1.0)));
        let segments = &state.segments[..usize::from(state.count)];
        for pair in segments.windows(2) {
            let end = pair[0].end_s;
            let [left, right] =
                [pair[0], pair[1]].map(|s| s.anchor.after(end - s.anchor_s, s.jerk));
            let scale = state.target_rad;
            assert!((left.position_rad - right.position_rad).abs() < 1e-9 * scale);
            assert!((left.velocity_rad_s - right.velocity_rad_s).abs() < 1e-9 * c.velocity_rad_s);
            let step = left.acceleration_rad_s2 - right.acceleration_rad_s2;
            assert!(step.abs() < 1e-6 * c.acceleration_rad_s2, "{step}");
        }
    }
}

#[test]
fn a_long_move_takes_the_time_of_the_closed_form() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut state = TrajectoryState::at_rest(1.0);
    assert!(trajectory.move_to(&mut state, 51.0));
    // distance/v + v/a + a/j
    let expected = 50.0 / 10.0 + 10.0 / 100.0 + 100.0 / 5_000.0;
    assert!((state.duration_s() - expected).abs() < 1e-12);
    let steps = (0..).take_while(|_| {
        trajectory.advance(&mut state, 1);
        !state.is_at_rest()
    });
    assert!((steps.count() as f64 - expected * 1e3).abs() <= 1.0);
}

#[test]
fn a_short_move_takes_the_time_of_the_closed_form() {
    let trajectory = config().build(PERIOD).unwrap();
    for (distance, expected) in [
        // Jerk alone: 4 cbrt(d / 2j).
        (1e-3, 4.0 * libm::cbrt(1e-3 / 10_000.0)),
        // Acceleration reached, velocity not: 2T + 2(T + H), T = a/j.
        (0.5, 0.02 + libm::sqrt(0.02 * 0.02 + 4.0 * 0.5 / 100.0)),
    ] {
        let mut state = TrajectoryState::at_rest(0.0);
        assert!(trajectory.move_to(&mut state, -distance));
        let error = state.duration_s() - expected;
        assert!(error.abs() < 1e-9, "{distance} rad: {error} s");
    }
}

#[test]
fn a_stop_at_any_time_ends_at_rest_continuously_and_within_its_limits() {
    let mut random = Random(0xB4A5);
    for number in 0..3_000 {
        let c = random_config(&mut random);
        let trajectory = c.build(PERIOD).unwrap();
        let mut state = TrajectoryState::at_rest(0.0);
        let direction = if random.unit() < 0.5 { 1.0 } else { -1.0 };
        let travel = c.velocity_rad_s * random.decades(-4.0, 0.3) * direction;
        assert!(trajectory.move_to(&mut state, travel));
        let stop_at = (random.unit() * state.duration_s() * 1e3) as u32;
        trajectory.advance(&mut state, stop_at);
        let mut before = *state.last();
        let old_end_s = state.duration_s() - f64::from(stop_at) * 1e-3;
        trajectory.stop(&mut state);
        assert!(
            state.duration_s() <= old_end_s + 1e-9,
            "stop {number} is later than the move"
        );
        let mut steps = 0;
        while !state.is_at_rest() {
            let now = trajectory.advance(&mut state, 1);
            let (jump, velocity) = (now.position_rad - before.position_rad, now.velocity_rad_s);
            let fastest = c.velocity_rad_s * 1.01 + c.acceleration_rad_s2 * 2e-3;
            assert!(jump.abs() <= fastest * 1e-3, "stop {number}: {jump}");
            assert!(
                velocity * direction >= -1e-7 * c.velocity_rad_s,
                "stop {number}: {velocity}"
            );
            assert!(
                within(now.acceleration_rad_s2, c.stop_deceleration_rad_s2),
                "stop {number}"
            );
            let jerk = (now.acceleration_rad_s2 - before.acceleration_rad_s2) * 1e3;
            assert!(
                within(jerk * (1.0 - 1e-6), c.stop_jerk_rad_s3),
                "stop {number}: {jerk}"
            );
            before = now;
            steps += 1;
            assert!(steps < 1_000_000, "stop {number} does not end");
        }
        assert_eq!(before, Sample::at_rest(state.target_rad()));
        assert!(
            before.position_rad * direction <= travel * direction + 1e-9,
            "stop {number} overran"
        );
    }
}

#[test]
fn a_stop_from_a_measured_state_ends_at_rest_in_either_direction() {
    let trajectory = config().build(PERIOD).unwrap();
    for (v, a) in [
        (5.0, 0.0),
        (-5.0, 0.0),
        (0.0, 50.0),
        (1e-4, -100.0),
        (5.0, 200.0),
        (5.0, -900.0),
    ] {
        let mut state = TrajectoryState::at_rest(0.0);
        let from = Sample {
            position_rad: 3.0,
            velocity_rad_s: v,
            acceleration_rad_s2: a,
        };
        trajectory.stop_from(&mut state, from);
        let mut before = from;
        for _ in 0..1_000 {
            let now = trajectory.advance(&mut state, 1);
            assert!(
                (now.velocity_rad_s - before.velocity_rad_s).abs() <= 0.9 + 1e-9,
                "{v} {a}"
            );
            before = now;
        }
        assert!(state.is_at_rest());
        assert_eq!(before.velocity_rad_s, 0.0);
        // The end was integrated, so the last step must not be a jump either.
        let last = state.segments[usize::from(state.count) - 1];
        let end = last.anchor.after(last.end_s - last.anchor_s, last.jerk);
        assert!(
            end.velocity_rad_s.abs() < 1e-9,
            "{v} {a}: {}",
            end.velocity_rad_s
        );
        assert!(end.acceleration_rad_s2.abs() < 1e-6, "{v} {a}");
    }
}

#[test]
fn a_stop_at_rest_and_a_move_to_the_present_position_do_nothing() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut state = TrajectoryState::at_rest(2.0);
    trajectory.stop(&mut state);
    assert!(state.is_at_rest());
    assert!(trajectory.move_to(&mut state, 2.0));
    assert!(state.is_at_rest());
    assert_eq!(trajectory.advance(&mut state, 1), Sample::at_rest(2.0));
}

#[test]
fn a_target_is_refused_while_moving_or_not_finite_and_changes_nothing() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut state = TrajectoryState::at_rest(0.0);
    assert!(!trajectory.move_to(&mut state, f64::NAN));
    assert!(state.is_at_rest());
    assert!(trajectory.move_to(&mut state, 1.0));
    trajectory.advance(&mut state, 5);
    let before = state;
    assert!(!trajectory.move_to(&mut state, 2.0));
    assert_eq!(state, before);
}

#[test]
fn skipped_periods_give_the_same_position_as_single_ones() {
    let trajectory = config().build(PERIOD).unwrap();
    let mut single = TrajectoryState::at_rest(0.0);
    assert!(trajectory.move_to(&mut single, 3.0));
    let mut skipping = single;
    for _ in 0..37 {
        trajectory.advance(&mut single, 1);
    }
    assert_eq!(trajectory.advance(&mut skipping, 37), *single.last());
}

#[test]
fn each_invalid_limit_is_named() {
    type Spoil = fn(&mut TrajectoryConfig);
    let cases: [(&str, Spoil); 7] = [
        ("velocity_rad_s", |c| c.velocity_rad_s = 0.0),
        ("velocity_rad_s", |c| c.velocity_rad_s = f64::NAN),
        ("acceleration_rad_s2", |c| c.acceleration_rad_s2 = -1.0),
        ("jerk_rad_s3", |c| c.jerk_rad_s3 = f64::INFINITY),
        ("stop_deceleration_rad_s2", |c| {
            c.stop_deceleration_rad_s2 = 99.0
        }),
        ("stop_jerk_rad_s3", |c| c.stop_jerk_rad_s3 = 4_999.0),
        ("stop_jerk_rad_s3", |c| c.stop_jerk_rad_s3 = f64::NAN),
    ];
    for (name, spoil) in cases {
        let mut spoilt = config();
        spoil(&mut spoilt);
        assert_eq!(spoilt.build(PERIOD).unwrap_err().name, name);
    }
    assert_eq!(config().build(Duration::ZERO).unwrap_err().name, "period");
}
