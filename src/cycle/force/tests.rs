use super::*;
use crate::cycle::image::DigitalInputs;
use crate::cycle::ports::{Directive, Tick};
use crate::cycle::sample::InputError;
use crate::cycle::stop::StopCause;

const OUTPUT: OutputChannel = OutputChannel::new(3).unwrap();
const INPUT: InputChannel = InputChannel::new(5).unwrap();
const SAFE: Outputs = Outputs::new(8, &[0.25, 2.0]);
/// The output 0 gives power.
const POWER: u32 = 1;
/// The input 30 is the emergency stop.
const STOP: u32 = 1 << 30;

fn tick(slot: u64) -> Tick {
    Tick {
        slot,
        now: Instant::from_nanos(slot * 1_000_000),
        ..Tick::default()
    }
}

const fn force(place: Place, value: f64) -> Force {
    Force {
        place,
        value,
        until: Instant::from_nanos(10_000_000),
        with_power: false,
    }
}

fn sensed(forces: &mut Forces, tick: Tick, inputs: &mut Inputs) {
    let stop = tick.directive != Directive::Run;
    forces.sensed((tick.slot, tick.now), stop, inputs);
}

/// The outputs of a cycle in which the laws give `outputs`, and whether a force is left.
fn cycle(forces: &mut Forces, tick: Tick, fault: bool, digital: u32) -> (Outputs, bool) {
    let mut inputs = Inputs::NOT_READ;
    inputs.digital = Ok(DigitalInputs::default());
    let mut outputs = Outputs::new(digital, &[1.0, 1.0]);
    sensed(forces, tick, &mut inputs);
    let left = forces.commanded(tick.slot, fault, &SAFE, &mut outputs);
    (outputs, left)
}

#[test]
fn a_forced_output_has_its_value_then_once_its_safe_one_then_that_of_the_laws() {
    let stop = Directive::QuickStop(StopCause::Overrun);
    // In slot 7: by a fault, by power, by a stop, by a client; or in slot 10 by its time.
    for (why, slot) in [
        (Ended::Fault, 7),
        (Ended::Power, 7),
        (Ended::Stop, 7),
        (Ended::Released, 7),
        (Ended::Time, 10),
    ] {
        let mut forces = Forces::new(POWER, STOP);
        forces.begin(2, force(Place::OutputLine(OUTPUT), 0.0));
        forces.begin(0, force(Place::Command(1), 1.5));
        forces.begin(1, force(Place::CommandFlag(4), 1.0));
        for now in 5..slot {
            let (outputs, left) = cycle(&mut forces, tick(now), false, 8);
            assert!(left);
            assert_eq!((outputs.digital, outputs.flags), (0, 16));
            assert_eq!(outputs.analogs[..2], [1.0, 1.5]);
            assert_eq!(forces.take_ended(), None);
        }
        let mut last = tick(slot);
        if why == Ended::Stop {
            last.directive = stop;
        }
        if why == Ended::Released {
            (0..3).for_each(|seat| forces.end(seat, why, slot));
        }
        let power = u32::from(why == Ended::Power);
        let (outputs, left) = cycle(&mut forces, last, why == Ended::Fault, power);
        assert!(!left, "{why:?}");
        assert_eq!((outputs.digital, outputs.flags), (8 | power, 0), "{why:?}");
        assert_eq!(outputs.analogs[..2], [1.0, 2.0], "{why:?}");
        for seat in 0..3 {
            assert!(forces.is_busy());
            assert_eq!(forces.take_ended(), Some((seat, why, slot)));
        }
        assert!(!forces.is_busy());
        let (outputs, _) = cycle(&mut forces, tick(slot + 1), false, 0);
        assert_eq!(outputs, Outputs::new(0, &[1.0, 1.0]));
    }
}

#[test]
fn a_permitted_force_stays_with_power_and_another_does_not_end_it() {
    let mut forces = Forces::new(POWER, STOP);
    let permitted = Force {
        with_power: true,
        ..force(Place::OutputLine(OUTPUT), 1.0)
    };
    forces.begin(0, permitted);
    forces.begin(1, force(Place::Command(0), 0.5));
    let (outputs, left) = cycle(&mut forces, tick(1), false, POWER);
    assert!(left);
    assert_eq!(outputs.digital, 8 | POWER);
    assert_eq!(outputs.analogs[0], 0.25, "safe");
    assert_eq!(forces.take_ended(), Some((1, Ended::Power, 1)));
    assert_eq!(forces.take_ended(), None);
}

#[test]
fn a_replaced_force_of_an_output_does_not_show_its_safe_value() {
    let mut forces = Forces::new(POWER, STOP);
    forces.begin(1, force(Place::Command(1), 0.5));
    cycle(&mut forces, tick(1), false, 0);
    forces.begin(0, force(Place::Command(1), 0.75));
    forces.end(1, Ended::Released, 2);
    let (outputs, _) = cycle(&mut forces, tick(2), false, 0);
    assert_eq!(outputs.analogs[1], 0.75);
}

