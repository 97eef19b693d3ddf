//! Who watches the loop while it runs: the seal, the signals, the stall guard,
//! and whoever feeds a watchdog.

use super::allocator;
use super::audit;
use super::guard::Watch;
use super::runner::Feed;
use super::signals;
use crate::cycle::ports::{Record, Tick};
use crate::cycle::record::CycleRecord;
use crate::cycle::run::{Demand, Supervise};
use crate::cycle::stop::QuickStop;
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

impl<F: Feed> Supervise for Supervisor<'_, F> {
    #[inline]
    fn demand(&self, finished: Instant) -> Demand {
        self.cell.cycle_finished(finished.as_nanos());
        if allocator::realtime_allocations() > 0 {
            Demand::Allocated
        } else if signals::stop_requested().is_some() {
            Demand::Stop
        } else if audit::promise_broken() {
            Demand::PromiseBroken
        } else {
            Demand::Continue
        }
    }

    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        self.deadline_met.deadline_met(tick);
    }

    fn quick_stop(&mut self, stop: &QuickStop) {
        self.cell
            .quick_stop(stop.cause.number(), stop.slot, stop.missed);
    }
}

/// Watches a rehearsal: whoever hangs there is found too.
pub(super) struct Rehearsing(pub(super) &'static Cell);

impl Supervise for Rehearsing {
    fn demand(&self, finished: Instant) -> Demand {
        self.0.cycle_finished(finished.as_nanos());
        Demand::Continue
    }
}

/// Keeps nothing of a rehearsal, but says that it goes on.
pub(super) struct Rehearsed<'a, F>(pub(super) &'a mut F);

impl<F: Feed> Record for Rehearsed<'_, F> {
    fn record(&mut self, _: &CycleRecord) {
        self.0.rehearsed();
    }
}
