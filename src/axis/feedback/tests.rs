//! Readings that are good, late, missing and implausible.

use super::*;

const PERIOD: Duration = Duration::from_millis(1);
const TURN: f64 = core::f64::consts::TAU;

fn config() -> FeedbackConfig {
    FeedbackConfig {
        encoder_channel: 0,
        gear_ratio: 1.0,
        encoder_inverted: false,
        offset_rad: 0.0,
        plausible_velocity_rad_s: 200.0,
        velocity_cutoff_hz: 100.0,
        tolerated_failures: 2,
        frozen: Some(Frozen {
            frozen_cycles: 5,
            frozen_command_volts: 2.0,
        }),
    }
}

/// An encoder and the time of its last reading.
struct Shaft {
    feedback: Feedback,
    state: FeedbackState,
    now: Instant,
}

impl Shaft {
    fn new(config: &FeedbackConfig) -> Self {
        Self {
            feedback: config.build(PERIOD).unwrap(),
            state: FeedbackState::UNKNOWN,
            now: Instant::from_nanos(0),
        }
    }

    /// Takes a reading `periods` after the last one.
    fn update(&mut self, value: Result<Angle, InputError>, periods: u32, volts: f64) -> Reading {
        self.now += PERIOD * u64::from(periods);
        let sample = Sample {
            value,
            at: self.now,
        };
        self.feedback.update(&mut self.state, &sample, volts)
    }
}

fn angle(encoder_rad: f64) -> Angle {
    Angle((encoder_rad / RADIANS_PER_UNIT) as i64 as u32)
}

#[test]
fn turns_are_counted_in_both_directions_through_gear_sign_and_offset() {
    let c = FeedbackConfig {
        gear_ratio: 3.0,
        encoder_inverted: true,
        offset_rad: 0.5,
        plausible_velocity_rad_s: 60.0,
        ..config()
    };
    let mut shaft = Shaft::new(&c);
    for end in [40.0, -70.0] {
        let start = shaft.state.position_rad() - 0.5;
        for k in 0..=4_000 {
            let axis = start + (end - start) * f64::from(k) / 4_000.0;
            let reading = shaft.update(Ok(angle(-3.0 * axis)), 1, 0.0);
            assert_eq!(reading, Reading::Fresh);
        }
        assert!((shaft.state.position_rad() - end - 0.5).abs() < 1e-6);
    }
}

#[test]
fn the_first_reading_is_the_nearest_position_to_zero() {
    let mut shaft = Shaft::new(&config());
    shaft.update(Ok(angle(-0.01)), 1, 0.0);
    assert!((shaft.state.position_rad() + 0.01).abs() < 1e-6);
}

#[test]
fn skipped_slots_cause_no_velocity_spike_and_lose_no_turn() {
    let mut shaft = Shaft::new(&config());
    let speed = 100.0;
    let mut t = 0.0;
    for _ in 0..200 {
        shaft.update(Ok(angle(speed * t)), 1, 0.0);
        t += 1e-3;
    }
    // In 100 slots at 100 rad/s the shaft turns by more than one and a half turns.
    for gap in [2, 7, 100] {
        t += f64::from(gap - 1) * 1e-3;
        let reading = shaft.update(Ok(angle(speed * t)), gap as u32, 0.0);
        assert_eq!(reading, Reading::Fresh);
        assert!(
            (shaft.state.velocity_rad_s() - speed).abs() < 1e-3,
            "gap of {gap}"
        );
        assert!(
            (shaft.state.position_rad() - speed * t).abs() < 1e-5,
            "gap of {gap}"
        );
        t += 1e-3;
    }
}

#[test]
fn a_missed_reading_holds_the_value_and_causes_no_velocity_spike() {
    let mut shaft = Shaft::new(&config());
    for k in 0..300 {
        shaft.update(Ok(angle(0.05 * f64::from(k))), 1, 0.0);
    }
    let held = (shaft.state.position_rad(), shaft.state.velocity_rad_s());
    for _ in 0..2 {
        let reading = shaft.update(Err(InputError::Parity), 1, 0.0);
        assert_eq!(reading, Reading::Held(Fault::FeedbackParity));
        assert_eq!(
            (shaft.state.position_rad(), shaft.state.velocity_rad_s()),
            held
        );
    }
    let reading = shaft.update(Ok(angle(0.05 * 302.0)), 1, 0.0);
    assert_eq!(reading, Reading::Fresh);
    assert!((shaft.state.velocity_rad_s() - 50.0).abs() < 1e-3);
}

