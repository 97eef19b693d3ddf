//! Tests of the loop with a scripted clock, plant and control law.

mod outputs;

use super::*;
use crate::cycle::image::{InputError, Inputs, MAX_ANALOG_OUTPUTS, OutputChannel, Outputs};
use crate::cycle::record::CycleRecord;
use std::vec::Vec;

/// The value of an output that no law sets.
const SAFE: Outputs = Outputs::new(0b100, &[2.5; MAX_ANALOG_OUTPUTS]);

const MS: Duration = Duration::from_millis(1);

/// A scripted clock: each cycle takes `work`, and the wake-ups at the listed slots are late.
struct Scripted {
    now: std::cell::Cell<u64>,
    work: u64,
    late: Vec<(u64, u64)>,
}

impl Clock for Scripted {
    fn now(&self) -> Instant {
        self.now.set(self.now.get() + self.work);
        Instant::from_nanos(self.now.get())
    }

    fn wait_until(&mut self, release: Instant) -> Instant {
        let slot = release.as_nanos() / MS.as_nanos();
        let late = self
            .late
            .iter()
            .find(|(s, _)| *s == slot)
            .map_or(0, |(_, ns)| *ns);
        self.now.set(self.now.get().max(release.as_nanos() + late));
        Instant::from_nanos(self.now.get())
    }
}

#[derive(Default)]
struct Plant {
    written: Vec<Option<Outputs>>,
    broken_from: Option<(u64, OutputError)>,
}

impl Sense for Plant {
    fn sense(&mut self, _: &Tick, inputs: &mut Inputs) {
        inputs.digital = Err(InputError::Bus);
    }
}

impl Act for Plant {
    fn safe_image(&self) -> Outputs {
        SAFE
    }

    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        self.written.push(Some(*outputs));
        match self.broken_from {
            Some((slot, error)) if tick.slot >= slot => Err(error),
            _ => Ok(()),
        }
    }

    fn safe(&mut self, _: &Tick) -> Result<(), OutputError> {
        self.written.push(None);
        Ok(())
    }
}

/// Comes to rest in the third cycle after the stop request.
struct Law;

impl Decide for Law {
    type Config = ();
    type State = u32;

    fn decide((): &(), asked: &mut u32, _: &Inputs, tick: &Tick, outputs: &mut Outputs) {
        match tick.directive {
            Directive::Run => *asked = 0,
            Directive::QuickStop(_) => *asked += 1,
        }
        outputs.digital |= 0b10;
    }

    fn at_rest((): &(), asked: &u32) -> bool {
        *asked >= 3
    }
}

struct Kept(Vec<CycleRecord>);

impl Record for Kept {
    fn record(&mut self, record: &CycleRecord) {
        self.0.push(*record);
    }
}

/// Makes a request from the cycle with this number on, and notes the calls.
struct DemandAt {
    from: u64,
    demand: Demand,
    cycle: std::cell::Cell<u64>,
    noted: Vec<QuickStop>,
}

impl Supervise for DemandAt {
    fn demand(&self, _: Instant) -> Demand {
        let cycle = self.cycle.replace(self.cycle.get() + 1);
        if cycle >= self.from {
            self.demand
        } else {
            Demand::Continue
        }
    }

    fn quick_stop(&mut self, stop: &QuickStop) {
        self.noted.push(*stop);
    }
}

const fn demand_at(cycle: u64, demand: Demand) -> DemandAt {
    DemandAt {
        from: cycle,
        demand,
        cycle: std::cell::Cell::new(0),
        noted: Vec::new(),
    }
}

struct Ran {
    summary: Summary,
    plant: Plant,
    timing: Timing,
    records: Vec<CycleRecord>,
    noted: Vec<QuickStop>,
}

fn plan(limit: Limit) -> Plan {
    Plan {
        period: MS,
        deadline: MS,
        limit,
        rest_slots: 10,
        output_failures: 3,
        ladder: LadderConfig::default(),
        max_hold: Duration::from_millis(20),
        drive: Drive::Fresh,
        plant: super::Plant::GoesOn,
    }
}

