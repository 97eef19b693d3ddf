//! Several control laws in one cycle.
//!
//! A [`Law`] computes signals from signals. The laws of a machine run in the order of the board
//! file, each in every cycle or in each nth ([`Entry::every`]); a law can read in the same
//! cycle what an earlier law has set. Together they implement one [`Decide`], so schedule,
//! overrun ladder, rehearsal, records and report depend on no law. Allocates nothing.

mod part;

use core::marker::PhantomData;
use core::ops::DerefMut;

use super::image::{Inputs, Outputs};
use super::ports::{Decide, FaultNumber, Rewind, TRACE_LEN, Tick, Trace};
use super::signal::Io;
use super::stop::StopCause;
use super::word::{Word, put};
use crate::time::Duration;

pub use part::Part;

/// Most control laws of a machine.
pub const MAX_LAWS: usize = 16;

/// A control law. The value itself is the configuration, which is constant while the loop runs;
/// all that changes is in its state.
///
/// It must not allocate, make system calls or read a clock: the time is in [`Io::tick`].
pub trait Law: Send + 'static {
    /// What changes from step to step.
    type State: Clone + Send + 'static;

    /// Names of the trace values with their units; the first is shown in the live line.
    const TRACE: &'static [&'static str] = &[];

    /// The state before the first step.
    fn start(&self) -> Self::State;

    /// Computes the outputs from the signals. Each output holds its safe value when the cycle
    /// begins: what no law sets is driven safe. While [`Io::is_stopping`], the law must bring
    /// what it drives to rest.
    fn step(&self, state: &mut Self::State, io: &mut Io<'_>);

    /// Whether everything that the law drives is at rest. The loop ends a run when this is true
    /// for all laws, or when the time allowed for it is over. The default is true: a law that
    /// moves something must implement it.
    fn at_rest(&self, state: &Self::State) -> bool {
        let _ = state;
        true
    }

    /// The law's fault, `None` without one. A fault does not end the run: it is in each record
    /// and, if it is still present at the end, in the report and the exit code. A law that must
    /// not resume by itself keeps its fault in its state.
    fn fault(&self, state: &Self::State) -> Option<FaultNumber> {
        let _ = state;
        None
    }

    /// Why the law keeps everything at rest after a quick stop from which it has not recovered:
    /// see [`Decide::stopped`].
    fn stopped(&self, state: &Self::State) -> Option<StopCause> {
        let _ = state;
        None
    }

    /// Writes the values of [`Law::TRACE`] into `values`, which has as many places as the
    /// record of a cycle has left.
    fn trace(&self, state: &Self::State, values: &mut [f32]) {
        let _ = (state, values);
    }
}

/// The status of a law after a step.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// [`Law::fault`].
    pub fault: Option<FaultNumber>,
    /// [`Law::stopped`].
    pub stopped: Option<StopCause>,
}

/// A law with its state, independent of its type.
pub trait RunLaw: Send {
    /// Runs one step and writes its trace values into `part` of `trace`.
    fn run(&mut self, io: &mut Io<'_>, trace: &mut Trace, part: Part) -> Status;
    /// [`Law::at_rest`].
    fn at_rest(&self) -> bool;
    /// Writes the values for others: see [`Decide::status`].
    fn status(&self, words: &[Word]);
    /// [`Decide::change`].
    fn change(&mut self) {}
    /// Saves the state in the law's own memory: allocates nothing.
    fn save(&mut self);
    /// Restores the saved state.
    fn rewind(&mut self);
}

/// A law with its state and room to save it.
#[derive(Clone, Debug)]
pub struct Running<L: Law> {
    law: L,
    state: L::State,
    saved: L::State,
}

impl<L: Law> Running<L> {
    /// The law before its first step.
    pub fn new(law: L) -> Self {
        let state = law.start();
        Self {
            saved: state.clone(),
            state,
            law,
        }
    }

    /// The law.
    pub const fn law(&self) -> &L {
        &self.law
    }

    /// Its state.
    pub const fn state(&self) -> &L::State {
        &self.state
    }
}

impl<L: Law> RunLaw for Running<L> {
    #[inline]
    fn run(&mut self, io: &mut Io<'_>, trace: &mut Trace, part: Part) -> Status {
        self.law.step(&mut self.state, io);
        let values = part.of(trace);
        if !values.is_empty() {
            self.law.trace(&self.state, values);
        }
        Status {
            fault: self.law.fault(&self.state),
            stopped: self.law.stopped(&self.state),
        }
    }

    fn at_rest(&self) -> bool {
        self.law.at_rest(&self.state)
    }

