//! The loop: runs one cycle ([`stages`](super::stages)) in every slot of the schedule until the
//! run ends, then makes the outputs safe.

use super::image::{Lost, OutputError};
use super::overrun::{Ladder, LadderConfig, Step};
use super::ports::{Act, Clock, Decide, Directive, Record, Sense, Tick};
use super::record::{CycleRecord, flags};
use super::schedule::Schedule;
use super::stages::{Cycle, Done, Drive};
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
    let mut course = Course::new(plan, epoch);
    let mut tick = Tick {
        release: epoch,
        elapsed_slots: 1,
        ..Tick::default()
    };
    let in_time = plan.deadline.min(plan.period);

    let end = loop {
        tick.now = clock.wait_until(tick.release);
        let done = cycle.run(clock, &tick, plan.drive);
        let demand = supervise.demand(done.end);
        // The usual cycle, with as few instructions as possible: whatever is unusual about this
        // cycle or follows from an earlier one is left to the other path.
        if demand == Demand::Continue
            && course.is_calm
            && done.end <= tick.release + in_time
            && done.acted.is_ok()
        {
            supervise.deadline_met(&tick);
            record.record(&cycle.record_of(&tick, &done));
            timing.add(done.lateness_ns, done.execution_ns, false);
            tick.slot += 1;
            tick.release += plan.period;
            if tick.slot >= course.last_slot {
                course.finish(&mut tick);
            }
            continue;
        }
        let unusual = Unusual {
            demand,
            at_rest: D::at_rest(cycle.config, &cycle.state),
            kept: cycle.record_of(&tick, &done),
            done,
        };
        if let Some(end) = course.take(plan, unusual, &mut tick, timing, record, supervise) {
            break end;
        }
    };

    let last = Tick {
        now: clock.now(),
        directive: Directive::QuickStop(StopCause::RunEnds),
        elapsed_slots: course.held.saturating_add(1),
        ..tick
    };
    let safe = cycle.ports.safe(&last);
    course.summary(end, safe)
}

/// The course of a run: its schedule, and what is not as usual.
struct Course {
    /// As of the last cycle that was not as usual: since then each slot was run.
    schedule: Schedule,
    /// Whether the last cycle was as usual and leaves nothing for the next one: no slot was
    /// skipped, the bucket of the ladder is empty, no output failed, and the run goes on.
    is_calm: bool,
    /// The first slot beyond the limit if no more slots are skipped.
    last_slot: u64,
    ladder: Ladder,
    /// Slots skipped directly before the next cycle.
    held: u32,
    /// Cycles in a row with failed outputs.
    failures: u32,
    ending: Option<Ending>,
    quick_stops: QuickStops,
}

/// A cycle that was not as usual.
struct Unusual {
    done: Done,
    demand: Demand,
    kept: CycleRecord,
    /// Whether everything is at rest.
    at_rest: bool,
}

impl Course {
    fn new(plan: &Plan, epoch: Instant) -> Self {
        let schedule = Schedule::new(epoch, plan.period);
        Self {
            last_slot: plan.limit.slot(&schedule),
            schedule,
            is_calm: true,
            ladder: Ladder::new(plan.ladder),
            held: 0,
            failures: 0,
            ending: None,
            quick_stops: QuickStops::default(),
        }
    }

    /// The limit was reached: comes to rest from the next cycle on.
    #[cold]
    #[inline(never)]
    fn finish(&mut self, tick: &mut Tick) {
        self.schedule.go_on(tick.slot, tick.release);
        self.ending = Some(Ending::begin(End::Finished, &self.schedule));
        self.is_calm = false;
        tick.directive = self.directive();
    }

    /// The request to the control law in the next cycle.
    fn directive(&self) -> Directive {
        match (&self.ending, self.ladder.step()) {
            (Some(_), _) => Directive::QuickStop(StopCause::RunEnds),
            (None, Step::QuickStop) => Directive::QuickStop(self.ladder.cause()),
            (None, Step::Normal | Step::Fault) => Directive::Run,
        }
    }

