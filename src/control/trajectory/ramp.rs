//! The fastest change of velocity within limits of acceleration and jerk, from any velocity and
//! acceleration.

use super::sample::Sample;

/// At most three phases of constant jerk: towards the peak of the acceleration, at the peak,
/// back to acceleration 0. Cost: one square root and about twenty operations.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Ramp {
    /// Length and jerk of each phase, s and rad/s^3. A phase of length 0 does not exist.
    pub(super) phases: [(f64, f64); 3],
}

impl Ramp {
    /// The ramp from the velocity and acceleration of `from` to the velocity `to` with
    /// acceleration 0.
    ///
    /// A present acceleration above `limit` is reduced to it first.
    pub(super) fn new(from: &Sample, to: f64, limit: f64, jerk: f64) -> Self {
        let (v, a) = (from.velocity_rad_s, from.acceleration_rad_s2);
        // From the velocity at which the acceleration can be 0 at the earliest, the ramp leads
        // towards `to`.
        let direction = 1.0_f64.copysign(to - settled(from, jerk));
        let (gain, growth) = ((to - v) * direction, a * direction);
        let jerk_up = jerk * direction;
        if growth > limit {
            let hold_s = (gain - 0.5 * growth * growth / jerk) / limit;
            return Self {
                phases: [
                    ((growth - limit) / jerk, -jerk_up),
                    (hold_s.max(0.0), 0.0),
                    (limit / jerk, -jerk_up),
                ],
            };
        }
        let free_peak = libm::sqrt((jerk * gain + 0.5 * growth * growth).max(0.0));
        let (peak, hold_s) = if free_peak > limit {
            let hold_s = (gain + 0.5 * growth * growth / jerk) / limit - limit / jerk;
            (limit, hold_s.max(0.0))
        } else {
            (free_peak, 0.0)
        };
        Self {
            phases: [
                (((peak - growth) / jerk).max(0.0), jerk_up),
                (hold_s, 0.0),
                (peak / jerk, -jerk_up),
            ],
        }
    }

    /// Its length, s.
    pub(super) fn length_s(&self) -> f64 {
        self.phases.iter().map(|(length_s, _)| length_s).sum()
    }

    /// The ramp without what comes after `time_s`.
    pub(super) fn until(mut self, time_s: f64) -> Self {
        let mut left_s = time_s;
        for (length_s, _) in &mut self.phases {
            *length_s = length_s.min(left_s);
            left_s -= *length_s;
        }
        self
    }

    /// The sample at the end of the ramp that begins at `from`.
    pub(super) fn end(&self, from: &Sample) -> Sample {
        let mut at = *from;
        for (length_s, jerk) in self.phases {
            at = at.after(length_s, jerk);
        }
        at
    }
}

/// The velocity that remains when the acceleration is brought to 0 at once, with `jerk`.
pub(super) fn settled(from: &Sample, jerk: f64) -> f64 {
    let a = from.acceleration_rad_s2;
    from.velocity_rad_s + 0.5 * a * a.abs() / jerk
}
