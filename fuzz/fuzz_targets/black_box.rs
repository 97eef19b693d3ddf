//! Arbitrary bytes as a black box file: no panic, only sections with a valid checksum are
//! read, memory is bounded by the size of the file, and every result can be printed.

#![no_main]

use libfuzzer_sys::fuzz_target;
// The part of `steadctl` that prints the result.
use steadctl::cycles;
use steadfast::telemetry::blackbox::{BlackBox, crc32, parse};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // A fuzzer does not find valid checksums: the same bytes also describe a file with
    // valid checksums and selected damage.
    read(&assembled(bytes));
});

fn read(bytes: &[u8]) {
    let Ok(found) = parse(bytes) else {
        return;
    };
    assert!(found.cycles.len() * 56 <= bytes.len());
    assert!(found.events.len() * 16 <= bytes.len());
    assert!(found.damaged_at.is_none_or(|at| at <= bytes.len()));
    // An invalid byte becomes a character of three bytes.
    for text in [&found.facts, &found.cause, &found.contract] {
        assert!(text.len() <= 3 * 4096);
    }
    let slots = found.cycles.windows(2);
    assert!(slots.into_iter().all(|two| two[0].slot < two[1].slot));
    let _ = found.gaps();

    let trace = BlackBox::value(&found.facts, "trace").unwrap_or_default();
    let names = cycles::trace_names(trace);
    assert!(names.iter().all(|name| !name.contains(char::is_control)));
    let mut shown = String::new();
    let last = &found.cycles[found.cycles.len().saturating_sub(20)..];
    cycles::table(&mut shown, last, &names).expect("a string takes all");
    cycles::csv(&mut shown, last, &names).expect("a string takes all");
    let names = cycles::Names::of(&found.facts);
    for event in found.events.iter().take(20) {
        let line = cycles::event(event, &names);
        assert!(!line.contains(char::is_control), "{line:?}");
        shown += &line;
        shown += "\n";
    }
    let lines = 2 + 2 * last.len() + found.events.len().min(20);
    assert_eq!(shown.lines().count(), lines, "one line each: {shown:?}");
}

/// Bits of the first byte of a section in [`assembled`], from the top bit on.
const WRONG_CONTENTS: u8 = 0x80;
const WRONG_HEAD: u8 = 0x40;
const UNALIGNED: u8 = 0x20;
const CUT_OFF: u8 = 0x10;

/// A file of sections, each described by a byte (its damage and its tag), its length in two
/// bytes, and its content.
fn assembled(mut orders: &[u8]) -> Vec<u8> {
    let mut file = b"SFBLKBOX\x01\0\0\0".to_vec();
    file.extend(crc32(&file).to_le_bytes());
    while let [order, low, high, rest @ ..] = orders {
        let length = usize::from(u16::from_le_bytes([*low, *high])) % 4_200;
        let (contents, after) = rest.split_at(length.min(rest.len()));
        orders = after;
        let tag = match order & 7 {
            0 => b"FACT",
            1 => b"CAUS",
            2 => b"CONT",
            3 => b"EVNT",
            4 | 5 => b"CYCL",
            6 => b"END ",
            _ => b"NEXT",
        };
        let wrong = |flag| u32::from(order & flag != 0);
        let mut head = tag.to_vec();
        // A length beyond the end is cut to it.
        let claimed = contents.len() + usize::from(order & CUT_OFF != 0) * 64;
        head.extend((claimed as u32).to_le_bytes());
        head.extend((crc32(contents) ^ wrong(WRONG_CONTENTS)).to_le_bytes());
        head.extend((crc32(&head) ^ wrong(WRONG_HEAD)).to_le_bytes());
        file.extend(head);
        file.extend(contents);
        if order & UNALIGNED == 0 {
            file.resize(file.len().next_multiple_of(8), 0);
        }
    }
    file
}
