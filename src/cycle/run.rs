//! The loop: one cycle of [`stages`](super::stages) in every slot of the schedule, until
//! something ends it, and then the outputs safe.

use super::image::{Lost, OutputError};
use super::overrun::{Ladder, LadderConfig, Step};
use super::ports::{Act, Clock, Decide, Directive, Record, Sense, Tick};
use super::record::{CycleRecord, flags};
use super::schedule::Schedule;
use super::stages::{Cycle, Drive};
use super::stop::{QuickStop, QuickStops, StopCause};
use super::timing::Timing;
use crate::time::{Duration, Instant};

/// When the loop turns to its end by itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Never.
    None,
    /// After this many slots, run or skipped: a span of time.
    Slots(u64),
    /// After this many cycles really run.
    Cycles(u64),
}

/// How the loop is to run.
#[derive(Copy, Clone, Debug)]
pub struct Plan {
    /// Time between releases.
    pub period: Duration,
    /// The outputs must have left this long after the release.
    pub deadline: Duration,
    /// When to end.
    pub limit: Limit,
    /// Slots that coming to rest may take at the end.
    pub rest_slots: u64,
    /// Cycles in a row whose outputs could not be written until it is a fault.
    pub output_failures: u32,
    /// The overrun ladder.
    pub ladder: LadderConfig,
    /// The shortest time that an output may be held without a fresh decision.
    pub max_hold: Duration,
    /// Whether outputs are driven, or stay safe (rehearsal).
    pub drive: Drive,
    /// What the plant does while slots are skipped.
    pub plant: Plant,
}

/// What the plant does while slots are skipped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// It goes on, as plants do.
    GoesOn,
    /// It stands still: a simulation in which only cycles count, so that a late
    /// machine shows in the times and not in the motion.
    Waits,
}

/// What is asked of the loop from outside, once a cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Go on.
    Continue,
    /// Come to rest, then end.
    Stop,
    /// The real-time thread has allocated memory: a fault.
    Allocated,
    /// The machine no longer grants what it was judged by: come to rest, then end,
    /// which is a fault.
    PromiseBroken,
}

/// Whoever watches over the loop from outside of it.
pub trait Supervise {
    /// What is asked of the loop now, whose cycle `finished` when its outputs had
    /// left. Called once a cycle: no system calls.
    fn demand(&self, finished: Instant) -> Demand;

    /// A cycle met its deadline: a watchdog may be fed.
    fn deadline_met(&mut self, tick: &Tick) {
        let _ = tick;
    }

    /// The loop asks for a quick stop from its next cycle on. Rare: it may store, but
    /// makes no system call.
    fn quick_stop(&mut self, stop: &QuickStop) {
        let _ = stop;
    }
}

/// Why the loop ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The limit was reached and everything had come to rest.
    Finished,
    /// A stop was demanded and everything had come to rest.
    Stopped,
    /// Everything should have come to rest, and had not in the time allowed.
    NotAtRest,
    /// The overrun ladder's last step.
    Overrun,
    /// Outputs could not be written too often in a row, or once where that cannot
    /// pass; the last failure.
    OutputFailed(OutputError),
    /// A device failed more often in a row than is tolerated of it.
    DeviceLost(Lost),
    /// Memory was allocated on the real-time thread.
    Allocated,
    /// A promise of the machine broke and everything had come to rest.
    PromiseBroken,
}

/// What a run was.
#[derive(Copy, Clone, Debug)]
pub struct Summary {
    /// Why it ended.
    pub end: End,
    /// Cycles run, the ones that brought it to rest not counted.
    pub run: u64,
    /// Slots skipped among them.
    pub skipped: u64,
    /// Cycles that bringing it to rest took.
    pub rest_cycles: u64,
    /// How full the overrun bucket ever was.
    pub bucket_fullest: u32,
    /// Quick stops that were asked for while the run went on.
    pub quick_stops: QuickStops,
    /// Whether the outputs could be made safe at the end.
    pub safe: Result<(), OutputError>,
}

