//! Position and velocity of an axis from the readings of its encoder.
//!
//! The position counts turns: each change is taken as the one nearest to the prediction by the
//! last velocity, so turns of the motor shaft are not lost in skipped slots. The velocity is the
//! change divided by the time between the instants of the two readings, low-pass filtered.
//! Failed readings are tolerated up to a configured number in a row; an implausible reading is a
//! fault at once. A failed or repeated transfer, skipped slots and late cycles cause neither a
//! spike nor a fault. Turns made while readings failed for longer than tolerated are lost: an
//! axis with a range of more than one encoder turn must be referenced again after such a fault.
//! Cost of a reading: about thirty operations, one of them a division.

use super::fault::Fault;
use crate::control::filter::BUTTERWORTH;
use crate::control::param::{self, ParameterError};
use crate::control::{Biquad, BiquadState, least_distance};
use crate::cycle::image::{Angle, InputError, MAX_POSITIONS, RADIANS_PER_UNIT, Sample};
use crate::time::{Duration, Instant};

/// An encoder and its coupling to the axis.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct FeedbackConfig {
    /// Encoder channel of the process image.
    pub encoder_channel: u8,
    /// Turns of the encoder for one turn of the axis, greater than 0.
    pub gear_ratio: f64,
    /// Whether an increasing reading means motion in negative direction.
    pub encoder_inverted: bool,
    /// Position of the axis at reading 0 of the encoder, rad.
    pub offset_rad: f64,
    /// The highest velocity that the axis can physically reach, rad/s, greater than 0. At this
    /// velocity the encoder must turn by less than half a turn in one period.
    pub plausible_velocity_rad_s: f64,
    /// Cut-off frequency of the velocity's low pass, Hz, below half the sample rate.
    pub velocity_cutoff_hz: f64,
    /// Failed readings in a row that are tolerated, 0 to 100.
    pub tolerated_failures: u16,
    /// When an unchanging position is a fault; `None` for never, for an axis that may be
    /// blocked on purpose.
    pub frozen: Option<Frozen>,
}

/// When an unchanging position is a fault.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Frozen {
    /// Number of readings in a row without any change, at least 1.
    pub frozen_cycles: u32,
    /// Command above which movement is expected, volts, greater than 0.
    pub frozen_command_volts: f64,
}

/// Validated feedback.
///
/// Readings less than half a period apart ([`least_distance`]) give a position but no velocity:
/// the next reading is compared with the earlier of the two.
///
/// The low pass is designed for readings one period apart. A change over several periods is
/// filtered once for each period (at most 8), so that the filter keeps pace with time. A distance
/// between whole numbers of periods is rounded: in that step the cut-off frequency is off by a
/// factor of 1/2 to 3/2. Neither shows at constant velocity. Under acceleration the filter gets
/// the mean velocity of the gap; the error is at most half of the velocity's change in the gap.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Feedback {
    channel: u8,
    /// Radians of the axis for 2^-32 turns of the encoder, signed.
    scale: f64,
    /// Its reciprocal: units for each radian.
    units_per_rad: f64,
    offset_rad: f64,
    /// Largest plausible change in a second, units.
    units_per_s: f64,
    /// Added to the largest plausible change, units: jitter, and the turn of the axis during
    /// the error of a reading's time.
    slack_units: f64,
    period: Duration,
    /// Distance below which two readings give no velocity.
    least_distance: Duration,
    /// Distance from which the low pass advances by more than one period.
    long_distance: Duration,
    /// Distance below which the smallest change is the plausible one, so that no prediction is
    /// needed.
    direct_distance: Duration,
    filter: Biquad,
    tolerated_failures: u16,
    frozen_cycles: u32,
    frozen_command_volts: f64,
}

/// The measured motion of an axis.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct FeedbackState {
    /// The instant at which the last good reading was true.
    measured_at: Instant,
    /// Of the last reading that gave a velocity: the sum of all changes up to it, in 2^-32
    /// turns of the encoder (2^63 of them exceed the life of any machine); its angle; the
    /// instant at which it was true.
    total: i64,
    angle: Angle,
    at: Instant,
    known: bool,
    healthy: bool,
    failures: u16,
    unchanged: u32,
    position_rad: f64,
    velocity_rad_s: f64,
    filter: BiquadState,
}

