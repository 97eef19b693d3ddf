//! Jerk-limited motion to a position or a velocity, and a jerk-limited stop.
//!
//! A move is planned once, as at most seven segments of constant jerk (the S-curve of
//! L. Biagiotti and C. Melchiorri, Trajectory Planning for Automatic Machines and Robots,
//! section 3.4), and then sampled. It takes the minimum time within its limits and never
//! turns back; its last sample is exactly the target. [`Trajectory::stop`] works at any
//! moment, with continuous position, velocity and acceleration; so do
//! [`Trajectory::retarget`], a new position, and [`Trajectory::velocity_to`], a velocity. Time
//! is counted in periods, so it does not drift.
//!
//! Cost: planning a move from rest takes three roots and about 30 multiplications, a sample ten
//! multiplications and one comparison.

mod online;
mod ramp;
mod sample;

use ramp::{Ramp, settled};
pub use sample::Sample;

use super::param::{self, ParameterError};
use crate::time::Duration;

/// Limits of motion in radians and seconds. For a linear axis use metres in place of
/// radians.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct TrajectoryConfig {
    /// Maximum velocity of a move, rad/s, greater than 0 (CiA 402 object 6081h, profile
    /// velocity).
    pub velocity_rad_s: f64,
    /// Maximum acceleration and deceleration of a move, rad/s^2, greater than 0 (6083h,
    /// profile acceleration).
    pub acceleration_rad_s2: f64,
    /// Maximum jerk of a move, rad/s^3, greater than 0 (60A4h, profile jerk).
    pub jerk_rad_s3: f64,
    /// Maximum deceleration of a stop, rad/s^2, at least the acceleration of a move (6085h,
    /// quick stop deceleration).
    pub stop_deceleration_rad_s2: f64,
    /// Maximum jerk of a stop, rad/s^3, at least the jerk of a move: with less, a stop near
    /// the end of a move would have to turn back.
    pub stop_jerk_rad_s3: f64,
}

/// Plans and samples motions with validated limits at a fixed period.
///
/// ```
/// use steadfast::control::{TrajectoryConfig, TrajectoryState};
/// use steadfast::time::Duration;
///
/// let limits = TrajectoryConfig {
///     velocity_rad_s: 2.0,
///     acceleration_rad_s2: 10.0,
///     jerk_rad_s3: 100.0,
///     stop_deceleration_rad_s2: 20.0,
///     stop_jerk_rad_s3: 200.0,
/// };
/// let trajectory = limits.build(Duration::from_millis(1))?;
/// let mut state = TrajectoryState::at_rest(0.0);
/// assert!(trajectory.move_to(&mut state, 1.0));
/// while !state.is_at_rest() {
///     let sample = trajectory.advance(&mut state, 1);
///     assert!(sample.velocity_rad_s < 2.0 + 1e-9);
/// }
/// assert_eq!(state.last().position_rad, 1.0);
/// # Ok::<(), steadfast::control::ParameterError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Trajectory {
    config: TrajectoryConfig,
    period_s: f64,
}

/// A segment of constant jerk: a cubic polynomial around the time of its anchor.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
struct Segment {
    /// End of the segment, seconds since the start of the motion.
    end_s: f64,
    /// Time of `anchor`, seconds since the start of the motion.
    anchor_s: f64,
    anchor: Sample,
    jerk: f64,
}

/// Maximum number of segments of a motion.
const SEGMENTS: usize = 7;

/// A motion in progress, or rest.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct TrajectoryState {
    segments: [Segment; SEGMENTS],
    count: u8,
    /// The segment of the last sample.
    current: u8,
    /// Periods since the start of the motion.
    periods: u64,
    /// The last sample.
    last: Sample,
    /// End of the motion, rad.
    target_rad: f64,
}

impl TrajectoryConfig {
    /// Validates the limits for one sample per `period`.
    ///
    /// # Errors
    /// [`ParameterError`] for the first parameter that is not finite, not positive, or below
    /// its documented minimum.
    pub fn build(&self, period: Duration) -> Result<Trajectory, ParameterError> {
        let period_s = param::positive("period", period.as_secs_f64())?;
        for (name, value) in [
            ("velocity_rad_s", self.velocity_rad_s),
            ("acceleration_rad_s2", self.acceleration_rad_s2),
            ("jerk_rad_s3", self.jerk_rad_s3),
        ] {
            param::positive(name, value)?;
        }
        for (name, value, least) in [
            (
                "stop_deceleration_rad_s2",
                self.stop_deceleration_rad_s2,
                self.acceleration_rad_s2,
            ),
            ("stop_jerk_rad_s3", self.stop_jerk_rad_s3, self.jerk_rad_s3),
        ] {
            param::at_least(name, value, least)?;
        }
        Ok(Trajectory {
            config: *self,
            period_s,
        })
    }
}

