//! The traits through which a cycle meets the world.
//!
//! A control law implements [`Decide`]; a board implements [`Sense`] and
//! [`Act`]; a clock implements [`Clock`]; whoever wants to know what happened
//! implements [`Record`].

use super::image::{Inputs, OutputError, Outputs};
use super::record::CycleRecord;
pub use super::record::{TRACE_LEN, Trace};
use super::stop::StopCause;
use crate::time::Instant;

/// What the loop asks of the control law in this cycle.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Control.
    #[default]
    Run,
    /// Bring everything to rest in order, and stay there, for this reason. It is asked
    /// for in every cycle until the reason is gone.
    QuickStop(StopCause),
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
    /// The safe value of every output, with which each cycle begins. Asked for once,
    /// when the controller is put together.
    fn safe_image(&self) -> Outputs;

    /// Writes every configured channel. All of them are tried, whatever fails.
    ///
    /// # Errors
    /// What ends the run soonest: a command that is not finite, an output device that
    /// is lost, the first channel that could not be written, and only where all were
    /// written an input that is lost.
    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError>;

    /// Drives every output to its safe value, in the configured order.
    ///
    /// # Errors
    /// The first channel that could not be written.
    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError>;
}

/// A control law's fault, from 1.
pub type FaultNumber = core::num::NonZeroU16;

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

    /// From what was sensed to what shall be driven. `outputs` holds the safe value
    /// of every output: what a law does not set is driven safe.
    fn decide(
        config: &Self::Config,
        state: &mut Self::State,
        inputs: &Inputs,
        tick: &Tick,
        outputs: &mut Outputs,
    );

    /// Whether everything has come to rest after [`Directive::QuickStop`]. The
    /// loop ends a run only then, or when the time allowed for it is over.
    fn at_rest(config: &Self::Config, state: &Self::State) -> bool {
        let _ = (config, state);
        true
    }

    /// Why the law considers itself faulted, as a small number that its
    /// configuration can name; `None` while all is well. Records have 0 for "no
    /// fault", so no fault can have that number.
    fn fault(config: &Self::Config, state: &Self::State) -> Option<FaultNumber> {
        let _ = (config, state);
        None
    }

    /// Which of several control laws [`Decide::fault`] is of, from 0 to 15.
    fn faulted(config: &Self::Config, state: &Self::State) -> u8 {
        let _ = (config, state);
        0
    }

    /// Why the law still keeps everything at rest after a quick stop that came while
    /// the run went on, and that it has not recovered from; `None` when it has, and
    /// for [`StopCause::RunEnds`]. A run that ends like this does not end with exit
    /// code 0. A law that goes on as soon as it is asked for control again needs
    /// nothing of its own.
    fn stopped(config: &Self::Config, state: &Self::State) -> Option<StopCause> {
        let _ = (config, state);
        None
    }

    /// The values to remember of this cycle, as named by [`Decide::TRACE`].
    fn trace(config: &Self::Config, state: &Self::State) -> Trace {
        let _ = (config, state);
        [0.0; TRACE_LEN]
    }
}

/// A control law's state, which a rehearsal leaves as it was.
///
/// For a state that can be cloned there is nothing to do.
pub trait Rewind {
    /// What is kept during the rehearsal.
    type Saved;

    /// Keeps the state. Called before the real-time thread is sealed or on it: it may
    /// not allocate.
    fn save(&mut self) -> Self::Saved;

    /// Makes the state what it was.
    fn rewind(&mut self, saved: Self::Saved);
}

impl<T: Clone> Rewind for T {
    type Saved = T;

    fn save(&mut self) -> T {
        self.clone()
    }

    fn rewind(&mut self, saved: T) {
        *self = saved;
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
