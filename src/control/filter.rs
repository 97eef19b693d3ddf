//! Second-order filters (biquads).
//!
//! Designed by the bilinear transform with a prewarped frequency (R. Bristow-Johnson,
//! "Cookbook formulae for audio EQ biquad filter coefficients"), in direct form II
//! transposed, which has the smallest rounding error of the direct forms in floating point.
//!
//! Each filter has unit gain at zero frequency and is stable for every permitted frequency
//! and quality. Cost of a step: five multiplications and four additions.

use super::param::{self, ParameterError};
use core::f64::consts::TAU;

/// Coefficients of a second-order filter, normalised to a0 = 1.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Biquad {
    b0: f64,
    b1: f64,
    b2: f64,
    a1: f64,
    a2: f64,
}

/// State of a [`Biquad`].
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct BiquadState {
    s1: f64,
    s2: f64,
}

impl BiquadState {
    /// The steady state for an input of zero.
    pub const REST: Self = Self { s1: 0.0, s2: 0.0 };
}

/// The quality of a Butterworth filter, 1/sqrt(2): no peak in the pass band.
pub const BUTTERWORTH: f64 = core::f64::consts::FRAC_1_SQRT_2;

/// The highest permitted quality.
const QUALITY_MAX: f64 = 1e3;
/// The lowest permitted quality.
const QUALITY_MIN: f64 = 1e-3;

impl Biquad {
    /// A low pass: unit gain below `frequency_hz`, gain `quality` at it, 12 dB less per
    /// octave above.
    ///
    /// `frequency_hz` is greater than 0 and below half of `sample_rate_hz`. `quality` is from
    /// 0.001 to 1000; [`BUTTERWORTH`] gives the flattest pass band.
    ///
    /// # Errors
    /// [`ParameterError`] with the name `sample_rate_hz`, `frequency_hz` or `quality`.
    pub fn low_pass(
        frequency_hz: f64,
        quality: f64,
        sample_rate_hz: f64,
    ) -> Result<Self, ParameterError> {
        let (cos, alpha) = prewarp(frequency_hz, quality, sample_rate_hz)?;
        let scale = 1.0 / (1.0 + alpha);
        let b1 = (1.0 - cos) * scale;
        Ok(Self {
            b0: 0.5 * b1,
            b1,
            b2: 0.5 * b1,
            a1: -2.0 * cos * scale,
            a2: (1.0 - alpha) * scale,
        })
    }

    /// One step: the filtered value of `input`.
    ///
    /// A non-finite input remains in the state of a recursive filter for ever: check the
    /// input first. [`Biquad::settled`] gives a new state.
    #[inline]
    #[must_use]
    pub fn step(&self, state: &mut BiquadState, input: f64) -> f64 {
        let output = self.b0 * input + state.s1;
        state.s1 = self.b1 * input - self.a1 * output + state.s2;
        state.s2 = self.b2 * input - self.a2 * output;
        output
    }

    /// The steady state for the constant input `value`: the next step with this input gives
    /// `value`, without a transient.
    #[must_use]
    pub fn settled(&self, value: f64) -> BiquadState {
        let s2 = (self.b2 - self.a2) * value;
        BiquadState {
            s1: (self.b1 - self.a1) * value + s2,
            s2,
        }
    }
}

/// Cosine of the normalised frequency and the cookbook's alpha.
fn prewarp(
    frequency_hz: f64,
    quality: f64,
    sample_rate_hz: f64,
) -> Result<(f64, f64), ParameterError> {
    param::positive("sample_rate_hz", sample_rate_hz)?;
    super::below_nyquist("frequency_hz", frequency_hz, sample_rate_hz)?;
    param::in_range("quality", quality, QUALITY_MIN, QUALITY_MAX)?;
    let omega = TAU * frequency_hz / sample_rate_hz;
    Ok((libm::cos(omega), libm::sin(omega) / (2.0 * quality)))
}

#[cfg(test)]
mod tests {
    use super::super::param::ParameterErrorKind;
    use super::*;

    const RATE_HZ: f64 = 1_000.0;

    /// Amplitude of the output for a unit sine, after the transient.
    fn gain(filter: &Biquad, frequency_hz: f64) -> f64 {
        let mut state = BiquadState::default();
        let mut peak = 0.0_f64;
        for k in 0..20_000 {
            let input = libm::sin(TAU * frequency_hz * f64::from(k) / RATE_HZ);
            let output = filter.step(&mut state, input);
            if k > 10_000 {
                peak = peak.max(output.abs());
            }
        }
        peak
    }

    #[test]
    fn a_butterworth_low_pass_has_minus_3_db_at_its_frequency() {
        let filter = Biquad::low_pass(40.0, BUTTERWORTH, RATE_HZ).unwrap();
        assert!((gain(&filter, 0.5) - 1.0).abs() < 1e-3);
        // Frequencies that are not a fraction of the rate, so that peaks are sampled.
        assert!((gain(&filter, 40.003) - BUTTERWORTH).abs() < 2e-3);
        let two_octaves_up = gain(&filter, 160.007);
        assert!(two_octaves_up < 0.065, "{two_octaves_up}");
    }

    #[test]
    fn frequencies_of_half_the_sample_rate_and_above_are_refused() {
        for frequency in [500.0, 501.0, 1e9] {
            let error = Biquad::low_pass(frequency, 1.0, RATE_HZ).unwrap_err();
            assert_eq!(error.name, "frequency_hz");
            let nyquist = ParameterErrorKind::AtOrAboveNyquist {
                nyquist_hz: 500.0,
                value_hz: frequency,
            };
            assert_eq!(error.kind, nyquist);
        }
        assert!(Biquad::low_pass(499.0, 1.0, RATE_HZ).is_ok());
    }

    #[test]
    fn each_invalid_parameter_is_named() {
        let name = |f, q, r| Biquad::low_pass(f, q, r).unwrap_err().name;
        assert_eq!(name(0.0, 1.0, RATE_HZ), "frequency_hz");
        assert_eq!(name(f64::NAN, 1.0, RATE_HZ), "frequency_hz");
        assert_eq!(name(10.0, 0.0, RATE_HZ), "quality");
        assert_eq!(name(10.0, f64::INFINITY, RATE_HZ), "quality");
        assert_eq!(name(10.0, 1.0, 0.0), "sample_rate_hz");
        assert_eq!(name(10.0, 1.0, f64::NAN), "sample_rate_hz");
    }

    #[test]
    fn a_settled_filter_starts_without_a_transient() {
        let filter = Biquad::low_pass(30.0, BUTTERWORTH, RATE_HZ).unwrap();
        let mut state = filter.settled(7.5);
        for _ in 0..1_000 {
            assert!((filter.step(&mut state, 7.5) - 7.5).abs() < 1e-9);
        }
    }

    #[test]
    fn an_impulse_dies_out_for_every_design() {
        for frequency in [0.1, 1.0, 100.0, 499.0] {
            for quality in [0.1, BUTTERWORTH, 10.0] {
                let filter = Biquad::low_pass(frequency, quality, RATE_HZ).unwrap();
                let mut state = BiquadState::default();
                let mut output = filter.step(&mut state, 1.0);
                // The slowest, 0.1 Hz with Q 10, has a time constant of 32 s.
                for _ in 0..1_000_000 {
                    output = filter.step(&mut state, 0.0);
                }
                assert!(output.abs() < 1e-9, "{frequency} Hz, Q {quality}: {output}");
            }
        }
    }
}
