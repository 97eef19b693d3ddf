//! `kind = "fault"`: makes a signal of another plant fail for a time, like a broken sensor or
//! a disturbed bus.

use super::prelude::*;
use crate::config::Type;
use crate::cycle::image::Angle;

/// The signal that fails.
#[derive(Copy, Clone, Debug)]
enum Sensor {
    Flag(Input<bool>),
    Number(Input<f64>),
    Angle(Input<Angle>),
}

/// The fault.
#[derive(Clone, Debug)]
pub struct Fault {
    sensor: Sensor,
    error: InputError,
    at_s: f64,
    for_s: f64,
    every_s: Option<f64>,
    time_s: f64,
}

impl Fault {
    /// Whether the fault is active now.
    fn is_there(&self) -> bool {
        let since = self.time_s - self.at_s;
        let since = match self.every_s {
            Some(every_s) if since >= 0.0 => libm::fmod(since, every_s),
            _ => since,
        };
        (0.0..self.for_s).contains(&since)
    }
}

impl Plant for Fault {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        if self.is_there() {
            match self.sensor {
                Sensor::Flag(signal) => world.fail(signal, self.error),
                Sensor::Number(signal) => world.fail(signal, self.error),
                Sensor::Angle(signal) => world.fail(signal, self.error),
            }
        }
        self.time_s += step.as_secs_f64();
    }
}

impl PlantKind for Fault {
    const KIND: &'static str = "fault";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let sensor = match table.type_of("signal")? {
            Type::Flag => Sensor::Flag(table.given("signal")?),
            Type::Number => Sensor::Number(table.given("signal")?),
            Type::Angle => Sensor::Angle(table.given("signal")?),
        };
        let errors = [
            ("bus", InputError::Bus),
            ("parity", InputError::Parity),
            ("not-ready", InputError::NotReady),
            ("out-of-range", InputError::OutOfRange),
        ];
        let for_s = table.number_or("for_s", 1e-6..=1e9, 1e9)?;
        let every_s = if table.has("every_s") {
            Some(table.number("every_s", for_s..=1e9)?)
        } else {
            None
        };
        Ok(Self {
            sensor,
            error: table.choice_or("error", &errors, InputError::Bus)?,
            at_s: table.number("at_s", 0.0..=1e9)?,
            for_s,
            every_s,
            time_s: 0.0,
        })
    }
}