/// The result of a reading.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The position is new. The velocity is too, if the distance to the last reading was large
    /// enough.
    Fresh,
    /// The reading failed and is tolerated; the last value is held. The fault follows if
    /// failures go on.
    Held(Fault),
    /// The feedback cannot be trusted.
    Failed(Fault),
}

/// Largest jitter of an encoder at rest: 1/1024 of a turn. The least significant bit of an
/// AS5047P is a sixteenth of that.
const JITTER_UNITS: f64 = 4_294_967_296.0 / 1_024.0;

/// The error allowed for a reading's time is one period divided by this: 125 us at 1 kHz. A
/// reading gets the time of the beginning of its cycle; frames of other devices, and at times
/// an interrupt, come before its frame.
const PERIODS_PER_TIME_ERROR: f64 = 8.0;

/// Most periods by which one reading advances the low pass.
const STEPS_MAX: u64 = 8;

/// Largest plausible change for which the change nearest to the prediction is the smallest one: an
/// eighth of a turn. The prediction is at most some eighths, so that the two changes differ only if
/// the smallest one is not plausible, and then the other, of more than half a turn, is not either.
const DIRECT_UNITS: f64 = 4_294_967_296.0 / 8.0;

/// Most failures in a row that can be tolerated.
const TOLERATED_MAX: u16 = 100;

impl FeedbackConfig {
    /// Validates the configuration for readings every `period`.
    ///
    /// # Errors
    /// The first parameter outside of its documented range.
    pub fn build(&self, period: Duration) -> Result<Feedback, ParameterError> {
        let period_s = param::positive("period", period.as_secs_f64())?;
        param::channel("encoder_channel", self.encoder_channel, MAX_POSITIONS)?;
        param::positive("gear_ratio", self.gear_ratio)?;
        param::finite("offset_rad", self.offset_rad)?;
        let magnitude = RADIANS_PER_UNIT / self.gear_ratio;
        let half_turn_rad_s = core::f64::consts::PI / self.gear_ratio / period_s;
        param::positive("plausible_velocity_rad_s", self.plausible_velocity_rad_s)?;
        param::in_range(
            "plausible_velocity_rad_s",
            self.plausible_velocity_rad_s,
            0.0,
            half_turn_rad_s,
        )?;
        let filter = Biquad::low_pass(self.velocity_cutoff_hz, BUTTERWORTH, 1.0 / period_s)
            .map_err(|error| ParameterError {
                name: "velocity_cutoff_hz",
                ..error
            })?;
        let tolerated = f64::from(self.tolerated_failures);
        param::in_range(
            "tolerated_failures",
            tolerated,
            0.0,
            f64::from(TOLERATED_MAX),
        )?;
        if let Some(frozen) = self.frozen {
            param::positive("frozen_cycles", f64::from(frozen.frozen_cycles))?;
            param::positive("frozen_command_volts", frozen.frozen_command_volts)?;
        }
        let scale = if self.encoder_inverted {
            -magnitude
        } else {
            magnitude
        };
        let units_per_s = self.plausible_velocity_rad_s / magnitude;
        let slack_units = JITTER_UNITS + units_per_s * period_s / PERIODS_PER_TIME_ERROR;
        Ok(Feedback {
            channel: self.encoder_channel,
            scale,
            units_per_rad: 1.0 / scale,
            offset_rad: self.offset_rad,
            units_per_s,
            slack_units,
            period,
            least_distance: least_distance(period),
            long_distance: period + least_distance(period),
            direct_distance: direct_distance(units_per_s, slack_units),
            filter,
            tolerated_failures: self.tolerated_failures,
            frozen_cycles: self.frozen.map_or(u32::MAX, |f| f.frozen_cycles),
            frozen_command_volts: self.frozen.map_or(f64::MAX, |f| f.frozen_command_volts),
        })
    }
}

