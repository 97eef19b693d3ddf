//! The loop: runs one cycle ([`stages`](super::stages)) in every slot of the schedule until the
//! run ends, then makes the outputs safe.

use super::image::{Lost, OutputError};
use super::overrun::{Ladder, LadderConfig, Step};
use super::ports::{Act, Clock, Decide, Directive, Record, Sense, Tick};
use super::record::{CycleRecord, flags};
use super::schedule::Schedule;
use super::stages::{Cycle, Drive};
use super::stop::{QuickStop, QuickStops, StopCause};
use super::timing::Timing;
use crate::time::{Duration, Instant};

/// When the loop ends by itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Never.
    None,
    /// After this many slots, run or skipped: a span of time.
    Slots(u64),
    /// After this many cycles run.
    Cycles(u64),
}

/// The parameters of a run.
#[derive(Copy, Clone, Debug)]
pub struct Plan {
    /// Time between releases.
    pub period: Duration,
    /// Time after the release by which the outputs must have left.
    pub deadline: Duration,
    /// When the loop ends by itself.
    pub limit: Limit,
    /// Most slots for coming to rest at the end.
    pub rest_slots: u64,
    /// Number of cycles in a row with failed outputs that end the run.
    pub output_failures: u32,
    /// The overrun ladder.
    pub ladder: LadderConfig,
    /// The shortest of the times for which an output may be held without a fresh decision.
    pub max_hold: Duration,
    /// Whether outputs are driven, or stay safe for a rehearsal.
    pub drive: Drive,
    /// How the plant behaves while slots are skipped.
    pub plant: Plant,
}

/// How the plant behaves while slots are skipped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// It moves on, as a real plant does.
    GoesOn,
    /// It stands still: a simulation in which only cycles count, so that a slow machine changes
    /// the measured times but not the motion.
    Waits,
}

/// A request to the loop from outside, read once in a cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// No request.
    Continue,
    /// Come to rest, then end the run.
    Stop,
    /// The real-time thread has allocated memory: a fault.
    Allocated,
    /// A promise of the contract broke: come to rest, then end the run as a fault.
    PromiseBroken,
}

/// The supervisor of the loop.
pub trait Supervise {
    /// Returns the request to the loop. `finished` is when the outputs of its cycle had left.
    /// Called once in a cycle; must not make system calls.
    fn demand(&self, finished: Instant) -> Demand;

    /// A cycle met its deadline, so a watchdog may be fed.
    fn deadline_met(&mut self, tick: &Tick) {
        let _ = tick;
    }

    /// The loop requests a quick stop from its next cycle on. Rare; may store the facts, must
    /// not make system calls.
    fn quick_stop(&mut self, stop: &QuickStop) {
        let _ = stop;
    }
}

/// Why the loop ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The limit was reached and everything came to rest.
    Finished,
    /// A stop was requested and everything came to rest.
    Stopped,
    /// A stop was requested, and not everything came to rest in the time allowed.
    NotAtRest,
    /// The overrun ladder reached its last step.
    Overrun,
    /// Outputs failed in too many cycles in a row, or once with a failure that cannot pass; the
    /// last failure.
    OutputFailed(OutputError),
    /// A device failed more often in a row than is tolerated.
    DeviceLost(Lost),
    /// Memory was allocated on the real-time thread.
    Allocated,
    /// A promise of the contract broke and everything came to rest.
    PromiseBroken,
}

/// The summary of a run.
#[derive(Copy, Clone, Debug)]
pub struct Summary {
    /// Why it ended.
    pub end: End,
    /// Cycles run, without those that brought it to rest.
    pub run: u64,
    /// Slots skipped in that time.
    pub skipped: u64,
    /// Cycles that brought it to rest.
    pub rest_cycles: u64,
    /// The highest level of the overrun bucket.
    pub bucket_fullest: u32,
    /// Quick stops that the loop requested while the run went on.
    pub quick_stops: QuickStops,
    /// Whether the outputs were made safe at the end.
    pub safe: Result<(), OutputError>,
}

/// Runs the loop from slot 0, released at `epoch`, and makes the outputs safe at its end.
///
/// It reads only `clock`, allocates nothing, and makes only the system calls of its ports and
/// its clock.
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
        // A quick stop that comes while the run ends stops nothing.
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
                // All outputs were written, otherwise it would be one of the errors below.
                failures = 0;
                // Only once: a run that is already ending keeps its first cause.
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

/// The quick stop that is requested while the run is `ending`, otherwise that of the ladder.
#[cold]
#[inline(never)]
fn quick_stop(ending: bool, ladder: &Ladder) -> Directive {
    Directive::QuickStop(if ending {
        StopCause::RunEnds
    } else {
        ladder.cause()
    })
}

/// Flags of a late cycle. Out of line, because such cycles are rare.
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

/// The end of the run has begun: the state at that time.
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
    /// The first slot beyond the limit if no more slots are skipped.
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
