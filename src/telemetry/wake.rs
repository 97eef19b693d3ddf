//! [`WakeReport`]: the part of the report about the waits of the loop.

use super::json::Json;
use crate::cycle::wake::{Wake, Wakes};
use crate::time::Duration;

/// How the loop waited for its releases.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeReport {
    /// The mode of the board file.
    pub wake: Wake,
    /// The most of one CPU that watching the clock takes, percent.
    pub percent: u64,
    /// What the waits have shown; `None` if the loop only slept, or on the virtual clock.
    pub wakes: Option<Wakes>,
}

impl WakeReport {
    pub(super) fn json(&self, json: &mut Json) {
        let Self {
            wake,
            percent,
            wakes,
        } = *self;
        let ns = |of: fn(Wakes) -> Duration| wakes.map(|wakes| of(wakes).as_nanos());
        let figures = [
            ("percent_of_cpu", Some(percent)),
            ("spin_ns", Some(wake.most().as_nanos())),
            ("margin_ns", ns(|wakes| wakes.margin)),
            ("longest_ns", ns(|wakes| wakes.longest)),
            ("late", wakes.map(|wakes| wakes.late)),
            ("crowded", wakes.map(|wakes| wakes.crowded)),
        ];
        json.object(|json| {
            json.key("mode").string(wake.name());
            for (name, figure) in figures {
                json.key(name).integer_if(figure);
            }
        });
    }
}
