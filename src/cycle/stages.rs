//! One cycle: sense, decide, act, and its record.
//!
//! The stages always run in this order, whatever fails: a failed reading is data for the
//! control law, and no failure may prevent the write of the outputs. The outputs begin each
//! cycle at their safe values, so an output that the law does not set is driven safe. Reads the
//! clock once; allocates nothing.

use super::image::{Inputs, OutputChannel, OutputError, Outputs};
use super::ports::{Act, Clock, Decide, Directive, FaultNumber, Sense, Tick};
use super::record::{CycleRecord, flags};
use crate::time::{Duration, Instant};

/// A controller: its ports, its control law, and the process image between them.
pub struct Cycle<'a, P, D: Decide> {
    /// The inputs and outputs of the board.
    pub ports: P,
    /// The control law's configuration.
    pub config: &'a D::Config,
    /// The control law's state.
    pub state: D::State,
    /// The bit of the heartbeat, 0 without one: a digital output that toggles in each cycle
    /// that drives the outputs, for an external relay that drops when it stops.
    heartbeat: u32,
    /// The heartbeat as last driven: its bit, or 0.
    heartbeat_level: u32,
    inputs: Inputs,
    /// The values at which the outputs begin each cycle.
    safe: Outputs,
    outputs: Outputs,
}

/// How the outputs of a cycle are driven.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Drive {
    /// They are driven to the values that the law decided.
    Fresh,
    /// The law runs, but the outputs are driven to their safe values: rehearsal, fault.
    Safe,
}

/// The result of one cycle.
#[derive(Copy, Clone, Debug)]
pub struct Done {
    /// The instant at which the outputs had left.
    pub end: Instant,
    /// Whether the outputs were written.
    pub acted: Result<(), OutputError>,
    /// These four are as in the record.
    pub(super) lateness_ns: u32,
    pub(super) execution_ns: u32,
    fault: u16,
    flags: u16,
}

impl<'a, P: Sense + Act, D: Decide> Cycle<'a, P, D> {
    /// A controller before its first cycle.
    pub fn new(
        ports: P,
        config: &'a D::Config,
        state: D::State,
        heartbeat: Option<OutputChannel>,
    ) -> Self {
        let safe = ports.safe_image();
        Self {
            safe,
            outputs: safe,
            ports,
            config,
            state,
            heartbeat: heartbeat.map_or(0, OutputChannel::bit),
            heartbeat_level: 0,
            inputs: Inputs::NOT_READ,
        }
    }

    /// Runs one cycle and fills its `record`, to which the caller adds the facts of the
    /// schedule.
    #[inline]
    pub fn run_once<C: Clock>(
        &mut self,
        clock: &C,
        tick: &Tick,
        drive: Drive,
        record: &mut CycleRecord,
    ) -> Done {
        let done = self.run(clock, tick, drive);
        *record = self.record_of(tick, &done);
        done
    }

    /// Runs one cycle, without its record.
    #[inline]
    pub(super) fn run<C: Clock>(&mut self, clock: &C, tick: &Tick, drive: Drive) -> Done {
        self.ports.sense(tick, &mut self.inputs);
        let forced = match self.ports.forces() {
            Some(forces) if drive == Drive::Fresh => {
                let stop = tick.directive != Directive::Run;
                forces.sensed((tick.slot, tick.now), stop, &mut self.inputs);
                true
            }
            _ => false,
        };
        let fault_before = match forced {
            true => D::fault(self.config, &self.state),
            false => None,
        };
        if self.ports.changed() {
            D::change(self.config, &mut self.state);
        }
        self.outputs.take(&self.safe);
        D::decide(
            self.config,
            &mut self.state,
            &self.inputs,
            tick,
            &mut self.outputs,
        );
        let forced = match forced {
            true => self.force(tick, fault_before),
            false => 0,
        };
        let acted = match drive {
            Drive::Fresh => {
                self.toggle_heartbeat();
                self.ports.act(tick, &self.outputs)
            }
            Drive::Safe => self.ports.safe(tick),
        };
        let end = clock.now();
        let (lateness_ns, execution_ns) = spans(tick.release, tick.now, end);
        let fault = D::fault(self.config, &self.state);
        let mut flags = forced;
        let input_failed = self.inputs.digital.is_err();
        let stopped = D::stopped(self.config, &self.state).is_some();
        let asked = tick.directive != Directive::Run;
        if input_failed || acted.is_err() || asked || stopped || drive == Drive::Safe {
            flags |= unusual(input_failed, acted.is_err(), asked, stopped, drive);
        }
        if fault.is_some() {
            flags |= flags::of_law(D::faulted(self.config, &self.state));
        }
        let Self { config, state, .. } = self;
        self.ports
            .publish(tick, &self.inputs, &self.outputs, |words| {
                D::status(config, state, words);
            });
        Done {
            end,
            acted,
            lateness_ns,
            execution_ns,
            fault: fault.map_or(0, FaultNumber::get),
            flags,
        }
    }