#[test]
fn failures_beyond_the_tolerated_number_are_the_fault_of_their_cause() {
    for (error, fault) in [
        (InputError::Bus, Fault::FeedbackBus),
        (InputError::Parity, Fault::FeedbackParity),
        (InputError::Framing, Fault::FeedbackFraming),
        (InputError::NotRead, Fault::FeedbackInvalid),
        (InputError::OutOfRange, Fault::FeedbackInvalid),
    ] {
        let mut shaft = Shaft::new(&config());
        shaft.update(Ok(angle(1.0)), 1, 0.0);
        for _ in 0..2 {
            assert_eq!(shaft.update(Err(error), 1, 0.0), Reading::Held(fault));
        }
        assert_eq!(shaft.update(Err(error), 1, 0.0), Reading::Failed(fault));
        assert!(!shaft.state.is_healthy());
        assert_eq!(shaft.update(Ok(angle(1.0)), 1, 0.0), Reading::Fresh);
        assert_eq!(shaft.update(Err(error), 1, 0.0), Reading::Held(fault));
    }
    for (error, fault) in [
        (InputError::NotReady, Fault::FeedbackNotReady),
        (InputError::FieldWeak, Fault::FieldWeak),
        (InputError::FieldStrong, Fault::FieldStrong),
    ] {
        let mut shaft = Shaft::new(&config());
        shaft.update(Ok(angle(1.0)), 1, 0.0);
        assert_eq!(shaft.update(Err(error), 1, 0.0), Reading::Failed(fault));
    }
}

#[test]
fn a_jump_above_the_plausible_velocity_is_a_fault_and_jitter_is_not() {
    let mut shaft = Shaft::new(&config());
    shaft.update(Ok(angle(0.0)), 1, 0.0);
    assert_eq!(shaft.update(Ok(angle(0.2)), 1, 0.0), Reading::Fresh);
    let jump = shaft.update(Ok(angle(0.2 + 0.25)), 1, 0.0);
    assert_eq!(jump, Reading::Failed(Fault::FeedbackJump));
    // The new position is the reference now: the next reading agrees with it.
    assert_eq!(shaft.update(Ok(angle(0.45)), 1, 0.0), Reading::Fresh);

    let slow = FeedbackConfig {
        plausible_velocity_rad_s: 0.01,
        ..config()
    };
    let mut shaft = Shaft::new(&slow);
    for k in 0..10 {
        let jitter = if k % 2 == 0 { TURN / 16_384.0 } else { 0.0 };
        let reading = shaft.update(Ok(angle(jitter)), 1, 0.0);
        assert_eq!(reading, Reading::Fresh);
    }
}

#[test]
fn a_frozen_sensor_is_a_fault_only_while_the_motor_is_driven() {
    let mut shaft = Shaft::new(&config());
    for _ in 0..100 {
        assert_eq!(shaft.update(Ok(angle(1.0)), 1, 1.9), Reading::Fresh);
    }
    for _ in 0..4 {
        assert_eq!(shaft.update(Ok(angle(1.0)), 1, -2.0), Reading::Fresh);
    }
    let frozen = shaft.update(Ok(angle(1.0)), 1, -2.0);
    assert_eq!(frozen, Reading::Failed(Fault::FeedbackFrozen));
}

