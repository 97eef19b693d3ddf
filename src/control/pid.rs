//! A PID controller in parallel form at a fixed period.
//!
//! ```text
//! u = kp (r - y) + I - D + feed-forward,   clamped to the output limits
//! I' = ki (r - y) + (u_clamped - u) / Tt   while ki > 0
//! D  = kd s / (1 + s / (2 pi f)) y
//! ```
//!
//! Derivative on the measurement, with a filter; anti-windup by back-calculation; bumpless
//! start ([`Pid::track`]); non-finite arguments give no output. [`Pid`] has the details.
//! Cost of a step: about 15 floating point operations including one division.

use super::least_distance;
use super::param::{self, ParameterError};
use crate::time::{Duration, Instant};

/// Gains of a PID controller. The units of input and output are free, such as radians and
/// volts for a servo.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Gains {
    /// Proportional gain, output units per input unit, 0 or more.
    pub kp: f64,
    /// Integral gain, output units per input unit and second, 0 or more.
    pub ki: f64,
    /// Derivative gain, output units per (input unit per second), 0 or more.
    pub kd: f64,
    /// Cut-off frequency of the derivative's filter, Hz, greater than 0 and below half the
    /// sample rate.
    pub derivative_cutoff_hz: f64,
    /// Time constant `Tt` with which the integrator follows a limited output, s, at least
    /// one period. Usual values are between the derivative time kd/kp and the integral time
    /// kp/ki.
    pub tracking_time_s: f64,
}

/// Configuration of a [`Pid`].
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct PidConfig {
    /// The gains.
    pub gains: Gains,
    /// Lower limit of the output.
    pub output_min: f64,
    /// Upper limit of the output, above the lower.
    pub output_max: f64,
}

/// A validated PID controller: constant coefficients; the state is [`PidState`].
///
/// - The derivative acts on the measurement, so a step of the setpoint causes no kick. Its
///   first-order filter with cut-off `f` limits the amplification of noise (Åström and
///   Murray, Feedback Systems, 2nd edition, section 11.5). The backward difference is stable
///   for every cut-off.
/// - Anti-windup is back-calculation with the tracking time `Tt` (section 11.4): while the
///   output is limited, the integrator moves towards the value at which the output leaves
///   the limit. `Tt` sets the time of recovery.
/// - A start is bumpless: [`Pid::track`] presets the integrator for a given output.
/// - A non-finite setpoint, measurement or feed-forward gives [`None`] and leaves the state
///   unchanged.
///
/// ```
/// use steadfast::control::{Gains, PidConfig, PidState};
/// use steadfast::time::{Duration, Instant};
///
/// let gains = Gains {
///     kp: 2.0,
///     ki: 5.0,
///     kd: 0.0,
///     derivative_cutoff_hz: 100.0,
///     tracking_time_s: 0.1,
/// };
/// let config = PidConfig { gains, output_min: -10.0, output_max: 10.0 };
/// let pid = config.build(Duration::from_millis(1))?;
/// let mut state = PidState::REST;
/// let measured_at = Instant::from_nanos(1_000_000);
/// let output = pid.step(&mut state, 1.0, 0.25, 0.0, measured_at);
/// assert_eq!(output, Some(1.5));
/// # Ok::<(), steadfast::control::ParameterError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Pid {
    kp: f64,
    kd: f64,
    /// ki times the period.
    integral_gain: f64,
    /// Period over tracking time; 0 if ki is 0, because tracking would create integral
    /// action.
    tracking_gain: f64,
    derivative_pole: f64,
    /// Derivative gain times the weight of a new value in the filter.
    rate_gain: f64,
    /// Minimum time between two measurements for a rate.
    least_distance: Duration,
    output_min: f64,
    output_max: f64,
}

/// State of a [`Pid`].
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct PidState {
    integral: f64,
    derivative: f64,
    /// The last measurement used for a rate, and its time.
    measurement: f64,
    measured_at: Instant,
}

impl PidState {
    /// The state before the first step: all values are zero.
    pub const REST: Self = Self {
        integral: 0.0,
        derivative: 0.0,
        measurement: 0.0,
        measured_at: Instant::from_nanos(0),
    };
}

