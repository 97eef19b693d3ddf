//! The frame of a black box file: a head, then sections. Each section has its own checksums.

/// The first 8 bytes of a file.
pub(super) const MAGIC: [u8; 8] = *b"SFBLKBOX";
/// The version that this program writes, and the highest that it reads.
pub(super) const VERSION: u32 = 1;
/// Length of the head, bytes: magic (8), version (4), checksum of both (4).
pub(super) const HEAD: usize = 16;
/// Length of a section's head, bytes: tag, length, checksum of the contents, checksum of these
/// three (4 each).
pub(super) const SECTION_HEAD: usize = 16;
/// Longest contents of a section, bytes.
pub(super) const MAX_SECTION: usize = 4096;

/// The contents of a section.
pub(super) type Tag = [u8; 4];
/// Facts of the run: lines `key = value`.
pub(super) const FACTS: Tag = *b"FACT";
/// Why the file was written: lines `key = value`.
pub(super) const CAUSE: Tag = *b"CAUS";
/// The contract, as text.
pub(super) const CONTRACT: Tag = *b"CONT";
/// Events, 16 bytes each.
pub(super) const EVENTS: Tag = *b"EVNT";
/// Cycle records, 56 bytes each, oldest first. Sections with newer cycles come first.
pub(super) const CYCLES: Tag = *b"CYCL";
/// The end, empty: the file is complete.
pub(super) const END: Tag = *b"END ";

/// The head of a file.
pub(super) fn head() -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32(&head[..12]);
    head[12..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// The head of a section with these contents.
pub(super) fn section_head(tag: Tag, contents: &[u8]) -> [u8; SECTION_HEAD] {
    let mut head = [0; SECTION_HEAD];
    head[..4].copy_from_slice(&tag);
    head[4..8].copy_from_slice(&(contents.len() as u32).to_le_bytes());
    head[8..12].copy_from_slice(&crc32(contents).to_le_bytes());
    let crc = crc32(&head[..12]);
    head[12..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// CRC-32 as in Ethernet, zip and PNG (ISO 3309: polynomial 0x04C11DB7 reflected, initial value
/// and final XOR all ones). It works by half bytes: for files that are written once, a table of
/// 64 bytes is enough.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        crc = TABLE[(crc & 15) as usize] ^ crc >> 4;
        crc = TABLE[(crc & 15) as usize] ^ crc >> 4;
    }
    !crc
}

const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 {
                0xEDB8_8320 ^ crc >> 1
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