#[test]
fn each_invalid_parameter_is_named() {
    type Spoil = fn(&mut FeedbackConfig);
    let cases: [(&str, Spoil); 11] = [
        ("encoder_channel", |c| c.encoder_channel = 32),
        ("gear_ratio", |c| c.gear_ratio = 0.0),
        ("gear_ratio", |c| c.gear_ratio = f64::NAN),
        ("offset_rad", |c| c.offset_rad = f64::INFINITY),
        ("plausible_velocity_rad_s", |c| {
            c.plausible_velocity_rad_s = 0.0
        }),
        ("plausible_velocity_rad_s", |c| {
            c.plausible_velocity_rad_s = 3_142.0
        }),
        ("velocity_cutoff_hz", |c| c.velocity_cutoff_hz = 500.0),
        ("velocity_cutoff_hz", |c| c.velocity_cutoff_hz = f64::NAN),
        ("tolerated_failures", |c| c.tolerated_failures = 101),
        ("frozen_cycles", |c| {
            c.frozen.as_mut().unwrap().frozen_cycles = 0
        }),
        ("frozen_command_volts", |c| {
            c.frozen.as_mut().unwrap().frozen_command_volts = -1.0;
        }),
    ];
    for (name, spoil) in cases {
        let mut spoilt = config();
        spoil(&mut spoilt);
        assert_eq!(spoilt.build(PERIOD).unwrap_err().name, name);
    }
    assert_eq!(config().build(Duration::ZERO).unwrap_err().name, "period");
}

/// Turns the shaft at `velocity` rad/s for `readings` readings one period apart.
fn turning(shaft: &mut Shaft, at_rad: &mut f64, velocity: f64, readings: u32) {
    for _ in 0..readings {
        *at_rad += velocity * 1e-3;
        let reading = shaft.update(Ok(angle(*at_rad)), 1, 0.0);
        assert_eq!(reading, Reading::Fresh);
    }
}

#[test]
fn feedback_is_healthy_from_the_first_reading_until_a_fault() {
    let mut shaft = Shaft::new(&config());
    assert!(!shaft.state.is_healthy());
    let mut at = 0.0;
    turning(&mut shaft, &mut at, 0.0, 1);
    assert!(shaft.state.is_healthy(), "after the first");
    turning(&mut shaft, &mut at, 100.0, 50);
    assert!(shaft.state.velocity_rad_s() > 90.0);

    // After a jump the motion is not trusted; the velocity is 0.
    at += 1.0;
    let jumped = shaft.update(Ok(angle(at)), 1, 0.0);
    assert_eq!(jumped, Reading::Failed(Fault::FeedbackJump));
    assert!(!shaft.state.is_healthy());
    assert_eq!(shaft.state.velocity_rad_s(), 0.0);
    // The next reading is compared with the one after the jump, and the low pass starts from 0
    // again.
    turning(&mut shaft, &mut at, 0.0, 1);
    assert!(shaft.state.is_healthy());
    assert_eq!(shaft.state.velocity_rad_s(), 0.0);

    turning(&mut shaft, &mut at, 100.0, 50);
    for failure in 0..3 {
        let reading = shaft.update(Err(InputError::Bus), 1, 0.0);
        let held = failure < 2;
        assert_eq!(matches!(reading, Reading::Held(_)), held);
        assert_eq!(shaft.state.velocity_rad_s() > 90.0, held);
    }
    assert_eq!(shaft.state.velocity_rad_s(), 0.0, "not known any more");
}

#[test]
fn a_frozen_sensor_is_unhealthy_and_its_count_restarts() {
    let mut shaft = Shaft::new(&config());
    let mut at = 0.5;
    turning(&mut shaft, &mut at, 0.0, 1);
    for round in 0..2 {
        for _ in 0..4 {
            assert_eq!(shaft.update(Ok(angle(at)), 1, 3.0), Reading::Fresh);
        }
        let frozen = shaft.update(Ok(angle(at)), 1, 3.0);
        assert_eq!(frozen, Reading::Failed(Fault::FeedbackFrozen), "{round}");
        assert!(!shaft.state.is_healthy());
    }
    // Without a command standstill is intended, so the count starts again.
    for _ in 0..4 {
        assert_eq!(shaft.update(Ok(angle(at)), 1, 3.0), Reading::Fresh);
    }
    assert_eq!(shaft.update(Ok(angle(at)), 1, 0.0), Reading::Fresh);
    assert!(shaft.state.is_healthy());
    assert_eq!(shaft.update(Ok(angle(at)), 1, 3.0), Reading::Fresh);
}

