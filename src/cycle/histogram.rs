//! Distributions of times in fixed memory, at a constant cost a sample.
//!
//! Buckets are logarithmic with 32 linear steps in each octave, so that a
//! quantile is at most 3.1 % above the true one over the whole range from 1 ns to
//! 4.3 s; minimum and maximum are exact. Adding a sample is a count of leading
//! zeros, a shift and an increment: no division, no branch on the value but one.
//! (The layout is that of the HDR histogram, hdrhistogram.org.)

use crate::time::Duration;

const SUB_BITS: u32 = 5;
const SUB_COUNT: u32 = 1 << SUB_BITS;
const BUCKETS: usize = ((32 - SUB_BITS + 1) * SUB_COUNT) as usize;

/// A distribution of times from 0 to 2^32 - 1 ns; longer ones count as that.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    count: u64,
    min: u32,
    max: u32,
}

/// The figures of a distribution that a report shows, in ns.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The least, exact.
    pub min: u32,
    /// Half of all samples are at most this.
    pub p50: u32,
    /// 99 % of all samples are at most this.
    pub p99: u32,
    /// 99.9 % of all samples are at most this.
    pub p999: u32,
    /// The greatest, exact.
    pub max: u32,
}

impl Histogram {
    /// A distribution of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: [0; BUCKETS],
            count: 0,
            min: u32::MAX,
            max: 0,
        }
    }

    /// All zeros: for a static, which then takes memory but no room in the
    /// binary. Not to be added to before [`clear`](Self::clear).
    pub(super) const fn unready() -> Self {
        Self {
            min: 0,
            ..Self::new()
        }
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.count = 0;
        self.min = u32::MAX;
        self.max = 0;
    }

    /// Adds one sample.
    #[inline]
    pub fn add(&mut self, time: Duration) {
        let ns = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX);
        let bucket = &mut self.counts[index(ns)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
        // Branches instead of minimum and maximum: they are predicted, and
        // nothing is written that does not change.
        if ns < self.min {
            self.min = ns;
        }
        if ns > self.max {
            self.max = ns;
        }
    }

    /// Number of samples.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The least time that a share of at least `numerator / denominator` of all
    /// samples does not exceed, in ns, rounded up to its bucket's end but never
    /// above the maximum. 0 when there are no samples.
    #[must_use]
    pub fn quantile(&self, numerator: u64, denominator: u64) -> u32 {
        let wanted = (self.count * numerator).div_ceil(denominator).max(1);
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return bucket_end(index).min(self.max);
            }
        }
        self.max
    }

    /// Minimum, quantiles and maximum; all 0 when there are no samples.
    #[must_use]
    pub fn summary(&self) -> Summary {
        if self.count == 0 {
            return Summary::default();
        }
        Summary {
            min: self.min,
            p50: self.quantile(1, 2),
            p99: self.quantile(99, 100),
            p999: self.quantile(999, 1000),
            max: self.max,
        }
    }

    /// The samples by octave: `(from, below, count)` in ns for every power of
    /// two from the minimum's to the maximum's. For drawing.
    pub fn octaves(&self) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
        let first = self.min.max(1).ilog2();
        let last = if self.count == 0 {
            None
        } else {
            Some(self.max.max(1).ilog2())
        };
        last.into_iter()
            .flat_map(move |last| first..=last)
            .map(|octave| {
                let from = if octave == 0 { 0 } else { 1u32 << octave };
                let below = 1u64 << (octave + 1);
                let start = index(from);
                let end = if below > u64::from(u32::MAX) {
                    BUCKETS
                } else {
                    index(below as u32)
                };
                let count = self.counts[start..end].iter().map(|&c| u64::from(c)).sum();
                (from, below, count)
            })
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The bucket of `ns`: exact below 2 * `SUB_COUNT`, then `SUB_COUNT` steps an octave.
#[inline]
const fn index(ns: u32) -> usize {
    let shift = (31 - (ns | SUB_COUNT).leading_zeros()) - SUB_BITS;
    ((shift << SUB_BITS) + (ns >> shift)) as usize
}

/// The greatest value that falls into bucket `index`.
const fn bucket_end(index: usize) -> u32 {
    let index = index as u32;
    if index < SUB_COUNT {
        return index;
    }
    let shift = (index >> SUB_BITS) - 1;
    let step = (index & (SUB_COUNT - 1)) + SUB_COUNT;
    let end = ((step as u64 + 1) << shift) - 1;
    end as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_the_bucket_that_ends_at_or_above_it() {
        let mut values = std::vec![0, 1, 31, 32, 33, 63, 64, 65, u32::MAX - 1, u32::MAX];
        values.extend((5..32).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for value in values {
            let bucket = index(value);
            assert!(bucket < BUCKETS);
            assert!(value <= bucket_end(bucket), "{value}");
            assert!(bucket == 0 || value > bucket_end(bucket - 1), "{value}");
        }
    }

    #[test]
    fn quantiles_are_at_most_one_step_above_the_true_ones() {
        let mut histogram = Histogram::new();
        for ns in 1..=10_000 {
            histogram.add(Duration::from_nanos(ns));
        }
        let summary = histogram.summary();
        assert_eq!((summary.min, summary.max), (1, 10_000));
        for (found, exact) in [
            (summary.p50, 5_000),
            (summary.p99, 9_900),
            (summary.p999, 9_990),
        ] {
            assert!(
                found >= exact && found <= exact + exact / 32,
                "{found} for {exact}"
            );
        }
    }

    #[test]
    fn a_single_sample_is_all_of_its_figures() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_nanos(14_250));
        let Summary {
            min,
            p50,
            p99,
            p999,
            max,
        } = histogram.summary();
        assert_eq!([min, p50, p99, p999, max], [14_250; 5]);
    }

    #[test]
    fn nothing_sampled_gives_zeros_and_no_octaves() {
        let histogram = Histogram::new();
        assert_eq!(histogram.summary(), Summary::default());
        assert_eq!(histogram.octaves().count(), 0);
    }

    #[test]
    fn a_time_beyond_the_range_counts_as_its_end() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_secs(3600));
        assert_eq!(histogram.summary().max, u32::MAX);
        assert_eq!(histogram.octaves().map(|(_, _, n)| n).sum::<u64>(), 1);
    }

    #[test]
    fn the_octaves_hold_every_sample_once() {
        let mut histogram = Histogram::new();
        for ns in [0, 1, 2, 3, 40, 41, 1_000, 1_023, 1_024, 70_000] {
            histogram.add(Duration::from_nanos(ns));
        }
        assert_eq!(histogram.octaves().map(|(_, _, n)| n).sum::<u64>(), 10);
        let (from, below, count) = histogram.octaves().last().unwrap();
        assert_eq!((from, below, count), (65_536, 131_072, 1));
    }
}