/// Runs the loop from slot 0, released at `epoch`, and leaves the outputs safe.
///
/// Everything it needs is given to it: it reads no clock but `clock`, allocates
/// nothing and makes no call but those of its ports.
pub fn run<P, D, C, R, S>(
    cycle: &mut Cycle<'_, P, D>,
    plan: &Plan,
    epoch: Instant,
    clock: &mut C,
    timing: &mut Timing,
    record: &mut R,
    supervise: &mut S,
) -> Summary
where
    P: Sense + Act,
    D: Decide,
    C: Clock,
    R: Record,
    S: Supervise,
{
    let mut schedule = Schedule::new(epoch, plan.period);
    let mut ladder = Ladder::new(plan.ladder);
    let mut elapsed_slots = 1;
    let mut failures = 0;
    let mut ending: Option<Ending> = None;
    let mut quick_stops = QuickStops::default();
    let mut last_slot = plan.limit.slot(&schedule);
    let mut kept = CycleRecord::default();

    let end = loop {
        let now = clock.wait_until(schedule.release());
        let tick = Tick {
            slot: schedule.slot(),
            release: schedule.release(),
            now,
            elapsed_slots: match plan.plant {
                Plant::GoesOn => elapsed_slots,
                Plant::Waits => 1,
            },
            directive: if ending.is_none() && ladder.step() != Step::QuickStop {
                Directive::Run
            } else {
                quick_stop(ending.is_some(), &ladder)
            },
        };
        let done = cycle.run_once(clock, &tick, plan.drive, &mut kept);
        let missed = done.end > tick.release + plan.deadline;
        let skipped = schedule.advance(done.end);
        let mut step = ladder.cycle(missed, skipped);
        if skipped > 0 {
            last_slot = plan.limit.slot(&schedule);
            if plan.period * (u64::from(skipped) + 1) > plan.max_hold {
                ladder.held_too_long();
                step = ladder.step();
            }
        }
        let demand = supervise.demand(done.end);

        if ending.is_none() {
            timing.add(done.lateness, done.execution, missed);
        }
        if !missed {
            supervise.deadline_met(&tick);
        }
        kept.skipped = elapsed_slots - 1;
        if missed || demand == Demand::Allocated || elapsed_slots > 1 {
            kept.flags |= unusual(missed, demand, elapsed_slots);
        }
        // One that comes while the run is being ended stops nothing.
        if missed && ladder.quick_stops() > quick_stops.count && ending.is_none() {
            let stop = QuickStop {
                cause: ladder.cause(),
                slot: tick.slot,
                missed: ladder.missed(),
            };
            quick_stops = QuickStops {
                count: ladder.quick_stops(),
                last: Some(stop),
            };
            supervise.quick_stop(&stop);
        }
        elapsed_slots = skipped.saturating_add(1);
        record.record(&kept);

        match (step, done.acted, demand) {
            (Step::Fault, _, _) => break End::Overrun,
            (_, Err(OutputError::Lost(lost)), _) if lost.can_stop() => {
                // All outputs were written, or it would be one of the errors below.
                failures = 0;
                // In order, and only once: a run that is ending goes on to end.
                if ending.is_none() {
                    ending = Some(Ending::begin(End::DeviceLost(lost), &schedule));
                }
            }
            (_, Err(OutputError::Lost(lost)), _) => break End::DeviceLost(lost),
            (_, Err(error @ OutputError::NotFinite(_)), _) => break End::OutputFailed(error),
            (_, Err(error), _) => {
                failures += 1;
                if failures >= plan.output_failures {
                    break End::OutputFailed(error);
                }
            }
            (_, Ok(()), _) => failures = 0,
        }
        if demand == Demand::Allocated {
            break End::Allocated;
        }
        match &ending {
            None if schedule.slot() >= last_slot => {
                ending = Some(Ending::begin(End::Finished, &schedule));
            }
            None if demand != Demand::Continue => {
                let end = match demand {
                    Demand::PromiseBroken => End::PromiseBroken,
                    _ => End::Stopped,
                };
                ending = Some(Ending::begin(end, &schedule));
            }
            None => {}
            Some(ending) if D::at_rest(cycle.config, &cycle.state) => break ending.end,
            Some(ending) if schedule.slot() - ending.slot > plan.rest_slots => {
                break End::NotAtRest;
            }
            Some(_) => {}
        }
    };

    let last = Tick {
        slot: schedule.slot(),
        release: schedule.release(),
        now: clock.now(),
        elapsed_slots,
        directive: Directive::QuickStop(StopCause::RunEnds),
    };
    let safe = cycle.ports.safe(&last);
    let (run, skipped) = match &ending {
        Some(ending) => (ending.run, ending.skipped),
        None => (schedule.run(), schedule.skipped()),
    };
    Summary {
        end,
        run,
        skipped,
        rest_cycles: schedule.run() - run,
        bucket_fullest: ladder.fullest(),
        quick_stops,
        safe,
    }
}

/// What is asked of the control law while the run is `ending`, or else by the ladder.
#[cold]
#[inline(never)]
fn quick_stop(ending: bool, ladder: &Ladder) -> Directive {
    Directive::QuickStop(if ending {
        StopCause::RunEnds
    } else {
        ladder.cause()
    })
}

/// Flags of a cycle with something to remember, which few have.
#[cold]
fn unusual(missed: bool, demand: Demand, elapsed_slots: u32) -> u16 {
    let mut found = 0;
    if missed {
        found |= flags::OVERRUN;
    }
    if demand == Demand::Allocated {
        found |= flags::ALLOCATED;
    }
    if elapsed_slots > 1 {
        found |= flags::HELD;
    }
    found
}

/// The loop has turned to its end: where it stood then.
struct Ending {
    end: End,
    slot: u64,
    run: u64,
    skipped: u64,
}

impl Ending {
    #[cold]
    fn begin(end: End, schedule: &Schedule) -> Self {
        Self {
            end,
            slot: schedule.slot(),
            run: schedule.run(),
            skipped: schedule.skipped(),
        }
    }
}

impl Limit {
    /// The first slot that is beyond the limit if no more slots are skipped.
    fn slot(self, schedule: &Schedule) -> u64 {
        match self {
            Self::None => u64::MAX,
            Self::Slots(slots) => slots,
            Self::Cycles(cycles) => cycles.saturating_add(schedule.skipped()),
        }
    }
}

#[cfg(test)]
mod tests;
