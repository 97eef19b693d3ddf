//! Writes a black box file from a flight file.
//!
//! Allocates nothing, because it also runs while the allocator is sealed. The most important
//! parts come first, so that a file that was cut off still has the cause and the last cycles:
//! facts, cause, contract, events, then the cycles, newest section first.

use core::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::format::{self, MAX_SECTION, Tag};
use crate::sys::spsc::NEXT;
use crate::telemetry::flight::{MAX_RECORDS, last_entries, layout, number, word};
use crate::telemetry::ring::RECORD_BYTES;

/// Most records in one section: 64 ms at 1 kHz.
const PER_SECTION: usize = 64;

/// When a black box is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// While the loop runs: the control law is faulted.
    Fault,
    /// At the end of the run.
    End,
    /// At the start after a run that did not end in order.
    NextStart,
}

/// What ended the run, or why the box is written.
#[derive(Copy, Clone, Debug)]
pub struct Ending<'e> {
    /// The cause, as text. Control characters are left out.
    pub cause: &'e str,
    /// The exit code, if the process had one.
    pub exit: Option<u8>,
    /// When it is written.
    pub occasion: Occasion,
    /// Whether the watchdog caused the board's last reset; `None` if unknown.
    pub watchdog_reset: Option<bool>,
}

/// Writes the black box of the flight file `flight` to `out`.
///
/// The loop may still write to `flight`: records that it overwrites meanwhile are left out.
///
/// # Errors
/// Those of reading `flight` and writing `out`; the file is partial then.
pub fn write(flight: &File, ending: &Ending<'_>, out: &mut File) -> io::Result<()> {
    out.write_all(&format::head())?;
    let mut text = heapless::Vec::<u8, MAX_SECTION>::new();
    copy_text(flight, layout::FACTS, layout::FACTS_LEN, &mut text)?;
    section(out, format::FACTS, &text)?;
    text.clear();
    // What exceeds the section is cut off.
    let _ = cause(&mut text, ending);
    section(out, format::CAUSE, &text)?;
    text.clear();
    copy_text(flight, layout::CONTRACT, layout::CONTRACT_LEN, &mut text)?;
    section(out, format::CONTRACT, &text)?;
    events(flight, out)?;
    let oldest = if ending.occasion == Occasion::Fault {
        // The reporter still runs and moves the ring's records to the file.
        u64::MAX
    } else {
        ring(flight, out)?
    };
    records(flight, out, oldest)?;
    section(out, format::END, &[])
}

fn section(out: &mut File, tag: Tag, contents: &[u8]) -> io::Result<()> {
    out.write_all(&format::section_head(tag, contents))?;
    out.write_all(contents)?;
    let padding = contents.len().next_multiple_of(8) - contents.len();
    out.write_all(&[0; 8][..padding])
}

fn cycles(out: &mut File, bytes: &[u8]) -> io::Result<()> {
    match bytes {
        [] => Ok(()),
        _ => section(out, format::CYCLES, bytes),
    }
}

/// Reads the text at `at` up to its zero byte.
fn copy_text(
    flight: &File,
    at: usize,
    length: usize,
    text: &mut heapless::Vec<u8, MAX_SECTION>,
) -> io::Result<()> {
    // It always fits: no text of a flight file is longer than a section.
    let _ = text.resize(length.min(MAX_SECTION), 0);
    flight.read_exact_at(text, at as u64)?;
    let end = text.iter().position(|byte| *byte == 0);
    text.truncate(end.unwrap_or(text.len()));
    Ok(())
}

fn cause(text: &mut heapless::Vec<u8, MAX_SECTION>, ending: &Ending<'_>) -> fmt::Result {
    text.write_str("cause = ")?;
    for part in ending.cause.chars().filter(|c| !c.is_control()) {
        text.write_char(part)?;
    }
    if let Some(code) = ending.exit {
        write!(text, "\nexit = {code}")?;
    }
    let written = match ending.occasion {
        Occasion::Fault => "at the fault, the loop went on",
        Occasion::End => "at the end of the run",
        Occasion::NextStart => "at the next start",
    };
    write!(text, "\nwritten = {written}")?;
    let watchdog = match ending.watchdog_reset {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    };
    writeln!(text, "\nwatchdog reset the board = {watchdog}")
}

