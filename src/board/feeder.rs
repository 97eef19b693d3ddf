//! Feeds the watchdog, and knows from what.

use crate::cycle::ports::Tick;
use crate::device::watchdog::Watchdog;
use crate::time::Duration;

/// Feeds the watchdog from completed deadlines, four times within its timeout.
pub(super) struct Feeder {
    pub(super) watchdog: Watchdog,
    slots: u64,
    next_slot: u64,
    /// Feedings that the driver refused.
    pub(super) refused: u64,
}

impl Feeder {
    pub(super) fn new(watchdog: Watchdog, period: Duration) -> Self {
        let quarter = Duration::from_millis(u64::from(watchdog.facts().timeout_s) * 250);
        Self {
            watchdog,
            slots: (quarter / period).max(1),
            next_slot: 0,
            refused: 0,
        }
    }

    #[inline]
    pub(super) fn deadline_met(&mut self, tick: &Tick) {
        if tick.slot >= self.next_slot {
            self.next_slot = tick.slot + self.slots;
            // A watchdog that cannot be fed does what it is there for.
            if self.watchdog.feed().is_err() {
                self.refused += 1;
            }
        }
    }
}