#[test]
fn readings_too_close_in_time_give_a_position_and_no_velocity() {
    let near = Duration::from_micros(250);
    let mut shaft = Shaft::new(&config());
    let mut at = 0.0;
    turning(&mut shaft, &mut at, 100.0, 100);
    let before = shaft.state.velocity_rad_s();
    let read = |shaft: &mut Shaft, rad: f64, later: Duration| {
        shaft.now += later;
        let sample = Sample {
            value: Ok(angle(rad)),
            at: shaft.now,
        };
        shaft.feedback.update(&mut shaft.state, &sample, 0.0)
    };
    // After a failure, the close reading makes the state healthy again.
    shaft.update(Err(InputError::Bus), 0, 0.0);
    assert!(!shaft.state.is_healthy());
    assert_eq!(read(&mut shaft, at + 0.025, near), Reading::Fresh);
    assert!(shaft.state.is_healthy());
    assert_eq!(shaft.state.velocity_rad_s(), before);
    assert!((shaft.state.position_rad() - (at + 0.025)).abs() < 1e-6);
    assert_eq!(shaft.state.measured_at(), shaft.now);
    // The next reading is compared with the earlier of the two, so the velocity has no step.
    assert_eq!(
        read(&mut shaft, at + 0.1, Duration::from_micros(750)),
        Reading::Fresh
    );
    assert!((shaft.state.velocity_rad_s() - before).abs() < 0.1);
    at += 0.1;

    // A change too large for half a period is a jump; later readings are compared with it.
    assert_eq!(
        read(&mut shaft, at + 0.5, near),
        Reading::Failed(Fault::FeedbackJump)
    );
    assert!(!shaft.state.is_healthy());
    assert_eq!(read(&mut shaft, at + 0.5, PERIOD), Reading::Fresh);
    assert_eq!(shaft.state.velocity_rad_s(), 0.0);
}

#[test]
fn the_low_pass_advances_by_all_periods_of_a_gap() {
    // From rest to 100 rad/s: one shaft is read in every period, the other once after the gap.
    for periods in [2_u32, 3, 8, 20] {
        let mut all = Shaft::new(&config());
        let mut gap = Shaft::new(&config());
        for shaft in [&mut all, &mut gap] {
            turning(shaft, &mut 0.0, 0.0, 10);
        }
        let mut at = 0.0;
        turning(&mut all, &mut at, 100.0, periods.min(8));
        let reading = gap.update(Ok(angle(100e-3 * f64::from(periods))), periods, 0.0);
        assert_eq!(reading, Reading::Fresh);
        let (all, gap) = (all.state.velocity_rad_s(), gap.state.velocity_rad_s());
        assert!(
            (all - gap).abs() < 0.01,
            "{periods} periods: {all} and {gap}"
        );
    }
}

#[test]
fn the_plausible_velocity_is_at_most_half_an_encoder_turn_per_period() {
    let at = |velocity: f64| FeedbackConfig {
        gear_ratio: 10.0,
        plausible_velocity_rad_s: velocity,
        ..config()
    };
    let limit = core::f64::consts::PI / 10.0 / 1e-3;
    assert!(at(limit * 0.999).build(PERIOD).is_ok());
    assert!(at(limit * 1.001).build(PERIOD).is_err());
}

#[test]
fn a_short_step_needs_no_prediction() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut direct = Shaft::new(&config());
    assert!(direct.feedback.direct_distance > PERIOD * 2);
    let mut predicted = Shaft::new(&config());
    predicted.feedback.direct_distance = Duration::ZERO;
    let (mut position, mut jumps) = (0.0, 0);
    for _ in 0..200_000 {
        let periods = 1 + (next() % 2) as u32;
        // Up to three halves of what is plausible, and at times any angle.
        let share = (next() % 3_001) as f64 / 1_000.0 - 1.5;
        position += share * 200.0 * 1e-3 * f64::from(periods);
        if next().is_multiple_of(64) {
            position += (next() % 1_000) as f64 / 1_000.0 * TURN;
        }
        let read = [&mut direct, &mut predicted]
            .map(|shaft| shaft.update(Ok(angle(position)), periods, 0.0));
        assert_eq!(read[0], read[1]);
        if read[0] == Reading::Fresh {
            assert_eq!(direct.state.velocity_rad_s, predicted.state.velocity_rad_s);
        } else {
            // Which turn a jump leads to is not known.
            jumps += 1;
            predicted.state = direct.state;
        }
        assert_eq!(direct.state, predicted.state);
    }
    assert!((1_000..100_000).contains(&jumps), "{jumps}");
}
