//! The measurement of SYNC, 2001h.

/// The sub-index that is the number of SYNC messages: writing 0 to it begins anew.
pub(super) const COUNT: u8 = 4;

/// Periods between SYNC messages, and what was missing.
///
/// A deviation is that of a period from the supervised one (1006h or 60C2h); that of a period
/// with missing messages is the deviation of all of its periods together.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Measurement {
    period_us: u32,
    largest_us: u32,
    pub(super) missed: u32,
    messages: u32,
    earliest_us: i32,
    latest_us: i32,
    last_us: i32,
    pub(super) holds: u32,
    /// For the mean.
    sum_ns: u64,
    periods: u64,
}

impl Measurement {
    /// SYNC came `interval_ns` after the last one, with `missing` between them; `None` for the
    /// first one. `nominal_ns` is 0 if the period is not known.
    pub(super) fn add(&mut self, interval_ns: Option<u64>, missing: u8, nominal_ns: u64) {
        self.messages = self.messages.saturating_add(1);
        let Some(interval) = interval_ns else { return };
        let periods = u64::from(missing) + 1;
        self.sum_ns = self.sum_ns.saturating_add(interval);
        self.periods += periods;
        self.period_us = u32::try_from(interval / 1000).unwrap_or(u32::MAX);
        if nominal_ns == 0 {
            return;
        }
        let late = interval as i64 - nominal_ns.saturating_mul(periods) as i64;
        // Towards zero; the casts are exact up to half an hour.
        let us = (late / 1000).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        self.last_us = us;
        self.earliest_us = self.earliest_us.min(us);
        self.latest_us = self.latest_us.max(us);
        self.largest_us = self.largest_us.max(us.unsigned_abs());
    }

    /// The value of a sub-index; of a signed one its two's complement.
    pub(super) fn read(&self, sub: u8) -> u32 {
        match sub {
            1 => self.period_us,
            2 => self.largest_us,
            3 => self.missed,
            COUNT => self.messages,
            5 => {
                let mean = self.sum_ns.checked_div(self.periods).unwrap_or(0);
                u32::try_from(mean).unwrap_or(u32::MAX)
            }
            6 => self.earliest_us as u32,
            7 => self.latest_us as u32,
            8 => self.last_us as u32,
            _ => self.holds,
        }
    }
}