#[test]
fn laws_see_forced_inputs_with_their_time() {
    let mut forces = Forces::new(POWER, STOP);
    forces.begin(0, force(Place::Number(3), -2.5));
    forces.begin(1, force(Place::Flag(7), 1.0));
    forces.begin(2, force(Place::Angle(1), core::f64::consts::PI));
    let mut inputs = Inputs::NOT_READ;
    inputs.digital = Ok(DigitalInputs::default());
    let tick = tick(4);
    sensed(&mut forces, tick, &mut inputs);
    assert_eq!(inputs.analogs[3].value, Ok(-2.5));
    assert_eq!(inputs.analogs[3].at, tick.now);
    assert_eq!(inputs.flags[7].value, Ok(true));
    assert_eq!(inputs.positions[1].value, Ok(Angle::from_counts(1, 1)));
    assert!(inputs.analogs[2].value.is_err(), "not forced");
}

#[test]
fn an_input_that_is_not_read_in_every_cycle_is_what_was_read_after_its_force() {
    let real = Sample {
        value: Ok(7.5),
        at: Instant::from_nanos(123),
    };
    let newer = Sample {
        value: Err(InputError::Bus),
        at: Instant::from_nanos(2_000_001),
    };
    for (why, fault) in [(Ended::Released, false), (Ended::Fault, true)] {
        for read in [None, Some(newer)] {
            let mut forces = Forces::new(POWER, STOP);
            let mut inputs = Inputs::NOT_READ;
            let mut outputs = Outputs::new(0, &[]);
            inputs.digital = Ok(DigitalInputs::default());
            inputs.analogs[3] = real;
            forces.begin(0, force(Place::Number(3), -2.5));
            for slot in 1..4 {
                if slot == 2
                    && let Some(newer) = read
                {
                    inputs.analogs[3] = newer;
                }
                sensed(&mut forces, tick(slot), &mut inputs);
                assert_eq!(inputs.analogs[3].value, Ok(-2.5));
                let fault = fault && slot == 3;
                let left = forces.commanded(slot, fault, &SAFE, &mut outputs);
                assert!(left, "laws saw it");
                assert_eq!(forces.take_ended(), None);
            }
            if !fault {
                forces.end(0, why, 4);
            }
            sensed(&mut forces, tick(4), &mut inputs);
            assert_eq!(inputs.analogs[3], read.unwrap_or(real), "{why:?}");
            assert!(!forces.commanded(4, false, &SAFE, &mut outputs));
            let slot = if fault { 3 } else { 4 };
            assert_eq!(forces.take_ended(), Some((0, why, slot)));
        }
    }
}

#[test]
fn a_forced_line_has_edges_where_its_shown_level_changes() {
    let mut forces = Forces::new(POWER, STOP);
    // The real line is inactive; the force, from slot 2 to 3, is active; then the real line is.
    let bit = INPUT.bit();
    for (slot, levels, expected) in [
        (1, 0, (0, 0, 0)),
        (2, 0, (bit, bit, 0)),
        (3, 0, (bit, 0, 0)),
        (4, bit, (bit, 0, 0)),
        (5, 0, (0, 0, bit)),
        (6, 0, (0, 0, 0)),
    ] {
        if slot == 2 {
            forces.begin(0, force(Place::InputLine(INPUT), 1.0));
        }
        if slot == 5 {
            forces.end(0, Ended::Released, slot);
        }
        let rose = if slot == 4 { bit } else { 0 };
        let mut inputs = Inputs::NOT_READ;
        inputs.digital = Ok(DigitalInputs {
            levels: levels | 1,
            rose: rose | 1,
            fell: 2,
        });
        sensed(&mut forces, tick(slot), &mut inputs);
        let seen = inputs.digital.unwrap();
        let of_line = (seen.levels & bit, seen.rose & bit, seen.fell & bit);
        assert_eq!(of_line, expected, "slot {slot}");
        let others = (seen.levels & !bit, seen.rose & !bit, seen.fell & !bit);
        assert_eq!(others, (1, 1, 2), "other lines are as they were read");
    }
}

#[test]
fn an_emergency_stop_ends_all_forces_also_one_that_is_short_or_cannot_be_read() {
    let pressed = |levels, rose, fell| Ok(DigitalInputs { levels, rose, fell });
    for (digital, ends) in [
        (pressed(STOP, 0, 0), true),
        (pressed(0, STOP, STOP), true),
        (pressed(0, 0, STOP), true),
        (Err(InputError::Bus), true),
        (pressed(!STOP, !STOP, !STOP), false),
    ] {
        let mut forces = Forces::new(POWER, STOP);
        let lamp = Force {
            with_power: true,
            ..force(Place::OutputLine(OUTPUT), 0.0)
        };
        forces.begin(3, lamp);
        let mut inputs = Inputs::NOT_READ;
        inputs.digital = digital;
        let mut outputs = Outputs::new(0, &[]);
        sensed(&mut forces, tick(1), &mut inputs);
        assert_eq!(forces.commanded(1, false, &SAFE, &mut outputs), !ends);
        assert_eq!(outputs.digital, if ends { 8 } else { 0 });
        let ended = forces.take_ended();
        assert_eq!(ended, ends.then_some((3, Ended::EmergencyStop, 1)));
    }
}
