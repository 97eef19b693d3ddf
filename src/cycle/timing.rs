//! The times measured in a run.

use super::histogram::Histogram;

/// The three distributions of a run, and its count of overruns.
///
/// The distributions have different causes: lateness comes from kernel and machine, execution
/// from devices and control law; the response is what the plant sees.
#[derive(Clone, Debug)]
pub struct Timing {
    /// From the planned release to the beginning of the cycle.
    pub release_lateness: Histogram,
    /// From the beginning of the cycle until the outputs had left.
    pub execution: Histogram,
    /// From the planned release until the outputs had left.
    pub response: Histogram,
    /// Cycles whose outputs left after the deadline.
    pub overruns: u64,
}

impl Timing {
    /// Empty distributions.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            release_lateness: Histogram::new(),
            execution: Histogram::new(),
            response: Histogram::new(),
            overruns: 0,
        }
    }

    /// All zeros, for a static: it takes memory but no space in the binary. Call
    /// [`clear`](Self::clear) before the first cycle.
    #[must_use]
    pub const fn unready() -> Self {
        Self {
            release_lateness: Histogram::unready(),
            execution: Histogram::unready(),
            response: Histogram::unready(),
            overruns: 0,
        }
    }

    /// Removes all measurements.
    pub fn clear(&mut self) {
        self.release_lateness.clear();
        self.execution.clear();
        self.response.clear();
        self.overruns = 0;
    }

    /// Adds one cycle; times beyond 2^32 - 1 ns count as that.
    // Always inlined: the loop keeps its state in registers, and a call would cost a third of
    // the function.
    #[inline(always)]
    pub fn add(&mut self, lateness_ns: u32, execution_ns: u32, missed: bool) {
        self.release_lateness.add_ns(lateness_ns);
        self.execution.add_ns(execution_ns);
        self.response
            .add_ns(lateness_ns.saturating_add(execution_ns));
        self.overruns += u64::from(missed);
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_time_is_lateness_plus_execution_and_clear_resets_all() {
        let mut timing = Timing::unready();
        for _ in 0..2 {
            timing.clear();
            let (late, took) = (100, 20);
            timing.add(late, took, false);
            timing.add(late, took, true);
            let histograms = [
                &timing.release_lateness,
                &timing.execution,
                &timing.response,
            ];
            let most = histograms.map(|histogram| (histogram.count(), histogram.summary().max));
            assert_eq!(most, [(2, 100), (2, 20), (2, 120)]);
            assert_eq!(timing.overruns, 1);
        }
        assert_eq!(Timing::new().overruns, 0);
    }
}
