//! The traits through which a cycle meets the world.
//!
//! A control law implements [`Decide`]; a board implements [`Sense`] and
//! [`Act`]; a clock implements [`Clock`]; whoever wants to know what happened
//! implements [`Record`].

use super::image::{Inputs, OutputError, Outputs};
use super::record::CycleRecord;
use crate::time::Instant;

/// What the loop asks of the control law in this cycle.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Control.
    #[default]
    Run,
    /// Bring everything to rest in order, and stay there: cycles come late, or
    /// the run is being ended.
    QuickStop,
}

/// One cycle's place in time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Number of the slot since the start of the run.
    pub slot: u64,
    /// When the slot began by plan; its phase never drifts.
    pub release: Instant,
    /// When the cycle really began.
    pub now: Instant,
    /// Slots since the previous cycle: 1, and more after skipped slots.
    pub elapsed_slots: u32,
    /// What is asked of the control law.
    pub directive: Directive,
}

/// Fills the input half of the process image.
pub trait Sense {
    /// Reads every configured channel into `inputs`, failures included. It has
    /// no way to end the cycle early.
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs);
}

/// Drives the output half of the process image.
pub trait Act {
    /// Writes every configured channel. All of them are tried, whatever fails.
    ///
    /// # Errors
    /// The first device that is lost, else the first channel that could not be
    /// written.
    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError>;

    /// Drives every output to its safe value, in the configured order.
    ///
    /// # Errors
    /// The first channel that could not be written.
    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError>;
}

/// Number of values a control law can put into the record of a cycle.
pub const TRACE_LEN: usize = 8;

/// What a control law wants to be remembered of a cycle.
pub type Trace = [f32; TRACE_LEN];

/// A control law: pure, fed with the process image and the time.
///
/// Configuration and state are apart: a cycle cannot change the one, and
/// whoever sets the other up cannot run a cycle.
pub trait Decide {
    /// What does not change while the loop runs.
    type Config;
    /// What does.
    type State;

    /// Names of the trace values, units included, first the one worth watching.
    const TRACE: &'static [&'static str] = &[];

    /// From what was sensed to what shall be driven.
    fn decide(
        config: &Self::Config,
        state: &mut Self::State,
        inputs: &Inputs,
        tick: &Tick,
    ) -> Outputs;

    /// Whether everything has come to rest after [`Directive::QuickStop`]. The
    /// loop ends a run only then, or when the time allowed for it is over.
    fn at_rest(config: &Self::Config, state: &Self::State) -> bool {
        let _ = (config, state);
        true
    }

    /// Why the law considers itself faulted, as a small number that its
    /// configuration can name; `None` while all is well.
    fn fault(config: &Self::Config, state: &Self::State) -> Option<u16> {
        let _ = (config, state);
        None
    }

    /// The values to remember of this cycle, as named by [`Decide::TRACE`].
    fn trace(config: &Self::Config, state: &Self::State) -> Trace {
        let _ = (config, state);
        [0.0; TRACE_LEN]
    }
}

/// Takes the record of each cycle. Never blocks and never fails: who cannot
/// keep a record counts it as dropped.
pub trait Record {
    /// Keeps `record`, or counts it as dropped.
    fn record(&mut self, record: &CycleRecord);
}

/// The time, and waiting for it.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Instant;

    /// Waits until `release` is reached, returns the time then. Returns at once
    /// when it is already past.
    fn wait_until(&mut self, release: Instant) -> Instant;
}
