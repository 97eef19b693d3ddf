//! Forces on their way from the link thread to the loop, and what became of them.
//!
//! A slot for each force. The link thread writes a force and then raises the generation of the
//! order; the loop answers with a state of the same generation. Neither waits for the other.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cycle::force::{Ended, Force, Forces, MAX_FORCES, Place};
use crate::cycle::image::{InputChannel, OutputChannel};
use crate::cycle::ports::{Directive, Tick};
use crate::time::Duration;

/// In [`Slot::order`], below the generation.
pub(super) const BEGIN: u64 = 1;
pub(super) const RELEASE: u64 = 2;
pub(super) const GONE: u64 = 3;
/// In [`Slot::state`], below the generation: it lasts; or the number of an [`Ended`] plus one of
/// these.
const LASTS: u64 = 1;
pub(super) const ENDED: u64 = 0x20;
pub(super) const REFUSED: u64 = 0x40;

/// One force on its way. The link thread writes all but the last three, and only while the loop
/// has no force of the present generation.
pub(super) struct Slot {
    pub(super) order: AtomicU64,
    pub(super) place: AtomicU64,
    pub(super) value: AtomicU64,
    pub(super) length: AtomicU64,
    pub(super) state: AtomicU64,
    pub(super) began: AtomicU64,
    pub(super) ended: AtomicU64,
}

/// The forces between link thread and loop.
pub struct Exchange(pub(super) [Slot; MAX_FORCES]);

impl Exchange {
    /// Without forces.
    #[must_use]
    pub const fn new() -> Self {
        const fn none() -> AtomicU64 {
            AtomicU64::new(0)
        }
        Self(
            [const {
                Slot {
                    order: none(),
                    place: none(),
                    value: none(),
                    length: none(),
                    state: none(),
                    began: none(),
                    ended: none(),
                }
            }; MAX_FORCES],
        )
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

/// A place as a number.
pub(super) const fn packed(place: Place) -> u64 {
    let (kind, index) = match place {
        Place::InputLine(channel) => (0, channel.number()),
        Place::Flag(index) => (1, index),
        Place::Number(index) => (2, index),
        Place::Angle(index) => (3, index),
        Place::OutputLine(channel) => (4, channel.number()),
        Place::CommandFlag(index) => (5, index),
        Place::Command(index) => (6, index),
    };
    kind | (index as u64) << 8
}

fn unpacked(packed: u64) -> Option<Place> {
    let index = (packed >> 8) as u8;
    Some(match packed & 0xff {
        0 => Place::InputLine(InputChannel::new(index)?),
        1 => Place::Flag(index),
        2 => Place::Number(index),
        3 => Place::Angle(index),
        4 => Place::OutputLine(OutputChannel::new(index)?),
        5 => Place::CommandFlag(index),
        6 => Place::Command(index),
        _ => return None,
    })
}

/// With a place: the force stays with power.
pub(super) const WITH_POWER: u64 = 1 << 16;

/// The loop's side.
pub struct Taker<'e> {
    exchange: &'e Exchange,
    forces: Forces,
    seen: [u64; MAX_FORCES],
    busy: bool,
}

impl<'e> Taker<'e> {
    /// The side of a loop with these [`Forces`].
    #[must_use]
    pub fn new(exchange: &'e Exchange, forces: Forces) -> Self {
        let generation = |slot: &Slot| slot.order.load(Ordering::Acquire) >> 8;
        Self {
            forces,
            seen: core::array::from_fn(|at| generation(&exchange.0[at])),
            busy: false,
            exchange,
        }
    }

    /// The forces, if there are any.
    #[inline]
    pub fn forces(&mut self) -> Option<&mut Forces> {
        self.busy.then_some(&mut self.forces)
    }

    /// Takes the orders of the link thread over, on a board whose digital outputs have `levels`.
    #[cold]
    #[inline(never)]
    pub fn take(&mut self, tick: &Tick, levels: u32) {
        for (seat, slot) in self.exchange.0.iter().enumerate() {
            let order = slot.order.load(Ordering::Acquire);
            let (generation, order) = (order >> 8, order & 0xff);
            let why = match order {
                RELEASE => Ended::Released,
                _ => Ended::Client,
            };
            let is_new = generation != self.seen[seat];
            self.seen[seat] = generation;
            if !is_new {
                if order != BEGIN {
                    self.forces.end(seat, why, tick.slot);
                }
                continue;
            }
            let bits = slot.place.load(Ordering::Relaxed);
            let with_power = bits & WITH_POWER != 0;
            let refusal = if order != BEGIN {
                Some(why)
            } else if tick.directive != Directive::Run {
                Some(Ended::Stop)
            } else if levels & self.forces.power() != 0 && !with_power {
                Some(Ended::Power)
            } else {
                None
            };
            let state = match (refusal, unpacked(bits)) {
                (Some(why), _) => REFUSED + why as u64,
                (None, None) => REFUSED + Ended::Released as u64,
                (None, Some(place)) => {
                    let length = slot.length.load(Ordering::Relaxed);
                    self.forces.begin(
                        seat,
                        Force {
                            place,
                            value: f64::from_bits(slot.value.load(Ordering::Relaxed)),
                            until: tick.now + Duration::from_nanos(length),
                            with_power,
                        },
                    );
                    slot.began.store(tick.slot, Ordering::Relaxed);
                    LASTS
                }
            };
            slot.state.store(generation << 8 | state, Ordering::Release);
        }
        self.busy = self.forces.is_busy();
    }

    /// Tells the link thread which forces have ended. Costs nothing without one.
    #[inline]
    pub fn tell(&mut self) {
        if self.busy {
            self.tell_ended();
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_ended(&mut self) {
        while let Some((seat, why, slot_number)) = self.forces.take_ended() {
            let slot = &self.exchange.0[seat % MAX_FORCES];
            slot.ended.store(slot_number, Ordering::Relaxed);
            let state = self.seen[seat % MAX_FORCES] << 8 | (ENDED + why as u64);
            slot.state.store(state, Ordering::Release);
        }
        self.busy = self.forces.is_busy();
    }

    /// Whether there are forces.
    #[inline]
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.busy
    }
}