fn ran(
    plan: &Plan,
    late: &[(u64, u64)],
    broken_from: Option<(u64, OutputError)>,
    demand: DemandAt,
) -> Ran {
    let plant = Plant {
        broken_from,
        ..Plant::default()
    };
    let mut cycle = Cycle::<_, Law>::new(plant, &(), 0, OutputChannel::new(0));
    let mut clock = Scripted {
        now: 0.into(),
        work: 40_000,
        late: late.to_vec(),
    };
    let mut timing = Timing::new();
    let mut kept = Kept(Vec::new());
    let mut demand = demand;
    let epoch = Instant::from_nanos(0);
    let summary = run(
        &mut cycle,
        plan,
        epoch,
        &mut clock,
        &mut timing,
        &mut kept,
        &mut demand,
    );
    Ran {
        summary,
        plant: cycle.ports,
        timing,
        records: kept.0,
        noted: demand.noted,
    }
}

#[test]
fn a_run_ends_at_rest_with_safe_outputs() {
    let ran = ran(
        &plan(Limit::Slots(100)),
        &[],
        None,
        demand_at(u64::MAX, Demand::Continue),
    );
    assert_eq!(ran.summary.end, End::Finished);
    assert_eq!(
        (
            ran.summary.run,
            ran.summary.skipped,
            ran.summary.rest_cycles
        ),
        (100, 0, 3)
    );
    assert_eq!(ran.plant.written.last(), Some(&None));
    assert_eq!(ran.plant.written.iter().filter(|w| w.is_none()).count(), 1);
    assert_eq!(
        ran.timing.execution.count(),
        100,
        "coming to rest is not measured"
    );
}

#[test]
fn the_heartbeat_toggles_in_every_cycle_and_leaves_other_outputs_alone() {
    let ran = ran(
        &plan(Limit::Cycles(50)),
        &[],
        None,
        demand_at(u64::MAX, Demand::Continue),
    );
    let driven: Vec<_> = ran
        .plant
        .written
        .iter()
        .flatten()
        .map(|o| o.digital)
        .collect();
    assert!(
        driven.windows(2).all(|pair| pair[0] ^ pair[1] == 1),
        "{driven:?}"
    );
    assert!(driven.iter().all(|digital| digital & 0b10 != 0));
    let untouched =
        |outputs: &Outputs| outputs.digital & 0b100 != 0 && outputs.analogs == SAFE.analogs;
    assert!(ran.plant.written.iter().flatten().all(untouched));
}

#[test]
fn a_late_wake_is_an_overrun_with_its_whole_lateness_and_skips_the_passed_slots() {
    let ran = ran(
        &plan(Limit::Slots(20)),
        &[(5, 2_300_000)],
        None,
        demand_at(u64::MAX, Demand::Continue),
    );
    assert_eq!(
        (ran.summary.run, ran.summary.skipped, ran.timing.overruns),
        (18, 2, 1)
    );
    assert_eq!(ran.timing.release_lateness.summary().max, 2_300_000);
    assert_eq!(ran.timing.response.summary().max, 2_340_000);
    let (late, next) = (&ran.records[5], &ran.records[6]);
    // The plant's inputs always fail.
    let (overrun, held) = (
        flags::OVERRUN | flags::INPUT_FAILED,
        flags::HELD | flags::INPUT_FAILED,
    );
    assert_eq!((late.slot, late.skipped, late.flags), (5, 0, overrun));
    assert_eq!((next.slot, next.skipped, next.flags), (8, 2, held));
    assert_eq!(late.trace, [0.0; 8], "a law without a trace");
    assert_eq!(next.lateness_ns, 0, "the phase is kept");
}

#[test]
fn a_gap_that_fills_the_bucket_ends_in_a_fault_with_safe_outputs() {
    let ran = ran(
        &plan(Limit::Slots(100)),
        &[(7, 30_000_000)],
        None,
        demand_at(u64::MAX, Demand::Continue),
    );
    assert_eq!(ran.summary.end, End::Overrun);
    assert_eq!(ran.plant.written.last(), Some(&None));
    assert_eq!(ran.records.last().unwrap().slot, 7);
}

#[test]
fn outputs_that_cannot_be_written_end_the_run_at_the_third_failure_in_a_row() {
    for (from, last) in [(10, 12), (0, 2)] {
        let ran = ran(
            &plan(Limit::Slots(100)),
            &[],
            Some((from, OutputError::Analog(3))),
            demand_at(u64::MAX, Demand::Continue),
        );
        assert_eq!(ran.summary.end, End::OutputFailed(OutputError::Analog(3)));
        assert_eq!(ran.records.last().unwrap().slot, last);
        assert_eq!(ran.plant.written.last(), Some(&None));
    }
}

