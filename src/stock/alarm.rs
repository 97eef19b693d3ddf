//! `kind = "alarm"`: an output that is on after an input was outside its limits for longer
//! than a delay, and immediately if the input cannot be read.
//!
//! For an oscillating input, such as a breathing pressure, `low` may be above `high`: the input
//! must rise above `low` and fall below `high` at least once in each delay.

use super::prelude::*;
use super::unknown::{ANY, Blind, known, tolerated_s, unknown};

/// The law.
#[derive(Clone, Debug)]
pub struct Alarm {
    name: String,
    input: Input<f64>,
    output: Output<bool>,
    low: f64,
    high: f64,
    delay_s: f64,
    tolerated_s: f64,
}

/// State of an [`Alarm`].
#[derive(Copy, Clone, Debug, Default)]
pub struct Watching {
    /// How long the input has been below `low` and above `high`, s.
    out_s: [f64; 2],
    blind: Blind,
    fault: Option<FaultNumber>,
}

impl Law for Alarm {
    type State = Watching;

    fn start(&self) -> Watching {
        Watching::default()
    }

    fn step(&self, state: &mut Watching, io: &mut Io<'_>) {
        let input = known(io, self.input);
        state.fault = state
            .fault
            .or(state.blind.is(input.is_some(), io, self.tolerated_s));
        let (Some(input), None) = (input, state.fault) else {
            io.set(self.output, true);
            return;
        };
        let (is_below, is_above) = (input < self.low, input > self.high);
        // With `low` at most `high`, the limits are one window with one delay.
        let is_out = if self.low > self.high {
            [is_below, is_above]
        } else {
            [is_below || is_above; 2]
        };
        for (out_s, is_out) in state.out_s.iter_mut().zip(is_out) {
            *out_s += io.elapsed().as_secs_f64();
            if !is_out {
                *out_s = 0.0;
            }
        }
        let is_late = state.out_s.iter().any(|out_s| *out_s > self.delay_s);
        io.set(self.output, is_late);
    }

    fn fault(&self, state: &Watching) -> Option<FaultNumber> {
        state.fault
    }
}

impl LawKind for Alarm {
    const KIND: &'static str = "alarm";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        if !table.has("low") && !table.has("high") {
            let what = "the alarm has no limit";
            return Err(table.error(what, "add `low = ...`, `high = ...` or both"));
        }
        Ok(Self {
            name: table.string("input")?.to_owned(),
            input: table.input("input", ANY_UNIT)?,
            output: table.output("output", "")?,
            low: table.number_or("low", ANY, *ANY.start())?,
            high: table.number_or("high", ANY, *ANY.end())?,
            delay_s: table.number_or("delay_s", 0.0..=86_400.0, 0.0)?,
            tolerated_s: tolerated_s(table)?,
        })
    }

    fn explain(&self, _: FaultNumber) -> String {
        unknown(&self.name)
    }
}
