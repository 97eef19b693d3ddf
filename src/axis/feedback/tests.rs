//! Readings in order, late, missing and implausible.

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
    let feedback = c.build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    for end in [40.0, -70.0] {
        let start = state.position_rad() - 0.5;
        for k in 0..=4_000 {
            let axis = start + (end - start) * f64::from(k) / 4_000.0;
            let reading = feedback.update(&mut state, Ok(angle(-3.0 * axis)), 1, 0.0);
            assert_eq!(reading, Reading::Fresh(1));
        }
        assert!((state.position_rad() - end - 0.5).abs() < 1e-6);
    }
}

#[test]
fn the_first_reading_is_the_nearest_position_to_zero() {
    let feedback = config().build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    feedback.update(&mut state, Ok(angle(-0.01)), 1, 0.0);
    assert!((state.position_rad() + 0.01).abs() < 1e-6);
}

#[test]
fn skipped_slots_make_no_velocity_spike_and_lose_no_turn() {
    let feedback = config().build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    let speed = 100.0;
    let mut t = 0.0;
    for _ in 0..200 {
        feedback.update(&mut state, Ok(angle(speed * t)), 1, 0.0);
        t += 1e-3;
    }
    // 100 slots at 100 rad/s are more than one and a half turns.
    for gap in [2, 7, 100] {
        t += f64::from(gap - 1) * 1e-3;
        let reading = feedback.update(&mut state, Ok(angle(speed * t)), gap as u32, 0.0);
        assert_eq!(reading, Reading::Fresh(gap as u32));
        assert!(
            (state.velocity_rad_s() - speed).abs() < 1e-3,
            "gap of {gap}"
        );
        assert!(
            (state.position_rad() - speed * t).abs() < 1e-5,
            "gap of {gap}"
        );
        t += 1e-3;
    }
}

#[test]
fn a_missed_reading_holds_the_value_and_makes_no_spike_after() {
    let feedback = config().build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    for k in 0..300 {
        feedback.update(&mut state, Ok(angle(0.05 * f64::from(k))), 1, 0.0);
    }
    let held = (state.position_rad(), state.velocity_rad_s());
    for _ in 0..2 {
        let reading = feedback.update(&mut state, Err(InputError::Parity), 1, 0.0);
        assert_eq!(reading, Reading::Held(Fault::FeedbackParity));
        assert_eq!((state.position_rad(), state.velocity_rad_s()), held);
    }
    let reading = feedback.update(&mut state, Ok(angle(0.05 * 302.0)), 1, 0.0);
    assert_eq!(reading, Reading::Fresh(3));
    assert!((state.velocity_rad_s() - 50.0).abs() < 1e-3);
}

#[test]
fn failures_beyond_the_tolerated_number_are_the_fault_they_are() {
    let feedback = config().build(PERIOD).unwrap();
    for (error, fault) in [
        (InputError::Bus, Fault::FeedbackBus),
        (InputError::Parity, Fault::FeedbackParity),
        (InputError::Framing, Fault::FeedbackFraming),
        (InputError::NotRead, Fault::FeedbackInvalid),
        (InputError::OutOfRange, Fault::FeedbackInvalid),
    ] {
        let mut state = FeedbackState::UNKNOWN;
        feedback.update(&mut state, Ok(angle(1.0)), 1, 0.0);
        for _ in 0..2 {
            assert_eq!(
                feedback.update(&mut state, Err(error), 1, 0.0),
                Reading::Held(fault)
            );
        }
        assert_eq!(
            feedback.update(&mut state, Err(error), 1, 0.0),
            Reading::Failed(fault)
        );
        assert!(!state.is_healthy());
        assert_eq!(
            feedback.update(&mut state, Ok(angle(1.0)), 1, 0.0),
            Reading::Fresh(4)
        );
        assert_eq!(
            feedback.update(&mut state, Err(error), 1, 0.0),
            Reading::Held(fault)
        );
    }
    for (error, fault) in [
        (InputError::NotReady, Fault::FeedbackNotReady),
        (InputError::FieldWeak, Fault::FieldWeak),
        (InputError::FieldStrong, Fault::FieldStrong),
    ] {
        let mut state = FeedbackState::UNKNOWN;
        feedback.update(&mut state, Ok(angle(1.0)), 1, 0.0);
        assert_eq!(
            feedback.update(&mut state, Err(error), 1, 0.0),
            Reading::Failed(fault)
        );
    }
}

#[test]
fn a_jump_beyond_the_plausible_velocity_is_a_fault_and_jitter_is_not() {
    let feedback = config().build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    feedback.update(&mut state, Ok(angle(0.0)), 1, 0.0);
    assert_eq!(
        feedback.update(&mut state, Ok(angle(0.2)), 1, 0.0),
        Reading::Fresh(1)
    );
    let jump = feedback.update(&mut state, Ok(angle(0.2 + 0.25)), 1, 0.0);
    assert_eq!(jump, Reading::Failed(Fault::FeedbackJump));
    // The new place is the new reference: the next reading agrees with it.
    assert_eq!(
        feedback.update(&mut state, Ok(angle(0.45)), 1, 0.0),
        Reading::Fresh(1)
    );

    let slow = FeedbackConfig {
        plausible_velocity_rad_s: 0.01,
        ..config()
    };
    let feedback = slow.build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    for k in 0..10 {
        let jitter = if k % 2 == 0 { TURN / 16_384.0 } else { 0.0 };
        let reading = feedback.update(&mut state, Ok(angle(jitter)), 1, 0.0);
        assert_eq!(reading, Reading::Fresh(1));
    }
}

#[test]
fn a_frozen_sensor_is_a_fault_only_while_the_motor_is_driven() {
    let feedback = config().build(PERIOD).unwrap();
    let mut state = FeedbackState::UNKNOWN;
    for _ in 0..100 {
        assert_eq!(
            feedback.update(&mut state, Ok(angle(1.0)), 1, 1.9),
            Reading::Fresh(1)
        );
    }
    for _ in 0..4 {
        assert_eq!(
            feedback.update(&mut state, Ok(angle(1.0)), 1, -2.0),
            Reading::Fresh(1)
        );
    }
    let frozen = feedback.update(&mut state, Ok(angle(1.0)), 1, -2.0);
    assert_eq!(frozen, Reading::Failed(Fault::FeedbackFrozen));
}

#[test]
fn each_bad_parameter_is_refused_by_its_name() {
    type Spoil = fn(&mut FeedbackConfig);
    let cases: [(&str, Spoil); 11] = [
        ("encoder_channel", |c| c.encoder_channel = 8),
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
