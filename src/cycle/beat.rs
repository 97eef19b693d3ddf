//! One cycle.
//!
//! The four stages always run, in this order, whatever one of them reports: a
//! failed reading is data for the control law, and no failure may keep the
//! outputs from being written.

use super::image::{Inputs, OutputError, Outputs};
use super::ports::{Act, Clock, Decide, Directive, Sense, Tick};
use super::record::{CycleRecord, flags};
use crate::time::{Duration, Instant};

/// A controller put together: its ports, its control law, and the process image
/// between them.
pub struct Beat<'a, P, D: Decide> {
    /// Where inputs come from and outputs go.
    pub ports: P,
    /// The control law's configuration.
    pub config: &'a D::Config,
    /// The control law's state.
    pub state: D::State,
    /// The digital output that toggles in every cycle that is driven, for an
    /// external relay that drops when it stops.
    pub heartbeat: Option<u8>,
    inputs: Inputs,
    beating: bool,
}

/// What becomes of the outputs of a cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Drive {
    /// They are driven.
    Fresh,
    /// The control law runs, but the safe values are driven: rehearsal, fault.
    Safe,
}

/// What one cycle was.
#[derive(Copy, Clone, Debug)]
pub struct Done {
    /// When the outputs had left.
    pub end: Instant,
    /// From the planned release to the beginning of the cycle.
    pub lateness: Duration,
    /// From the beginning of the cycle until the outputs had left.
    pub execution: Duration,
    /// What the outputs' devices said.
    pub acted: Result<(), OutputError>,
    /// What is to be remembered; the caller adds what it knows of the schedule.
    pub record: CycleRecord,
}

impl<'a, P: Sense + Act, D: Decide> Beat<'a, P, D> {
    /// A controller that has not run yet.
    pub fn new(ports: P, config: &'a D::Config, state: D::State, heartbeat: Option<u8>) -> Self {
        Self {
            ports,
            config,
            state,
            heartbeat,
            inputs: Inputs::NOT_READ,
            beating: false,
        }
    }

    /// Runs one cycle.
    #[inline]
    pub fn run_once<C: Clock>(&mut self, clock: &C, tick: &Tick, drive: Drive) -> Done {
        self.ports.sense(tick, &mut self.inputs);
        let mut outputs = D::decide(self.config, &mut self.state, &self.inputs, tick);
        let acted = match drive {
            Drive::Fresh => {
                self.beat(&mut outputs);
                self.ports.act(tick, &outputs)
            }
            Drive::Safe => self.ports.safe(tick),
        };
        let end = clock.now();
        let lateness = tick.now.since(tick.release);
        let execution = end.since(tick.now);
        let record = CycleRecord {
            slot: tick.slot,
            lateness_ns: saturated(lateness),
            execution_ns: saturated(execution),
            skipped: 0,
            fault: D::fault(self.config, &self.state).unwrap_or(0),
            flags: bit(flags::INPUT_FAILED, self.inputs.digital.is_err())
                | bit(flags::OUTPUT_FAILED, acted.is_err())
                | bit(flags::QUICK_STOP, tick.directive == Directive::QuickStop)
                | bit(flags::SAFE, drive == Drive::Safe),
            trace: D::trace(self.config, &self.state),
        };
        Done {
            end,
            lateness,
            execution,
            acted,
            record,
        }
    }

    fn beat(&mut self, outputs: &mut Outputs) {
        if let Some(channel) = self.heartbeat {
            self.beating = !self.beating;
            outputs.set(channel, self.beating);
        }
    }
}

const fn bit(flag: u16, set: bool) -> u16 {
    if set { flag } else { 0 }
}

fn saturated(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}