/// Distance of two readings below which their largest plausible change is less than
/// [`DIRECT_UNITS`].
fn direct_distance(units_per_s: f64, slack_units: f64) -> Duration {
    // A cast saturates: a negative number gives 0.
    Duration::from_nanos(((DIRECT_UNITS - slack_units) / units_per_s * 1e9) as u64)
}

impl Feedback {
    /// Prepares `state` for `to`, the same feedback with another low pass: the velocity goes on
    /// from its present value.
    pub fn hand_over(&self, state: &mut FeedbackState, to: &Self) {
        if to.filter != self.filter {
            state.filter = to.filter.settled(state.velocity_rad_s);
        }
    }

    /// Encoder channel of the process image.
    pub const fn channel(&self) -> u8 {
        self.channel
    }

    /// Evaluates the reading of a cycle. `command_volts` is the command since the last one.
    #[inline]
    pub fn update(
        &self,
        state: &mut FeedbackState,
        sample: &Sample<Angle>,
        command_volts: f64,
    ) -> Reading {
        match sample.value {
            Ok(angle) => self.accept(state, angle, sample.at, command_volts),
            Err(error) => self.failed(state, error),
        }
    }

    #[cold]
    #[inline(never)]
    fn failed(&self, state: &mut FeedbackState, error: InputError) -> Reading {
        let (fault, tolerated) = match error {
            InputError::Bus => (Fault::FeedbackBus, true),
            InputError::Parity => (Fault::FeedbackParity, true),
            InputError::Framing => (Fault::FeedbackFraming, true),
            InputError::NotRead | InputError::OutOfRange | InputError::Stale => {
                (Fault::FeedbackInvalid, true)
            }
            InputError::NotReady => (Fault::FeedbackNotReady, false),
            InputError::FieldWeak => (Fault::FieldWeak, false),
            InputError::FieldStrong => (Fault::FieldStrong, false),
        };
        state.healthy = false;
        state.failures = state.failures.saturating_add(1);
        if tolerated && state.failures <= self.tolerated_failures {
            return Reading::Held(fault);
        }
        self.set_velocity(state, 0.0);
        Reading::Failed(fault)
    }

    #[inline]
    fn accept(
        &self,
        state: &mut FeedbackState,
        angle: Angle,
        at: Instant,
        command_volts: f64,
    ) -> Reading {
        state.failures = 0;
        state.measured_at = at;
        if !state.known {
            self.begin(state, angle, at);
            return Reading::Fresh;
        }
        let distance = at.since(state.at);
        let distance_s = distance.as_secs_f64();
        let delta = if distance < self.direct_distance {
            i64::from(angle.wrapping_difference(state.angle))
        } else {
            self.nearest_to_prediction(state, angle, distance_s)
        };
        let total = state.total.wrapping_add(delta);
        self.place(state, total);
        if distance < self.least_distance {
            return self.near(state, delta, total, angle);
        }
        state.compare_with(total, angle, at);
        if self.is_jump(delta, distance_s) {
            return self.jumped(state);
        }
        let velocity = delta as f64 * self.scale / distance_s;
        state.velocity_rad_s = self.filter.step(&mut state.filter, velocity);
        if distance >= self.long_distance {
            self.go_on(state, velocity, distance);
        }
        if delta == 0 && command_volts.abs() >= self.frozen_command_volts {
            return self.unmoved(state);
        }
        state.unchanged = 0;
        state.healthy = true;
        Reading::Fresh
    }

    /// The change of the angle that is nearest to the one that the velocity predicts.
    // Cold, so that the usual reading keeps its values in registers.
    #[cold]
    #[inline(never)]
    fn nearest_to_prediction(&self, state: &FeedbackState, angle: Angle, distance_s: f64) -> i64 {
        let lead = (state.velocity_rad_s * self.units_per_rad * distance_s) as i64;
        let led_to = Angle(state.angle.0.wrapping_add(lead as u32));
        lead.wrapping_add(i64::from(angle.wrapping_difference(led_to)))
    }