    /// Takes a cycle that was not as usual, and moves `tick` to the next one. Gives the end of the
    /// run, if it ends with this cycle.
    #[cold]
    #[inline(never)]
    fn take<R: Record, S: Supervise>(
        &mut self,
        plan: &Plan,
        unusual: Unusual,
        tick: &mut Tick,
        timing: &mut Timing,
        record: &mut R,
        supervise: &mut S,
    ) -> Option<End> {
        let Unusual {
            done,
            demand,
            mut kept,
            at_rest,
        } = unusual;
        let missed = done.end > tick.release + plan.deadline;
        self.schedule.go_on(tick.slot, tick.release);
        let skipped = self.schedule.advance(done.end);
        let mut step = self.ladder.cycle(missed, skipped);
        if skipped > 0 {
            self.last_slot = plan.limit.slot(&self.schedule);
            if plan.period * (u64::from(skipped) + 1) > plan.max_hold {
                self.ladder.held_too_long();
                step = self.ladder.step();
            }
        }
        if self.ending.is_none() {
            timing.add(kept.lateness_ns, kept.execution_ns, missed);
        }
        if !missed {
            supervise.deadline_met(tick);
        }
        kept.skipped = self.held;
        kept.flags |= unusual_flags(missed, demand, self.held);
        // A quick stop that comes while the run ends stops nothing.
        if missed && self.ladder.quick_stops() > self.quick_stops.count && self.ending.is_none() {
            let stop = QuickStop {
                cause: self.ladder.cause(),
                slot: tick.slot,
                missed: self.ladder.missed(),
            };
            self.quick_stops = QuickStops {
                count: self.ladder.quick_stops(),
                last: Some(stop),
            };
            supervise.quick_stop(&stop);
        }
        self.held = skipped;
        record.record(&kept);
        tick.slot = self.schedule.slot();
        tick.release = self.schedule.release();

        let end = self.judge(plan, step, &done, demand, at_rest);
        tick.elapsed_slots = match plan.plant {
            Plant::GoesOn => skipped.saturating_add(1),
            Plant::Waits => 1,
        };
        tick.directive = self.directive();
        self.is_calm =
            self.ending.is_none() && self.ladder.is_empty() && self.failures == 0 && self.held == 0;
        end
    }

    /// Ends the run, or begins to end it, if this cycle demands it.
    fn judge(
        &mut self,
        plan: &Plan,
        step: Step,
        done: &Done,
        demand: Demand,
        at_rest: bool,
    ) -> Option<End> {
        match (step, done.acted) {
            (Step::Fault, _) => return Some(End::Overrun),
            (_, Err(OutputError::Lost(lost))) if lost.can_stop() => {
                // All outputs were written, otherwise it would be one of the errors below.
                self.failures = 0;
                // Only once: a run that is already ending keeps its first cause.
                if self.ending.is_none() {
                    self.ending = Some(Ending::begin(End::DeviceLost(lost), &self.schedule));
                }
            }
            (_, Err(OutputError::Lost(lost))) => return Some(End::DeviceLost(lost)),
            (_, Err(error @ OutputError::NotFinite(_))) => return Some(End::OutputFailed(error)),
            (_, Err(error)) => {
                self.failures += 1;
                if self.failures >= plan.output_failures {
                    return Some(End::OutputFailed(error));
                }
            }
            (_, Ok(())) => self.failures = 0,
        }
        if demand == Demand::Allocated {
            return Some(End::Allocated);
        }
        match &self.ending {
            None if self.schedule.slot() >= self.last_slot => {
                self.ending = Some(Ending::begin(End::Finished, &self.schedule));
            }
            None if demand != Demand::Continue => {
                let end = match demand {
                    Demand::PromiseBroken => End::PromiseBroken,
                    _ => End::Stopped,
                };
                self.ending = Some(Ending::begin(end, &self.schedule));
            }
            None => {}
            Some(ending) if at_rest => return Some(ending.end),
            Some(ending) if self.schedule.slot() - ending.slot > plan.rest_slots => {
                return Some(End::NotAtRest);
            }
            Some(_) => {}
        }
        None
    }

    fn summary(&self, end: End, safe: Result<(), OutputError>) -> Summary {
        let schedule = &self.schedule;
        let (run, skipped) = match &self.ending {
            Some(ending) => (ending.run, ending.skipped),
            None => (schedule.run(), schedule.skipped()),
        };
        Summary {
            end,
            run,
            skipped,
            rest_cycles: schedule.run() - run,
            bucket_fullest: self.ladder.fullest(),
            quick_stops: self.quick_stops,
            safe,
        }
    }
}

/// Flags of a cycle that was late, allocated, or came after skipped slots.
const fn unusual_flags(missed: bool, demand: Demand, held: u32) -> u16 {
    let mut found = 0;
    if missed {
        found |= flags::OVERRUN;
    }
    if matches!(demand, Demand::Allocated) {
        found |= flags::ALLOCATED;
    }
    if held > 0 {
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
