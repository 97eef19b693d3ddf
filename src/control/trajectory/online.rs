//! New targets while moving: a velocity, or a position (CiA 402 "change set immediately").
//!
//! A position is reached by a ramp towards the highest velocity in the direction of the target,
//! left after some time, and then a stop. Where the motion ends increases with that time, so
//! the time is found by bracketing it. The motion does not stop on its way to a target that
//! lies ahead, and turns back only if it cannot stop before the target.

use super::ramp::Ramp;
use super::{Builder, Sample, Segment, Trajectory, TrajectoryState};

/// Positions closer than this are the same, rad: less than a tenth of the unit of
/// [`Angle`](crate::cycle::image::Angle).
const RESOLUTION_RAD: f64 = 1e-10;

/// Most steps of the search.
const SEARCH_STEPS: u32 = 60;

impl Trajectory {
    /// Changes the velocity to `velocity_rad_s` and keeps it, from any state of motion, within
    /// the acceleration and jerk of a move. The velocity is limited to that of a move. With 0 it
    /// is a stop on the ramp of a move. Returns false, without any effect, for a velocity that
    /// is not finite.
    ///
    /// From a motion within the limits of a move it stays within them. It does not know where
    /// the axis ends: see [`Trajectory::retarget`]. Cost: one root, about 60 operations.
    pub fn velocity_to(&self, state: &mut TrajectoryState, velocity_rad_s: f64) -> bool {
        let most = self.config.velocity_rad_s;
        if !velocity_rad_s.is_finite() {
            return false;
        }
        let to = velocity_rad_s.clamp(-most, most);
        let mut forward = Builder::starting(state);
        forward.push_ramp(&self.ramp(&forward.at, to));
        let (end, end_s) = (forward.at, forward.time_s);
        state.target_rad = end.position_rad;
        if to != 0.0 {
            state.append(Segment {
                end_s: f64::INFINITY,
                anchor_s: end_s,
                anchor: Sample {
                    velocity_rad_s: to,
                    acceleration_rad_s2: 0.0,
                    ..end
                },
                jerk: 0.0,
            });
        }
        true
    }

    /// Plans a motion to `target_rad` from any state of motion, with at most `speed_rad_s`, which
    /// is limited to the velocity of a move. It takes the minimum time within its limits, and
    /// its last sample is exactly the target. Returns false, without any effect, for a target
    /// that is not finite or a speed that is not above 0.
    ///
    /// From a motion within the limits of a move it stays within them; a velocity above
    /// `speed_rad_s` is reduced to it first. Cost: two roots and about 200 operations if the
    /// speed is reached, otherwise a search of at most 60 steps with one root and about 120
    /// operations each; about ten are usual.
    pub fn retarget(&self, state: &mut TrajectoryState, target_rad: f64, speed_rad_s: f64) -> bool {
        if !target_rad.is_finite() || !speed_rad_s.is_finite() || speed_rad_s <= 0.0 {
            return false;
        }
        let speed = speed_rad_s.min(self.config.velocity_rad_s);
        if state.is_standing() && speed == self.config.velocity_rad_s {
            return self.move_to(state, target_rad);
        }
        let from = state.last;
        let missing = target_rad - self.rest_from(&from);
        let mut forward = Builder::starting(state);
        if missing.abs() > RESOLUTION_RAD {
            let ramp = self.ramp(&from, speed.copysign(missing));
            let (part, cruise_s) = self.approach(&from, ramp, target_rad, missing, speed);
            forward.push_ramp(&part);
            forward.push(cruise_s, 0.0);
        }
        let (middle, middle_s) = (forward.at, forward.time_s);
        state.target_rad = target_rad;
        self.append_stop(state, &middle, middle_s);
        true
    }

    /// Where the axis comes to rest if it stops now on the ramp of a move, rad.
    pub fn rest_position_rad(&self, state: &TrajectoryState) -> f64 {
        self.rest_from(&state.last)
    }

    /// The part of `ramp` before the stop, and how long to keep the velocity at its end, s.
    /// `missing` is the distance between the end of a stop at once and the target.
    fn approach(
        &self,
        from: &Sample,
        ramp: Ramp,
        target_rad: f64,
        missing: f64,
        speed: f64,
    ) -> (Ramp, f64) {
        let side = 1.0_f64.copysign(missing);
        // What is missing to the target after this part, positive short of it.
        let left = |part: &Ramp| side * (target_rad - self.rest_from(&part.end(from)));
        let at_speed = left(&ramp);
        if at_speed >= 0.0 {
            return (ramp, at_speed / speed);
        }
        // The Illinois variant of the false position, with a bisection each third step.
        let (mut low, mut low_weight) = (0.0, missing.abs());
        let (mut high, mut high_weight) = (ramp.length_s(), at_speed);
        for step in 1..=SEARCH_STEPS {
            let guess = if step % 3 == 0 {
                0.5 * (low + high)
            } else {
                low + (high - low) * low_weight / (low_weight - high_weight)
            };
            let found = left(&ramp.until(guess));
            if found.abs() <= RESOLUTION_RAD {
                return (ramp.until(guess), 0.0);
            }
            if found > 0.0 {
                (low, low_weight) = (guess, found);
                high_weight *= 0.5;
            } else {
                (high, high_weight) = (guess, found);
                low_weight *= 0.5;
            }
        }
        // What is left is a rounding error of large positions.
        (ramp.until(low), 0.0)
    }

    /// The ramp of a move to the velocity `to`.
    fn ramp(&self, from: &Sample, to: f64) -> Ramp {
        let c = &self.config;
        Ramp::new(from, to, c.acceleration_rad_s2, c.jerk_rad_s3)
    }

    /// Where a stop at `from` ends.
    fn rest_from(&self, from: &Sample) -> f64 {
        self.ramp(from, 0.0).end(from).position_rad
    }

    /// Appends the stop that begins with `from` at `start_s` and ends at the target of `state`.
    /// It is anchored there, so that no rounding error reaches the last sample.
    fn append_stop(&self, state: &mut TrajectoryState, from: &Sample, start_s: f64) {
        let ramp = self.ramp(from, 0.0);
        let mut anchor = Sample::at_rest(state.target_rad);
        let mut anchor_s = start_s + ramp.length_s();
        let mut backward = [Segment::default(); 3];
        for (slot, (length_s, jerk)) in backward.iter_mut().zip(ramp.phases).rev() {
            *slot = Segment {
                end_s: anchor_s,
                anchor_s,
                anchor,
                jerk,
            };
            anchor = anchor.after(-length_s, jerk);
            anchor_s -= length_s;
        }
        let mut begin_s = start_s;
        for segment in backward {
            if segment.end_s > begin_s {
                begin_s = segment.end_s;
                state.append(segment);
            }
        }
    }
}
