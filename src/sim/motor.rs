//! A direct-current servo motor with a torque amplifier.
//!
//! ```text
//! J dw/dt = k V - T_load - b w - T_c sign(w),    d(phi)/dt = w
//! ```
//!
//! Integrated with a fixed step: friction implicitly, then the position with the new velocity.
//! Implicit friction is stable for every step, never drives the shaft, and stops it at exactly
//! zero; the final velocity at a constant voltage is exactly (k V - T_load - T_c) / b. At rest
//! the shaft does not move until the torque exceeds stiction.
//!
//! Cost: about 25 CPU cycles per step of a moving shaft, none for a shaft at rest.

use super::random::Random;
use crate::time::Duration;

/// Mechanical end stops. The shaft stops there without bouncing.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct EndStops {
    /// Lowest position, rad.
    pub lower_rad: f64,
    /// Highest position, rad.
    pub upper_rad: f64,
}

/// Parameters of a motor with its load. The default is a small servo with
/// 10 V * 0.05 Nm/V = 0.5 Nm, which accelerates with 2,500 rad/s2.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct MotorConfig {
    /// Moment of inertia, kg m2; above zero.
    pub inertia_kg_m2: f64,
    /// Viscous friction, Nm s/rad; zero or more.
    pub viscous_nm_s: f64,
    /// Coulomb friction while turning, Nm; zero or more.
    pub coulomb_nm: f64,
    /// Breakaway torque at rest, Nm; at least `coulomb_nm`.
    pub stiction_nm: f64,
    /// Torque per volt of command, Nm/V.
    pub torque_nm_per_volt: f64,
    /// Constant torque of the load against the positive direction, Nm.
    pub load_nm: f64,
    /// Maximum random torque, new in each step, Nm; zero or more.
    pub disturbance_nm: f64,
    /// End stops, if any.
    pub end_stops: Option<EndStops>,
}

impl Default for MotorConfig {
    fn default() -> Self {
        Self {
            inertia_kg_m2: 2.0e-4,
            viscous_nm_s: 1.0e-3,
            coulomb_nm: 0.010,
            stiction_nm: 0.015,
            torque_nm_per_volt: 0.05,
            load_nm: 0.0,
            disturbance_nm: 0.0,
            end_stops: None,
        }
    }
}

/// A parameter of a [`MotorConfig`] that is not finite or out of range.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MotorParameter {
    /// `inertia_kg_m2`.
    Inertia,
    /// `viscous_nm_s`.
    Viscous,
    /// `coulomb_nm`.
    Coulomb,
    /// `stiction_nm`.
    Stiction,
    /// `torque_nm_per_volt`.
    TorquePerVolt,
    /// `load_nm`.
    Load,
    /// `disturbance_nm`.
    Disturbance,
    /// `end_stops`: not finite, or position 0 is not between them.
    EndStops,
    /// The integration step is zero.
    Step,
}

impl MotorConfig {
    fn check(&self, step: Duration) -> Result<(), MotorParameter> {
        let finite = |value: f64, ok: bool, name| match value.is_finite() && ok {
            true => Ok(()),
            false => Err(name),
        };
        let not_negative = |value: f64, name| finite(value, value >= 0.0, name);
        finite(
            self.inertia_kg_m2,
            self.inertia_kg_m2 > 0.0,
            MotorParameter::Inertia,
        )?;
        not_negative(self.viscous_nm_s, MotorParameter::Viscous)?;
        not_negative(self.coulomb_nm, MotorParameter::Coulomb)?;
        finite(
            self.stiction_nm,
            self.stiction_nm >= self.coulomb_nm,
            MotorParameter::Stiction,
        )?;
        finite(self.torque_nm_per_volt, true, MotorParameter::TorquePerVolt)?;
        finite(self.load_nm, true, MotorParameter::Load)?;
        not_negative(self.disturbance_nm, MotorParameter::Disturbance)?;
        if let Some(EndStops {
            lower_rad,
            upper_rad,
        }) = self.end_stops
        {
            finite(lower_rad, lower_rad <= 0.0, MotorParameter::EndStops)?;
            finite(upper_rad, upper_rad >= 0.0, MotorParameter::EndStops)?;
        }
        match step {
            Duration::ZERO => Err(MotorParameter::Step),
            _ => Ok(()),
        }
    }
}

