//! `kind = "profile"`: a set point that follows ramps and holds.

use heapless::Vec;

use super::prelude::*;
use super::unknown::{ANY, Blind, POSITIVE, UNKNOWN, known, tolerated_s, unknown};

/// Maximum number of segments of a profile.
const MOST: usize = 16;

/// A ramp and the hold after it.
#[derive(Copy, Clone, Debug)]
struct Segment {
    target: f64,
    /// Slope of the ramp, per second.
    rate: f64,
    hold_s: f64,
}

/// The law.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    input: Input<f64>,
    set_point: Output<f64>,
    enable: Option<Output<bool>>,
    segments: Vec<Segment, MOST>,
    repeat: bool,
    holdback: f64,
    above: f64,
    tolerated_s: f64,
}

/// State of a [`Profile`].
#[derive(Copy, Clone, Debug, Default)]
pub struct Progress {
    segment: usize,
    set_point: Option<f64>,
    held_s: f64,
    blind: Blind,
    fault: Option<FaultNumber>,
}

impl Profile {
    /// Advances by `left` seconds from the set point `at`; remaining time is carried over
    /// into the next segment, so that a repeated profile keeps its period. `false` at its end.
    fn advance(&self, now: &mut Progress, at: &mut f64, mut left: f64) -> bool {
        // The number of turns is limited, because segments can take no time.
        for _ in 0..=self.segments.len() {
            let Some(segment) = self.segments.get(now.segment) else {
                return false;
            };
            let delta = segment.target - *at;
            let ramp_s = delta.abs() / segment.rate;
            if ramp_s > left {
                *at += (segment.rate * left).copysign(delta);
                return true;
            }
            (*at, left) = (segment.target, left - ramp_s);
            if segment.hold_s - now.held_s > left {
                now.held_s += left;
                return true;
            }
            left -= segment.hold_s - now.held_s;
            (now.segment, now.held_s) = (now.segment + 1, 0.0);
            if self.repeat {
                now.segment %= self.segments.len();
            }
        }
        true
    }
}

impl Law for Profile {
    type State = Progress;

    fn start(&self) -> Progress {
        Progress::default()
    }

    fn step(&self, now: &mut Progress, io: &mut Io<'_>) {
        let input = known(io, self.input);
        now.fault = now
            .fault
            .or(now.blind.is(input.is_some(), io, self.tolerated_s));
        // Outputs that no law sets are driven safe.
        let (Some(input), None, false) = (input, now.fault, io.is_stopping()) else {
            return;
        };
        let mut set_point = now.set_point.unwrap_or(input);
        if input - set_point > self.above {
            now.fault = UNKNOWN.checked_add(1);
            return;
        }
        // The profile waits while the input does not follow.
        let follows = (set_point - input).abs() <= self.holdback;
        let step_s = io.elapsed().as_secs_f64();
        let step_s = if follows { step_s } else { 0.0 };
        let goes_on = self.advance(now, &mut set_point, step_s);
        now.set_point = Some(set_point);
        if goes_on {
            io.set(self.set_point, set_point);
            if let Some(enable) = self.enable {
                io.set(enable, true);
            }
        }
    }

    fn fault(&self, now: &Progress) -> Option<FaultNumber> {
        now.fault
    }
}

impl LawKind for Profile {
    const KIND: &'static str = "profile";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        let targets = table.numbers("targets", ANY, MOST)?;
        let rates = table.numbers("rates", POSITIVE, MOST)?;
        let holds = table.numbers("holds_s", 0.0..=1e9, MOST)?;
        if targets.is_empty() {
            return Err(table.error_at("targets", "`targets` is empty", "add an entry"));
        }
        for (key, list) in [("rates", &rates), ("holds_s", &holds)] {
            if list.len() != targets.len() {
                let what = format!("`{key}` has {} entries", list.len());
                let fix = format!(
                    "give one for each of the {} entries of `targets`",
                    targets.len()
                );
                return Err(table.error_at(key, what, fix));
            }
        }
        let segments = targets.iter().zip(&rates).zip(&holds);
        let unit = table.unit_of("input")?;
        let idle = table.number_or("idle", ANY, 0.0)?;
        let enable = if table.has("enable") {
            Some(table.output("enable", "")?)
        } else {
            None
        };
        Ok(Self {
            name: table.string("input")?.to_owned(),
            input: table.input("input", unit)?,
            set_point: table.publish("set_point", unit, idle)?,
            enable,
            segments: segments
                .map(|((&target, &rate), &hold_s)| Segment {
                    target,
                    rate,
                    hold_s,
                })
                .collect(),
            repeat: table.boolean_or("repeat", false)?,
            holdback: table.number_or("holdback", POSITIVE, f64::MAX)?,
            above: table.number_or("above", POSITIVE, f64::MAX)?,
            tolerated_s: tolerated_s(table)?,
        })
    }

    fn explain(&self, fault: FaultNumber) -> String {
        match fault {
            UNKNOWN => unknown(&self.name),
            _ => format!(
                "{} is above its set point; check for an output that does not switch off",
                self.name
            ),
        }
    }
}
