//! After any fault, a reset needs a rising edge after every cause is gone.

use super::plant::*;
use crate::axis::*;
use crate::cycle::image::{Angle, InputError};
use crate::time::Duration;

/// How a fault of axis 0 is caused, and how its cause is removed.
struct Cause {
    prepare: fn(&mut ServoConfig),
    /// When to cause it, in Operation enabled.
    when: fn(&Bench) -> bool,
    set: fn(&mut Bench),
    clear: fn(&mut Bench),
    /// Whether the cause can be measured without power, so that a reset is refused while it
    /// lasts. Another cause shows again in the next move.
    seen_at_rest: bool,
}

const ALWAYS: Cause = Cause {
    prepare: |_| {},
    when: |_| true,
    set: |_| {},
    clear: |_| {},
    seen_at_rest: true,
};

fn upwards(bench: &Bench) -> bool {
    bench.bodies[0].velocity > 10.0
}

fn downwards(bench: &Bench) -> bool {
    bench.bodies[0].velocity < -10.0
}

fn unreadable(set: fn(&mut Bench)) -> Cause {
    let clear: fn(&mut Bench) = |b| b.bodies[0].reading = None;
    Cause {
        set,
        clear,
        ..ALWAYS
    }
}

/// Ends the range at the ends of the motion, so that the axis can be carried beyond it.
fn narrow(config: &mut ServoConfig) {
    let limits = &mut config.axes[0].limits;
    limits.position = Some(PositionRange {
        min_rad: -10.0,
        max_rad: 10.0,
    });
    limits.following_error_timeout = Duration::from_secs(1);
}

/// Every fault of an axis that moves through its list. An axis with commands is in
/// `commanded::losses`.
fn faults() -> impl Iterator<Item = Fault> {
    let faults = Fault::ALL.into_iter();
    faults.filter(|fault| *fault != Fault::CommandLost)
}

/// No wildcard, so that a new fault needs an entry here.
fn cause(fault: Fault) -> Cause {
    match fault {
        Fault::CommandLost => unreachable!("an axis without commands"),
        Fault::EmergencyStop => Cause {
            set: |b| b.set(ESTOP, true),
            clear: |b| b.set(ESTOP, false),
            ..ALWAYS
        },
        Fault::DigitalInputs => Cause {
            set: |b| b.digital = Some(InputError::Bus),
            clear: |b| b.digital = None,
            ..ALWAYS
        },
        Fault::BothLimitSwitches => Cause {
            set: |b| {
                [NEGATIVE, POSITIVE]
                    .into_iter()
                    .for_each(|c| b.set(c, false))
            },
            clear: |b| {
                [NEGATIVE, POSITIVE]
                    .into_iter()
                    .for_each(|c| b.set(c, true))
            },
            ..ALWAYS
        },
        Fault::FeedbackBus => unreadable(|b| b.bodies[0].reading = Some(InputError::Bus)),
        Fault::FeedbackParity => unreadable(|b| b.bodies[0].reading = Some(InputError::Parity)),
        Fault::FeedbackFraming => unreadable(|b| b.bodies[0].reading = Some(InputError::Framing)),
        Fault::FeedbackInvalid => {
            unreadable(|b| b.bodies[0].reading = Some(InputError::OutOfRange))
        }
        Fault::FeedbackNotReady => unreadable(|b| b.bodies[0].reading = Some(InputError::NotReady)),
        Fault::FieldWeak => unreadable(|b| b.bodies[0].reading = Some(InputError::FieldWeak)),
        Fault::FieldStrong => unreadable(|b| b.bodies[0].reading = Some(InputError::FieldStrong)),
        Fault::FeedbackJump => Cause {
            set: |b| b.bodies[0].position += 1.0,
            seen_at_rest: false,
            ..ALWAYS
        },
        Fault::FeedbackFrozen => Cause {
            prepare: |c| c.axes[0].limits.following_error_timeout = Duration::from_secs(1),
            when: |b| b.bodies[0].velocity > 5.0,
            set: |b| {
                let turns = b.bodies[0].position / core::f64::consts::TAU;
                b.bodies[0].stuck = Some(Angle((turns * 4_294_967_296.0) as u32));
            },
            clear: |b| b.bodies[0].stuck = None,
            seen_at_rest: false,
        },
        Fault::FollowingError => Cause {
            when: upwards,
            set: |b| b.bodies[0].blocked = true,
            clear: |b| b.bodies[0].blocked = false,
            seen_at_rest: false,
            ..ALWAYS
        },
        Fault::PositiveLimitSwitch => Cause {
            when: upwards,
            set: |b| b.set(POSITIVE, false),
            clear: |b| b.set(POSITIVE, true),
            seen_at_rest: false,
            ..ALWAYS
        },
        Fault::NegativeLimitSwitch => Cause {
            when: downwards,
            set: |b| b.set(NEGATIVE, false),
            clear: |b| b.set(NEGATIVE, true),
            seen_at_rest: false,
            ..ALWAYS
        },
        Fault::PositivePositionLimit => Cause {
            prepare: narrow,
            when: |b| upwards(b) && b.bodies[0].position > 8.0,
            set: |b| b.bodies[0].carried = 35.0,
            clear: |b| b.bodies[0].carried = 0.0,
            seen_at_rest: false,
        },
        Fault::NegativePositionLimit => Cause {
            prepare: narrow,
            when: |b| downwards(b) && b.bodies[0].position < -8.0,
            set: |b| b.bodies[0].carried = -35.0,
            clear: |b| b.bodies[0].carried = 0.0,
            seen_at_rest: false,
        },
        Fault::Overspeed => Cause {
            set: |b| b.bodies[0].carried = 60.0,
            clear: |b| b.bodies[0].carried = 0.0,
            ..ALWAYS
        },
        Fault::NonFiniteCommand => Cause {
            prepare: |c| {
                c.axes[0].velocity_feed_forward_v_s_rad = f64::MAX;
                c.axes[0].acceleration_feed_forward_v_s2_rad = f64::MAX;
            },
            seen_at_rest: false,
            ..ALWAYS
        },
    }
}