/// A simulated motor. It starts at rest at position 0.
#[derive(Clone, Debug)]
pub struct Motor {
    config: MotorConfig,
    random: Random,
    step_s: f64,
    /// h / J.
    velocity_per_nm: f64,
    /// 1 / (1 + h b / J).
    damping: f64,
    /// Change of velocity by Coulomb friction in one step.
    drag: f64,
    position: f64,
    velocity: f64,
}

impl Motor {
    /// A motor integrated in steps of `step`; `seed` is for its disturbance.
    ///
    /// # Errors
    /// The first invalid parameter.
    pub fn new(config: MotorConfig, step: Duration, seed: u64) -> Result<Self, MotorParameter> {
        config.check(step)?;
        let step_s = step.as_secs_f64();
        let velocity_per_nm = step_s / config.inertia_kg_m2;
        let damping = 1.0 / (1.0 + velocity_per_nm * config.viscous_nm_s);
        Ok(Self {
            config,
            random: Random::new(seed),
            step_s,
            velocity_per_nm,
            damping,
            drag: config.coulomb_nm * velocity_per_nm * damping,
            position: 0.0,
            velocity: 0.0,
        })
    }

    /// Position since the start, rad, over all turns.
    #[inline]
    #[must_use]
    pub const fn position_rad(&self) -> f64 {
        self.position
    }

    /// Velocity, rad/s.
    #[inline]
    #[must_use]
    pub const fn velocity_rad_s(&self) -> f64 {
        self.velocity
    }

    /// Kinetic energy, J.
    #[must_use]
    pub const fn energy_j(&self) -> f64 {
        0.5 * self.config.inertia_kg_m2 * self.velocity * self.velocity
    }

    /// Sets position, rad, limited by the end stops, and velocity, rad/s.
    pub fn set_state(&mut self, position_rad: f64, velocity_rad_s: f64) {
        self.position = position_rad;
        self.velocity = velocity_rad_s;
        self.stop_at_ends();
    }

    /// Runs `steps` steps with the command `volts` of the amplifier.
    #[inline]
    pub fn advance(&mut self, steps: u64, volts: f64) {
        let torque = volts * self.config.torque_nm_per_volt - self.config.load_nm;
        let disturbed = self.config.disturbance_nm > 0.0;
        for _ in 0..steps {
            let noise = if disturbed {
                self.random.symmetric() * self.config.disturbance_nm
            } else {
                0.0
            };
            let moves = self.step(torque + noise);
            if !moves && !disturbed {
                return;
            }
        }
    }

    /// Stops the shaft at once, as a closed brake.
    #[inline]
    pub const fn block(&mut self) {
        self.velocity = 0.0;
    }

    /// One step with `torque`, Nm. Returns whether the shaft moved.
    #[inline]
    fn step(&mut self, torque: f64) -> bool {
        if self.velocity == 0.0 && torque.abs() <= self.config.stiction_nm {
            return false;
        }
        let free = (self.velocity + torque * self.velocity_per_nm) * self.damping;
        self.velocity = if free > self.drag {
            free - self.drag
        } else if free < -self.drag {
            free + self.drag
        } else {
            0.0
        };
        self.position += self.velocity * self.step_s;
        self.stop_at_ends();
        true
    }

    #[inline]
    fn stop_at_ends(&mut self) {
        let Some(stops) = self.config.end_stops else {
            return;
        };
        if self.position <= stops.lower_rad {
            self.position = stops.lower_rad;
            self.velocity = self.velocity.max(0.0);
        } else if self.position >= stops.upper_rad {
            self.position = stops.upper_rad;
            self.velocity = self.velocity.min(0.0);
        }
    }
}
