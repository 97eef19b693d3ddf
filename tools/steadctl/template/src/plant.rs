//! The simulated oven: `[simulation.plant.NAME] kind = "oven"`.

use steadfast::config::{ConfigError, PlantKind, PlantTable};
use steadfast::cycle::signal::{Input, Output};
use steadfast::sim::{Plant, World};
use steadfast::time::Duration;

/// A heated mass that loses heat to the room.
#[derive(Clone)]
pub struct Oven {
    heater: Output<bool>,
    thermometer: Input<f64>,
    /// Room temperature, degC.
    room: f64,
    /// Final rise above the room with the heater on, K.
    rise: f64,
    /// Time constant, s.
    time_constant: f64,
    celsius: f64,
}

impl Plant for Oven {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let rise = if world.get(self.heater) {
            self.rise
        } else {
            0.0
        };
        let end = self.room + rise;
        self.celsius += (end - self.celsius) * step.as_secs_f64() / self.time_constant;
        world.put(self.thermometer, self.celsius);
    }
}

impl PlantKind for Oven {
    const KIND: &'static str = "oven";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let room = table.number("room_c", -50.0..=50.0)?;
        Ok(Self {
            heater: table.output("heater", "")?,
            thermometer: table.input("thermometer", "degC")?,
            room,
            rise: table.number("rise_k", 0.0..=1000.0)?,
            time_constant: table.number("time_constant_s", 0.1..=1e6)?,
            celsius: room,
        })
    }
}