    /// The trace values.
    fn status(&self, words: &[Word]) {
        let mut traced = [0.0; TRACE_LEN];
        let traced = &mut traced[..words.len().min(TRACE_LEN)];
        self.law.trace(&self.state, traced);
        for (to, from) in words.iter().zip(traced) {
            put(to, f64::from(*from));
        }
    }

    fn save(&mut self) {
        self.saved.clone_from(&self.state);
    }

    fn rewind(&mut self) {
        self.state.clone_from(&self.saved);
    }
}

/// How often a law or device runs: in each nth slot, or in the first cycle after it if that
/// slot was skipped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Every {
    slots: u32,
    next: u64,
    last: u64,
}

impl Every {
    /// In each `slots`th slot, beginning with the first cycle; 0 and 1 mean each slot.
    #[must_use]
    pub const fn slots(slots: u32) -> Self {
        Self {
            slots: if slots == 0 { 1 } else { slots },
            next: 0,
            last: 0,
        }
    }

    /// Whether it runs in every slot.
    #[inline]
    #[must_use]
    pub const fn is_each(&self) -> bool {
        self.slots == 1
    }

    /// Whether it runs in the cycle of `tick`: if so, the number of slots since its last run.
    ///
    /// With `now` it runs in any slot.
    #[inline]
    pub fn turn(&mut self, tick: &Tick, now: bool) -> Option<u64> {
        if self.is_each() {
            return Some(u64::from(tick.elapsed_slots));
        }
        // A new run begins with slot 0 again.
        if tick.slot < self.next && tick.slot >= self.last && !now {
            return None;
        }
        let slots = u64::from(self.slots);
        let before = tick.slot.checked_sub(self.last).filter(|_| self.next > 0);
        self.last = tick.slot;
        self.next = tick.slot - tick.slot % slots + slots;
        Some(before.unwrap_or(slots))
    }
}

/// A law and its place among the others.
#[derive(Clone, Debug)]
pub struct Entry<P> {
    /// The law with its state.
    pub law: P,
    /// How often it runs.
    pub every: Every,
    /// The outputs that only it sets.
    pub drives: Drives,
    /// How many trace values it has.
    pub traced: usize,
    /// How many values it has for others.
    pub statuses: usize,
}

/// The outputs that a law sets, one bit each.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Drives {
    /// Of [`Outputs::digital`].
    pub digital: u32,
    /// Of [`Outputs::flags`].
    pub flags: u32,
    /// Of [`Outputs::analogs`].
    pub commands: u64,
}

impl Drives {
    /// Copies these outputs.
    fn copy(self, from: &Outputs, to: &mut Outputs) {
        to.digital = to.digital & !self.digital | from.digital & self.digital;
        to.flags = to.flags & !self.flags | from.flags & self.flags;
        let mut rest = self.commands;
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            to.analogs[index] = from.analogs[index];
            rest &= rest - 1;
        }
    }
}

/// A law in a [`LawSet`].
#[derive(Debug)]
struct Seat<P> {
    law: P,
    every: Every,
    drives: Drives,
    /// Its trace values.
    traced: Part,
    /// How many values it has for others.
    statuses: usize,
    /// Its status after its last step.
    status: Status,
    /// Whether the last cycle had a stop request; used for laws that do not run in every cycle.
    was_stopping: bool,
}

/// The laws of a machine in the order in which they run; `P` points to each.
#[derive(Debug)]
pub struct LawSet<P> {
    seats: heapless::Vec<Seat<P>, MAX_LAWS>,
    /// The trace values of all laws, one law after the other.
    trace: Trace,
    /// The outputs of laws that do not run in every cycle.
    held: Outputs,
    fault: Option<FaultNumber>,
    faulted: u8,
    stopped: Option<StopCause>,
    period: Duration,
}