/// An axis in Operation enabled, when the fault can be caused.
fn ready(cause: &Cause) -> Bench {
    let mut config = config(1, Arm::AtStart);
    (cause.prepare)(&mut config);
    let mut bench = Bench::new(&config);
    bench.run_until(100, |b| b.axis().state() == State::OperationEnabled);
    bench.run_until(5_000, cause.when);
    bench
}

/// Runs until the axis is in Fault and at rest. A cause that is not seen at rest is removed as
/// soon as the fault is there.
fn run_to_fault(bench: &mut Bench, fault: Fault, cause: &Cause) {
    bench.run_until(2_000, |b| b.axis().fault().is_some());
    assert_eq!(bench.axis().fault(), Some(fault));
    if !cause.seen_at_rest {
        (cause.clear)(bench);
    }
    bench.run_until(1_000, |b| b.axis().state() == State::Fault);
    bench.run(50);
    assert!(bench.is_safe(), "{fault:?}");
}

/// After an edge with every cause gone, power returns with the setpoint at the measured
/// position and 0 V.
fn expect_bumpless_recovery(bench: &mut Bench, fault: Fault) {
    bench.set(RESET, true);
    bench.run_until(5, |b| b.axis().is_powered());
    assert_eq!(bench.axis().fault(), None, "{fault:?}");
    assert_eq!(bench.outputs.analogs[0], 0.0, "{fault:?}");
    assert_eq!(bench.axis().setpoint_rad(), bench.axis().position_rad());
    bench.set(RESET, false);
    bench.run_until(50, |b| b.axis().state() == State::OperationEnabled);
}

#[test]
fn every_fault_is_reset_by_an_edge_after_its_cause_is_gone_without_a_step_of_the_output() {
    for fault in faults() {
        let cause = cause(fault);
        let mut bench = ready(&cause);
        (cause.set)(&mut bench);
        run_to_fault(&mut bench, fault, &cause);
        if cause.seen_at_rest {
            for _ in 0..3 {
                bench.press_reset();
                assert_eq!(bench.axis().state(), State::Fault, "{fault:?} persists");
                assert!(bench.is_safe(), "{fault:?}");
            }
            (cause.clear)(&mut bench);
            bench.run(50);
            assert_eq!(bench.axis().fault(), Some(fault), "no edge since");
        }
        expect_bumpless_recovery(&mut bench, fault);
    }
}

#[test]
fn a_held_or_simultaneous_reset_does_not_reset_a_fault() {
    for fault in faults() {
        let cause = cause(fault);
        // Pressed some cycles before the cause, and in the same cycle.
        for before in [5, 0] {
            let mut bench = ready(&cause);
            bench.set(RESET, true);
            bench.run(before);
            (cause.set)(&mut bench);
            run_to_fault(&mut bench, fault, &cause);
            (cause.clear)(&mut bench);
            bench.run(100);
            assert_eq!(bench.axis().fault(), Some(fault), "reset was held");
            bench.set(RESET, false);
            bench.run(10);
            assert_eq!(bench.axis().fault(), Some(fault), "no edge up");
            assert!(bench.is_safe());
            expect_bumpless_recovery(&mut bench, fault);
        }
    }
}

#[test]
fn a_reset_edge_in_the_cycle_in_which_the_cause_ends_is_ignored() {
    for fault in faults() {
        let cause = cause(fault);
        if !cause.seen_at_rest {
            continue;
        }
        let mut bench = ready(&cause);
        (cause.set)(&mut bench);
        run_to_fault(&mut bench, fault, &cause);
        (cause.clear)(&mut bench);
        bench.set(RESET, true);
        bench.cycle();
        bench.run(50);
        assert_eq!(bench.axis().fault(), Some(fault), "the edge came too early");
    }
}

#[test]
fn a_stuck_reset_line_never_arms() {
    let mut bench = Bench::new(&config(1, Arm::OnReset));
    bench.stuck_from_the_start(RESET);
    bench.run(500);
    assert!(bench.is_safe() && !bench.state.is_armed());
    bench.set(ESTOP, true);
    bench.run(5);
    bench.set(ESTOP, false);
    bench.run(500);
    assert_eq!(bench.axis().fault(), Some(Fault::EmergencyStop));
    assert!(bench.is_safe());
}

#[test]
fn a_pulse_between_two_readings_is_not_a_reset() {
    let mut bench = Bench::new(&config(1, Arm::OnReset));
    bench.run(5);
    bench.pulse = 1 << RESET;
    bench.run(5);
    assert!(!bench.state.is_armed());
    bench.press_reset();
    assert!(bench.state.is_armed());
}

#[test]
fn an_unplugged_pair_of_switches_is_a_fault_at_rest_and_before_the_first_power() {
    let mut bench = Bench::new(&config(1, Arm::AtStart));
    bench.set(NEGATIVE, false);
    bench.set(POSITIVE, false);
    for _ in 0..100 {
        bench.cycle();
        assert!(bench.is_safe());
    }
    assert_eq!(bench.axis().fault(), Some(Fault::BothLimitSwitches));
    bench.set(NEGATIVE, true);
    bench.cycle();
    expect_bumpless_recovery(&mut bench, Fault::BothLimitSwitches);
}