    /// The record of the last cycle, which was that of `tick`.
    #[inline]
    pub(super) fn record_of(&self, tick: &Tick, done: &Done) -> CycleRecord {
        CycleRecord {
            slot: tick.slot,
            lateness_ns: done.lateness_ns,
            execution_ns: done.execution_ns,
            skipped: 0,
            fault: done.fault,
            flags: done.flags,
            trace: D::trace(self.config, &self.state),
        }
    }

    /// Overrides what the laws have set by the forced outputs, and gives the flag of the record.
    #[cold]
    #[inline(never)]
    fn force(&mut self, tick: &Tick, before: Option<FaultNumber>) -> u16 {
        let fault = D::fault(self.config, &self.state);
        let is_new = fault.is_some() && fault != before;
        let (safe, outputs) = (&self.safe, &mut self.outputs);
        let forces = self.ports.forces();
        let is_left =
            forces.is_some_and(|forces| forces.commanded(tick.slot, is_new, safe, outputs));
        bit(flags::FORCED, is_left)
    }

    fn toggle_heartbeat(&mut self) {
        self.heartbeat_level ^= self.heartbeat;
        self.outputs.digital = self.outputs.digital & !self.heartbeat | self.heartbeat_level;
    }
}

/// Flags of a cycle with a failure, a stop or safe outputs. Out of line, because such cycles
/// are rare.
#[cold]
#[inline(never)]
fn unusual(
    input_failed: bool,
    output_failed: bool,
    asked: bool,
    stopped: bool,
    drive: Drive,
) -> u16 {
    bit(flags::INPUT_FAILED, input_failed)
        | bit(flags::OUTPUT_FAILED, output_failed)
        | bit(flags::QUICK_STOP, asked)
        | bit(flags::STOPPED, stopped)
        | bit(flags::SAFE, drive == Drive::Safe)
}

const fn bit(flag: u16, set: bool) -> u16 {
    if set { flag } else { 0 }
}

/// The times between the instants, ns, from 0 to 2^32 - 1.
#[inline]
fn spans(release: Instant, now: Instant, end: Instant) -> (u32, u32) {
    let [release_ns, now_ns, end_ns] = [release, now, end].map(Instant::as_nanos);
    let lateness = now_ns.wrapping_sub(release_ns);
    let execution = end_ns.wrapping_sub(now_ns);
    // One comparison for both in the usual case: a negative span is large as well.
    if (lateness | execution) > u64::from(u32::MAX) {
        return (limited(now.since(release)), limited(end.since(now)));
    }
    (lateness as u32, execution as u32)
}

