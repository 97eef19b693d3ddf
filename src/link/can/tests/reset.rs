//! NMT, reset node: the parameters of the axes go back to their values at power-on.

use super::super::machine::Step;
use super::*;
use crate::link::canopen::Reset;

/// Velocities of the axes "x", "y", and of "z", which is not on the bus; saved ones are 9.
struct Velocities {
    values: [f64; 3],
    busy: usize,
}

impl parameters::Parameters for Velocities {
    fn count(&self) -> u32 {
        3
    }

    fn get(&mut self, number: u32) -> Option<parameters::Parameter<'_>> {
        let value = *self.values.get(number as usize)?;
        Some(parameters::Parameter {
            of: ["x", "y", "z"][number as usize],
            key: KEYS[0],
            unit: "rad/s",
            value,
            start: 20.0,
            range: (0.0, 40.0),
            board: 20.0,
            next: 9.0,
        })
    }

    fn object(&self, _: &str, _: (u16, u8)) -> Option<Object> {
        None
    }

    fn set(&mut self, _: bool, settings: &[Setting]) -> Result<(), parameters::Refusal<'_>> {
        if self.busy > 0 {
            self.busy -= 1;
            return Err(parameters::Refusal::Busy);
        }
        for Setting { number, value } in settings {
            self.values[*number as usize] = *value;
        }
        Ok(())
    }

    fn before(&mut self, number: u32) -> f64 {
        self.values[number as usize]
    }

    fn keeps(&mut self, _: bool) {}
    fn kept(&mut self) {}

    fn is_pending(&self) -> bool {
        false
    }
}

fn changed(busy: usize) -> Bench<'static> {
    let mailbox: &'static Mailbox = Box::leak(Box::default());
    let mut bench = Bench::new(mailbox);
    bench.owners.parameters = Box::new(Velocities {
        values: [1.0, 9.0, 3.0],
        busy,
    });
    for statuses in &mut bench.values.statuses {
        statuses[Status::Statusword as usize] = 0x40 as f64;
    }
    bench
}

impl Bench<'_> {
    fn velocities(&mut self) -> [f64; 3] {
        [0, 1, 2].map(|number| self.owners.parameters.get(number).unwrap().value)
    }

    /// Turns of the link, with a cycle of the loop between them, until the reset does not wait, and
    /// how many it took.
    fn reset(&mut self, from: u64) -> (Reset, u64) {
        for turn in 0..50 {
            let now = at(from + turn);
            // The link polls twice in a turn.
            for _ in 0..2 {
                let reset = self.machine(now).reset();
                if reset != Reset::Waits {
                    assert_eq!(self.values.reset, Step::Idle);
                    return (reset, turn);
                }
            }
            let _ = self.seen(now, 0, 0);
        }
        (Reset::Waits, 50)
    }
}

#[test]
fn the_parameters_of_the_axes_on_the_bus_go_back_to_those_of_power_on() {
    let mut bench = changed(2);
    let (reset, turns) = bench.reset(1);
    assert_eq!(reset, Reset::Done);
    // The loop has to show a cycle after the loss, and was busy twice.
    assert!((3..=6).contains(&turns), "{turns}");
    assert_eq!(bench.velocities(), [9.0, 9.0, 3.0]);
    // Nothing is left to be changed.
    assert_eq!(bench.reset(100).0, Reset::Done);
}

#[test]
fn it_waits_for_an_axis_that_stops_and_for_a_loop_that_stands() {
    let mut bench = changed(0);
    for word in [0x07, 0x0F] {
        bench.values.statuses[1][Status::Statusword as usize] = f64::from(word);
        assert_eq!(bench.reset(1).0, Reset::Waits, "{word:02X}");
    }
    bench.values.statuses[1][Status::Statusword as usize] = f64::NAN;
    assert_eq!(bench.reset(100).0, Reset::Waits);
    assert_eq!(bench.velocities()[0], 1.0);
    bench.values.statuses[1][Status::Statusword as usize] = 0x08 as f64;
    assert_eq!(bench.reset(200).0, Reset::Done);
    let mut stands = changed(0);
    for ms in 0..1000 {
        assert_eq!(stands.machine(at(ms)).reset(), Reset::Waits);
        stands.owners.send();
    }
}

#[test]
fn an_axis_that_keeps_its_power_refuses_it() {
    for word in [0x23, 0x27] {
        let mut bench = changed(0);
        bench.values.statuses[0][Status::Statusword as usize] = f64::from(word);
        assert_eq!(bench.reset(1).0, Reset::Refused);
        assert_eq!(bench.velocities(), [1.0, 9.0, 3.0]);
    }
}
