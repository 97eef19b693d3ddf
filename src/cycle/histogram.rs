//! Distributions of times in fixed memory, with a constant cost for each sample.
//!
//! Buckets are logarithmic with 32 linear steps in each octave: a quantile is at most 3.1 %
//! above the true one in the whole range from 1 ns to 4.3 s; minimum and maximum are exact.
//! Adding a sample costs a count of leading zeros, a shift, an increment and two comparisons.
//! (The layout is that of the HDR histogram, hdrhistogram.org.)
//!
//! Counts have 64 bits: a bucket of 32 bits is full after 49.7 days at 1 kHz, and quantiles
//! would then drift to the maximum. A distribution takes 7 kB.

use crate::time::Duration;

const SUB_BITS: u32 = 5;
const SUB_COUNT: u32 = 1 << SUB_BITS;
const BUCKETS: usize = ((32 - SUB_BITS + 1) * SUB_COUNT) as usize;

/// A distribution of times from 0 to 2^32 - 1 ns; longer times count as the largest.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    min: u32,
    max: u32,
}

/// The figures of a distribution that a report shows, in ns.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The minimum, exact.
    pub min: u32,
    /// Half of all samples are at most this.
    pub p50: u32,
    /// 99 % of all samples are at most this.
    pub p99: u32,
    /// 99.9 % of all samples are at most this.
    pub p999: u32,
    /// The maximum, exact.
    pub max: u32,
}