    /// Takes the first reading.
    #[cold]
    #[inline(never)]
    fn begin(&self, state: &mut FeedbackState, angle: Angle, at: Instant) {
        // From half a turn below zero to half a turn above, so that an axis at rest a little
        // below zero does not start one turn above it.
        let total = i64::from(angle.wrapping_difference(Angle(0)));
        state.known = true;
        state.healthy = true;
        self.place(state, total);
        self.set_velocity(state, 0.0);
        state.compare_with(total, angle, at);
    }

    /// A reading equal to the last one although the motor is driven.
    #[cold]
    #[inline(never)]
    fn unmoved(&self, state: &mut FeedbackState) -> Reading {
        state.unchanged = state.unchanged.saturating_add(1);
        state.healthy = state.unchanged < self.frozen_cycles;
        if state.healthy {
            return Reading::Fresh;
        }
        state.unchanged = 0;
        Reading::Failed(Fault::FeedbackFrozen)
    }

    /// A reading too close to the last one for a velocity.
    #[cold]
    fn near(&self, state: &mut FeedbackState, delta: i64, total: i64, angle: Angle) -> Reading {
        // The distance is too short to be known well, so the least distance is used.
        if self.is_jump(delta, self.least_distance.as_secs_f64()) {
            state.compare_with(total, angle, state.measured_at);
            return self.jumped(state);
        }
        state.healthy = true;
        Reading::Fresh
    }

    /// Advances the low pass by the remaining periods of the distance, rounded.
    #[cold]
    fn go_on(&self, state: &mut FeedbackState, velocity: f64, distance: Duration) {
        let more = distance.saturating_sub(self.least_distance) / self.period;
        for _ in 0..more.min(STEPS_MAX - 1) {
            state.velocity_rad_s = self.filter.step(&mut state.filter, velocity);
        }
    }

    fn is_jump(&self, delta: i64, distance_s: f64) -> bool {
        (delta as f64).abs() > self.units_per_s * distance_s + self.slack_units
    }

    #[cold]
    fn jumped(&self, state: &mut FeedbackState) -> Reading {
        self.set_velocity(state, 0.0);
        state.healthy = false;
        Reading::Failed(Fault::FeedbackJump)
    }

    fn place(&self, state: &mut FeedbackState, total: i64) {
        state.position_rad = total as f64 * self.scale + self.offset_rad;
    }

    /// Moves the origin so that the position increases by `by_rad`, rounded to the unit of
    /// [`Angle`]; returns by how much it did.
    pub fn shift(&self, state: &mut FeedbackState, by_rad: f64) -> f64 {
        let before = state.position_rad;
        let units = libm::round(by_rad * self.units_per_rad) as i64;
        state.total = state.total.wrapping_add(units);
        state.position_rad += units as f64 * self.scale;
        state.position_rad - before
    }

    fn set_velocity(&self, state: &mut FeedbackState, velocity_rad_s: f64) {
        state.velocity_rad_s = velocity_rad_s;
        state.filter = self.filter.settled(velocity_rad_s);
    }
}

impl FeedbackState {
    /// The state before the first reading.
    pub const UNKNOWN: Self = Self {
        measured_at: Instant::from_nanos(0),
        total: 0,
        angle: Angle(0),
        at: Instant::from_nanos(0),
        known: false,
        healthy: false,
        failures: 0,
        unchanged: 0,
        position_rad: 0.0,
        velocity_rad_s: 0.0,
        filter: BiquadState::REST,
    };

    /// Makes this reading the one that the next is compared with.
    const fn compare_with(&mut self, total: i64, angle: Angle, at: Instant) {
        self.total = total;
        self.angle = angle;
        self.at = at;
    }

    /// The instant at which the position was true.
    pub const fn measured_at(&self) -> Instant {
        self.measured_at
    }

    /// Position of the axis, rad, including turns; 0 before the first reading.
    pub const fn position_rad(&self) -> f64 {
        self.position_rad
    }

    /// Filtered velocity of the axis, rad/s.
    pub const fn velocity_rad_s(&self) -> f64 {
        self.velocity_rad_s
    }

    /// Whether the last reading was good.
    pub const fn is_healthy(&self) -> bool {
        self.healthy
    }
}

#[cfg(test)]
mod tests;