fn header(flight: &File, word: usize) -> io::Result<u64> {
    word_at(flight, layout::HEADER + word * 8)
}

fn word_at(flight: &File, at: usize) -> io::Result<u64> {
    let mut bytes = [0; 8];
    flight.read_exact_at(&mut bytes, at as u64)?;
    Ok(u64::from_le_bytes(bytes))
}

fn events(flight: &File, out: &mut File) -> io::Result<()> {
    const SIZE: usize = layout::EVENT_BYTES;
    let written = header(flight, word::EVENTS_WRITTEN)?;
    let mut bytes = [0; layout::EVENT_CAPACITY as usize * SIZE];
    let count = written.min(layout::EVENT_CAPACITY) as usize;
    let first = written - count as u64;
    for (index, event) in bytes.chunks_exact_mut(SIZE).take(count).enumerate() {
        let entry = ((first + index as u64) % layout::EVENT_CAPACITY) as usize;
        flight.read_exact_at(event, (layout::EVENTS + entry * SIZE) as u64)?;
    }
    section(out, format::EVENTS, &bytes[..count * SIZE])
}

/// Writes the records of the loop's ring, newest section first, and returns its oldest slot.
/// The place written next is left out, because it may be half written.
fn ring(flight: &File, out: &mut File) -> io::Result<u64> {
    let next = word_at(flight, layout::RING_CONTROL + NEXT)?;
    let mut entries = last_entries(next).rev();
    let mut newer = u64::MAX;
    loop {
        let bytes = &mut [0; PER_SECTION * RECORD_BYTES];
        // Filled from the end, so that the oldest record comes first.
        let mut begin = bytes.len();
        while begin > 0
            && let Some(entry) = entries.next()
        {
            let record = &mut bytes[begin - RECORD_BYTES..begin];
            flight.read_exact_at(record, (layout::RING + entry * RECORD_BYTES) as u64)?;
            // The place was never written, or its record is not older than the one after it.
            if record.iter().all(|byte| *byte == 0) || number(record, 0) >= newer {
                cycles(out, &bytes[begin..])?;
                return Ok(newer);
            }
            newer = number(record, 0);
            begin -= RECORD_BYTES;
        }
        if begin == bytes.len() {
            return Ok(newer);
        }
        cycles(out, &bytes[begin..])?;
    }
}

/// Writes the records behind the mapped part whose slots are below `before`, newest section
/// first.
fn records(flight: &File, out: &mut File, before: u64) -> io::Result<()> {
    let capacity = header(flight, word::RECORD_CAPACITY)?.min(MAX_RECORDS);
    let mut end = header(flight, word::RECORDS_WRITTEN)?;
    while capacity > 0 && end > 0 {
        let begin = end.saturating_sub(PER_SECTION as u64);
        let bytes = &mut [0; PER_SECTION * RECORD_BYTES];
        let count = (end - begin) as usize;
        for (index, record) in bytes.chunks_exact_mut(RECORD_BYTES).take(count).enumerate() {
            let entry = (begin + index as u64) % capacity;
            let at = layout::RECORDS as u64 + entry * RECORD_BYTES as u64;
            flight.read_exact_at(record, at)?;
        }
        // Read after the records: what was overwritten while they were read is left out.
        let written = header(flight, word::RECORDS_WRITTEN)?;
        let kept = written.saturating_add(MARGIN).saturating_sub(capacity);
        let gone = kept.saturating_sub(begin).min(count as u64) as usize;
        let rest = &bytes[gone * RECORD_BYTES..count * RECORD_BYTES];
        let older = rest
            .chunks_exact(RECORD_BYTES)
            .take_while(|record| number(record, 0) < before)
            .count();
        cycles(out, &rest[..older * RECORD_BYTES])?;
        if gone > 0 {
            break;
        }
        end = begin;
    }
    Ok(())
}

/// Records that may be half written before they are counted: one batch of the journal.
const MARGIN: u64 = 32;
