//! A flight file as another process sees it: bytes, of which nothing is
//! believed.

use super::{MAGIC, MAX_RECORDS, STATUS_WORDS, VERSION, layout, number, word};
use crate::sys::spsc::{DROPPED, NEXT};
use crate::telemetry::journal::{EventRecord, Status};
use crate::telemetry::ring::{CAPACITY, RECORD_BYTES};

/// Why bytes are no flight file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NotFlight {
    /// They are too few.
    Short {
        /// How many there are.
        length: usize,
    },
    /// They begin with something else.
    Magic,
    /// They are of another layout.
    Version(u64),
}

/// What stands in the mapped part of a flight file, by its bytes.
#[derive(Copy, Clone, Debug)]
pub struct Snapshot<'b>(&'b [u8]);

impl<'b> Snapshot<'b> {
    /// The snapshot in `bytes`, the first [`layout::MAPPED`] of the file.
    ///
    /// # Errors
    /// [`NotFlight`].
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

    /// A [`word`] of the header.
    #[must_use]
    pub fn header(&self, word: usize) -> u64 {
        self.number(layout::HEADER + word * 8)
    }

    /// The facts: lines `key = value`.
    #[must_use]
    pub fn facts(&self) -> String {
        text(&self.0[layout::FACTS..layout::FACTS + layout::FACTS_LEN])
    }

    /// The contract in words; empty before it was judged.
    #[must_use]
    pub fn contract(&self) -> String {
        text(&self.0[layout::CONTRACT..layout::CONTRACT + layout::CONTRACT_LEN])
    }

    /// The bytes kept for the cause.
    #[must_use]
    pub fn cause(&self) -> &'b [u8] {
        &self.0[layout::CAUSE..layout::STATUS]
    }

    /// Sequence of the live status.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.number(layout::STATUS)
    }

    /// The live status, as whole as these bytes were.
    #[must_use]
    pub fn status(&self) -> Status {
        let words = core::array::from_fn::<_, STATUS_WORDS, _>(|index| {
            self.number(layout::STATUS + 8 + index * 8)
        });
        Status::from_words(&words)
    }

    /// Records that the loop found no room for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.number(layout::RING_CONTROL + DROPPED)
    }

    /// The loop's last records, oldest first, but for the entry that may have
    /// been in the writing. Entries that were never written have the slot 0.
    pub fn ring(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let bytes = self.0;
        let next = self.number(layout::RING_CONTROL + NEXT);
        last_entries(next).map(move |entry| {
            let at = layout::RING + entry * RECORD_BYTES;
            &bytes[at..at + RECORD_BYTES]
        })
    }

    /// How many records there is room for behind the mapped part.
    #[must_use]
    pub fn record_capacity(&self) -> u64 {
        self.header(word::RECORD_CAPACITY).min(MAX_RECORDS)
    }
}

/// The entries of a ring that was to be written at `next`, oldest first, without
/// that one.
pub(in crate::telemetry) fn last_entries(next: u64) -> impl DoubleEndedIterator<Item = usize> {
    let next = (next % CAPACITY as u64) as usize;
    (1..CAPACITY).map(move |further| (next + further) % CAPACITY)
}

/// The text up to the first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// The events in the bytes of [`layout::EVENTS`], of which `written` were ever
/// written, oldest first.
pub fn events(bytes: &[u8], written: u64) -> impl Iterator<Item = EventRecord> {
    let capacity = layout::EVENT_CAPACITY.min((bytes.len() / layout::EVENT_BYTES) as u64);
    (written.saturating_sub(capacity)..written).map(move |index| {
        let at = (index % capacity) as usize * layout::EVENT_BYTES;
        EventRecord::from_bytes(&bytes[at..at + layout::EVENT_BYTES])
    })
}