#[test]
fn a_non_finite_command_ends_the_run_in_the_same_cycle() {
    let ran = ran(
        &plan(Limit::Slots(100)),
        &[],
        Some((10, OutputError::NotFinite(3))),
        demand_at(u64::MAX, Demand::Continue),
    );
    let end = End::OutputFailed(OutputError::NotFinite(3));
    assert_eq!(ran.summary.end, end);
    assert_eq!(ran.records.last().unwrap().slot, 10);
    assert_eq!(ran.plant.written.last(), Some(&None));
}

#[test]
fn a_lost_output_ends_the_run_at_once_and_a_lost_input_after_coming_to_rest() {
    let run = |lost| {
        ran(
            &plan(Limit::Slots(100)),
            &[],
            Some((10, OutputError::Lost(lost))),
            demand_at(u64::MAX, Demand::Continue),
        )
    };
    for lost in [Lost::AnalogOutput(3), Lost::Monitored(3)] {
        let ran = run(lost);
        assert_eq!(ran.summary.end, End::DeviceLost(lost));
        assert_eq!(ran.records.last().unwrap().slot, 10);
        assert_eq!(ran.plant.written.last(), Some(&None));
    }
    let lost = Lost::AnalogInput(3, InputError::OutOfRange);
    let ran = run(lost);
    assert_eq!(ran.summary.end, End::DeviceLost(lost));
    assert_eq!((ran.summary.run, ran.summary.rest_cycles), (11, 3));
    assert_ne!(ran.records[11].flags & flags::QUICK_STOP, 0);
    assert_eq!(ran.plant.written.last(), Some(&None));
}

#[test]
fn a_demanded_stop_ends_the_run_after_rest() {
    let ran = ran(&plan(Limit::None), &[], None, demand_at(30, Demand::Stop));
    assert_eq!(ran.summary.end, End::Stopped);
    assert_eq!((ran.summary.run, ran.summary.rest_cycles), (31, 3));
    assert!(ran.records[31].flags & flags::QUICK_STOP != 0);
}

#[test]
fn a_broken_promise_stops_the_axes_first_and_has_its_own_end() {
    let demand = demand_at(30, Demand::PromiseBroken);
    let ran = ran(&plan(Limit::None), &[], None, demand);
    assert_eq!(ran.summary.end, End::PromiseBroken);
    assert_eq!((ran.summary.run, ran.summary.rest_cycles), (31, 3));
    assert!(ran.records[31].flags & flags::QUICK_STOP != 0);
}

#[test]
fn a_run_that_does_not_come_to_rest_ends_after_the_time_out() {
    let mut hasty = plan(Limit::Slots(5));
    hasty.rest_slots = 1;
    let ran = ran(&hasty, &[], None, demand_at(u64::MAX, Demand::Continue));
    assert_eq!(
        (ran.summary.end, ran.summary.rest_cycles),
        (End::NotAtRest, 2)
    );
    assert_eq!(ran.plant.written.last(), Some(&None));
}

#[test]
fn an_allocation_ends_the_run_in_the_same_cycle() {
    let ran = ran(
        &plan(Limit::None),
        &[],
        None,
        demand_at(9, Demand::Allocated),
    );
    assert_eq!(ran.summary.end, End::Allocated);
    let last = ran.records.last().unwrap();
    assert_eq!(
        (last.slot, last.flags & flags::ALLOCATED),
        (9, flags::ALLOCATED)
    );
}

#[test]
fn a_rehearsal_drives_nothing_but_safe_outputs() {
    let mut rehearsal = plan(Limit::Cycles(100));
    rehearsal.drive = Drive::Safe;
    let ran = ran(&rehearsal, &[], None, demand_at(u64::MAX, Demand::Continue));
    assert!(ran.plant.written.iter().all(Option::is_none));
}

