use crate::sim::{EndStops, Motor, MotorConfig, MotorParameter};
use crate::time::Duration;

const STEP: Duration = Duration::from_micros(250);
const STEPS_PER_S: u64 = 4_000;

fn motor(config: MotorConfig) -> Motor {
    Motor::new(config, STEP, 42).unwrap()
}

#[test]
fn the_final_velocity_is_torque_minus_friction_over_viscosity() {
    let config = MotorConfig::default();
    for (volts, load) in [(2.0, 0.0), (-2.0, 0.0), (2.0, 0.03), (-1.0, 0.02)] {
        let mut motor = motor(MotorConfig {
            load_nm: load,
            ..config
        });
        motor.advance(10 * STEPS_PER_S, volts);
        let torque: f64 = volts * config.torque_nm_per_volt - load;
        let expected = (torque - torque.signum() * config.coulomb_nm) / config.viscous_nm_s;
        let velocity = motor.velocity_rad_s();
        assert!(
            (velocity - expected).abs() < 1e-6 * expected.abs(),
            "{velocity} instead of {expected}"
        );
    }
}

#[test]
fn without_friction_the_energy_equals_the_work_of_the_torque() {
    let mut motor = motor(MotorConfig {
        viscous_nm_s: 0.0,
        coulomb_nm: 0.0,
        stiction_nm: 0.0,
        ..MotorConfig::default()
    });
    motor.advance(STEPS_PER_S, 1.0);
    let work = 0.05 * motor.position_rad();
    // The new velocity moves the shaft, so the work is half a step ahead.
    assert!((motor.energy_j() / work - 1.0).abs() < 1.0 / STEPS_PER_S as f64);
    // J w = T t, exactly up to rounding.
    assert!((motor.velocity_rad_s() - 0.05 / 2.0e-4).abs() < 1e-9);
}

#[test]
fn coasting_loses_energy_in_every_step_and_ends_at_exactly_zero() {
    let mut motor = motor(MotorConfig::default());
    motor.set_state(0.0, 100.0);
    let mut energy = motor.energy_j();
    let mut steps = 0;
    while energy > 0.0 {
        motor.advance(1, 0.0);
        assert!(motor.energy_j() < energy);
        energy = motor.energy_j();
        steps += 1;
        assert!(steps < 10 * STEPS_PER_S);
    }
    assert_eq!(motor.velocity_rad_s(), 0.0);
    let rest = motor.position_rad();
    motor.advance(STEPS_PER_S, 0.0);
    assert_eq!(motor.position_rad().to_bits(), rest.to_bits());
}

#[test]
fn stiction_holds_the_shaft_until_exceeded_then_a_smaller_torque_moves_it() {
    let mut motor = motor(MotorConfig::default());
    motor.advance(STEPS_PER_S, 0.015 / 0.05);
    assert_eq!((motor.position_rad(), motor.velocity_rad_s()), (0.0, 0.0));
    motor.advance(STEPS_PER_S, 0.016 / 0.05);
    let moving = motor.velocity_rad_s();
    assert!(moving > 0.0);
    motor.advance(STEPS_PER_S, 0.012 / 0.05);
    assert!(motor.velocity_rad_s() > 0.0);
}

#[test]
fn the_same_seed_gives_a_bit_identical_run_and_another_seed_does_not() {
    let config = MotorConfig {
        disturbance_nm: 0.02,
        ..MotorConfig::default()
    };
    let run = |seed| {
        let mut motor = Motor::new(config, STEP, seed).unwrap();
        for cycle in 0..2_000 {
            motor.advance(4, if cycle % 200 < 100 { 1.0 } else { -1.0 });
        }
        (
            motor.position_rad().to_bits(),
            motor.velocity_rad_s().to_bits(),
        )
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn the_result_does_not_depend_on_the_number_of_steps_per_call() {
    let mut once = motor(MotorConfig::default());
    let mut often = once.clone();
    once.advance(1_000, 0.7);
    for _ in 0..250 {
        often.advance(4, 0.7);
    }
    assert_eq!(
        once.position_rad().to_bits(),
        often.position_rad().to_bits()
    );
}

#[test]
fn an_end_stop_holds_the_shaft_and_lets_it_move_back() {
    let mut motor = motor(MotorConfig {
        end_stops: Some(EndStops {
            lower_rad: -1.0,
            upper_rad: 2.0,
        }),
        ..MotorConfig::default()
    });
    motor.advance(STEPS_PER_S, 5.0);
    assert_eq!((motor.position_rad(), motor.velocity_rad_s()), (2.0, 0.0));
    motor.advance(1, -5.0);
    assert!(motor.position_rad() < 2.0);
    motor.advance(STEPS_PER_S, -5.0);
    assert_eq!((motor.position_rad(), motor.velocity_rad_s()), (-1.0, 0.0));
}

#[test]
fn a_step_much_too_long_for_the_friction_is_stable() {
    let stiff = MotorConfig {
        viscous_nm_s: 10.0,
        ..MotorConfig::default()
    };
    let mut motor = Motor::new(stiff, Duration::from_millis(100), 0).unwrap();
    motor.set_state(0.0, 1_000.0);
    motor.advance(100, 10.0);
    let expected = (0.5 - 0.01) / 10.0;
    assert!((motor.velocity_rad_s() - expected).abs() < 1e-9);
}

#[test]
fn an_invalid_parameter_is_named() {
    let good = MotorConfig::default();
    let bad = [
        (
            MotorConfig {
                inertia_kg_m2: 0.0,
                ..good
            },
            MotorParameter::Inertia,
        ),
        (
            MotorConfig {
                viscous_nm_s: -1.0,
                ..good
            },
            MotorParameter::Viscous,
        ),
        (
            MotorConfig {
                coulomb_nm: f64::NAN,
                ..good
            },
            MotorParameter::Coulomb,
        ),
        (
            MotorConfig {
                stiction_nm: 0.001,
                ..good
            },
            MotorParameter::Stiction,
        ),
        (
            MotorConfig {
                torque_nm_per_volt: f64::INFINITY,
                ..good
            },
            MotorParameter::TorquePerVolt,
        ),
        (
            MotorConfig {
                load_nm: f64::NAN,
                ..good
            },
            MotorParameter::Load,
        ),
        (
            MotorConfig {
                disturbance_nm: -0.1,
                ..good
            },
            MotorParameter::Disturbance,
        ),
        (
            MotorConfig {
                end_stops: Some(EndStops {
                    lower_rad: 1.0,
                    upper_rad: 2.0,
                }),
                ..good
            },
            MotorParameter::EndStops,
        ),
    ];
    for (config, parameter) in bad {
        assert_eq!(Motor::new(config, STEP, 0).unwrap_err(), parameter);
    }
    assert_eq!(
        Motor::new(good, Duration::ZERO, 0).unwrap_err(),
        MotorParameter::Step
    );
}
