//! Parameter checks and their error, for every configuration in
//! [`control`](crate::control) and [`axis`](crate::axis).
//!
//! A NaN gain or a negative limit would fail on a moving machine, so it is refused when the
//! configuration is built. The error is `Copy` and has the name of the parameter and its
//! numbers; [`Display`](fmt::Display) makes the message. Not for the loop.

use core::fmt;

/// A parameter with an invalid value.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct ParameterError {
    /// Name of the parameter in the configuration, with dots if nested:
    /// `trajectory.jerk_rad_s3`.
    pub name: &'static str,
    /// What is wrong with it.
    pub kind: ParameterErrorKind,
}

/// What is wrong with a parameter.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum ParameterErrorKind {
    /// It is NaN or infinite.
    NonFinite,
    /// It must be greater than zero.
    NotPositive {
        /// The value.
        value: f64,
    },
    /// It is below the minimum.
    BelowMinimum {
        /// The minimum.
        min: f64,
        /// The value.
        value: f64,
    },
    /// It is outside the closed interval from `min` to `max`.
    OutOfRange {
        /// The minimum.
        min: f64,
        /// The maximum.
        max: f64,
        /// The value.
        value: f64,
    },
    /// A frequency that is not below half the sample rate.
    AtOrAboveNyquist {
        /// Half the sample rate, Hz.
        nyquist_hz: f64,
        /// The frequency, Hz.
        value_hz: f64,
    },
    /// The upper end of an interval is not above its lower end.
    Inverted {
        /// The lower end.
        min: f64,
        /// The upper end.
        max: f64,
    },
    /// There is no channel with this number; channels are 0 to `count - 1`.
    NoSuchChannel {
        /// The channel.
        channel: u8,
        /// Number of channels of its kind.
        count: u8,
    },
    /// Two parameters use the same channel of the same kind.
    Duplicate {
        /// The channel that is used twice.
        channel: u8,
    },
    /// Another parameter requires it, but it is not set.
    Missing,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        match self.kind {
            ParameterErrorKind::NonFinite => f.write_str("is not a finite number"),
            ParameterErrorKind::NotPositive { value } => {
                write!(f, "is {value}, it must be greater than 0")
            }
            ParameterErrorKind::BelowMinimum { min, value } => {
                write!(f, "is {value}, it must be at least {min}")
            }
            ParameterErrorKind::OutOfRange { min, max, value } => {
                write!(f, "is {value}, it must be from {min} to {max}")
            }
            ParameterErrorKind::AtOrAboveNyquist {
                nyquist_hz,
                value_hz,
            } => write!(
                f,
                "is {value_hz} Hz, it must be below half the sample rate, {nyquist_hz} Hz"
            ),
            ParameterErrorKind::Inverted { min, max } => {
                write!(f, "is {max}, it must be above its lower end, {min}")
            }
            ParameterErrorKind::NoSuchChannel { channel, count } => {
                write!(f, "is channel {channel}, it must be below {count}")
            }
            ParameterErrorKind::Duplicate { channel } => {
                write!(f, "is channel {channel}, which is in use already")
            }
            ParameterErrorKind::Missing => f.write_str("is missing"),
        }
    }
}

impl core::error::Error for ParameterError {}

/// `value`, if it is a finite number.
///
/// # Errors
/// [`ParameterErrorKind::NonFinite`].
pub fn finite(name: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::NonFinite,
        })
    }
}

/// `value`, if it is finite and greater than zero.
///
/// # Errors
/// [`ParameterErrorKind::NonFinite`] or [`ParameterErrorKind::NotPositive`].
pub fn positive(name: &'static str, value: f64) -> Result<f64, ParameterError> {
    if finite(name, value)? > 0.0 {
        Ok(value)
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::NotPositive { value },
        })
    }
}

/// `value`, if it is finite and not below `min`.
///
/// # Errors
/// [`ParameterErrorKind::NonFinite`] or [`ParameterErrorKind::BelowMinimum`].
pub fn at_least(name: &'static str, value: f64, min: f64) -> Result<f64, ParameterError> {
    if finite(name, value)? >= min {
        Ok(value)
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::BelowMinimum { min, value },
        })
    }
}

/// `value`, if it is finite and from `min` to `max`, both included.
///
/// # Errors
/// [`ParameterErrorKind::NonFinite`] or [`ParameterErrorKind::OutOfRange`].
pub fn in_range(name: &'static str, value: f64, min: f64, max: f64) -> Result<f64, ParameterError> {
    if (min..=max).contains(&finite(name, value)?) {
        Ok(value)
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::OutOfRange { min, max, value },
        })
    }
}

/// Checks that `max`, the parameter `name`, is above `min`, and that both are finite.
///
/// # Errors
/// [`ParameterErrorKind::NonFinite`] or [`ParameterErrorKind::Inverted`].
pub fn interval(name: &'static str, min: f64, max: f64) -> Result<(), ParameterError> {
    finite(name, min)?;
    if finite(name, max)? > min {
        Ok(())
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::Inverted { min, max },
        })
    }
}

/// `channel`, if it is below `count`.
///
/// # Errors
/// [`ParameterErrorKind::NoSuchChannel`].
pub fn channel(name: &'static str, channel: u8, count: usize) -> Result<u8, ParameterError> {
    if usize::from(channel) < count {
        Ok(channel)
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::NoSuchChannel {
                channel,
                count: count as u8,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn every_check_refuses_nan_and_infinity() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let kinds = [
                finite("x", value).unwrap_err(),
                positive("x", value).unwrap_err(),
                at_least("x", value, f64::MIN).unwrap_err(),
                in_range("x", value, -1.0, 1.0).unwrap_err(),
                interval("x", 0.0, value).unwrap_err(),
                interval("x", value, 0.0).unwrap_err(),
            ];
            for error in kinds {
                assert_eq!(error.name, "x");
                assert_eq!(error.kind, ParameterErrorKind::NonFinite);
            }
        }
    }

    #[test]
    fn a_range_includes_its_ends_and_zero_is_not_positive() {
        assert_eq!(in_range("x", -1.0, -1.0, 1.0), Ok(-1.0));
        assert_eq!(in_range("x", 1.0, -1.0, 1.0), Ok(1.0));
        assert!(in_range("x", 1.1, -1.0, 1.0).is_err());
        assert!(positive("x", 0.0).is_err());
        assert_eq!(at_least("x", 0.0, 0.0), Ok(0.0));
        assert!(at_least("x", -0.1, 0.0).is_err());
        assert!(interval("x", 1.0, 1.0).is_err());
        assert_eq!(channel("x", 7, 8), Ok(7));
        assert!(channel("x", 8, 8).is_err());
    }

    #[test]
    fn the_message_has_the_name_and_the_numbers_of_the_parameter() {
        let mut text = heapless::String::<96>::new();
        let error = in_range("kp", 2.5, 0.0, 1.0).unwrap_err();
        write!(text, "{error}").unwrap();
        assert_eq!(text.as_str(), "kp is 2.5, it must be from 0 to 1");
    }
}