impl PidConfig {
    /// Validates the parameters and computes the coefficients for steps of `period`.
    ///
    /// # Errors
    /// [`ParameterError`] for the first parameter that is not finite or outside its
    /// documented range.
    pub fn build(&self, period: Duration) -> Result<Pid, ParameterError> {
        let h = param::positive("period", period.as_secs_f64())?;
        let g = &self.gains;
        for (name, gain) in [("kp", g.kp), ("ki", g.ki), ("kd", g.kd)] {
            param::at_least(name, gain, 0.0)?;
        }
        let cutoff = super::below_nyquist("derivative_cutoff_hz", g.derivative_cutoff_hz, 1.0 / h)?;
        param::at_least("tracking_time_s", g.tracking_time_s, h)?;
        param::interval("output_max", self.output_min, self.output_max)?;
        let filter_time = 1.0 / (core::f64::consts::TAU * cutoff);
        Ok(Pid {
            kp: g.kp,
            kd: g.kd,
            integral_gain: g.ki * h,
            tracking_gain: if g.ki > 0.0 {
                h / g.tracking_time_s
            } else {
                0.0
            },
            derivative_pole: filter_time / (filter_time + h),
            rate_gain: g.kd * h / (filter_time + h),
            least_distance: least_distance(period),
            output_min: self.output_min,
            output_max: self.output_max,
        })
    }
}

impl Pid {
    /// One step: the output for `setpoint` and `measurement`, limited.
    ///
    /// `feed_forward` is added before the limit. `measured_at` is the time of the
    /// measurement: the derivative divides by the time since the last measurement, not by
    /// the period, and is held if that is less than half a period (see
    /// [`least_distance`]). The integrator advances by one period in each step; the error
    /// during skipped periods is unknown.
    ///
    /// `None` if the output would not be finite; the state is then unchanged.
    #[inline]
    #[must_use]
    pub fn step(
        &self,
        state: &mut PidState,
        setpoint: f64,
        measurement: f64,
        feed_forward: f64,
        measured_at: Instant,
    ) -> Option<f64> {
        let error = setpoint - measurement;
        let distance = measured_at.since(state.measured_at);
        let gives_rate = distance >= self.least_distance;
        let derivative = if gives_rate {
            let rate = (measurement - state.measurement) / distance.as_secs_f64();
            self.derivative_pole * state.derivative + self.rate_gain * rate
        } else {
            state.derivative
        };
        let free = self.kp * error + state.integral - derivative + feed_forward;
        if !free.is_finite() {
            return None;
        }
        // Not `clamp`, which checks its limits in each call. Two consecutive comparisons
        // compile to two instructions, nested ones to branches.
        let below = if self.output_max < free {
            self.output_max
        } else {
            free
        };
        let limited = if self.output_min > below {
            self.output_min
        } else {
            below
        };
        state.integral += self.integral_gain * error + self.tracking_gain * (limited - free);
        if gives_rate {
            state.derivative = derivative;
            state.measurement = measurement;
            state.measured_at = measured_at;
        }
        Some(limited)
    }

    /// Presets the integrator so that a step at rest with the same arguments gives `output`,
    /// and resets the derivative.
    ///
    /// Without integral action nothing can be preset: the output starts at the sum of the
    /// proportional part and the feed-forward, and jumps if that differs from `output`.
    pub fn track(
        &self,
        state: &mut PidState,
        output: f64,
        setpoint: f64,
        measurement: f64,
        feed_forward: f64,
        measured_at: Instant,
    ) {
        *state = PidState {
            integral: if self.integral_gain > 0.0 {
                output - self.kp * (setpoint - measurement) - feed_forward
            } else {
                0.0
            },
            derivative: 0.0,
            measurement,
            measured_at,
        };
    }

    /// Prepares `state` for `to`, the controller with other gains: its next step gives the output
    /// that a step of `self` would have given, for the same `error`, the same `rate` of the
    /// measurement, and a feed-forward that is greater by `feed_forward`.
    ///
    /// The integrator takes the difference. If neither controller has integral action, nothing
    /// would ever remove it again, so the output then jumps by what the new gains make of the
    /// error.
    pub fn hand_over(
        &self,
        state: &mut PidState,
        to: &Self,
        error: f64,
        rate: f64,
        feed_forward: f64,
    ) {
        let mut changed = (to.kp - self.kp) * error + feed_forward;
        if to.kd != self.kd {
            let derivative = to.kd * rate;
            changed -= derivative - state.derivative;
            state.derivative = derivative;
        }
        if self.integral_gain > 0.0 || to.integral_gain > 0.0 {
            state.integral -= changed;
        }
    }

    /// Moves the origin of setpoint and measurement: both increase by `by`. The output does not
    /// change.
    pub fn shift(&self, state: &mut PidState, by: f64) {
        state.measurement += by;
    }

    /// The derivative gain. If the setpoint is a smooth profile, its velocity times this gain
    /// as feed-forward compensates the drag of the derivative on the measurement.
    pub const fn derivative_gain(&self) -> f64 {
        self.kd
    }

