//! The loop against a scripted clock, plant and control law.

use super::*;
use crate::cycle::image::{InputError, Inputs, Outputs};
use crate::cycle::record::CycleRecord;
use std::vec::Vec;

const MS: Duration = Duration::from_millis(1);

/// A clock that moves as told: each cycle takes `work`, and the wake-ups at
/// the listed slots come late.
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

/// Comes to rest in the third cycle after it was asked to.
struct Law;

impl Decide for Law {
    type Config = ();
    type State = u32;

    fn decide((): &(), asked: &mut u32, _: &Inputs, tick: &Tick) -> Outputs {
        match tick.directive {
            Directive::Run => *asked = 0,
            Directive::QuickStop => *asked += 1,
        }
        Outputs {
            digital: 0b10,
            ..Outputs::default()
        }
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

/// Demands something in the cycle with this number.
struct DemandAt(u64, Demand, std::cell::Cell<u64>);

impl Supervise for DemandAt {
    fn demand(&self) -> Demand {
        let cycle = self.2.replace(self.2.get() + 1);
        if cycle >= self.0 {
            self.1
        } else {
            Demand::Continue
        }
    }
}

const fn demand_at(cycle: u64, demand: Demand) -> DemandAt {
    DemandAt(cycle, demand, std::cell::Cell::new(0))
}

struct Ran {
    summary: Summary,
    plant: Plant,
    timing: Timing,
    records: Vec<CycleRecord>,
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
    let mut beat = Beat::<_, Law>::new(plant, &(), 0, Some(0));
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
        &mut beat,
        plan,
        epoch,
        &mut clock,
        &mut timing,
        &mut kept,
        &mut demand,
    );
    Ran {
        summary,
        plant: beat.ports,
        timing,
        records: kept.0,
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
}

#[test]
fn a_late_wake_is_an_overrun_with_its_whole_lateness_and_skips_what_passed() {
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
    assert_eq!(
        (late.slot, late.flags & flags::OVERRUN),
        (5, flags::OVERRUN)
    );
    assert_eq!(
        (next.slot, next.skipped, next.flags & flags::HELD),
        (8, 2, flags::HELD)
    );
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
fn outputs_that_cannot_be_written_are_a_fault_at_the_third_time_in_a_row() {
    let ran = ran(
        &plan(Limit::Slots(100)),
        &[],
        Some((10, OutputError::Analog(3))),
        demand_at(u64::MAX, Demand::Continue),
    );
    assert_eq!(ran.summary.end, End::OutputFailed(OutputError::Analog(3)));
    assert_eq!(ran.records.last().unwrap().slot, 12);
    assert_eq!(ran.plant.written.last(), Some(&None));
}

#[test]
fn a_command_that_is_no_number_ends_the_run_in_its_own_cycle() {
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
fn a_demanded_stop_comes_to_rest_first() {
    let ran = ran(&plan(Limit::None), &[], None, demand_at(30, Demand::Stop));
    assert_eq!(ran.summary.end, End::Stopped);
    assert_eq!((ran.summary.run, ran.summary.rest_cycles), (31, 3));
    assert!(ran.records[31].flags & flags::QUICK_STOP != 0);
}

#[test]
fn what_does_not_come_to_rest_in_time_is_ended_all_the_same() {
    let mut hasty = plan(Limit::Slots(5));
    hasty.rest_slots = 1;
    let ran = ran(&hasty, &[], None, demand_at(u64::MAX, Demand::Continue));
    assert_eq!(ran.summary.end, End::NotAtRest);
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
fn a_plant_that_waits_sees_one_slot_pass_however_many_were_skipped() {
    struct Slots;
    impl Decide for Slots {
        type Config = ();
        type State = Vec<u32>;

        fn decide((): &(), seen: &mut Vec<u32>, _: &Inputs, tick: &Tick) -> Outputs {
            seen.push(tick.elapsed_slots);
            Outputs::default()
        }
    }
    for (plant, expected) in [(super::Plant::GoesOn, 3), (super::Plant::Waits, 1)] {
        let mut beat = Beat::<_, Slots>::new(Plant::default(), &(), Vec::new(), None);
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
            &mut beat, &plan, epoch, &mut clock, timing, &mut kept, demand,
        );
        assert_eq!(beat.state[6], expected, "{plant:?}");
        assert_eq!(kept.0[6].skipped, 2, "the record tells what happened");
    }
}

#[test]
fn outputs_held_for_longer_than_they_may_be_lead_to_a_quick_stop() {
    let mut strict = plan(Limit::Slots(40));
    strict.max_hold = Duration::from_millis(3);
    for (late, expected) in [(1_900_000, 0), (3_100_000, flags::QUICK_STOP)] {
        let demand = demand_at(u64::MAX, Demand::Continue);
        let ran = ran(&strict, &[(5, late)], None, demand);
        assert_eq!(ran.records[6].flags & flags::QUICK_STOP, expected, "{late}");
    }
}
