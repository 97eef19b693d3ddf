//! Reads a flight file of another process. Any bytes are accepted: no number in them is
//! trusted. Allocates for texts only.

use super::{MAGIC, MAX_RECORDS, STATUS_WORDS, VERSION, layout, number, word};
use crate::sys::spsc::{DROPPED, NEXT};
use crate::telemetry::journal::{EventRecord, Status};
use crate::telemetry::ring::{CAPACITY, RECORD_BYTES};

/// Why bytes are not a flight file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NotFlight {
    /// They are shorter than the mapped part.
    Short {
        /// Their length, bytes.
        length: usize,
    },
    /// They do not begin with the magic.
    Magic,
    /// They have this version of the layout, which this program does not read.
    Version(u64),
}

/// The mapped part of a flight file, as bytes.
#[derive(Copy, Clone, Debug)]
pub struct Snapshot<'b>(&'b [u8]);

impl<'b> Snapshot<'b> {
    /// A snapshot of `bytes`, the first [`layout::MAPPED`] bytes of the file.
    ///
    /// # Errors
    /// [`NotFlight`]: too short, another magic or another version.
    pub fn of(bytes: &'b [u8]) -> Result<Self, NotFlight> {
        if bytes.len() < layout::MAPPED {
            return Err(NotFlight::Short {
                length: bytes.len(),
            });
        }
        let snapshot = Self(bytes);
        if bytes[..8] != MAGIC {
            return Err(NotFlight::Magic);
        }
        match snapshot.header(word::VERSION) {
            VERSION => Ok(snapshot),
            other => Err(NotFlight::Version(other)),
        }
    }

    fn number(&self, at: usize) -> u64 {
        number(self.0, at)
    }

    /// The signals that are forced; empty without one.
    #[must_use]
    pub fn forced(&self) -> String {
        let words = (word::FORCED..64).flat_map(|at| self.header(at).to_le_bytes());
        let text: Vec<u8> = words.take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The [`word`] of the header with this index.
    #[must_use]
    pub fn header(&self, word: usize) -> u64 {
        self.number(layout::HEADER + word * 8)
    }

    /// The facts: lines `key = value`.
    #[must_use]
    pub fn facts(&self) -> String {
        text(&self.0[layout::FACTS..layout::FACTS + layout::FACTS_LEN])
    }

    /// The contract as text; empty before it was judged.
    #[must_use]
    pub fn contract(&self) -> String {
        text(&self.0[layout::CONTRACT..layout::CONTRACT + layout::CONTRACT_LEN])
    }

    /// The bytes of the cause.
    #[must_use]
    pub fn cause(&self) -> &'b [u8] {
        &self.0[layout::CAUSE..layout::STATUS]
    }

    /// The sequence of the live status; odd while it is written.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.number(layout::STATUS)
    }

    /// The live status. It is consistent if these bytes were read under an unchanged even
    /// sequence.
    #[must_use]
    pub fn status(&self) -> Status {
        let words = core::array::from_fn::<_, STATUS_WORDS, _>(|index| {
            self.number(layout::STATUS + 8 + index * 8)
        });
        Status::from_words(&words)
    }

    /// Records that the loop dropped because the ring was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.number(layout::RING_CONTROL + DROPPED)
    }

    /// The loop's last records, oldest first, without the place that may be half written. A
    /// place that was never written has slot 0.
    pub fn ring(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let bytes = self.0;
        let next = self.number(layout::RING_CONTROL + NEXT);
        last_entries(next).map(move |entry| {
            let at = layout::RING + entry * RECORD_BYTES;
            &bytes[at..at + RECORD_BYTES]
        })
    }

    /// How many records fit behind the mapped part.
    #[must_use]
    pub fn record_capacity(&self) -> u64 {
        self.header(word::RECORD_CAPACITY).min(MAX_RECORDS)
    }
}

/// The places of a ring whose next place to write is `next`, oldest first, without that place.
pub(in crate::telemetry) fn last_entries(next: u64) -> impl DoubleEndedIterator<Item = usize> {
    let next = (next % CAPACITY as u64) as usize;
    (1..CAPACITY).map(move |further| (next + further) % CAPACITY)
}

/// The text before the first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// The events in the bytes of [`layout::EVENTS`], oldest first. `written` is the count of all
/// events ever written.
pub fn events(bytes: &[u8], written: u64) -> impl Iterator<Item = EventRecord> {
    let capacity = layout::EVENT_CAPACITY.min((bytes.len() / layout::EVENT_BYTES) as u64);
    (written.saturating_sub(capacity)..written).map(move |index| {
        let at = (index % capacity) as usize * layout::EVENT_BYTES;
        EventRecord::from_bytes(&bytes[at..at + layout::EVENT_BYTES])
    })
}
