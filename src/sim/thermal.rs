//! A heated thermal mass with one heat loss to ambient.
//!
//! ```text
//! tau dT/dt = T_ambient + dT_full * u - T,    u from 0 to 1
//! ```
//!
//! Solved exactly for each step, so it is stable for every step. The sensor is linear and
//! without delay. Cost: three operations per step.

use crate::time::Duration;

/// Parameters of a thermal mass. The default warms by 80 K at full power with a time
/// constant of 5 s; its sensor has 0.5 V at 0 degC and 10 mV per degree.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct ThermalConfig {
    /// Ambient temperature, degC; also the initial temperature of the mass.
    pub ambient_c: f64,
    /// Final rise above ambient at full power, K; above zero.
    pub full_power_rise_k: f64,
    /// Time constant, s; above zero.
    pub time_constant_s: f64,
    /// Command of an analog output for full power, V; above zero.
    pub full_power_volts: f64,
    /// Voltage of the sensor at 0 degC, V.
    pub sensor_volts_at_0_c: f64,
    /// Slope of the sensor, V/K.
    pub sensor_volts_per_k: f64,
}

impl Default for ThermalConfig {
    fn default() -> Self {
        Self {
            ambient_c: 20.0,
            full_power_rise_k: 80.0,
            time_constant_s: 5.0,
            full_power_volts: 10.0,
            sensor_volts_at_0_c: 0.5,
            sensor_volts_per_k: 0.010,
        }
    }
}

/// A parameter of a [`ThermalConfig`] that is not finite or out of range.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ThermalParameter {
    /// `ambient_c`.
    Ambient,
    /// `full_power_rise_k`.
    FullPowerRise,
    /// `time_constant_s`.
    TimeConstant,
    /// `full_power_volts`.
    FullPowerVolts,
    /// `sensor_volts_at_0_c` or `sensor_volts_per_k`.
    Sensor,
    /// The integration step is zero.
    Step,
}

/// A simulated thermal mass.
#[derive(Clone, Debug)]
pub struct Thermal {
    config: ThermalConfig,
    /// exp(-h / tau).
    decay: f64,
    temperature: f64,
}

impl Thermal {
    /// A mass at ambient temperature, solved in steps of `step`.
    ///
    /// # Errors
    /// The first invalid parameter.
    pub fn new(config: ThermalConfig, step: Duration) -> Result<Self, ThermalParameter> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let checks = [
            (config.ambient_c.is_finite(), ThermalParameter::Ambient),
            (
                positive(config.full_power_rise_k),
                ThermalParameter::FullPowerRise,
            ),
            (
                positive(config.time_constant_s),
                ThermalParameter::TimeConstant,
            ),
            (
                positive(config.full_power_volts),
                ThermalParameter::FullPowerVolts,
            ),
            (
                config.sensor_volts_at_0_c.is_finite() && config.sensor_volts_per_k.is_finite(),
                ThermalParameter::Sensor,
            ),
            (step != Duration::ZERO, ThermalParameter::Step),
        ];
        for (ok, parameter) in checks {
            if !ok {
                return Err(parameter);
            }
        }
        Ok(Self {
            config,
            decay: libm::exp(-step.as_secs_f64() / config.time_constant_s),
            temperature: config.ambient_c,
        })
    }

    /// Temperature, degC.
    #[must_use]
    pub const fn temperature_c(&self) -> f64 {
        self.temperature
    }

    /// Voltage of the sensor, V.
    #[inline]
    #[must_use]
    pub const fn sensor_volts(&self) -> f64 {
        self.config.sensor_volts_at_0_c + self.config.sensor_volts_per_k * self.temperature
    }

    /// The share of full power for a command of `volts`, 0 to 1.
    #[must_use]
    pub const fn power_at(&self, volts: f64) -> f64 {
        (volts / self.config.full_power_volts).clamp(0.0, 1.0)
    }

    /// Runs `steps` steps at `power`, a share of full power from 0 to 1.
    #[inline]
    pub fn advance(&mut self, steps: u64, power: f64) {
        let end = self.config.ambient_c + self.config.full_power_rise_k * power;
        for _ in 0..steps {
            self.temperature = end + (self.temperature - end) * self.decay;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(1);

    #[test]
    fn one_time_constant_reaches_63_percent_of_the_step() {
        let mut oven = Thermal::new(ThermalConfig::default(), STEP).unwrap();
        oven.advance(5_000, 1.0);
        let expected = 20.0 + 80.0 * (1.0 - core::f64::consts::E.recip());
        assert!((oven.temperature_c() - expected).abs() < 1e-6);
        assert!((oven.sensor_volts() - (0.5 + 0.01 * expected)).abs() < 1e-8);
    }

    #[test]
    fn without_power_the_temperature_falls_to_ambient_and_not_below() {
        let mut oven = Thermal::new(ThermalConfig::default(), STEP).unwrap();
        oven.advance(1_000, 1.0);
        let warm = oven.temperature_c();
        oven.advance(1_000, 0.0);
        assert!(oven.temperature_c() < warm && oven.temperature_c() > 20.0);
        oven.advance(1_000_000, 0.0);
        assert!((oven.temperature_c() - 20.0).abs() < 1e-9);
    }

    #[test]
    fn commands_are_clamped_to_the_range_of_the_heater() {
        let oven = Thermal::new(ThermalConfig::default(), STEP).unwrap();
        assert_eq!(
            [-5.0, 0.0, 5.0, 15.0].map(|volts| oven.power_at(volts)),
            [0.0, 0.0, 0.5, 1.0]
        );
    }

    #[test]
    fn an_invalid_parameter_is_named() {
        let bad = ThermalConfig {
            time_constant_s: 0.0,
            ..ThermalConfig::default()
        };
        assert_eq!(
            Thermal::new(bad, STEP).unwrap_err(),
            ThermalParameter::TimeConstant
        );
        assert_eq!(
            Thermal::new(ThermalConfig::default(), Duration::ZERO).unwrap_err(),
            ThermalParameter::Step
        );
    }
}
