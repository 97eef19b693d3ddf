//! Position, velocity and acceleration at one moment.

/// Position, velocity and acceleration at one moment.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Position, rad.
    pub position_rad: f64,
    /// Velocity, rad/s.
    pub velocity_rad_s: f64,
    /// Acceleration, rad/s^2.
    pub acceleration_rad_s2: f64,
}

impl Sample {
    /// Rest at `position_rad`.
    pub const fn at_rest(position_rad: f64) -> Self {
        Self {
            position_rad,
            velocity_rad_s: 0.0,
            acceleration_rad_s2: 0.0,
        }
    }

    /// The sample `t` seconds later (earlier, if negative) with constant `jerk`.
    #[inline]
    pub(super) fn after(&self, t: f64, jerk: f64) -> Self {
        let (v, a) = (self.velocity_rad_s, self.acceleration_rad_s2);
        Self {
            position_rad: self.position_rad + t * (v + t * (0.5 * a + t * ((1.0 / 6.0) * jerk))),
            velocity_rad_s: v + t * (a + t * (0.5 * jerk)),
            acceleration_rad_s2: a + t * jerk,
        }
    }
}