impl<P> LawSet<P> {
    /// An empty set, for cycles of `period`.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self {
            seats: heapless::Vec::new(),
            trace: [0.0; TRACE_LEN],
            held: Outputs::new(0, &[]),
            fault: None,
            faulted: 0,
            stopped: None,
            period,
        }
    }

    /// Adds a law after the others. Trace values beyond the record of a cycle are dropped.
    ///
    /// # Errors
    /// Returns the law when there are [`MAX_LAWS`] already.
    pub fn push(&mut self, entry: Entry<P>) -> Result<(), P> {
        let first = self.seats.last().map_or(0, |seat| seat.traced.end());
        let seat = Seat {
            law: entry.law,
            every: entry.every,
            drives: entry.drives,
            traced: Part::new(first, entry.traced),
            statuses: entry.statuses,
            status: Status::default(),
            was_stopping: false,
        };
        self.seats.push(seat).map_err(|seat| seat.law)
    }

    /// The laws, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.seats.iter().map(|seat| &seat.law)
    }

    /// The fault of each law, in their order.
    pub fn faults(&self) -> impl Iterator<Item = Option<FaultNumber>> + '_ {
        self.seats.iter().map(|seat| seat.status.fault)
    }

    /// Combines the statuses of all laws.
    #[cold]
    fn judge(&mut self) {
        self.fault = None;
        self.stopped = None;
        for (seat, number) in self.seats.iter().zip(0_u8..) {
            if self.fault.is_none() && seat.status.fault.is_some() {
                self.fault = seat.status.fault;
                self.faulted = number;
            }
            self.stopped = self.stopped.or(seat.status.stopped);
        }
    }
}

impl<P> Seat<P>
where
    P: DerefMut,
    P::Target: RunLaw,
{
    /// Runs a law that does not run in every cycle, if it is due; otherwise holds its outputs
    /// and returns its last status.
    #[cold]
    #[inline(never)]
    fn run_slow(
        &mut self,
        io: &mut Io<'_>,
        trace: &mut Trace,
        held: &mut Outputs,
        period: Duration,
    ) -> Status {
        // When a stop begins, each law runs at once.
        let now = io.is_stopping() && !self.was_stopping;
        self.was_stopping = io.is_stopping();
        let Some(slots) = self.every.turn(io.tick(), now) else {
            self.drives.copy(held, io.image().1);
            return self.status;
        };
        let status = io.after(period * slots, |io| self.law.run(io, trace, self.traced));
        self.drives.copy(io.image().1, held);
        status
    }
}

impl<P> Rewind for LawSet<P>
where
    P: DerefMut,
    P::Target: RunLaw,
{
    type Saved = ();

    fn save(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.law.save());
    }

    fn rewind(&mut self, (): ()) {
        for seat in &mut self.seats {
            seat.law.rewind();
            seat.every = Every::slots(seat.every.slots);
            seat.status = Status::default();
            seat.was_stopping = false;
        }
        self.trace = [0.0; TRACE_LEN];
        self.judge();
    }
}

/// The implementation of [`Decide`] for a [`LawSet`].
#[derive(Copy, Clone, Debug)]
pub struct Laws<P>(PhantomData<P>);

impl<P> Decide for Laws<P>
where
    P: DerefMut,
    P::Target: RunLaw,
{
    type Config = ();
    type State = LawSet<P>;

    // Inlined into the loop: saving registers for a call would take a quarter of its time.
    #[inline(always)]
    fn decide((): &(), laws: &mut LawSet<P>, inputs: &Inputs, tick: &Tick, outputs: &mut Outputs) {
        // The elapsed time for all laws that run in each cycle.
        let elapsed = laws.period * u64::from(tick.elapsed_slots);
        let mut io = Io::new(inputs, outputs, tick, elapsed);
        let mut changed = false;
        for seat in &mut laws.seats {
            let now = if seat.every.is_each() {
                seat.law.run(&mut io, &mut laws.trace, seat.traced)
            } else {
                seat.run_slow(&mut io, &mut laws.trace, &mut laws.held, laws.period)
            };
            if now != seat.status {
                seat.status = now;
                changed = true;
            }
        }
        if changed {
            laws.judge();
        }
    }

    fn at_rest((): &(), laws: &LawSet<P>) -> bool {
        laws.seats.iter().all(|seat| seat.law.at_rest())
    }

    #[inline]
    fn fault((): &(), laws: &LawSet<P>) -> Option<FaultNumber> {
        laws.fault
    }

    #[inline]
    fn faulted((): &(), laws: &LawSet<P>) -> u8 {
        laws.faulted
    }

    #[inline]
    fn stopped((): &(), laws: &LawSet<P>) -> Option<StopCause> {
        laws.stopped
    }

    #[inline]
    fn trace((): &(), laws: &LawSet<P>) -> Trace {
        laws.trace
    }

    fn status((): &(), laws: &LawSet<P>, mut words: &[Word]) {
        for seat in &laws.seats {
            let Some((own, rest)) = words.split_at_checked(seat.statuses) else {
                return;
            };
            seat.law.status(own);
            words = rest;
        }
    }

    fn change((): &(), laws: &mut LawSet<P>) {
        laws.seats.iter_mut().for_each(|seat| seat.law.change());
    }
}

#[cfg(test)]
mod tests;
