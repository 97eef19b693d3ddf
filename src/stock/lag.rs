//! `kind = "lag"`: a first-order plant, such as a heater, an oven or a tank, with a sensor of
//! first order.
//!
//! ```text
//! tau dx/dt = ambient + gain u - x,    tau_s dy/dt = x - y
//! ```
//!
//! Both equations are solved exactly for each step, with `u` and `x` constant.

use super::prelude::*;

#[derive(Copy, Clone, Debug)]
enum Drive {
    Share(Output<f64>),
    Switch(Output<bool>),
}

/// The plant.
#[derive(Clone, Debug)]
pub struct Lag {
    input: Drive,
    enable: Option<Output<bool>>,
    output: Input<f64>,
    gain: f64,
    ambient: f64,
    time_constant_s: f64,
    sensor_s: f64,
    value: f64,
    sensed: f64,
}

impl Plant for Lag {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let drive = match self.input {
            Drive::Share(share) => world.get(share),
            Drive::Switch(switch) => f64::from(u8::from(world.get(switch))),
        };
        let enabled = self.enable.is_none_or(|enable| world.get(enable));
        let end = self.ambient + if enabled { self.gain * drive } else { 0.0 };
        let decay = |time_constant_s: f64| libm::exp(-step.as_secs_f64() / time_constant_s);
        self.value = end + (self.value - end) * decay(self.time_constant_s);
        self.sensed = if self.sensor_s > 0.0 {
            self.value + (self.sensed - self.value) * decay(self.sensor_s)
        } else {
            self.value
        };
        world.put(self.output, self.sensed);
    }
}

impl PlantKind for Lag {
    const KIND: &'static str = "lag";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let input = if table.is_flag("input")? {
            Drive::Switch(table.output("input", "")?)
        } else {
            Drive::Share(table.output("input", ANY_UNIT)?)
        };
        let enable = if table.has("enable") {
            Some(table.output("enable", "")?)
        } else {
            None
        };
        let ambient = table.number_or("ambient", -1e9..=1e9, 0.0)?;
        let start = table.number_or("start", -1e9..=1e9, ambient)?;
        Ok(Self {
            input,
            enable,
            output: table.input("output", ANY_UNIT)?,
            gain: table.number("gain", -1e9..=1e9)?,
            ambient,
            time_constant_s: table.number("time_constant_s", 1e-6..=1e9)?,
            sensor_s: table.number_or("sensor_s", 0.0..=1e9, 0.0)?,
            value: start,
            sensed: start,
        })
    }
}
