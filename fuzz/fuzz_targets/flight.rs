//! Arbitrary content of a controller's shared memory, read by another process
//! (`steadctl status`), as live status between two writes, and by the next start, which
//! saves the black box of a dead process.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use steadfast::sys::shared::memory_file;
use steadfast::telemetry::blackbox::{Ending, Occasion, describe, parse, write};
use steadfast::telemetry::flight::{
    Claimed, MAX_RECORDS, STATUS_WORDS, Snapshot, events, layout, word,
};
use steadfast::telemetry::journal::{EventRecord, Status};
use steadfast::telemetry::{ring, seqlock};
use steadfast::time::Duration;

/// Cycles for which the file has room behind its mapped part.
const RECORDS: u64 = 100;

/// A flight file as created at the start of a controller.
static BEGUN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let flight = Claimed::anonymous()
        .and_then(|claimed| {
            let facts = format_args!("board = b\ntrace = x_rad\n");
            claimed.begin(RECORDS, Duration::from_millis(1), facts)
        })
        .expect("there is memory");
    let length = flight.file().metadata().expect("it is open").len();
    let mut bytes = vec![0; length as usize];
    let read = flight.file().read_exact_at(&mut bytes, 0);
    read.expect("it is so long");
    bytes
});

thread_local! {
    /// The file of an ended process, and its black box.
    static FILES: [File; 2] =
        [c"flight", c"box"].map(|name| memory_file(name).expect("there is memory").into());
}

fuzz_target!(|bytes: &[u8]| {
    let mut image = BEGUN.clone();
    let (length, patches) = match bytes.split_first_chunk::<2>() {
        Some((length, patches)) => (usize::from(u16::from_le_bytes(*length)), patches),
        None => return,
    };
    patch(&mut image, patches);
    if length > 0 {
        image.truncate(image.len().min(length));
    }
    look(&image);
    rescue(&image);
    read_while_written(patches);
});

/// Applies patches: a word index in two bytes, the number of bytes, and the bytes.
fn patch(image: &mut [u8], mut patches: &[u8]) {
    while let [low, high, count, rest @ ..] = patches {
        let at = usize::from(u16::from_le_bytes([*low, *high])) * 8 % image.len();
        let (new, after) = rest.split_at(usize::from(*count).min(rest.len()));
        patches = after;
        let fits = new.len().min(image.len() - at);
        image[at..at + fits].copy_from_slice(&new[..fits]);
    }
}

/// Reads it as another process.
fn look(image: &[u8]) {
    let Ok(snapshot) = Snapshot::of(&image[..image.len().min(layout::MAPPED)]) else {
        return;
    };
    assert!(snapshot.facts().len() <= 3 * layout::FACTS_LEN);
    assert!(snapshot.contract().len() <= 3 * layout::CONTRACT_LEN);
    assert!(!describe(snapshot.cause()).is_empty());
    assert!(snapshot.record_capacity() <= MAX_RECORDS);
    let _ = (snapshot.sequence(), snapshot.status(), snapshot.dropped());
    assert_eq!(snapshot.ring().count(), ring::CAPACITY - 1);
    assert!(
        snapshot
            .ring()
            .all(|bytes| bytes.len() == ring::RECORD_BYTES)
    );
    let written = snapshot.header(word::EVENTS_WRITTEN);
    if let Some(bytes) = image.get(layout::EVENTS..layout::RECORDS) {
        let seen = events(bytes, written).count() as u64;
        assert_eq!(seen, written.min(layout::EVENT_CAPACITY));
    }
}

/// Saves it as the next start does: the black box must be complete.
fn rescue(image: &[u8]) {
    FILES.with(|[flight, out]| {
        let place = |file: &File, bytes: &[u8]| {
            file.set_len(0)
                .and_then(|()| file.write_all_at(bytes, 0))
                .expect("there is memory");
        };
        place(flight, image);
        place(out, &[]);
        let mut out = out.try_clone().expect("one more descriptor");
        std::io::Seek::rewind(&mut out).expect("it is a file");
        let ending = Ending {
            cause: "left",
            exit: None,
            occasion: Occasion::NextStart,
            watchdog_reset: None,
        };
        // A file that is too short is refused.
        if write(flight, &ending, &mut out).is_ok() {
            let length = out.metadata().expect("it is open").len() as usize;
            // Twice the ring and the room behind it, plus heads and texts.
            assert!(length < 128 * 1024, "{length}");
            let mut bytes = vec![0; length];
            out.read_exact_at(&mut bytes, 0).expect("it is so long");
            let found = parse(&bytes).expect("it was written here");
            assert_eq!(found.damaged_at, None);
        }
    });
}

/// The live status, which may change between two reads.
fn read_while_written(looks: &[u8]) {
    struct Looks<'b>(&'b [u8], Option<u64>);
    impl Looks<'_> {
        fn number(&mut self) -> u64 {
            let Some((byte, rest)) = self.0.split_first() else {
                return 1;
            };
            self.0 = rest;
            u64::from(*byte)
        }
    }
    impl seqlock::Source<STATUS_WORDS> for Looks<'_> {
        type Error = Infallible;

        fn sequence(&mut self) -> Result<u64, Infallible> {
            let number = self.number();
            self.1 = Some(number);
            Ok(number)
        }

        fn words(&mut self) -> Result<[u64; STATUS_WORDS], Infallible> {
            // Validated against the sequence number read before.
            Ok([self.1.take().expect("the sequence comes first"); STATUS_WORDS])
        }
    }
    let mut looks = Looks(looks, None);
    let Ok(read) = seqlock::read(&mut looks, 20);
    if let Some(words) = read {
        assert_eq!(words[0] % 2, 0, "a status in the writing");
        assert_eq!(looks.1, Some(words[0]), "a status that was changed");
        let _ = Status::from_words(&words);
        let _ = EventRecord::from_bytes(&words[0].to_le_bytes());
    }
}
