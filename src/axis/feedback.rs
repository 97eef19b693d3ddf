//! From encoder readings to a position and a velocity that can be trusted.
//!
//! What it promises:
//! - The position counts turns: it is the sum of the shortest ways between
//!   readings. After skipped slots the way is taken nearest to where the last
//!   velocity leads, so several turns of the motor shaft are not lost with them.
//! - The velocity is the difference over the time that really passed, low-pass
//!   filtered; skipped slots or missed readings make no spike.
//! - A reading that failed is tolerated a configured number of times in a row,
//!   the last value held; one that is implausible is a fault at once.
//!
//! What it cannot know: turns made while readings failed for longer than that.
//! An axis whose range is more than one turn of its encoder must be referenced
//! again after such a fault.
//!
//! Cost of a reading: some fifteen operations; a division only after a gap.

use super::fault::Fault;
use crate::control::filter::BUTTERWORTH;
use crate::control::param::{self, ParameterError};
use crate::control::{Biquad, BiquadState};
use crate::cycle::image::{Angle, InputError, MAX_POSITIONS, RADIANS_PER_UNIT};
use crate::time::Duration;

/// An encoder and how the axis hangs on it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct FeedbackConfig {
    /// Encoder channel of the process image.
    pub encoder_channel: u8,
    /// Turns of the encoder for one turn of the axis, greater than 0.
    pub gear_ratio: f64,
    /// Whether a growing reading means motion in negative direction.
    pub encoder_inverted: bool,
    /// Position of the axis where the encoder reads 0, rad.
    pub offset_rad: f64,
    /// The fastest that the axis can physically move, rad/s, greater than 0. In
    /// one period the encoder must turn by less than half a turn at this speed.
    pub plausible_velocity_rad_s: f64,
    /// Cut-off of the velocity's low pass, Hz, below half the sample rate.
    pub velocity_cutoff_hz: f64,
    /// Failed readings in a row that are tolerated, 0 to 100.
    pub tolerated_failures: u16,
    /// When a position that does not change at all is a fault; `None` for
    /// never, where the axis may be blocked on purpose.
    pub frozen: Option<Frozen>,
}

/// When a position that does not change at all is a fault.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Frozen {
    /// Readings in a row without any change, at least 1.
    pub frozen_cycles: u32,
    /// Command from which on movement is expected, volts, greater than 0.
    pub frozen_command_volts: f64,
}

/// Validated feedback.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Feedback {
    channel: u8,
    /// Radians of the axis per 2^-32 turns of the encoder, signed.
    scale: f64,
    /// The same divided by the period: velocity per unit and slot.
    velocity_scale: f64,
    /// Its reciprocal: units per slot for each rad/s.
    units_per_velocity: f64,
    offset_rad: f64,
    /// Greatest plausible change in one slot, units.
    units_per_slot: f64,
    filter: Biquad,
    tolerated_failures: u16,
    frozen_cycles: u32,
    frozen_command_volts: f64,
}

/// What is known of an axis' motion.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct FeedbackState {
    /// Sum of all ways, in 2^-32 turns of the encoder. 2^63 of them are more
    /// turns than any machine makes.
    total: i64,
    angle: Angle,
    known: bool,
    healthy: bool,
    failures: u16,
    /// Slots since the last good reading.
    age_slots: u32,
    unchanged: u32,
    position_rad: f64,
    velocity_rad_s: f64,
    filter: BiquadState,
}

/// What a reading was worth.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Position and velocity are new, after this many slots.
    Fresh(u32),
    /// The reading failed and is tolerated, the last value is held. It will be
    /// this fault if it goes on.
    Held(Fault),
    /// The feedback cannot be trusted.
    Failed(Fault),
}

/// What an encoder at rest may jitter by: 1/1024 of a turn. An AS5047P's least
/// bit is a sixteenth of that.
const JITTER_UNITS: f64 = 4_294_967_296.0 / 1_024.0;

/// Most failures that can be tolerated in a row.
const TOLERATED_MAX: u16 = 100;

impl FeedbackConfig {
    /// Validates and precomputes for readings every `period`.
    ///
    /// # Errors
    /// The first parameter outside of the range that its documentation states.
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
        Ok(Feedback {
            channel: self.encoder_channel,
            scale,
            velocity_scale: scale / period_s,
            units_per_velocity: period_s / scale,
            offset_rad: self.offset_rad,
            units_per_slot: self.plausible_velocity_rad_s * period_s / magnitude,
            filter,
            tolerated_failures: self.tolerated_failures,
            frozen_cycles: self.frozen.map_or(u32::MAX, |f| f.frozen_cycles),
            frozen_command_volts: self.frozen.map_or(f64::MAX, |f| f.frozen_command_volts),
        })
    }
}

