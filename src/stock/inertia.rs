//! `kind = "inertia"`: shafts or joints, each with a motor, friction and a weight (a pendulum).
//!
//! ```text
//! J d2q/dt2 = gain u - friction dq/dt - weight sin q
//! ```
//!
//! Integrated in four substeps per step, rate before angle (semi-implicit Euler): without
//! friction the energy does not drift.

use heapless::Vec;

use super::prelude::*;

/// Maximum number of shafts of one plant.
const MOST: usize = 32;
/// Substeps per step.
const STEPS: u32 = 4;

#[derive(Copy, Clone, Debug)]
struct Shaft {
    drive: Output<f64>,
    angle: Input<f64>,
    rate: Option<Input<f64>>,
    turn: Option<Input<Angle>>,
    /// Angle and rate.
    state: (f64, f64),
}

/// The plant.
#[derive(Clone, Debug)]
pub struct Inertia {
    shafts: Vec<Shaft, MOST>,
    gain: f64,
    inertia: f64,
    friction: f64,
    weight: f64,
}

impl Plant for Inertia {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let step_s = step.as_secs_f64() / f64::from(STEPS);
        for shaft in &mut self.shafts {
            let torque = self.gain * world.get(shaft.drive);
            let (angle, rate) = &mut shaft.state;
            for _ in 0..STEPS {
                let load = self.friction * *rate + self.weight * libm::sin(*angle);
                *rate += (torque - load) / self.inertia * step_s;
                *angle += *rate * step_s;
            }
            world.put(shaft.angle, *angle);
            if let Some(signal) = shaft.rate {
                world.put(signal, *rate);
            }
            if let Some(signal) = shaft.turn {
                world.put(signal, Angle::from_radians(*angle));
            }
        }
    }
}

impl PlantKind for Inertia {
    const KIND: &'static str = "inertia";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let drives = table.outputs_up_to("inputs", ANY_UNIT, MOST)?;
        let angles = table.inputs_up_to("angles", "rad", MOST)?;
        let rates = if table.has("rates") {
            let rates = table.inputs_up_to("rates", "rad/s", MOST)?;
            rates.into_iter().map(Some).collect()
        } else {
            vec![None; drives.len()]
        };
        let turns = if table.has("turns") {
            let turns = table.inputs_up_to("turns", "", MOST)?;
            turns.into_iter().map(Some).collect()
        } else {
            vec![None; drives.len()]
        };
        if drives.is_empty() {
            return Err(table.error_at("inputs", "`inputs` is empty", "add an entry"));
        }
        for (key, count) in [
            ("angles", angles.len()),
            ("rates", rates.len()),
            ("turns", turns.len()),
        ] {
            if count != drives.len() {
                let what = format!("`{key}` has {count} entries");
                let fix = format!(
                    "give one for each of the {} entries of `inputs`",
                    drives.len()
                );
                return Err(table.error_at(key, what, fix));
            }
        }
        let start = table.number_or("start", -1e6..=1e6, 0.0)?;
        let shafts = drives.into_iter().zip(angles).zip(rates).zip(turns);
        let shafts = shafts.map(|(((drive, angle), rate), turn)| Shaft {
            drive,
            angle,
            rate,
            turn,
            state: (start, 0.0),
        });
        Ok(Self {
            shafts: shafts.collect(),
            gain: table.number_or("gain", -1e6..=1e6, 1.0)?,
            inertia: table.number("inertia", 1e-9..=1e6)?,
            friction: table.number_or("friction", 0.0..=1e6, 0.0)?,
            weight: table.number_or("weight", -1e6..=1e6, 0.0)?,
        })
    }
}
