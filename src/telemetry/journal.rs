//! What the reporter writes into the [`flight`](super::flight) file: every record, each change
//! as an event, and the live status.
//!
//! Runs on the reporter's thread, never on the loop's. Allocates nothing. Costs one pwrite(2)
//! for up to 32 records, and one for each event.

use super::changes::{Changes, Noted};
use super::flight::{Flight, STATUS_WORDS, layout};
use super::forced;
use super::ring::{self, RECORD_BYTES};
use crate::cycle::record::{CycleRecord, flags};
use crate::cycle::stop::{QuickStop, QuickStops, StopCause};
use crate::realtime::audit::{Audit, Promises};
use crate::sys::Errno;
use crate::time::Duration;

/// Largest count that a quick-stop event holds (24 bits).
const MOST_MISSED: u32 = (1 << 24) - 1;

/// Records in one pwrite(2).
const BATCH: usize = 32;

/// A change that is recorded beside the cycles.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first cycle with outputs enabled.
    Started,
    /// The fault of the control law changed to this code, 0 for none.
    Fault(u16),
    /// The [`flags`] that this cycle has and the one before had not.
    Flags(u16),
    /// This many slots were skipped.
    Skipped(u32),
    /// Records dropped since the start of the run.
    Dropped(u32),
    /// The machine was suspended for this long, ms.
    Suspended(u32),
    /// A quick stop after which the run went on: the number of its cause
    /// ([`StopCause::number`]), and how many deadlines were missed and slots skipped before it,
    /// at most 2^24 - 1.
    QuickStop(u8, u32),
    /// The control law was armed again after a quick stop.
    ArmedAgain,
    /// The promise of the contract with this number broke, in or before this slot.
    Broken(u32),
    /// The parameter with this number, had this value, the bits of an `f32`, before the event after
    /// this one.
    ParameterFrom(u16, u32),
    /// The client with this number set the parameter of the event before this one to this value.
    ParameterTo(u16, u32),
    /// The place of the process image with this number was forced to this value, the bits of an
    /// `f32`.
    ForcedTo(u16, u32),
    /// The client with this number did it, in the event before this one, for so many ms.
    ForcedBy(u16, u32),
    /// This place is not forced any more: the number of the reason
    /// ([`Ended`](crate::cycle::force::Ended)).
    ForceEnded(u16, u32),
    /// The client with this number saved so many parameters for the next start; with 0, it removed
    /// the saved ones.
    Saved(u16, u32),
    /// The commands of the client with this number for the group in bits 8 and above of the value
    /// are no longer valid; the low byte is why ([`Lost`](super::changes::Lost)).
    CommandsLost(u16, u32),
    /// An event that this version does not know: kind and value.
    Other(u16, u32),
}

/// An event and its slot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The slot in which it was noticed, since the start of the run.
    pub slot: u64,
    /// The event.
    pub event: Event,
}

impl EventRecord {
    /// Its bytes, little-endian: slot (8), kind (2), number (2), value (4).
    #[must_use]
    pub fn to_bytes(self) -> [u8; layout::EVENT_BYTES] {
        let (kind, value) = match self.event {
            Event::Started => (1, 0),
            Event::Fault(code) => (2, u32::from(code)),
            Event::Flags(new) => (3, u32::from(new)),
            Event::Skipped(slots) => (4, slots),
            Event::Dropped(records) => (5, records),
            Event::Suspended(ms) => (6, ms),
            Event::QuickStop(cause, missed) => (7, u32::from(cause) | missed.min(MOST_MISSED) << 8),
            Event::ArmedAgain => (8, 0),
            Event::Broken(promise) => (9, promise),
            Event::ParameterFrom(_, bits) => (10, bits),
            Event::ParameterTo(_, bits) => (11, bits),
            Event::ForcedTo(_, bits) => (12, bits),
            Event::ForcedBy(_, ms) => (13, ms),
            Event::ForceEnded(_, why) => (14, why),
            Event::Saved(_, count) => (15, count),
            Event::CommandsLost(_, what) => (16, what),
            Event::Other(kind, value) => (kind, value),
        };
        let mut bytes = [0; layout::EVENT_BYTES];
        bytes[..8].copy_from_slice(&self.slot.to_le_bytes());
        bytes[8..10].copy_from_slice(&kind.to_le_bytes());
        if let Event::ParameterFrom(number, _)
        | Event::ParameterTo(number, _)
        | Event::ForcedTo(number, _)
        | Event::ForcedBy(number, _)
        | Event::ForceEnded(number, _)
        | Event::Saved(number, _)
        | Event::CommandsLost(number, _) = self.event
        {
            bytes[10..12].copy_from_slice(&number.to_le_bytes());
        }
        bytes[12..].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    /// The inverse of [`Self::to_bytes`]. Any bytes give an event; missing bytes count as zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut all = [0; layout::EVENT_BYTES];
        for (to, from) in all.iter_mut().zip(bytes) {
            *to = *from;
        }
        let word = super::flight::number(&all, 8);
        let (kind, value) = (word as u16, (word >> 32) as u32);
        let event = match kind {
            1 => Event::Started,
            2 => Event::Fault(value as u16),
            3 => Event::Flags(value as u16),
            4 => Event::Skipped(value),
            5 => Event::Dropped(value),
            6 => Event::Suspended(value),
            7 => Event::QuickStop(value as u8, value >> 8),
            8 => Event::ArmedAgain,
            9 => Event::Broken(value),
            10 => Event::ParameterFrom((word >> 16) as u16, value),
            11 => Event::ParameterTo((word >> 16) as u16, value),
            12 => Event::ForcedTo((word >> 16) as u16, value),
            13 => Event::ForcedBy((word >> 16) as u16, value),
            14 => Event::ForceEnded((word >> 16) as u16, value),
            15 => Event::Saved((word >> 16) as u16, value),
            16 => Event::CommandsLost((word >> 16) as u16, value),
            other => Event::Other(other, value),
        };
        Self {
            slot: super::flight::number(&all, 0),
            event,
        }
    }
}