impl Trajectory {
    /// The limits.
    pub const fn config(&self) -> &TrajectoryConfig {
        &self.config
    }

    /// Plans a move from the position of `state` to `target_rad`. Returns false, without any
    /// effect, during a motion and for a target that is not finite.
    pub fn move_to(&self, state: &mut TrajectoryState, target_rad: f64) -> bool {
        if !state.is_standing() || !target_rad.is_finite() {
            return false;
        }
        let start = state.last.position_rad;
        let travel = target_rad - start;
        let distance = travel.abs();
        if distance == 0.0 {
            *state = TrajectoryState::at_rest(start);
            return true;
        }
        let plan = Plan::new(&self.config, distance);
        let jerk = self.config.jerk_rad_s3.copysign(travel);
        let mut forward = Builder::starting(state);
        forward.push(plan.ramp_s, jerk);
        forward.push(plan.hold_s, 0.0);
        forward.push(plan.ramp_s, -jerk);
        forward.push(plan.cruise_s, 0.0);
        let middle_s = forward.time_s;
        state.target_rad = target_rad;
        // The decelerating half mirrors the accelerating one. It is anchored at the target,
        // so that no rounding error reaches the last sample.
        let end_s = middle_s + 2.0 * plan.ramp_s + plan.hold_s;
        let mut backward = [Segment::default(); 3];
        let (mut anchor, mut anchor_s) = (Sample::at_rest(target_rad), end_s);
        for (slot, (length, jerk)) in backward.iter_mut().rev().zip([
            (plan.ramp_s, jerk),
            (plan.hold_s, 0.0),
            (plan.ramp_s, -jerk),
        ]) {
            *slot = Segment {
                end_s: anchor_s,
                anchor_s,
                anchor,
                jerk,
            };
            anchor = anchor.after(-length, jerk);
            anchor_s -= length;
        }
        for segment in backward {
            if segment.end_s > middle_s {
                state.append(segment);
            }
        }
        true
    }

    /// Replaces the motion by the fastest stop within the limits of a stop. No effect at
    /// rest.
    pub fn stop(&self, state: &mut TrajectoryState) {
        if !state.is_standing() {
            self.stop_from(state, state.last);
        }
    }

    /// Starts a stop at `from` instead of the last sample: for a machine that did not follow
    /// the motion.
    ///
    /// A present deceleration above the limit is kept, not reduced. If `from` is not finite,
    /// the result is rest at the last sample.
    pub fn stop_from(&self, state: &mut TrajectoryState, from: Sample) {
        let (v, a) = (from.velocity_rad_s, from.acceleration_rad_s2);
        if !(from.position_rad + v + a).is_finite() {
            *state = TrajectoryState::at_rest(state.last.position_rad);
            return;
        }
        let jerk = self.config.stop_jerk_rad_s3;
        // The sign of the velocity that remains when the acceleration is reduced to zero is the
        // direction of motion to brake.
        let deceleration = if settled(&from, jerk) > 0.0 { -a } else { a };
        let limit = self.config.stop_deceleration_rad_s2.max(deceleration);
        let ramp = Ramp::new(&from, 0.0, limit, jerk);
        state.last = from;
        let mut forward = Builder::starting(state);
        forward.push_ramp(&ramp);
        let end = forward.at.position_rad;
        state.target_rad = end;
    }

    /// The sample `elapsed` periods after the last one; after the end of the motion, rest at
    /// its target.
    #[inline]
    pub fn advance(&self, state: &mut TrajectoryState, elapsed: u32) -> Sample {
        if state.is_at_rest() {
            return state.last;
        }
        state.periods += u64::from(elapsed);
        // A signed integer converts in one instruction, an unsigned one in six.
        let t = state.periods as i64 as f64 * self.period_s;
        while let Some(segment) =
            state.segments[..usize::from(state.count)].get(usize::from(state.current))
        {
            if t < segment.end_s {
                state.last = segment.anchor.after(t - segment.anchor_s, segment.jerk);
                return state.last;
            }
            state.current += 1;
        }
        state.last = Sample::at_rest(state.target_rad);
        state.last
    }
}

impl TrajectoryState {
    /// Rest at `position_rad`.
    pub const fn at_rest(position_rad: f64) -> Self {
        const NONE: Segment = Segment {
            end_s: 0.0,
            anchor_s: 0.0,
            anchor: Sample::at_rest(0.0),
            jerk: 0.0,
        };
        Self {
            segments: [NONE; SEGMENTS],
            count: 0,
            current: 0,
            periods: 0,
            last: Sample::at_rest(position_rad),
            target_rad: position_rad,
        }
    }

