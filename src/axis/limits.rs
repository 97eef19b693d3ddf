//! Limits of an axis: position range, limit switches, velocity, following error.
//!
//! A limit at an end of the range is a fault only for motion towards that end, so an axis on a
//! switch can be reset, held and moved away, but not pushed further. A normally closed switch
//! reads a broken wire as a hit. Both switches at once mean a broken wire or supply: a fault of
//! its own, also without power. The following error is that of CiA 402: a fault when it exceeds
//! its window (6065h) for longer than its time-out (6066h), counted in cycles with a reading, so
//! that one reading after a long gap is not a long error. A target may lie at the end of the
//! range, so the position may exceed it by that window. Cost of a check: about ten comparisons.

use super::fault::Fault;
use crate::control::param::{self, ParameterError};
use crate::cycle::image::{DigitalInputs, InputChannel};
use crate::time::Duration;

/// A limit switch at an end of the range.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LimitSwitch {
    /// Digital input channel of the process image.
    pub channel: InputChannel,
    /// Whether the input is active while the switch is NOT hit. Choose this wiring: a broken
    /// wire then stops the axis.
    pub normally_closed: bool,
}

/// The range of positions (CiA 402 object 607Dh, software position limit).
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct PositionRange {
    /// Lower end, rad.
    pub min_rad: f64,
    /// Upper end, rad, greater than the lower end.
    pub max_rad: f64,
}

/// Limits of an axis.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LimitsConfig {
    /// Allowed positions; `None` for an axis that turns endlessly.
    pub position: Option<PositionRange>,
    /// Largest measured velocity, rad/s, greater than 0.
    pub max_velocity_rad_s: f64,
    /// Largest command in either direction, volts, greater than 0.
    pub max_command_volts: f64,
    /// The switch at the negative end.
    pub negative_switch: Option<LimitSwitch>,
    /// The switch at the positive end.
    pub positive_switch: Option<LimitSwitch>,
    /// Window of the following error, rad, greater than 0.
    pub following_error_window_rad: f64,
    /// Longest time outside of the window; zero to tolerate none.
    pub following_error_timeout: Duration,
}

/// Validated limits.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Limits {
    config: LimitsConfig,
    /// The range with its margin, infinite without a range.
    min_rad: f64,
    max_rad: f64,
    timeout_cycles: u32,
    /// Whether both ends have a switch, so that they can contradict each other.
    has_both: bool,
}

/// How long the following error has exceeded its window, and whether both switches are hit.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsState {
    cycles_outside: u32,
    both_hit: bool,
}

impl LimitsState {
    /// No following error, no switch hit.
    pub const NONE: Self = Self {
        cycles_outside: 0,
        both_hit: false,
    };

    /// Whether both switches were hit at the last check.
    pub const fn both_hit(&self) -> bool {
        self.both_hit
    }
}

