//! Tests of each stock kind, read from a board file.

mod drivers;
mod laws;
mod plants;

use crate::config::{AnyLaw, Config};
use crate::cycle::image::{Inputs, Outputs, Sample};
use crate::cycle::law::{Part, Status};
use crate::cycle::ports::{Directive, TRACE_LEN, Tick};
use crate::cycle::signal::Io;
use crate::cycle::stop::StopCause;
use crate::sys::arena::Placed;

use super::prelude::*;
use super::registry;

/// Period of the loop.
const PERIOD: Duration = Duration::from_millis(100);

/// A machine with a gauge and its rate (`gauge.angle`, `rate.angle`), a valve (`valve.duty`,
/// safe value 0.25), a relay and a lamp (safe value on).
const BOARD: &str = r#"
board = { name = "bench", realtime = "best-effort", devices = "simulated" }
loop = { period_us = 100_000, cpu = "any" }
output.relay = { safe = false, max_hold_ms = 1000, shutdown = 1 }
output.lamp = { safe = true, max_hold_ms = 1000, shutdown = 1 }
device.gauge = { driver = "counter", counts_per_turn = 1000 }
device.rate = { driver = "counter", counts_per_turn = 1000 }
device.valve = { driver = "pwm", max_hold_ms = 1000, shutdown = 1, safe = { duty = 0.25 } }
simulation.waits = true
"#;
const SAFE: f64 = 0.25;

fn config(tables: &str) -> Config {
    let text = format!("{BOARD}{tables}");
    let config = Config::parse_with("bench.toml", &text, &registry());
    config.unwrap_or_else(|error| panic!("{error}"))
}

/// The laws of a machine, cycle by cycle.
struct Bench {
    laws: Vec<Placed<dyn AnyLaw>>,
    safe: Outputs,
    inputs: Inputs,
    outputs: Outputs,
    tick: Tick,
    status: Status,
}

impl Bench {
    fn new(tables: &str) -> Self {
        let config = config(tables);
        let laws = config.machine.laws.iter();
        // The lamp is the second line.
        let safe = Outputs::new(0b10, config.machine.signals.safe());
        Self {
            laws: laws.map(|law| law.law.start().unwrap()).collect(),
            inputs: Inputs::NOT_READ,
            outputs: safe,
            safe,
            tick: Tick {
                elapsed_slots: 1,
                ..Tick::default()
            },
            status: Status::default(),
        }
    }

    /// One cycle with the gauge at `gauge`.
    fn step(&mut self, gauge: impl Into<Option<f64>>) {
        let value = gauge.into().ok_or(InputError::Bus);
        let at = self.tick.now;
        self.inputs.analogs[0] = Sample { value, at };
        self.outputs = self.safe;
        let mut trace = [0.0; TRACE_LEN];
        self.status = Status::default();
        for law in &mut self.laws {
            let mut io = Io::new(&self.inputs, &mut self.outputs, &self.tick, PERIOD);
            let status = law.run(&mut io, &mut trace, Part::new(0, TRACE_LEN));
            self.status.fault = self.status.fault.or(status.fault);
        }
        self.tick.slot += 1;
        self.tick.now += PERIOD;
    }

    fn stop(&mut self, stop: bool) {
        self.tick.directive = match stop {
            true => Directive::QuickStop(StopCause::RunEnds),
            false => Directive::Run,
        };
    }

    fn duty(&self) -> f64 {
        self.outputs.analogs[0]
    }

    fn relay(&self) -> bool {
        self.outputs.digital & 1 != 0
    }

    fn lamp(&self) -> bool {
        self.outputs.digital & 2 != 0
    }

    /// The message of the fault of law `number`.
    fn words(&self, number: usize) -> String {
        let fault = self.status.fault.expect("a fault");
        self.laws[number].explain(fault)
    }
}
