//! Control laws: PID, filters, jerk-limited trajectories.
//!
//! Each is split in two. What is configured is validated once, where it is
//! built, and does not change afterwards; what is remembered from one period to
//! the next is a `Copy` state that only a step can change. So a running loop
//! cannot alter its own tuning, and a tuning cannot disturb a running loop.
//!
//! All arithmetic is `f64`: on the boards this is for, double precision costs
//! the same as single, and a position summed over days keeps its resolution.

use crate::time::Duration;

pub mod filter;
pub mod param;
pub mod pid;
pub mod trajectory;

pub use filter::{Biquad, BiquadState};
pub use param::{ParameterError, ParameterErrorKind};
pub use pid::{Gains, Pid, PidConfig, PidState};
pub use trajectory::{Sample, Trajectory, TrajectoryConfig, TrajectoryState};

/// The least distance in time over which two measurements of a loop with this
/// period give a rate: half a period.
///
/// Nearer ones come from a fresh measurement, as after a transfer that was repeated,
/// and the pipelined one behind it. What they differ by is mostly the resolution of
/// the sensor and the error of their times, divided by little or by nothing. So the
/// later one gives no rate and the next is compared with the earlier one. Over half
/// a period both errors count twice, and never more.
pub fn least_distance(period: Duration) -> Duration {
    Duration::from_nanos(period.as_nanos().div_ceil(2))
}

/// `frequency_hz`, if it is greater than zero and below half of `sample_rate_hz`.
fn below_nyquist(
    name: &'static str,
    frequency_hz: f64,
    sample_rate_hz: f64,
) -> Result<f64, ParameterError> {
    let nyquist_hz = 0.5 * sample_rate_hz;
    if param::positive(name, frequency_hz)? < nyquist_hz {
        Ok(frequency_hz)
    } else {
        Err(ParameterError {
            name,
            kind: ParameterErrorKind::AtOrAboveNyquist {
                nyquist_hz,
                value_hz: frequency_hz,
            },
        })
    }
}