#[test]
fn a_waiting_plant_advances_one_slot_however_many_are_skipped() {
    struct Slots;
    impl Decide for Slots {
        type Config = ();
        type State = Vec<u32>;

        fn decide((): &(), seen: &mut Vec<u32>, _: &Inputs, tick: &Tick, _: &mut Outputs) {
            seen.push(tick.elapsed_slots);
        }
    }
    for (plant, expected) in [(super::Plant::GoesOn, 3), (super::Plant::Waits, 1)] {
        let mut cycle = Cycle::<_, Slots>::new(Plant::default(), &(), Vec::new(), None);
        let mut clock = Scripted {
            now: 0.into(),
            work: 40_000,
            late: vec![(5, 2_300_000)],
        };
        let mut kept = Kept(Vec::new());
        let plan = super::Plan {
            plant,
            ..plan(Limit::Slots(10))
        };
        let epoch = Instant::from_nanos(0);
        let (timing, demand) = (
            &mut Timing::new(),
            &mut demand_at(u64::MAX, Demand::Continue),
        );
        run(
            &mut cycle, &plan, epoch, &mut clock, timing, &mut kept, demand,
        );
        assert_eq!(cycle.state[6], expected, "{plant:?}");
        assert_eq!(kept.0[6].skipped, 2, "the record tells what happened");
    }
}

#[test]
fn outputs_held_for_longer_than_allowed_lead_to_a_quick_stop() {
    let mut strict = plan(Limit::Slots(40));
    strict.max_hold = Duration::from_millis(3);
    let quick = flags::QUICK_STOP;
    for (late, expected) in [(1_900_000, 0), (2_900_000, 0), (3_100_000, quick)] {
        let demand = demand_at(u64::MAX, Demand::Continue);
        let ran = ran(&strict, &[(5, late)], None, demand);
        assert_eq!(ran.records[6].flags & flags::QUICK_STOP, expected, "{late}");
        let stop = QuickStop {
            cause: StopCause::Held,
            slot: 5,
            // The deadline, and three slots.
            missed: 4,
        };
        assert_eq!(
            ran.summary.quick_stops.last,
            (expected != 0).then_some(stop)
        );
    }
}

#[test]
fn a_quick_stop_after_overruns_is_recorded_with_cause_slot_and_misses() {
    let mut armed = plan(Limit::Slots(400));
    armed.ladder.fault = 10_000;
    let none = demand_at(u64::MAX, Demand::Continue);
    let ran = ran(&armed, &[(20, 12_300_000), (200, 6_300_000)], None, none);
    assert_eq!(ran.summary.end, End::Finished);
    let stop = |slot, missed| QuickStop {
        cause: StopCause::Overrun,
        slot,
        missed,
    };
    assert_eq!(ran.noted, [stop(20, 13), stop(200, 7)]);
    let stops = ran.summary.quick_stops;
    assert_eq!((stops.count, stops.last), (2, Some(stop(200, 7))));
    // Level 130: as many cycles of quick stop, of which the last empties the bucket.
    let asked = |record: &&CycleRecord| record.flags & flags::QUICK_STOP != 0;
    let first = ran.records.iter().filter(|record| record.slot < 200);
    assert_eq!(first.filter(asked).count(), 130);
}

#[test]
fn overruns_while_the_run_ends_are_not_a_quick_stop() {
    let mut armed = plan(Limit::Slots(20));
    armed.ladder.fault = 10_000;
    armed.rest_slots = 100;
    let none = demand_at(u64::MAX, Demand::Continue);
    let ran = ran(&armed, &[(21, 12_300_000)], None, none);
    assert_eq!(ran.summary.end, End::Finished);
    assert_eq!(ran.summary.quick_stops, QuickStops::default());
}

#[test]
fn the_requested_number_of_cycles_runs_whatever_slots_are_skipped() {
    let none = demand_at(u64::MAX, Demand::Continue);
    let late = [(5, 2_300_000), (12, 1_300_000)];
    let ran = ran(&plan(Limit::Cycles(20)), &late, None, none);
    assert_eq!((ran.summary.run, ran.summary.skipped), (20, 3));
}

#[test]
fn a_skipped_slot_is_recorded_as_outputs_held() {
    let none = demand_at(u64::MAX, Demand::Continue);
    let ran = ran(&plan(Limit::Slots(20)), &[(5, 1_300_000)], None, none);
    let held: Vec<(u64, u32)> = ran
        .records
        .iter()
        .filter(|record| record.flags & flags::HELD != 0)
        .map(|record| (record.slot, record.skipped))
        .collect();
    assert_eq!(held, [(7, 1)]);
}
