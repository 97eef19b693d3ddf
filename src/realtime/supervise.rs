//! Who watches the loop while it runs: the seal, the signals, the stall guard,
//! and whoever feeds a watchdog.

use super::allocator;
use super::guard::Watch;
use super::signals;
use crate::cycle::ports::{Record, Tick};
use crate::cycle::record::CycleRecord;
use crate::cycle::run::{Demand, Supervise};
use crate::sys::cause::Cell;
use crate::time::Instant;

/// The seal, lifted when this goes.
pub(super) struct Seal;

impl Drop for Seal {
    fn drop(&mut self) {
        allocator::unseal();
    }
}

/// The loop is watched by the stall guard until this goes.
pub(super) struct Watched<'w>(Option<&'w Watch>);

impl<'w> Watched<'w> {
    pub(super) fn begin(watch: Option<&'w Watch>, epoch: Instant) -> Self {
        if let Some(watch) = watch {
            watch.begin(epoch);
        }
        Self(watch)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(watch) = self.0 {
            watch.rest();
        }
    }
}

/// Watches the loop: the seal, the signals, and whoever feeds a watchdog; shows
/// the stall guard that it lives.
pub(super) struct Supervisor<'a, F> {
    pub(super) deadline_met: &'a mut F,
    pub(super) cell: &'static Cell,
}

impl<F: FnMut(&Tick)> Supervise for Supervisor<'_, F> {
    #[inline]
    fn demand(&self) -> Demand {
        self.cell.cycle_finished();
        if allocator::realtime_allocations() > 0 {
            Demand::Allocated
        } else if signals::stop_requested().is_some() {
            Demand::Stop
        } else {
            Demand::Continue
        }
    }

    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        (self.deadline_met)(tick);
    }
}

/// Watches a rehearsal: whoever hangs there is found too.
pub(super) struct Rehearsing(pub(super) &'static Cell);

impl Supervise for Rehearsing {
    fn demand(&self) -> Demand {
        self.0.cycle_finished();
        Demand::Continue
    }
}

/// Keeps nothing of a rehearsal.
pub(super) struct Nobody;

impl Record for Nobody {
    fn record(&mut self, _: &CycleRecord) {}
}
