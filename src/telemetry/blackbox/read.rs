//! Reads a black box file: what is undamaged, and what is missing.
//!
//! [`parse`] accepts any bytes, makes one pass, and returns at most a constant multiple of the
//! length that it was given.

use super::format::{HEAD, MAGIC, MAX_SECTION, SECTION_HEAD, Tag, VERSION, crc32, head};
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

/// A part of a black box that is damaged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The head of the file is damaged.
    Head,
    /// The contents of a section are damaged and were left out.
    Section {
        /// The kind of section.
        tag: Tag,
        /// Its first byte.
        at: usize,
    },
    /// Bytes in which no section begins.
    Unreadable {
        /// The first of these bytes.
        from: usize,
        /// The first byte of the next section, or the length of the file.
        to: usize,
    },
    /// The file ends before its last section. The oldest cycles are missing, because they come
    /// last.
    CutOff {
        /// The length of the file.
        at: usize,
    },
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
    /// The damage, in the order of the file.
    pub damage: Vec<Damage>,
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

/// Reads `bytes`. Allocates.
///
/// # Errors
/// [`NotBlackBox`]: nothing in `bytes` can be read.
pub fn parse(bytes: &[u8]) -> Result<BlackBox, NotBlackBox> {
    let mut found = BlackBox::default();
    let intact = bytes.get(..HEAD) == Some(&head()[..]);
    if !intact {
        let mut newer = [0; 4];
        if bytes.len() >= HEAD && bytes[..8] == MAGIC {
            newer.copy_from_slice(&bytes[8..12]);
            let checked = crc32(&bytes[..12]).to_le_bytes() == bytes[12..16];
            let version = u32::from_le_bytes(newer);
            if checked && version > VERSION {
                return Err(NotBlackBox::Newer(version));
            }
        }
        found.damage.push(Damage::Head);
    }
    let mut at = HEAD.min(bytes.len());
    let (mut sections, mut ended) = (0, false);
    while at < bytes.len() && !ended {
        let Some(section) = Section::at(bytes, at) else {
            let next = (at + 8..bytes.len())
                .step_by(8)
                .find(|place| Section::at(bytes, *place).is_some());
            let to = next.unwrap_or(bytes.len());
            // If less than a section's head is left, the file is only cut off.
            if next.is_some() || bytes.len() - at >= SECTION_HEAD {
                found.damage.push(Damage::Unreadable { from: at, to });
            }
            at = to;
            continue;
        };
        sections += 1;
        let contents = at + SECTION_HEAD;
        let Some(contents) = bytes.get(contents..contents + section.length) else {
            // The section is cut off. Its checksum covers all of it, so none of it is trusted.
            break;
        };
        if crc32(contents) == section.crc {
            found.take(section.tag, contents);
            ended = section.tag == Tag::End;
        } else {
            let tag = section.tag;
            found.damage.push(Damage::Section { tag, at });
        }
        at += SECTION_HEAD + section.length.next_multiple_of(8);
    }
    if !intact && sections == 0 {
        return Err(NotBlackBox::Nothing);
    }
    if !ended {
        found.damage.push(Damage::CutOff { at: bytes.len() });
    }
    found.cycles.sort_by_key(|record| record.slot);
    found.cycles.dedup_by_key(|record| record.slot);
    Ok(found)
}

struct Section {
    tag: Tag,
    length: usize,
    crc: u32,
}

impl Section {
    /// The section that begins at `at`, if its head is undamaged.
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let head = bytes.get(at..at + SECTION_HEAD)?;
        // The cheap test first: a damaged part is searched at every eighth byte.
        let tag = Tag::of(&head[..4])?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|index| head[at + index]));
        let length = word(4) as usize;
        (length <= MAX_SECTION && word(12) == crc32(&head[..12])).then(|| Self {
            tag,
            length,
            crc: word(8),
        })
    }
}

impl BlackBox {
    fn take(&mut self, tag: Tag, contents: &[u8]) {
        let text = || String::from_utf8_lossy(contents).into_owned();
        match tag {
            Tag::Facts => self.facts = text(),
            Tag::Cause => self.cause = text(),
            Tag::Contract => self.contract = text(),
            Tag::Events => self.events.extend(
                contents
                    .chunks_exact(layout::EVENT_BYTES)
                    .map(EventRecord::from_bytes),
            ),
            Tag::Cycles => self
                .cycles
                .extend(contents.chunks_exact(RECORD_BYTES).map(|record| {
                    ring::decode(&core::array::from_fn::<_, RECORD_WORDS, _>(|word| {
                        number(record, word * 8)
                    }))
                })),
            Tag::End => {}
        }
    }
}