/// The live status: what `steadctl status` shows.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Cycles run.
    pub cycles: u64,
    /// Slots skipped.
    pub skipped: u64,
    /// Cycles whose outputs left late.
    pub overruns: u64,
    /// Records dropped because the ring was full.
    pub dropped: u64,
    /// Longest time from the planned release to the beginning of a cycle, ns.
    pub lateness_max_ns: u32,
    /// Longest time from the beginning of a cycle until its outputs have left, ns.
    pub execution_max_ns: u32,
    /// Error number of the last pwrite(2) that failed, 0 for none. Some records are missing
    /// then.
    pub errno: u32,
    /// Quick stops after which the run went on.
    pub quick_stops: QuickStops,
    /// The last cycle.
    pub last: CycleRecord,
}

/// Index of the quick stops in the words of a status.
const STOPS: usize = 6 + ring::RECORD_WORDS;
/// The first of these words: its low 56 bits are the count, its high 8 bits the last cause.
const COUNT: u64 = (1 << 56) - 1;

impl Status {
    fn to_words(self) -> [u64; STATUS_WORDS] {
        let mut words = [0; STATUS_WORDS];
        words[..6].copy_from_slice(&[
            self.cycles,
            self.skipped,
            self.overruns,
            self.dropped,
            u64::from(self.lateness_max_ns) | u64::from(self.execution_max_ns) << 32,
            u64::from(self.errno),
        ]);
        words[6..STOPS].copy_from_slice(&ring::encode(&self.last));
        if let QuickStops {
            count,
            last: Some(last),
        } = self.quick_stops
        {
            words[STOPS] = count & COUNT | u64::from(last.cause.number()) << 56;
            words[STOPS + 1] = last.slot;
            words[STOPS + 2] = last.missed;
        }
        words
    }

    /// The status in these words. Any words give a status.
    #[must_use]
    pub fn from_words(words: &[u64; STATUS_WORDS]) -> Self {
        Self {
            cycles: words[0],
            skipped: words[1],
            overruns: words[2],
            dropped: words[3],
            lateness_max_ns: words[4] as u32,
            execution_max_ns: (words[4] >> 32) as u32,
            errno: words[5] as u32,
            quick_stops: QuickStops {
                count: words[STOPS] & COUNT,
                last: StopCause::from_number((words[STOPS] >> 56) as u8).map(|cause| QuickStop {
                    cause,
                    slot: words[STOPS + 1],
                    missed: words[STOPS + 2],
                }),
            },
            last: ring::decode(&core::array::from_fn(|index| words[6 + index])),
        }
    }
}

/// Records cycles and events in a flight file, and keeps the live status.
pub struct Journal<'f> {
    flight: &'f Flight,
    batch: [u8; BATCH * RECORD_BYTES],
    filled: usize,
    status: Status,
    broken: Promises,
    /// Whether the flight file shows a forced signal.
    forced: bool,
}

impl<'f> Journal<'f> {
    /// An empty journal that writes to `flight`.
    #[must_use]
    pub fn new(flight: &'f Flight) -> Self {
        Self {
            flight,
            batch: [0; BATCH * RECORD_BYTES],
            filled: 0,
            status: Status::default(),
            broken: Promises::default(),
            forced: false,
        }
    }

    /// Records each promise of `audit` that broke since the last call, in the slot given by
    /// `period`. O(promises).
    pub fn broken(&mut self, audit: &Audit, period: Duration) {
        if audit.broken() == self.broken {
            return;
        }
        for breach in audit.breaches() {
            if !self.broken.contains(breach.promise) {
                self.event(EventRecord {
                    slot: breach.at / period,
                    event: Event::Broken(breach.promise as u32),
                });
                self.broken = self.broken.with(breach.promise);
            }
        }
        self.flight.broke(self.broken);
    }