    /// The limits of the output, lower and upper.
    pub const fn output_limits(&self) -> (f64, f64) {
        (self.output_min, self.output_max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::param::ParameterErrorKind;
    use super::*;

    const PERIOD: Duration = Duration::from_millis(1);

    /// After `k` periods.
    fn at(k: u32) -> Instant {
        Instant::from_nanos(u64::from(k) * PERIOD.as_nanos())
    }

    fn config() -> PidConfig {
        PidConfig {
            gains: Gains {
                kp: 2.0,
                ki: 5.0,
                kd: 0.1,
                derivative_cutoff_hz: 100.0,
                tracking_time_s: 0.1,
            },
            output_min: -10.0,
            output_max: 10.0,
        }
    }

    #[test]
    fn each_invalid_parameter_is_named() {
        type Spoil = fn(&mut PidConfig);
        let cases: [(&str, Spoil); 10] = [
            ("kp", |c| c.gains.kp = f64::NAN),
            ("kp", |c| c.gains.kp = -1.0),
            ("ki", |c| c.gains.ki = f64::INFINITY),
            ("kd", |c| c.gains.kd = -0.1),
            ("derivative_cutoff_hz", |c| {
                c.gains.derivative_cutoff_hz = 0.0
            }),
            ("derivative_cutoff_hz", |c| {
                c.gains.derivative_cutoff_hz = 500.0
            }),
            ("tracking_time_s", |c| c.gains.tracking_time_s = 0.0),
            ("output_max", |c| c.output_max = -10.0),
            ("output_max", |c| c.output_min = f64::NAN),
            ("output_max", |c| c.output_max = f64::NAN),
        ];
        assert!(config().build(PERIOD).is_ok());
        for (name, spoil) in cases {
            let mut spoilt = config();
            spoil(&mut spoilt);
            assert_eq!(spoilt.build(PERIOD).unwrap_err().name, name);
        }
        let error = config().build(Duration::ZERO).unwrap_err();
        assert_eq!(error.name, "period");
        assert_eq!(error.kind, ParameterErrorKind::NotPositive { value: 0.0 });
    }

    #[test]
    fn a_setpoint_step_gives_no_derivative_kick() {
        let pid = config().build(PERIOD).unwrap();
        let mut state = PidState::default();
        let first = pid.step(&mut state, 1.0, 0.0, 0.0, at(1)).unwrap();
        assert_eq!(first, 2.0);
    }

    #[test]
    fn the_derivative_of_a_ramp_settles_at_kd_times_its_slope() {
        let mut c = config();
        (c.gains.kp, c.gains.ki) = (0.0, 0.0);
        let pid = c.build(PERIOD).unwrap();
        let mut state = PidState::default();
        let mut output = 0.0;
        for k in 0..200 {
            output = pid
                .step(&mut state, 0.0, 3.0 * f64::from(k) * 1e-3, 0.0, at(k))
                .unwrap();
        }
        assert!((output + 0.3).abs() < 1e-9, "{output}");
    }

    #[test]
    fn skipped_periods_cause_no_derivative_spike() {
        let mut c = config();
        (c.gains.kp, c.gains.ki) = (0.0, 0.0);
        let pid = c.build(PERIOD).unwrap();
        let mut state = PidState::default();
        for k in 0..200 {
            let _ = pid.step(&mut state, 0.0, 3.0 * f64::from(k) * 1e-3, 0.0, at(k));
        }
        let after = pid
            .step(&mut state, 0.0, 3.0 * 249.0 * 1e-3, 0.0, at(249))
            .unwrap();
        assert!((after + 0.3).abs() < 1e-9, "{after}");
    }

    #[test]
    fn measurements_of_varying_age_cause_no_derivative_spike() {
        let mut c = config();
        (c.gains.kp, c.gains.ki) = (0.0, 0.0);
        let pid = c.build(PERIOD).unwrap();
        let mut state = PidState::default();
        // Ages in periods: all 1 at first, then varying.
        let ages = (0..200).map(|_| 1).chain([0, 1, 1, 0, 0, 1, 5, 1]);
        for (k, age) in (10..).zip(ages) {
            let measured = at(k - age);
            let measurement = 3.0 * measured.as_nanos() as f64 * 1e-9;
            let output = pid.step(&mut state, 0.0, measurement, 0.0, measured);
            if k > 150 {
                assert!((output.unwrap() + 0.3).abs() < 1e-9, "{k}: {output:?}");
            }
        }
    }

    #[test]
    fn the_output_never_leaves_its_limits_and_recovers_within_the_tracking_time() {
        let pid = config().build(PERIOD).unwrap();
        let mut state = PidState::default();
        for k in 0..20_000 {
            let output = pid.step(&mut state, 100.0, 0.0, 0.0, at(k)).unwrap();
            assert_eq!(output, 10.0);
        }
        // Without anti-windup, 20 s at an error of 100 would integrate to 10,000.
        let recovered =
            (20_000..=20_500).any(|k| pid.step(&mut state, -1.0, 0.0, 0.0, at(k)).unwrap() < 0.0);
        assert!(recovered, "the output does not follow the reversed error");
    }

    #[test]
    fn a_limited_output_creates_no_integral_action_without_ki() {
        let mut c = config();
        (c.gains.ki, c.gains.kd) = (0.0, 0.0);
        let pid = c.build(PERIOD).unwrap();
        let mut state = PidState::default();
        for k in 0..100 {
            let _ = pid.step(&mut state, 100.0, 0.0, 0.0, at(k));
        }
        assert_eq!(pid.step(&mut state, 1.0, 0.0, 0.0, at(100)), Some(2.0));
    }

    #[test]
    fn the_first_output_after_track_is_the_tracked_one() {
        let pid = config().build(PERIOD).unwrap();
        let mut state = PidState::default();
        pid.track(&mut state, -3.25, 0.5, 0.75, 1.0, at(7));
        assert_eq!(pid.step(&mut state, 0.5, 0.75, 1.0, at(7)), Some(-3.25));
    }

    #[test]
    fn other_gains_go_on_from_the_same_output() {
        let pid = config().build(PERIOD).unwrap();
        type Change = fn(&mut PidConfig);
        let changes: [Change; 6] = [
            |c| c.gains.kp = 20.0,
            |c| c.gains.ki = 50.0,
            |c| c.gains.ki = 0.0,
            |c| c.gains.kd = 0.5,
            |c| c.gains.kd = 0.0,
            |c| (c.gains.kp, c.gains.kd, c.gains.derivative_cutoff_hz) = (0.0, 0.2, 20.0),
        ];
        // At a standstill with a constant error, and turning at a constant velocity.
        for (change, rate) in changes.into_iter().flat_map(|c| [(c, 0.0), (c, 3.0)]) {
            let mut state = PidState::default();
            let step = |pid: &Pid, state: &mut PidState, k: u32, feed_forward| {
                let y = rate * f64::from(k) * 1e-3;
                pid.step(state, y + 0.25, y, feed_forward, at(k)).unwrap()
            };
            for k in 0..500 {
                let _ = step(&pid, &mut state, k, 1.0);
            }
            let mut old = state;
            let mut c = config();
            change(&mut c);
            let to = c.build(PERIOD).unwrap();
            pid.hand_over(&mut state, &to, 0.25, rate, 0.5);
            let expected = step(&pid, &mut old, 500, 1.0);
            let found = step(&to, &mut state, 500, 1.5);
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn without_integral_action_other_gains_leave_no_trace() {
        let mut c = config();
        (c.gains.ki, c.gains.kd) = (0.0, 0.0);
        let pid = c.build(PERIOD).unwrap();
        c.gains.kp = 5.0;
        let to = c.build(PERIOD).unwrap();
        let mut state = PidState::default();
        let _ = pid.step(&mut state, 1.0, 0.0, 0.0, at(1));
        pid.hand_over(&mut state, &to, 1.0, 0.0, 0.0);
        assert_eq!(to.step(&mut state, 1.0, 0.0, 0.0, at(2)), Some(5.0));
    }

    #[test]
    fn a_non_finite_argument_gives_no_output_and_changes_nothing() {
        let pid = config().build(PERIOD).unwrap();
        let mut state = PidState::default();
        let _ = pid.step(&mut state, 1.0, 0.3, 0.0, at(1));
        let before = state;
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(pid.step(&mut state, bad, 0.0, 0.0, at(2)), None);
            assert_eq!(pid.step(&mut state, 0.0, bad, 0.0, at(2)), None);
            assert_eq!(pid.step(&mut state, 0.0, 0.0, bad, at(2)), None);
            assert_eq!(state, before);
        }
    }

    #[test]
    fn integral_action_removes_a_constant_load() {
        let pid = config().build(PERIOD).unwrap();
        let (mut state, mut y) = (PidState::default(), 0.0);
        for k in 0..20_000 {
            let u = pid.step(&mut state, 1.0, y, 0.0, at(k)).unwrap();
            y += 1e-3 * (u - 4.0 - y);
        }
        assert!((y - 1.0).abs() < 1e-6, "{y}");
    }
}
