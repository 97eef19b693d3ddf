//! Control algorithms: PID, filters, jerk-limited trajectories.
//!
//! Each has a configuration, which is validated when it is built and then constant, and a
//! `Copy` state, which only a step changes. The loop cannot change its tuning.
//!
//! All arithmetic is `f64`: on 64-bit ARM it costs the same as `f32`, and a position that is
//! summed for days keeps its resolution.

use crate::time::Duration;

pub mod filter;
pub mod param;
pub mod pid;
pub mod trajectory;

pub use filter::{Biquad, BiquadState};
pub use param::{ParameterError, ParameterErrorKind};
pub use pid::{Gains, Pid, PidConfig, PidState};
pub use trajectory::{Sample, Trajectory, TrajectoryConfig, TrajectoryState};

/// The minimum time between two measurements from which a loop with this period computes a
/// rate: half a period.
///
/// Measurements can be closer: after a retried transfer a fresh value is followed by the
/// pipelined one. Their difference consists mostly of sensor resolution and timing error,
/// divided by a very short time. The later one is then not used for a rate; the next one is
/// compared with the earlier one. This at most doubles the effect of both errors.
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
