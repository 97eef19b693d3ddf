//! `kind = "pid"`: a control loop with [`control::pid`](crate::control::pid).

use super::prelude::*;
use super::unknown::{Blind, POSITIVE, SetPoint, UNKNOWN, known, tolerated_s, unknown};
use crate::control::{Gains, Pid, PidConfig, PidState};

/// The law.
#[derive(Clone, Debug)]
pub struct PidLaw {
    name: String,
    input: Input<f64>,
    /// The measured rate of the input, if there is one, and its derivative gain.
    rate: Option<(Input<f64>, f64)>,
    output: Output<f64>,
    set_point: SetPoint,
    /// Maximum rate of the set point, per second; `None` lets it jump.
    set_point_rate: Option<f64>,
    pid: Pid,
    kp: f64,
    /// 1, or -1 if a greater output makes the input smaller.
    sign: f64,
    deviation: f64,
    /// During a stop the law brakes until the rate is at most this.
    brake_to: Option<f64>,
    tolerated_s: f64,
}

/// State of a [`PidLaw`].
#[derive(Copy, Clone, Debug, Default)]
pub struct PidLoop {
    pid: PidState,
    /// The rate-limited set point; `None` while the loop is open.
    set_point: Option<f64>,
    deviation: f64,
    /// The measured rate; 0 if it cannot be read.
    rate: f64,
    blind: Blind,
    fault: Option<FaultNumber>,
}

impl PidLaw {
    /// The rate-limited set point `step_s` seconds after `before`, towards `goal`.
    fn approach(&self, before: f64, goal: f64, step_s: f64) -> f64 {
        match self.set_point_rate {
            Some(rate) => before + (goal - before).clamp(-rate * step_s, rate * step_s),
            None => goal,
        }
    }
}

impl Law for PidLaw {
    type State = PidLoop;
    const TRACE: &'static [&'static str] = &["deviation"];

    fn start(&self) -> PidLoop {
        PidLoop::default()
    }

    fn step(&self, state: &mut PidLoop, io: &mut Io<'_>) {
        let at = io.read(self.input).at;
        let rate = (self.rate).map_or(Some(0.0), |(rate, _)| known(io, rate));
        state.rate = rate.unwrap_or(0.0);
        // The damping must oppose the rate for either sign of the output.
        let gain = self.rate.map_or(0.0, |(_, gain)| gain);
        let damping = -self.sign * gain * state.rate;
        let input = known(io, self.input).zip(self.set_point.read(io));
        let input = input.filter(|_| rate.is_some());
        state.fault = state
            .fault
            .or(state.blind.is(input.is_some(), io, self.tolerated_s));
        let (None, false) = (state.fault, io.is_stopping()) else {
            // An output that no law sets is driven safe. The loop then starts again.
            state.set_point = None;
            if !self.at_rest(state) {
                let (least, most) = self.pid.output_limits();
                io.set(self.output, damping.clamp(least, most));
            }
            return;
        };
        let Some((input, goal)) = input else {
            return;
        };
        let before = state.set_point.unwrap_or(input);
        let set_point = self.approach(before, goal, io.elapsed().as_secs_f64());
        state.deviation = set_point - input;
        if state.deviation.abs() > self.deviation {
            state.fault = UNKNOWN.checked_add(1);
            return;
        }
        let (goal, input) = (self.sign * set_point, self.sign * input);
        if state.set_point.is_none() {
            // Preset for an integral of zero and no motion.
            let output = self.kp * (goal - input) + damping;
            self.pid
                .track(&mut state.pid, output, goal, input, damping, at);
        }
        state.set_point = Some(set_point);
        let output = self.pid.step(&mut state.pid, goal, input, damping, at);
        if let Some(output) = output {
            io.set(self.output, output);
        }
    }

    fn at_rest(&self, state: &PidLoop) -> bool {
        let brakes = self.brake_to.filter(|_| state.fault.is_none());
        brakes.is_none_or(|rate| state.rate.abs() <= rate)
    }

    fn fault(&self, state: &PidLoop) -> Option<FaultNumber> {
        state.fault
    }

    fn trace(&self, state: &PidLoop, values: &mut [f32]) {
        values[0] = state.deviation as f32;
    }
}

impl LawKind for PidLaw {
    const KIND: &'static str = "pid";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        let unit = table.unit_of("input")?;
        let (output, (least, most)) = if table.has("output") {
            let output = table.output("output", ANY_UNIT)?;
            (output, table.range_of(output))
        } else {
            (table.publish("output", "1", 0.0)?, (0.0, 1.0))
        };
        let output_min = table.number_or("min", least..=most, least)?;
        let output_max = table.number_or("max", output_min..=most, most)?;
        let (kp, ki, kd) = (
            table.number("kp", 0.0..=1e9)?,
            table.number_or("ki", 0.0..=1e9, 0.0)?,
            table.number_or("kd", 0.0..=1e9, 0.0)?,
        );
        let rate = if table.has("rate") {
            table.without("derivative_cutoff_hz", "the rate is measured")?;
            Some((table.input("rate", ANY_UNIT)?, kd))
        } else {
            None
        };
        let period_s = table.period().as_secs_f64();
        let integral_s = if ki > 0.0 { kp / ki } else { 0.0 };
        let most_hz = 0.499 / period_s;
        let gains = Gains {
            kp,
            ki,
            kd: if rate.is_some() { 0.0 } else { kd },
            derivative_cutoff_hz: table.number_or(
                "derivative_cutoff_hz",
                1e-6..=most_hz,
                0.1 / period_s,
            )?,
            tracking_time_s: table.number_or(
                "tracking_time_s",
                period_s..=1e9,
                integral_s.max(period_s),
            )?,
        };
        let pid = PidConfig {
            gains,
            output_min,
            output_max,
        };
        let pid = pid.build(table.period());
        let brake_to = if table.has("brake_to") {
            if rate.is_none() {
                let what = "`brake_to` needs a measured rate";
                let fix = "add `rate = ...`, the signal that a stop brakes to rest";
                return Err(table.error_at("brake_to", what, fix));
            }
            Some(table.number("brake_to", POSITIVE)?)
        } else {
            None
        };
        let set_point_rate = if table.has("set_point_rate") {
            Some(table.number("set_point_rate", POSITIVE)?)
        } else {
            None
        };
        Ok(Self {
            name: table.string("input")?.to_owned(),
            input: table.input("input", unit)?,
            rate,
            output,
            set_point: SetPoint::of(table, unit)?,
            set_point_rate,
            pid: pid.map_err(|error| table.error(error, "choose another value"))?,
            kp,
            sign: if table.boolean_or("reverse", false)? {
                -1.0
            } else {
                1.0
            },
            brake_to,
            deviation: table.number_or("deviation", POSITIVE, f64::MAX)?,
            tolerated_s: tolerated_s(table)?,
        })
    }

    fn explain(&self, fault: FaultNumber) -> String {
        match fault {
            UNKNOWN => unknown(&self.name),
            _ => format!(
                "{} does not follow its set point; check for an obstacle or an actuator without power",
                self.name
            ),
        }
    }
}