    /// Adds the record of one cycle, and an event for each change. Records are written in
    /// batches of 32; call [`Self::turn`] to write the rest.
    pub fn add(&mut self, record: &CycleRecord) {
        let before = self.status.last;
        let at = |event| EventRecord {
            slot: record.slot,
            event,
        };
        if self.status.cycles == 0 {
            self.event(at(Event::Started));
        }
        if record.fault != before.fault {
            self.event(at(Event::Fault(record.fault)));
        }
        if record.skipped > 0 {
            self.event(at(Event::Skipped(record.skipped)));
        }
        let new = record.flags & !before.flags;
        if new & flags::QUICK_STOP != 0 {
            self.note_quick_stop();
        }
        if new != 0 {
            self.event(at(Event::Flags(new)));
        }
        if before.flags & !record.flags & flags::STOPPED != 0 {
            self.event(at(Event::ArmedAgain));
        }
        let status = &mut self.status;
        status.cycles += 1;
        status.skipped += u64::from(record.skipped);
        status.overruns += u64::from(record.flags & flags::OVERRUN);
        status.lateness_max_ns = status.lateness_max_ns.max(record.lateness_ns);
        status.execution_max_ns = status.execution_max_ns.max(record.execution_ns);
        status.last = *record;
        for (index, word) in ring::encode(record).into_iter().enumerate() {
            let start = self.filled + index * 8;
            self.batch[start..start + 8].copy_from_slice(&word.to_le_bytes());
        }
        self.filled += RECORD_BYTES;
        if self.filled == self.batch.len() {
            self.flush();
        }
    }

    /// Writes the rest of the batch and publishes the live status. `dropped` is the count of
    /// records that the ring has dropped so far.
    pub fn turn(&mut self, dropped: u64) {
        if dropped != self.status.dropped {
            self.status.dropped = dropped;
            let so_far = u32::try_from(dropped).unwrap_or(u32::MAX);
            self.event(EventRecord {
                slot: self.status.last.slot,
                event: Event::Dropped(so_far),
            });
        }
        // A stop that became more severe sets no new flag.
        self.note_quick_stop();
        self.flush();
        self.flight.publish(&self.status.to_words());
    }

    /// Records the changes of parameters since the last call.
    pub fn changes(&mut self, changes: &Changes) {
        let slot = self.status.last.slot;
        let mut note = |event| self.event(EventRecord { slot, event });
        changes.take(|noted| match noted {
            Noted::Changed(change) => {
                note(Event::ParameterFrom(change.number, change.before.to_bits()));
                note(Event::ParameterTo(change.client, change.after.to_bits()));
            }
            Noted::Saved { client, count } => note(Event::Saved(client, count)),
            Noted::Lost { client, group, why } => {
                let what = u32::from(group) << 8 | why as u32;
                note(Event::CommandsLost(client, what));
            }
        });
    }

    /// Records what happened to forces since the last call, and gives those that last as text.
    pub fn forces(&mut self, forces: &mut forced::All) -> forced::Text {
        forces.take_events(|noted| {
            let (slot, place) = (noted.slot, noted.place);
            match noted.what {
                Ok((client, value, ms)) => {
                    let event = Event::ForcedTo(place, value.to_bits());
                    self.event(EventRecord { slot, event });
                    let event = Event::ForcedBy(client, ms);
                    self.event(EventRecord { slot, event });
                }
                Err(why) => {
                    let event = Event::ForceEnded(place, why as u32);
                    self.event(EventRecord { slot, event });
                }
            }
        });
        let text = forces.text();
        if !text.is_empty() || self.forced {
            self.flight.forced(&text);
            self.forced = !text.is_empty();
        }
        text
    }

    /// Records that the machine was suspended for `length`.
    pub fn suspended(&mut self, length: Duration) {
        let ms = u32::try_from(length.as_nanos() / 1_000_000).unwrap_or(u32::MAX);
        self.event(EventRecord {
            slot: self.status.last.slot,
            event: Event::Suspended(ms),
        });
    }

    /// Records the loop's last quick stop, unless it is recorded already.
    fn note_quick_stop(&mut self) {
        let noted = self.flight.cause().last_quick_stop();
        if noted.count == self.status.quick_stops.count {
            return;
        }
        let cause = u8::try_from(noted.cause).unwrap_or(u8::MAX);
        self.status.quick_stops = QuickStops {
            count: noted.count,
            last: StopCause::from_number(cause).map(|cause| QuickStop {
                cause,
                slot: noted.slot,
                missed: noted.missed,
            }),
        };
        self.event(EventRecord {
            slot: noted.slot,
            event: Event::QuickStop(cause, u32::try_from(noted.missed).unwrap_or(u32::MAX)),
        });
    }

    /// The quick stops recorded so far.
    #[must_use]
    pub const fn quick_stops(&self) -> &QuickStops {
        &self.status.quick_stops
    }

    /// The last record added.
    #[must_use]
    pub const fn last(&self) -> &CycleRecord {
        &self.status.last
    }

    fn flush(&mut self) {
        let written = self.flight.append_records(&self.batch[..self.filled]);
        self.filled = 0;
        self.check(written);
    }

    fn event(&mut self, event: EventRecord) {
        let written = self.flight.append_event(&event.to_bytes());
        self.check(written);
    }

    /// A failed write is shown in the status, and control goes on.
    fn check(&mut self, written: Result<(), Errno>) {
        if let Err(errno) = written {
            self.status.errno = errno.0.unsigned_abs();
        }
    }
}