impl Feedback {
    /// Encoder channel of the process image.
    pub const fn channel(&self) -> u8 {
        self.channel
    }

    /// Takes one reading, `elapsed` slots (at least 1) after the last call;
    /// `command_volts` is what the motor was driven with in between.
    pub fn update(
        &self,
        state: &mut FeedbackState,
        reading: Result<Angle, InputError>,
        elapsed: u32,
        command_volts: f64,
    ) -> Reading {
        state.age_slots = state.age_slots.saturating_add(elapsed);
        let (fault, tolerated) = match reading {
            Ok(angle) => return self.accept(state, angle, command_volts),
            Err(InputError::Bus) => (Fault::FeedbackBus, true),
            Err(InputError::Parity) => (Fault::FeedbackParity, true),
            Err(InputError::Framing) => (Fault::FeedbackFraming, true),
            Err(InputError::NotRead | InputError::OutOfRange) => (Fault::FeedbackInvalid, true),
            Err(InputError::NotReady) => (Fault::FeedbackNotReady, false),
            Err(InputError::FieldWeak) => (Fault::FieldWeak, false),
            Err(InputError::FieldStrong) => (Fault::FieldStrong, false),
        };
        state.healthy = false;
        state.failures = state.failures.saturating_add(1);
        if tolerated && state.failures <= self.tolerated_failures {
            return Reading::Held(fault);
        }
        self.set_velocity(state, 0.0);
        Reading::Failed(fault)
    }

    fn accept(&self, state: &mut FeedbackState, angle: Angle, command_volts: f64) -> Reading {
        let slots = core::mem::take(&mut state.age_slots);
        state.failures = 0;
        if !state.known {
            // Half a turn to either side of zero, so that an axis that rests a
            // little below zero does not start a turn above it.
            state.known = true;
            state.total = i64::from(angle.wrapping_difference(Angle(0)));
            state.angle = angle;
            self.place(state);
            self.set_velocity(state, 0.0);
            state.healthy = true;
            return Reading::Fresh(slots);
        }
        let way = self.way(state, angle, slots);
        state.total += way;
        state.angle = angle;
        self.place(state);
        let slots_f = f64::from(slots);
        if (way as f64).abs() > self.units_per_slot * slots_f + JITTER_UNITS {
            self.set_velocity(state, 0.0);
            state.healthy = false;
            return Reading::Failed(Fault::FeedbackJump);
        }
        let mut velocity = way as f64 * self.velocity_scale;
        if slots > 1 {
            velocity /= slots_f;
        }
        state.velocity_rad_s = self.filter.step(&mut state.filter, velocity);
        if way == 0 && command_volts.abs() >= self.frozen_command_volts {
            state.unchanged = state.unchanged.saturating_add(1);
        } else {
            state.unchanged = 0;
        }
        if state.unchanged >= self.frozen_cycles {
            state.unchanged = 0;
            state.healthy = false;
            return Reading::Failed(Fault::FeedbackFrozen);
        }
        state.healthy = true;
        Reading::Fresh(slots)
    }

    /// The way from the last angle to `angle`, in units. Over one slot it is
    /// the shortest; over more it is the one nearest to the velocity's lead.
    fn way(&self, state: &FeedbackState, angle: Angle, slots: u32) -> i64 {
        let lead = if slots > 1 {
            (state.velocity_rad_s * self.units_per_velocity * f64::from(slots)) as i64
        } else {
            0
        };
        let led_to = Angle(state.angle.0.wrapping_add(lead as u32));
        lead + i64::from(angle.wrapping_difference(led_to))
    }

    fn place(&self, state: &mut FeedbackState) {
        state.position_rad = state.total as f64 * self.scale + self.offset_rad;
    }

    fn set_velocity(&self, state: &mut FeedbackState, velocity_rad_s: f64) {
        state.velocity_rad_s = velocity_rad_s;
        state.filter = self.filter.settled(velocity_rad_s);
    }
}

impl FeedbackState {
    /// Before the first reading.
    pub const UNKNOWN: Self = Self {
        total: 0,
        angle: Angle(0),
        known: false,
        healthy: false,
        failures: 0,
        age_slots: 0,
        unchanged: 0,
        position_rad: 0.0,
        velocity_rad_s: 0.0,
        filter: BiquadState::REST,
    };

    /// Position of the axis, rad, turns included; 0 before the first reading.
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