    /// Ends the motion at the last sample, for a machine without power.
    pub const fn hold(&mut self) {
        self.count = 0;
        self.current = 0;
        self.last = Sample::at_rest(self.last.position_rad);
        self.target_rad = self.last.position_rad;
    }

    /// Whether no motion is in progress.
    #[inline]
    pub const fn is_at_rest(&self) -> bool {
        self.current >= self.count
    }

    /// Whether no motion is in progress and the last sample is one of rest.
    const fn is_standing(&self) -> bool {
        self.is_at_rest() && self.last.velocity_rad_s == 0.0 && self.last.acceleration_rad_s2 == 0.0
    }

    /// Takes `sample` as the last one, without a motion: for setpoints that come from outside,
    /// one in each cycle. Until the next one, [`Trajectory::advance`] returns it again.
    pub const fn follow(&mut self, sample: Sample) {
        self.count = 0;
        self.current = 0;
        self.last = sample;
        self.target_rad = sample.position_rad;
    }

    /// The last sample.
    pub const fn last(&self) -> &Sample {
        &self.last
    }

    /// End of the motion, rad; at rest, the present position.
    pub const fn target_rad(&self) -> f64 {
        self.target_rad
    }

    /// Duration of the motion from start to end, s.
    pub fn duration_s(&self) -> f64 {
        match self.count {
            0 => 0.0,
            n => self.segments[usize::from(n) - 1].end_s,
        }
    }

    fn append(&mut self, segment: Segment) {
        if let Some(slot) = self.segments.get_mut(usize::from(self.count)) {
            *slot = segment;
            self.count += 1;
        }
    }
}

/// Appends segments one after the other.
struct Builder<'a> {
    state: &'a mut TrajectoryState,
    at: Sample,
    time_s: f64,
}

impl<'a> Builder<'a> {
    /// Replaces the motion of `state` by one that begins at its last sample.
    fn starting(state: &'a mut TrajectoryState) -> Self {
        let at = state.last;
        *state = TrajectoryState::at_rest(at.position_rad);
        state.last = at;
        Self {
            state,
            at,
            time_s: 0.0,
        }
    }

    fn push_ramp(&mut self, ramp: &Ramp) {
        for (length_s, jerk) in ramp.phases {
            self.push(length_s, jerk);
        }
    }

    fn push(&mut self, length_s: f64, jerk: f64) {
        if length_s <= 0.0 {
            return;
        }
        self.state.append(Segment {
            end_s: self.time_s + length_s,
            anchor_s: self.time_s,
            anchor: self.at,
            jerk,
        });
        self.at = self.at.after(length_s, jerk);
        self.time_s += length_s;
    }
}

/// Lengths of the phases of a move from rest to rest.
struct Plan {
    /// Each of the four phases in which the acceleration changes, s.
    ramp_s: f64,
    /// Each of the two phases of constant acceleration, s.
    hold_s: f64,
    /// The phase of constant velocity, s.
    cruise_s: f64,
}

impl Plan {
    /// The fastest move over `distance` (greater than 0).
    ///
    /// With ramps of length T, holds of length H and a cruise of length C the peak velocity
    /// is j T (T + H) and the distance j T (T + H) (2 T + H + C). T is limited by
    /// acceleration, velocity or distance, whichever is tightest; the other limits give H
    /// and C. Each case has a closed form, so that short moves are also time-optimal.
    fn new(config: &TrajectoryConfig, distance: f64) -> Self {
        let (v, a, j) = (
            config.velocity_rad_s,
            config.acceleration_rad_s2,
            config.jerk_rad_s3,
        );
        let by_acceleration = a / j;
        let by_velocity = libm::sqrt(v / j);
        let by_distance = libm::cbrt(0.5 * distance / j);
        let ramp_s = by_acceleration.min(by_velocity).min(by_distance);
        if by_distance <= ramp_s {
            return Self {
                ramp_s,
                hold_s: 0.0,
                cruise_s: 0.0,
            };
        }
        if by_velocity <= ramp_s {
            return Self {
                ramp_s,
                hold_s: 0.0,
                cruise_s: (distance / v - 2.0 * ramp_s).max(0.0),
            };
        }
        let full_hold_s = v / a - ramp_s;
        let cruise_s = distance / v - (2.0 * ramp_s + full_hold_s);
        if cruise_s >= 0.0 {
            return Self {
                ramp_s,
                hold_s: full_hold_s,
                cruise_s,
            };
        }
        // The velocity is not reached: distance = a (T + H)(2 T + H).
        let hold_s = 0.5 * (libm::sqrt(ramp_s * ramp_s + 4.0 * distance / a) - 3.0 * ramp_s);
        Self {
            ramp_s,
            hold_s: hold_s.max(0.0),
            cruise_s: 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
