//! `kind = "two_point"`: on-off control with a hysteresis around a set point.

use super::prelude::*;
use super::unknown::{ANY, Blind, SetPoint, known, tolerated_s, unknown};

/// The law.
#[derive(Clone, Debug)]
pub struct TwoPoint {
    name: String,
    input: Input<f64>,
    output: Output<bool>,
    set_point: SetPoint,
    half_hysteresis: f64,
    /// 1, or -1 if it switches on above the set point.
    sign: f64,
    /// Valid range of the input; a value outside counts as a broken sensor.
    valid: (f64, f64),
    tolerated_s: f64,
}

/// State of a [`TwoPoint`].
#[derive(Copy, Clone, Debug, Default)]
pub struct Switching {
    is_on: bool,
    blind: Blind,
    fault: Option<FaultNumber>,
}

impl Law for TwoPoint {
    type State = Switching;

    fn start(&self) -> Switching {
        Switching::default()
    }

    fn step(&self, state: &mut Switching, io: &mut Io<'_>) {
        let (least, most) = self.valid;
        let input = known(io, self.input);
        let input = input.filter(|value| (least..=most).contains(value));
        let both = input.zip(self.set_point.read(io));
        state.fault = state
            .fault
            .or(state.blind.is(both.is_some(), io, self.tolerated_s));
        // An output that no law sets is driven safe.
        let (Some((input, set_point)), None, false) = (both, state.fault, io.is_stopping()) else {
            state.is_on = false;
            return;
        };
        let missing = self.sign * (set_point - input);
        state.is_on = missing > self.half_hysteresis * if state.is_on { -1.0 } else { 1.0 };
        io.set(self.output, state.is_on);
    }

    fn fault(&self, state: &Switching) -> Option<FaultNumber> {
        state.fault
    }
}

impl LawKind for TwoPoint {
    const KIND: &'static str = "two_point";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        let unit = table.unit_of("input")?;
        let least = table.number_or("valid_min", ANY, *ANY.start())?;
        Ok(Self {
            name: table.string("input")?.to_owned(),
            input: table.input("input", unit)?,
            output: table.output("output", "")?,
            set_point: SetPoint::of(table, unit)?,
            half_hysteresis: table.number("hysteresis", 0.0..=1e9)? / 2.0,
            sign: if table.boolean_or("reverse", false)? {
                -1.0
            } else {
                1.0
            },
            valid: (
                least,
                table.number_or("valid_max", least..=1e9, *ANY.end())?,
            ),
            tolerated_s: tolerated_s(table)?,
        })
    }

    fn explain(&self, _: FaultNumber) -> String {
        unknown(&self.name)
    }
}
