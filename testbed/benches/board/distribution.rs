//! A distribution of times: exact, or from the few points that a program reports.

/// The figures that the table shows, ns.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Summary {
    pub(crate) min: u32,
    pub(crate) p50: u32,
    pub(crate) p99: u32,
    pub(crate) p999: u32,
    pub(crate) max: u32,
}

/// A distribution, exact or approximate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) summary: Summary,
    /// (time in ns, share of the samples that are longer, 0 to 1), descending
    /// in share. The last share is 0.
    pub(crate) curve: Vec<(u32, f64)>,
}

impl Distribution {
    /// From samples as (ns, count). `None` without samples.
    pub(crate) fn exact(mut samples: Vec<(u32, u64)>) -> Option<Self> {
        samples.retain(|(_, count)| *count > 0);
        samples.sort_unstable();
        let total: u64 = samples.iter().map(|(_, count)| count).sum();
        let (min, max) = (samples.first()?.0, samples.last()?.0);
        let mut seen = 0;
        let curve = samples
            .iter()
            .map(|(ns, count)| {
                seen += count;
                (*ns, (total - seen) as f64 / total as f64)
            })
            .collect();
        let quantile = |per_mille: u64| {
            let rank = (total * per_mille).div_ceil(1_000);
            let mut seen = 0;
            let found = samples.iter().find(|(_, count)| {
                seen += count;
                seen >= rank
            });
            found.map_or(max, |(ns, _)| *ns)
        };
        let summary = Summary {
            min,
            p50: quantile(500),
            p99: quantile(990),
            p999: quantile(999),
            max,
        };
        Some(Self { summary, curve })
    }

    /// From the five points of a program that keeps no samples. Between two points the
    /// share is at most that of the earlier one.
    pub(crate) fn of_summary(summary: Summary) -> Self {
        let Summary {
            min,
            p50,
            p99,
            p999,
            max,
        } = summary;
        Self {
            summary,
            curve: vec![
                (min, 1.0),
                (p50, 0.5),
                (p99, 0.01),
                (p999, 0.001),
                (max, 0.0),
            ],
        }
    }
}