#[cold]
#[inline(never)]
fn limited(span: Duration) -> u32 {
    u32::try_from(span.as_nanos()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::image::{Angle, DigitalInputs};
    use crate::cycle::ports::FaultNumber;
    use crate::cycle::stop::StopCause;

    /// Reads one angle; writing its outputs has this result.
    struct Board(Result<(), OutputError>);

    impl Sense for Board {
        fn sense(&mut self, tick: &Tick, inputs: &mut Inputs) {
            inputs.positions[0].value = Ok(Angle(tick.slot as u32));
            inputs.digital = Ok(DigitalInputs::default());
        }
    }

    impl Act for Board {
        fn safe_image(&self) -> Outputs {
            Outputs::new(0, &[])
        }

        fn act(&mut self, _: &Tick, _: &Outputs) -> Result<(), OutputError> {
            self.0
        }

        fn safe(&mut self, _: &Tick) -> Result<(), OutputError> {
            Ok(())
        }
    }

    /// Has the fault and the stop of its configuration, and keeps what it read.
    struct Law;

    impl Decide for Law {
        type Config = (Option<FaultNumber>, Option<StopCause>);
        type State = u32;

        fn decide(_: &Self::Config, seen: &mut u32, inputs: &Inputs, _: &Tick, _: &mut Outputs) {
            *seen = inputs.positions[0].value.map_or(0, |angle| angle.0);
        }

        fn fault(config: &Self::Config, _: &u32) -> Option<FaultNumber> {
            config.0
        }

        fn stopped(config: &Self::Config, _: &u32) -> Option<StopCause> {
            config.1
        }
    }

    /// Has changed parameters.
    struct Changed;

    impl Sense for Changed {
        fn sense(&mut self, _: &Tick, inputs: &mut Inputs) {
            inputs.positions[0].value = Ok(Angle(7));
        }

        fn changed(&self) -> bool {
            true
        }
    }

    impl Act for Changed {
        fn safe_image(&self) -> Outputs {
            Outputs::new(0, &[])
        }

        fn act(&mut self, _: &Tick, _: &Outputs) -> Result<(), OutputError> {
            Ok(())
        }

        fn safe(&mut self, _: &Tick) -> Result<(), OutputError> {
            Ok(())
        }
    }

    /// Its parameter, and that with which it decided on the position 7.
    struct Tuned;

    impl Decide for Tuned {
        type Config = ();
        type State = (u32, u32);

        fn decide((): &(), state: &mut (u32, u32), inputs: &Inputs, _: &Tick, _: &mut Outputs) {
            if inputs.positions[0].value == Ok(Angle(7)) {
                state.1 = state.0;
            }
        }

        fn change((): &(), state: &mut (u32, u32)) {
            state.0 = 1;
        }
    }

    #[test]
    fn a_command_that_came_with_a_change_meets_the_changed_parameters() {
        let mut cycle = Cycle::<_, Tuned>::new(Changed, &(), (0, 0), None);
        let tick = Tick {
            slot: 0,
            release: Instant::from_nanos(0),
            now: Instant::from_nanos(0),
            elapsed_slots: 1,
            directive: Directive::Run,
        };
        let mut record = CycleRecord::default();
        cycle.run_once(&Stopped, &tick, Drive::Fresh, &mut record);
        assert_eq!(cycle.state.1, 1);
    }

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Instant {
            Instant::from_nanos(500)
        }

        fn wait_until(&mut self, _: Instant) -> Instant {
            self.now()
        }
    }

    #[test]
    fn times_beyond_the_range_of_a_record_are_its_ends() {
        let at = Instant::from_nanos;
        let most = u64::from(u32::MAX);
        assert_eq!(
            spans(at(7), at(7 + most), at(7 + 2 * most)),
            (u32::MAX, u32::MAX)
        );
        assert_eq!(spans(at(0), at(most + 1), at(most + 3)), (u32::MAX, 2));
        assert_eq!(spans(at(0), at(5), at(6 + most)), (5, u32::MAX));
        // A clock that wakes early, or goes back.
        assert_eq!(spans(at(9), at(8), at(10)), (0, 2));
        assert_eq!(spans(at(5), at(8), at(7)), (3, 0));
    }

    #[test]
    fn a_record_holds_the_data_of_its_cycle_alone() {
        let failed = Err(OutputError::Digital);
        let stop = Directive::QuickStop(StopCause::Overrun);
        let law = (None, None);
        for (acted, directive, drive, law, fault, flags) in [
            (Ok(()), Directive::Run, Drive::Fresh, law, 0, 0),
            (
                failed,
                Directive::Run,
                Drive::Fresh,
                law,
                0,
                flags::OUTPUT_FAILED,
            ),
            (failed, Directive::Run, Drive::Safe, law, 0, flags::SAFE),
            (Ok(()), stop, Drive::Fresh, law, 0, flags::QUICK_STOP),
            (
                Ok(()),
                Directive::Run,
                Drive::Fresh,
                (FaultNumber::new(7), None),
                7,
                0,
            ),
            (
                Ok(()),
                Directive::Run,
                Drive::Fresh,
                (None, Some(StopCause::Held)),
                0,
                flags::STOPPED,
            ),
        ] {
            let mut cycle = Cycle::<_, Law>::new(Board(acted), &law, 0, None);
            let tick = Tick {
                slot: 9,
                release: Instant::from_nanos(100),
                now: Instant::from_nanos(140),
                directive,
                ..Tick::default()
            };
            let mut record = CycleRecord::default();
            cycle.run_once(&Stopped, &tick, drive, &mut record);
            assert_eq!(cycle.state, 9, "what was read in this cycle");
            assert_eq!((record.fault, record.flags), (fault, flags));
            assert_eq!((record.lateness_ns, record.execution_ns), (40, 360));
        }
    }
}