/// `span` in periods, rounded up, at most `u32::MAX`.
pub(super) fn periods(span: Duration, period: Duration) -> u32 {
    let count = span.as_nanos().div_ceil(period.as_nanos().max(1));
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl LimitSwitch {
    /// Whether the switch is hit, or was hit for a moment since the last cycle.
    #[inline]
    pub const fn is_hit(self, digital: &DigitalInputs) -> bool {
        if self.normally_closed {
            let bit = self.channel.bit();
            digital.levels & bit == 0 || digital.fell & bit != 0
        } else {
            digital.was_active(self.channel)
        }
    }

    /// Whether it is hit; false without digital inputs.
    #[inline(never)]
    fn ends(self, digital: Option<&DigitalInputs>) -> bool {
        digital.is_some_and(|digital| self.is_hit(digital))
    }
}

impl LimitsConfig {
    /// Validates the limits for cycles of `period`.
    ///
    /// # Errors
    /// The first parameter outside of its documented range.
    pub fn build(&self, period: Duration) -> Result<Limits, ParameterError> {
        param::positive("period", period.as_secs_f64())?;
        if let Some(range) = self.position {
            param::interval("position.max_rad", range.min_rad, range.max_rad)?;
        }
        for (name, value) in [
            ("max_velocity_rad_s", self.max_velocity_rad_s),
            ("max_command_volts", self.max_command_volts),
            (
                "following_error_window_rad",
                self.following_error_window_rad,
            ),
        ] {
            param::positive(name, value)?;
        }
        let margin = self.following_error_window_rad;
        Ok(Limits {
            config: *self,
            min_rad: self
                .position
                .map_or(f64::NEG_INFINITY, |r| r.min_rad - margin),
            max_rad: self.position.map_or(f64::INFINITY, |r| r.max_rad + margin),
            timeout_cycles: periods(self.following_error_timeout, period),
            has_both: self.negative_switch.is_some() && self.positive_switch.is_some(),
        })
    }
}

impl Limits {
    /// The configuration of the limits.
    pub const fn config(&self) -> &LimitsConfig {
        &self.config
    }

    /// Whether a limit needs the digital inputs.
    pub const fn needs_digital(&self) -> bool {
        self.config.negative_switch.is_some() || self.config.positive_switch.is_some()
    }

    /// The switch at the end towards which a velocity leads.
    #[inline]
    pub fn switch_towards(&self, velocity_rad_s: f64) -> Option<LimitSwitch> {
        if velocity_rad_s > 0.0 {
            self.config.positive_switch
        } else if velocity_rad_s < 0.0 {
            self.config.negative_switch
        } else {
            None
        }
    }

    /// Whether both switches are hit; checked with power and without. False for an axis without
    /// two switches. Without digital inputs the last result stays.
    #[inline]
    pub fn both_switches_hit(
        &self,
        state: &mut LimitsState,
        digital: Option<&DigitalInputs>,
    ) -> bool {
        self.has_both && self.compare_switches(state, digital)
    }

    // Not inlined, here and below: an axis without switches does not load the inputs.
    #[inline(never)]
    fn compare_switches(&self, state: &mut LimitsState, digital: Option<&DigitalInputs>) -> bool {
        if let (Some(negative), Some(positive), Some(digital)) = (
            self.config.negative_switch,
            self.config.positive_switch,
            digital,
        ) {
            state.both_hit = negative.is_hit(digital) && positive.is_hit(digital);
        }
        state.both_hit
    }

    /// Whether a velocity exceeds its limit.
    #[inline]
    pub fn is_overspeed(&self, velocity_rad_s: f64) -> bool {
        velocity_rad_s.abs() > self.config.max_velocity_rad_s
    }

    /// Checks one cycle of an axis under power. `error_rad` is the position of the setpoint
    /// minus `position_rad`. Without digital inputs the switches are not checked; unreadable
    /// inputs are a fault of their own.
    #[inline]
    pub fn check(
        &self,
        state: &mut LimitsState,
        position_rad: f64,
        velocity_rad_s: f64,
        setpoint_velocity_rad_s: f64,
        error_rad: f64,
        digital: Option<&DigitalInputs>,
    ) -> Option<Fault> {
        if error_rad.abs() > self.config.following_error_window_rad {
            state.cycles_outside = state.cycles_outside.saturating_add(1);
        } else {
            state.cycles_outside = 0;
        }
        if self.is_overspeed(velocity_rad_s) {
            return Some(Fault::Overspeed);
        }
        if let Some(fault) = self.blocks(position_rad, setpoint_velocity_rad_s, digital) {
            return Some(fault);
        }
        self.is_off_track(state).then_some(Fault::FollowingError)
    }

    /// Whether the following error has exceeded its window for longer than its time-out.
    #[inline]
    pub const fn is_off_track(&self, state: &LimitsState) -> bool {
        state.cycles_outside > self.timeout_cycles
    }

    /// The limit that forbids motion at `velocity_rad_s` from `position_rad`. Velocity 0 is
    /// never forbidden.
    #[inline]
    pub fn blocks(
        &self,
        position_rad: f64,
        velocity_rad_s: f64,
        digital: Option<&DigitalInputs>,
    ) -> Option<Fault> {
        let hit = |switch: Option<LimitSwitch>| switch.is_some_and(|switch| switch.ends(digital));
        if velocity_rad_s > 0.0 {
            if hit(self.config.positive_switch) {
                return Some(Fault::PositiveLimitSwitch);
            }
            (position_rad > self.max_rad).then_some(Fault::PositivePositionLimit)
        } else if velocity_rad_s < 0.0 {
            if hit(self.config.negative_switch) {
                return Some(Fault::NegativeLimitSwitch);
            }
            (position_rad < self.min_rad).then_some(Fault::NegativePositionLimit)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(1);
    const CLOSED: LimitSwitch = LimitSwitch {
        channel: InputChannel::new(3).unwrap(),
        normally_closed: true,
    };
    const OPEN: LimitSwitch = LimitSwitch {
        channel: InputChannel::new(4).unwrap(),
        normally_closed: false,
    };

    fn config() -> LimitsConfig {
        LimitsConfig {
            position: Some(PositionRange {
                min_rad: -1.0,
                max_rad: 2.0,
            }),
            max_velocity_rad_s: 10.0,
            max_command_volts: 5.0,
            negative_switch: Some(CLOSED),
            positive_switch: Some(OPEN),
            following_error_window_rad: 0.1,
            following_error_timeout: Duration::from_millis(3),
        }
    }

    fn inputs(levels: u32) -> DigitalInputs {
        DigitalInputs {
            levels,
            ..DigitalInputs::default()
        }
    }

    #[test]
    fn a_broken_wire_of_a_normally_closed_switch_reads_as_a_hit() {
        assert!(CLOSED.is_hit(&inputs(0)));
        assert!(!CLOSED.is_hit(&inputs(1 << 3)));
        assert!(OPEN.is_hit(&inputs(1 << 4)));
        assert!(!OPEN.is_hit(&inputs(0)));
    }

    #[test]
    fn a_touch_shorter_than_a_period_is_a_hit() {
        let mut bounced = inputs(1 << 3);
        (bounced.fell, bounced.rose) = (1 << 3, 1 << 3);
        assert!(CLOSED.is_hit(&bounced));
        let mut bounced = inputs(0);
        (bounced.fell, bounced.rose) = (1 << 4, 1 << 4);
        assert!(OPEN.is_hit(&bounced));
    }

    #[test]
    fn a_limit_switch_blocks_only_motion_towards_it() {
        let limits = config().build(PERIOD).unwrap();
        let (free, both) = (inputs(1 << 3), inputs(1 << 4));
        assert_eq!(limits.blocks(0.0, 1.0, Some(&free)), None);
        assert_eq!(limits.blocks(0.0, -1.0, Some(&free)), None);
        let (p, n) = (Fault::PositiveLimitSwitch, Fault::NegativeLimitSwitch);
        assert_eq!(limits.blocks(0.0, 1.0, Some(&both)), Some(p));
        assert_eq!(limits.blocks(0.0, -1.0, Some(&both)), Some(n));
        assert_eq!(limits.blocks(0.0, 0.0, Some(&both)), None);
        let (p, n) = (Fault::PositivePositionLimit, Fault::NegativePositionLimit);
        assert_eq!(limits.blocks(2.09, 1.0, Some(&free)), None);
        assert_eq!(limits.blocks(-1.09, -1.0, Some(&free)), None);
        assert_eq!(limits.blocks(2.11, 1.0, Some(&free)), Some(p));
        assert_eq!(limits.blocks(2.11, -1.0, Some(&free)), None);
        assert_eq!(limits.blocks(-1.11, -1.0, Some(&free)), Some(n));
        assert_eq!(limits.blocks(-1.11, 1.0, Some(&free)), None);
    }

    #[test]
    fn a_following_error_is_a_fault_after_an_uninterrupted_time_out() {
        let limits = config().build(PERIOD).unwrap();
        let mut state = LimitsState::default();
        let mut check = |position| limits.check(&mut state, position, 0.0, 0.0, -position, None);
        for _ in 0..5 {
            for _ in 0..3 {
                assert_eq!(check(0.11), None);
            }
            assert_eq!(check(0.09), None);
        }
        for _ in 0..3 {
            assert_eq!(check(-0.11), None);
        }
        assert_eq!(check(-0.11), Some(Fault::FollowingError));
    }

    #[test]
    fn overspeed_is_a_fault_in_both_directions() {
        let limits = config().build(PERIOD).unwrap();
        let check = |v| limits.check(&mut LimitsState::default(), 0.0, v, 0.0, 0.0, None);
        assert_eq!(check(10.0), None);
        assert_eq!(check(10.1), Some(Fault::Overspeed));
        assert_eq!(check(-10.1), Some(Fault::Overspeed));
    }

    #[test]
    fn times_round_up_to_whole_periods() {
        assert_eq!(periods(Duration::ZERO, PERIOD), 0);
        assert_eq!(periods(Duration::from_nanos(1), PERIOD), 1);
        assert_eq!(periods(Duration::from_micros(2_001), PERIOD), 3);
        assert_eq!(periods(Duration::from_nanos(u64::MAX), PERIOD), u32::MAX);
    }

    #[test]
    fn each_invalid_parameter_is_named() {
        type Spoil = fn(&mut LimitsConfig);
        let cases: [(&str, Spoil); 5] = [
            ("position.max_rad", |c| {
                c.position = Some(PositionRange {
                    min_rad: 1.0,
                    max_rad: -1.0,
                });
            }),
            ("position.max_rad", |c| {
                c.position = Some(PositionRange {
                    min_rad: f64::NAN,
                    max_rad: 1.0,
                });
            }),
            ("max_velocity_rad_s", |c| c.max_velocity_rad_s = -1.0),
            ("max_command_volts", |c| c.max_command_volts = f64::NAN),
            ("following_error_window_rad", |c| {
                c.following_error_window_rad = 0.0
            }),
        ];
        for (name, spoil) in cases {
            let mut spoilt = config();
            spoil(&mut spoilt);
            assert_eq!(spoilt.build(PERIOD).unwrap_err().name, name);
        }
        assert_eq!(config().build(Duration::ZERO).unwrap_err().name, "period");
    }
}
