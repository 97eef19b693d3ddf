//! Reads a black box file.
//!
//! [`parse`] accepts any bytes, makes one pass, and returns at most a constant multiple of the
//! length that it was given.

use super::format::{self, HEAD, MAGIC, MAX_SECTION, SECTION_HEAD, Tag, VERSION, crc32, head};
use crate::cycle::record::CycleRecord;
use crate::telemetry::flight::{layout, number};
use crate::telemetry::journal::EventRecord;
use crate::telemetry::ring::{self, RECORD_BYTES, RECORD_WORDS};

/// Why bytes are not a black box.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NotBlackBox {
    /// They do not begin with the magic, and contain no section.
    Nothing,
    /// They have this version, which is newer than this program.
    Newer(u32),
}

/// The contents of a black box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlackBox {
    /// Facts of the run: lines `key = value`.
    pub facts: String,
    /// Why the file was written: lines `key = value`.
    pub cause: String,
    /// The contract as text.
    pub contract: String,
    /// The events, oldest first.
    pub events: Vec<EventRecord>,
    /// The cycles, oldest first.
    pub cycles: Vec<CycleRecord>,
    /// The first byte of the first section that is damaged or missing.
    pub damaged_at: Option<usize>,
}

impl BlackBox {
    /// The value of `key` in lines `key = value`.
    #[must_use]
    pub fn value<'t>(lines: &'t str, key: &str) -> Option<&'t str> {
        lines.lines().find_map(|line| {
            let (name, value) = line.split_once(" = ")?;
            (name == key).then_some(value)
        })
    }

    /// Number of cycles missing between the first and the last one, without the slots that the
    /// loop itself skipped.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        let mut missing = 0_u64;
        for two in self.cycles.windows(2) {
            let apart = two[1].slot.wrapping_sub(two[0].slot);
            let skipped = u64::from(two[1].skipped);
            missing = missing.saturating_add(apart.saturating_sub(1).saturating_sub(skipped));
        }
        missing
    }
}

/// Reads `bytes`. Sections with damaged contents are left out; reading ends at a damaged head
/// of a section. Allocates.
///
/// # Errors
/// [`NotBlackBox`]: nothing in `bytes` can be read.
pub fn parse(bytes: &[u8]) -> Result<BlackBox, NotBlackBox> {
    let mut found = BlackBox::default();
    let intact = bytes.get(..HEAD) == Some(&head()[..]);
    if !intact {
        if let Some(head) = bytes.get(..HEAD)
            && head[..8] == MAGIC
            && word(head, 12) == crc32(&head[..12])
            && word(head, 8) > VERSION
        {
            return Err(NotBlackBox::Newer(word(head, 8)));
        }
        found.damaged_at = Some(0);
    }
    let (mut at, mut ended) = (HEAD, false);
    while !ended && let Some((tag, crc, contents)) = section(bytes, at) {
        if crc32(contents) == crc {
            found.take(tag, contents);
            ended = tag == format::END;
        } else {
            found.damaged_at.get_or_insert(at);
        }
        at += SECTION_HEAD + contents.len().next_multiple_of(8);
    }
    if !intact && at == HEAD {
        return Err(NotBlackBox::Nothing);
    }
    if !ended {
        found.damaged_at.get_or_insert(at.min(bytes.len()));
    }
    found.cycles.sort_by_key(|record| record.slot);
    found.cycles.dedup_by_key(|record| record.slot);
    Ok(found)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|index| bytes[at + index]))
}

/// The section at `at`: its tag, checksum and contents. `None` if its head is damaged or
/// `bytes` end before it does.
fn section(bytes: &[u8], at: usize) -> Option<(Tag, u32, &[u8])> {
    let (head, rest) = bytes.get(at..)?.split_at_checked(SECTION_HEAD)?;
    let length = word(head, 4) as usize;
    if length > MAX_SECTION || word(head, 12) != crc32(&head[..12]) {
        return None;
    }
    let tag = [0, 1, 2, 3].map(|index| head[index]);
    Some((tag, word(head, 8), rest.get(..length)?))
}

impl BlackBox {
    fn take(&mut self, tag: Tag, contents: &[u8]) {
        let text = || String::from_utf8_lossy(contents).into_owned();
        match tag {
            format::FACTS => self.facts = text(),
            format::CAUSE => self.cause = text(),
            format::CONTRACT => self.contract = text(),
            format::EVENTS => self.events.extend(
                contents
                    .chunks_exact(layout::EVENT_BYTES)
                    .map(EventRecord::from_bytes),
            ),
            format::CYCLES => {
                self.cycles
                    .extend(contents.chunks_exact(RECORD_BYTES).map(|record| {
                        ring::decode(&core::array::from_fn::<_, RECORD_WORDS, _>(|word| {
                            number(record, word * 8)
                        }))
                    }))
            }
            _ => {}
        }
    }
}
