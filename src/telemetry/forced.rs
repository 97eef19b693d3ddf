//! The forces of a run, from the link thread to reporter and report.
//!
//! All of them are ordinary threads, so a lock is enough: the loop has no part in it.

use core::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cycle::force::{Ended, MAX_FORCES};

/// Most forces that the report shows: the last ones.
pub const MAX_SHOWN: usize = 8;
/// Room for the text of the forced signals in the flight file, bytes.
pub const FORCED_BYTES: usize = 384;
/// Most events between two turns of the reporter, 20 ms.
const MAX_EVENTS: usize = 32;

/// The name of a signal, cut off after 47 bytes.
pub type Name = heapless::String<47>;

/// The forces that last, as text.
pub type Text = heapless::String<{ FORCED_BYTES - 1 }>;

/// A force.
#[derive(Clone, Debug, PartialEq)]
pub struct Forced {
    /// The name of the signal.
    pub name: Name,
    /// Its place in the process image, as in the black box.
    pub place: u16,
    /// The number of the client.
    pub client: u32,
    /// The value: 0 or 1 for a flag, else in the unit of the signal.
    pub value: f64,
    /// For how long, ms.
    pub ms: u32,
    /// The slot in which it began.
    pub slot: u64,
    /// Why and in which slot it ended; `None` while it lasts.
    pub ended: Option<(Ended, u64)>,
}

impl fmt::Display for Forced {
    /// `output.lamp = 1 by client 3 for 10 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value, client) = (&self.name, self.value, self.client);
        let seconds = f64::from(self.ms) / 1e3;
        write!(f, "{name} = {value} by client {client} for {seconds} s")
    }
}

/// What happened to a force, for the black box.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Noted {
    /// The slot.
    pub slot: u64,
    /// The place in the process image: [`Forced::place`].
    pub place: u16,
    /// Why it ended; or the client's lower 16 bits, the value and the time in ms of one that
    /// began.
    pub what: Result<(u16, f32, u32), Ended>,
}

/// The forces of a run.
pub struct All {
    present: [Option<Forced>; MAX_FORCES],
    last: heapless::Deque<Forced, MAX_SHOWN>,
    count: u64,
    events: heapless::Vec<Noted, MAX_EVENTS>,
}

/// Those of the run.
static ALL: Mutex<All> = Mutex::new(All::new());

/// The forces of the run. The lock must not be held for longer than they are read.
pub fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl All {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            present: [const { None }; MAX_FORCES],
            last: heapless::Deque::new(),
            count: 0,
            events: heapless::Vec::new(),
        }
    }

    /// Forgets those of an earlier run.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Notes that the force at `seat` began.
    pub fn begin(&mut self, seat: usize, forced: Forced) {
        // Without room it is in the log and the report alone.
        let _ = self.events.push(Noted {
            slot: forced.slot,
            place: forced.place,
            what: Ok((forced.client as u16, forced.value as f32, forced.ms)),
        });
        self.count += 1;
        if let Some(place) = self.present.get_mut(seat) {
            *place = Some(forced);
        }
    }

    /// Notes that the force at `seat` ended, and gives it.
    pub fn end(&mut self, seat: usize, why: Ended, slot: u64) -> Option<&Forced> {
        let mut forced = self.present.get_mut(seat)?.take()?;
        let _ = self.events.push(Noted {
            slot,
            place: forced.place,
            what: Err(why),
        });
        forced.ended = Some((why, slot));
        if self.last.is_full() {
            self.last.pop_front();
        }
        let _ = self.last.push_back(forced);
        self.last.back()
    }

    /// The forces that last.
    pub fn present(&self) -> impl Iterator<Item = &Forced> {
        self.present.iter().flatten()
    }

    /// How many began, and the last that ended, the oldest first.
    #[must_use]
    pub fn of_run(&self) -> (u64, Vec<Forced>) {
        (self.count, self.last.iter().cloned().collect())
    }

    /// Takes the events out, the oldest first.
    pub fn take_events(&mut self, with: impl FnMut(Noted)) {
        self.events.iter().copied().for_each(with);
        self.events.clear();
    }

    /// The forces that last, separated by `; `. What is too long is cut off.
    #[must_use]
    pub fn text(&self) -> Text {
        let mut text = Text::new();
        for forced in self.present() {
            let separator = if text.is_empty() { "" } else { "; " };
            let mut one = heapless::String::<160>::new();
            let _ = write!(one, "{separator}{forced}");
            if text.push_str(&one).is_err() {
                break;
            }
        }
        text
    }
}