impl Summary {
    /// The figures with their names, in rising order.
    #[must_use]
    pub const fn figures(&self) -> [(&'static str, u32); 5] {
        [
            ("min", self.min),
            ("p50", self.p50),
            ("p99", self.p99),
            ("p999", self.p999),
            ("max", self.max),
        ]
    }
}

impl Histogram {
    /// An empty distribution.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: [0; BUCKETS],
            min: u32::MAX,
            max: 0,
        }
    }

    /// All zeros, for a static: it takes memory but no space in the binary. Call
    /// [`clear`](Self::clear) before the first sample.
    pub(super) const fn unready() -> Self {
        Self {
            min: 0,
            ..Self::new()
        }
    }

    /// Removes all samples.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.min = u32::MAX;
        self.max = 0;
    }

    /// Adds one sample.
    #[inline]
    pub fn add(&mut self, time: Duration) {
        self.add_ns(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds one sample, ns.
    #[inline]
    pub fn add_ns(&mut self, ns: u32) {
        self.counts[index(ns)] += 1;
        // Branches instead of `min` and `max`: they are predicted well, and write only what
        // changes.
        if ns < self.min {
            self.min = ns;
        }
        if ns > self.max {
            self.max = ns;
        }
    }

    /// Number of samples. Summed on request, because adding a sample is part of every cycle.
    /// O(buckets).
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The smallest time, ns, that at least `numerator / denominator` of all samples do not
    /// exceed, rounded up to the end of its bucket but not above the maximum. 0 without
    /// samples. O(buckets).
    ///
    /// # Panics
    /// If `denominator` is zero.
    #[must_use]
    pub fn quantile(&self, numerator: u32, denominator: u32) -> u32 {
        let (numerator, denominator) = (u64::from(numerator), u64::from(denominator));
        // Divides before it multiplies: the product with the whole count could overflow.
        let count = self.count();
        let whole = (count / denominator).saturating_mul(numerator);
        let rest = (count % denominator * numerator).div_ceil(denominator);
        let rank = whole.saturating_add(rest).max(1);
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return bucket_end(index).min(self.max);
            }
        }
        self.max
    }

    /// Minimum, quantiles and maximum; all 0 without samples.
    #[must_use]
    pub fn summary(&self) -> Summary {
        if self.count() == 0 {
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

    /// The samples by octave: `(from, below, count)`, in ns, for each power of two from that of
    /// the minimum to that of the maximum.
    pub fn octaves(&self) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
        let first = self.min.max(1).ilog2();
        let last = if self.count() == 0 {
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
                let count = self.counts[start..end].iter().sum();
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
    // The mask changes no value: it proves to the compiler that the index is in bounds.
    ((shift << SUB_BITS) + ((ns >> shift) & (2 * SUB_COUNT - 1))) as usize
}

/// The largest value of bucket `index`.
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
        assert_eq!(index(u32::MAX), BUCKETS - 1, "none is never used");
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

    /// The effect of `count` calls of `add` with `ns`.
    fn add_many(histogram: &mut Histogram, ns: u32, count: u64) {
        histogram.add(Duration::from_nanos(ns.into()));
        histogram.counts[index(ns)] += count - 1;
    }

    #[test]
    fn a_bucket_counts_beyond_2_to_the_32() {
        // 49.7 days at 1 kHz, and a few hours more.
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_nanos(900_000));
        histogram.counts[index(40_000)] = u64::from(u32::MAX);
        for _ in 0..20_000_000 {
            histogram.add(Duration::from_nanos(40_000));
        }
        let [_, figures @ ..] = histogram.summary().figures();
        let end = bucket_end(index(40_000));
        assert_eq!(figures.map(|(_, ns)| ns), [end, end, end, 900_000]);
        let counted: u64 = histogram.octaves().map(|(_, _, count)| count).sum();
        assert_eq!(counted, histogram.count());
    }

    #[test]
    fn samples_of_a_hundred_years_are_counted_exactly() {
        const YEARS_S: u64 = 100 * 31_557_600;
        for hz in [1_000, 20_000] {
            let samples = YEARS_S * hz;
            let mut histogram = Histogram::new();
            // 98 %, 1.5 %, 0.45 % and the rest.
            let shares = [(40_000, 9_800), (80_000, 150), (200_000, 45), (900_000, 5)];
            for (ns, share) in shares {
                add_many(&mut histogram, ns, samples / 10_000 * share);
            }
            assert_eq!(histogram.count(), samples / 10_000 * 10_000);
            let summary = histogram.summary();
            let found = [summary.p50, summary.p99, summary.p999, summary.max];
            let expected = [40_000, 80_000, 200_000, 900_000].map(|ns| bucket_end(index(ns)));
            assert_eq!(found[..3], expected[..3], "{hz} Hz");
            assert_eq!((summary.min, summary.max), (40_000, 900_000));
            let counted: u64 = histogram.octaves().map(|(_, _, count)| count).sum();
            assert_eq!(counted, histogram.count());
        }
    }

    #[test]
    fn a_quantile_of_u64_max_samples_does_not_overflow() {
        let mut histogram = Histogram::new();
        add_many(&mut histogram, 40_000, u64::MAX / 2);
        add_many(&mut histogram, 900_000, u64::MAX / 2);
        let half = bucket_end(index(40_000));
        assert_eq!(histogram.quantile(1, 2), half);
        assert_eq!(histogram.quantile(500_000_000, 1_000_000_001), half);
        assert_eq!(histogram.quantile(500_000_001, 1_000_000_001), 900_000);
        assert_eq!(histogram.quantile(1, 1), 900_000);
        assert_eq!(histogram.quantile(0, 1), half);
    }

    #[test]
    fn a_single_sample_is_minimum_maximum_and_every_quantile() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_nanos(14_250));
        let figures = histogram.summary().figures();
        assert_eq!(figures.map(|(_, ns)| ns), [14_250; 5]);
    }

    #[test]
    fn quantiles_of_few_samples_round_up_to_whole_ones() {
        let mut histogram = Histogram::new();
        for ns in [10, 20, 30] {
            histogram.add(Duration::from_nanos(ns));
        }
        let quantiles = [(0, 1), (1, 3), (1, 2), (2, 3), (667, 1_000), (1, 1)];
        let found = quantiles.map(|(n, d)| histogram.quantile(n, d));
        assert_eq!(found, [10, 10, 20, 20, 30, 30]);
    }

    #[test]
    fn a_time_of_zero_is_counted() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::ZERO);
        assert_eq!(histogram.summary(), Summary::default());
        let octaves: std::vec::Vec<_> = histogram.octaves().collect();
        assert_eq!(octaves, [(0, 2, 1)]);
    }

    #[test]
    fn a_cleared_histogram_equals_a_new_one() {
        let mut histogram = Histogram::unready();
        for _ in 0..2 {
            histogram.clear();
            assert_eq!(histogram.summary(), Summary::default());
            histogram.add(Duration::from_nanos(40_000));
            let octaves: std::vec::Vec<_> = histogram.octaves().collect();
            assert_eq!(octaves, [(32_768, 65_536, 1)]);
            assert_eq!((histogram.count(), histogram.summary().min), (1, 40_000));
        }
    }

    #[test]
    fn an_empty_histogram_gives_zeros_and_no_octaves() {
        let histogram = Histogram::new();
        assert_eq!(histogram.summary(), Summary::default());
        assert_eq!(histogram.octaves().count(), 0);
    }

    #[test]
    fn a_time_beyond_the_range_counts_in_the_last_bucket() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_secs(3600));
        assert_eq!(histogram.summary().max, u32::MAX);
        assert_eq!(histogram.octaves().map(|(_, _, n)| n).sum::<u64>(), 1);
    }

    #[test]
    fn the_octaves_count_every_sample_once() {
        let mut histogram = Histogram::new();
        for ns in [0, 1, 2, 3, 40, 41, 1_000, 1_023, 1_024, 70_000] {
            histogram.add(Duration::from_nanos(ns));
        }
        assert_eq!(histogram.octaves().map(|(_, _, n)| n).sum::<u64>(), 10);
        let (from, below, count) = histogram.octaves().last().unwrap();
        assert_eq!((from, below, count), (65_536, 131_072, 1));
    }
}
