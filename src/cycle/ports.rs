//! The traits that a cycle is built from.
//!
//! A control law implements [`Decide`], a board [`Sense`] and [`Act`], a clock [`Clock`], a
//! recorder [`Record`]. What runs in a cycle runs on the loop's thread and must not allocate.

use super::force::Forces;
use super::image::{Inputs, OutputError, Outputs};
use super::record::CycleRecord;
pub use super::record::{TRACE_LEN, Trace};
use super::stop::StopCause;
use super::word::Word;
use crate::time::Instant;

/// The loop's request to the control law in this cycle.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Normal control.
    #[default]
    Run,
    /// Bring everything to rest and keep it there, for this cause. Repeated in every cycle
    /// until the cause is gone.
    QuickStop(StopCause),
}

/// The time of a cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Number of the slot since the start of the run.
    pub slot: u64,
    /// The planned beginning of the slot; its phase never drifts.
    pub release: Instant,
    /// The actual beginning of the cycle.
    pub now: Instant,
    /// Slots since the previous cycle: 1, or more after skipped slots; never 0.
    pub elapsed_slots: u32,
    /// The request to the control law.
    pub directive: Directive,
}

impl Default for Tick {
    /// The first slot.
    fn default() -> Self {
        Self {
            slot: 0,
            release: Instant::default(),
            now: Instant::default(),
            elapsed_slots: 1,
            directive: Directive::default(),
        }
    }
}

/// Reads the inputs of the process image.
pub trait Sense {
    /// Reads every configured channel into `inputs`. A failure is stored in place of the value;
    /// the cycle goes on.
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs);

    /// Whether parameters of the law were changed, for [`Decide::change`]. Asked after the
    /// inputs were read, so that a command meets the parameters that were changed before it was
    /// given. The default is false.
    fn changed(&self) -> bool {
        false
    }

    /// The forces of this cycle; `None` without any, as by default. Asked after the inputs were
    /// read.
    fn forces(&mut self) -> Option<&mut Forces> {
        None
    }
}

/// Drives the outputs of the process image.
pub trait Act {
    /// The safe value of every output, at which each cycle begins. Called once, when the
    /// controller is built.
    fn safe_image(&self) -> Outputs;

    /// Writes every configured channel; a failure does not keep the others from being written.
    ///
    /// # Errors
    /// The most severe failure: a command that is not finite, then a lost output device, then
    /// the first channel that could not be written, then, if all were written, a lost input.
    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError>;

    /// Drives every output to its safe value, in the configured order.
    ///
    /// # Errors
    /// The first channel that could not be written.
    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError>;

    /// Shows the cycle to others, after its outputs have left: its process image, and the
    /// values that `status` writes ([`Decide::status`]). The default does nothing.
    fn publish(
        &mut self,
        tick: &Tick,
        inputs: &Inputs,
        outputs: &Outputs,
        status: impl FnOnce(&[Word]),
    ) {
        let _ = (tick, inputs, outputs, status);
    }
}

/// The number of a control law's fault, from 1.
pub type FaultNumber = core::num::NonZeroU16;

/// A control law: a pure function of the process image and the time.
///
/// Configuration and state are separate types: a cycle cannot change the configuration.
pub trait Decide {
    /// What is constant while the loop runs.
    type Config;
    /// What changes from cycle to cycle.
    type State;

    /// Names of the trace values with their units; the first is shown in the live line.
    const TRACE: &'static [&'static str] = &[];

    /// Computes the outputs from the inputs. `outputs` holds the safe value of every output:
    /// what the law does not set is driven safe.
    fn decide(
        config: &Self::Config,
        state: &mut Self::State,
        inputs: &Inputs,
        tick: &Tick,
        outputs: &mut Outputs,
    );

    /// Whether everything is at rest after [`Directive::QuickStop`]. The loop ends a run when
    /// this is true, or when the time allowed for it is over.
    fn at_rest(config: &Self::Config, state: &Self::State) -> bool {
        let _ = (config, state);
        true
    }

    /// The law's fault, `None` without one. Records have 0 for no fault.
    fn fault(config: &Self::Config, state: &Self::State) -> Option<FaultNumber> {
        let _ = (config, state);
        None
    }

    /// The number of the control law whose fault [`Decide::fault`] returns, 0 to 15.
    fn faulted(config: &Self::Config, state: &Self::State) -> u8 {
        let _ = (config, state);
        0
    }

    /// Why the law still keeps everything at rest after a quick stop that came while the run
    /// went on; `None` after it has recovered, and for [`StopCause::RunEnds`]. A run that ends
    /// like this does not end with exit code 0. A law that resumes by itself needs no
    /// implementation.
    fn stopped(config: &Self::Config, state: &Self::State) -> Option<StopCause> {
        let _ = (config, state);
        None
    }

    /// The trace values of this cycle, in the order of [`Decide::TRACE`].
    fn trace(config: &Self::Config, state: &Self::State) -> Trace {
        let _ = (config, state);
        [0.0; TRACE_LEN]
    }

    /// Writes the law's values for others ([`word::put`](super::word::put)) into `words`, whose
    /// number and meaning the law has declared at the start. Called only while a client reads.
    fn status(config: &Self::Config, state: &Self::State, words: &[Word]) {
        let _ = (config, state, words);
    }

    /// Takes over parameters that were changed from outside, before the law decides. By default
    /// it has none.
    fn change(config: &Self::Config, state: &mut Self::State) {
        let _ = (config, state);
    }
}

/// The state of a control law, which a rehearsal must leave unchanged.
///
/// A state that is `Clone` implements it already.
pub trait Rewind {
    /// The copy that is kept during the rehearsal. The main thread makes it, and the real-time
    /// thread restores it.
    type Saved: Send;

    /// Saves the state.
    fn save(&mut self) -> Self::Saved;

    /// Restores the state. It must not allocate or free memory: it is called on the real-time
    /// thread.
    fn rewind(&mut self, saved: Self::Saved);
}

impl<T: Clone + Send> Rewind for T {
    type Saved = T;

    fn save(&mut self) -> T {
        self.clone()
    }

    fn rewind(&mut self, saved: T) {
        *self = saved;
    }
}

/// Receives the record of each cycle. It must not block and cannot fail: a record that cannot
/// be kept is counted as dropped.
pub trait Record {
    /// Keeps `record`, or counts it as dropped.
    fn record(&mut self, record: &CycleRecord);
}

/// A monotonic clock.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Instant;

    /// Waits until `release` and returns the time then. Returns at once if `release` is past.
    fn wait_until(&mut self, release: Instant) -> Instant;
}
