//! RLIMIT_RTTIME: the last protection against a loop that never blocks.

use crate::sys::Errno;
use crate::sys::limits::{Limit, Resource, get, set};
use crate::time::Duration;

/// The shortest limit: the kernel counts whole ticks, of 10 ms at `HZ=100`.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest limit: below the 950 ms after which the kernel's throttling
/// (`sched_rt_runtime_us`) would stop the loop without a message.
const LONGEST: Duration = Duration::from_millis(900);

/// Periods that a loop may compute without blocking.
const PERIODS: u64 = 100;

/// Time between soft and hard limit, to print a line and make the outputs safe.
const GRACE: Duration = Duration::from_millis(500);

/// `RLIMIT_RTTIME` as granted: CPU time under a real-time policy without a
/// system call that blocks (getrlimit(2)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunawayLimit {
    /// Time until `SIGXCPU`, whose handler makes the outputs safe and ends the process.
    pub soft: Duration,
    /// Time until `SIGKILL`, in case the handler does not finish.
    pub hard: Duration,
}

impl RunawayLimit {
    /// The limit for a loop with `period`: 100 periods, at least 100 ms and at most 900 ms, and
    /// half a second more for the hard limit. A loop that only overruns does not reach it: it
    /// waits for a slot after every cycle, and each wait resets the count.
    #[must_use]
    pub fn for_period(period: Duration) -> Self {
        let required = period.as_nanos().saturating_mul(PERIODS);
        let soft = required.clamp(SHORTEST.as_nanos(), LONGEST.as_nanos());
        let soft = Duration::from_nanos(soft);
        Self {
            soft,
            hard: soft + GRACE,
        }
    }
}

/// Sets `RLIMIT_RTTIME` of the process for the loop's period, soft below hard, and reads it
/// back. It applies only to threads under a real-time policy. A lower hard limit stays.
///
/// On a CPU in `nohz_full` the limit acts late, because the tick that counts is off while the
/// loop is the only task. The stall guard acts first there.
///
/// # Errors
/// Those of setrlimit(2); none is expected, since nothing is raised.
pub fn limit_runaway(period: Duration) -> Result<RunawayLimit, Errno> {
    let required = RunawayLimit::for_period(period);
    let ceiling = get(Resource::RtTime)?.hard.unwrap_or(u64::MAX);
    let micros = |span: Duration| span.as_nanos() / 1_000;
    let hard = micros(required.hard).min(ceiling);
    let soft = micros(required.soft).min(hard.saturating_sub(micros(GRACE)).max(hard / 2));
    set(
        Resource::RtTime,
        Limit {
            soft: Some(soft),
            hard: Some(hard),
        },
    )?;
    let granted = get(Resource::RtTime)?;
    let span = |limit: Option<u64>| Duration::from_micros(limit.unwrap_or(u64::MAX / 1_000));
    Ok(RunawayLimit {
        soft: span(granted.soft),
        hard: span(granted.hard),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_follows_the_period_and_stays_below_the_hard_one() {
        for (period_us, soft_ms) in [(125, 100), (1_000, 100), (4_000, 400), (50_000, 900)] {
            let limit = RunawayLimit::for_period(Duration::from_micros(period_us));
            assert_eq!(limit.soft, Duration::from_millis(soft_ms));
            assert_eq!(limit.hard, Duration::from_millis(soft_ms + 500));
        }
    }

    #[test]
    fn the_granted_limit_is_read_back_and_never_rises() {
        let first = limit_runaway(Duration::from_millis(4)).unwrap();
        assert!(first.soft < first.hard);
        let again = limit_runaway(Duration::from_millis(8)).unwrap();
        assert!(again.soft < again.hard);
        assert_eq!(again.hard, first.hard);
    }
}
