//! Connects the loop with its supervision: the allocator's seal, requests to stop, the audit, the
//! stall guard and the watchdog.

use super::allocator;
use super::audit;
use super::guard::Watch;
use super::runner::Feed;
use super::signals;
use crate::cycle::ports::{Record, Tick};
use crate::cycle::record::CycleRecord;
use crate::cycle::run::{Demand, Supervise};
use crate::cycle::stop::QuickStop;
use crate::sys::attention;
use crate::sys::cause::Cell;
use crate::time::Instant;

/// The allocator's seal, removed when this is dropped.
pub(super) struct Seal;

impl Drop for Seal {
    fn drop(&mut self) {
        allocator::unseal();
    }
}

/// The stall guard's supervision of the loop, stopped when this is dropped.
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

/// Supervises the loop: checks seal, signals and audit, notes finished cycles for the stall guard,
/// and feeds the watchdog. Costs one atomic load and one store per cycle.
pub(super) struct Supervisor<'a, F> {
    pub(super) deadline_met: &'a mut F,
    pub(super) cell: &'static Cell,
}

impl<F: Feed> Supervise for Supervisor<'_, F> {
    #[inline]
    fn demand(&self, finished: Instant) -> Demand {
        self.cell.cycle_finished(finished.as_nanos());
        if attention::is_raised() {
            return demanded();
        }
        Demand::Continue
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

/// The most severe of the requests to the loop.
#[cold]
#[inline(never)]
fn demanded() -> Demand {
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

/// Supervises a rehearsal, so that the stall guard also detects a stall there.
pub(super) struct Rehearsing(pub(super) &'static Cell);

impl Supervise for Rehearsing {
    fn demand(&self, finished: Instant) -> Demand {
        self.0.cycle_finished(finished.as_nanos());
        Demand::Continue
    }
}

/// Discards the records of a rehearsal, and feeds the watchdog.
pub(super) struct Rehearsed<'a, F>(pub(super) &'a mut F);

impl<F: Feed> Record for Rehearsed<'_, F> {
    fn record(&mut self, _: &CycleRecord) {
        self.0.rehearsed();
    }
}
