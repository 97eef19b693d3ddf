use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::store::{ENDING, Store};
use super::*;
use crate::cycle::ports::Record as _;
use crate::cycle::record::CycleRecord;
use crate::emulation;
use crate::realtime::contract::Contract;
use crate::sys::cause::Kind;
use crate::telemetry::flight::{Claimed, Flight, layout};
use crate::telemetry::journal::{Event, EventRecord, Journal};
use crate::telemetry::ring;
use crate::time::Duration;

const ENDING_OF_RUN: Ending<'_> = Ending {
    cause: "the encoder\nis gone",
    exit: Some(4),
    occasion: Occasion::End,
    watchdog_reset: Some(false),
};

fn record(slot: u64) -> CycleRecord {
    CycleRecord {
        slot,
        lateness_ns: 1_000 + slot as u32,
        trace: [slot as f32; 8],
        ..CycleRecord::default()
    }
}

/// A flight file after `slots` cycles. The reporter has read all but the last `unread`.
fn flown(slots: u64, unread: u64, kept: u64) -> Flight {
    let flight = Claimed::anonymous()
        .unwrap()
        .begin(
            kept,
            Duration::from_millis(1),
            format_args!("board = test\n"),
        )
        .unwrap();
    flight.judged(&Contract::default());
    let (mut writer, mut reader) = ring::claim(flight.ring()).unwrap();
    let mut journal = Journal::new(&flight);
    for slot in 0..slots {
        writer.record(&record(slot));
        if slot < slots - unread {
            journal.add(&reader.dequeue().unwrap());
        }
    }
    journal.turn(0);
    flight
}

fn written(flight: &Flight, ending: &Ending<'_>) -> Vec<u8> {
    let mut out = File::from(crate::sys::shared::memory_file(c"out").unwrap());
    write(flight.file(), ending, &mut out).unwrap();
    let mut bytes = vec![0; out.metadata().unwrap().len() as usize];
    out.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn a_written_black_box_is_read_back() {
    let found = parse(&written(&flown(1_500, 300, 1_000), &ENDING_OF_RUN)).unwrap();
    assert_eq!(found.damaged_at, None);
    assert_eq!(found.facts, "board = test\n");
    assert!(found.contract.starts_with("NOT REAL-TIME"));
    let value = |key| BlackBox::value(&found.cause, key);
    assert_eq!(value("cause"), Some("the encoderis gone"));
    assert_eq!(value("exit"), Some("4"));
    assert_eq!(value("watchdog reset the board"), Some("no"));
    let started = EventRecord {
        slot: 0,
        event: Event::Started,
    };
    assert_eq!(found.events, [started]);
    // The reporter read 1,200. The file has those from 200 on, minus 32 that may be half
    // written; the ring has the last 511 of all.
    let expected: Vec<_> = (232..1_500).map(record).collect();
    assert_eq!(found.cycles, expected);
    assert_eq!(found.gaps(), 0);
}

#[test]
fn all_cycles_of_a_run_shorter_than_the_ring_are_saved_once() {
    for (slots, unread) in [(0, 0), (1, 1), (1, 0), (5, 2), (511, 0), (600, 400)] {
        let found = parse(&written(&flown(slots, unread, 2_000), &ENDING_OF_RUN)).unwrap();
        let expected: Vec<_> = (0..slots).map(record).collect();
        assert_eq!(found.cycles, expected, "{slots} slots, {unread} unread");
    }
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_the_cut() {
    let bytes = written(&flown(400, 100, 500), &ENDING_OF_RUN);
    let whole = parse(&bytes).unwrap();
    let (mut most, mut with_cause) = (0, 0);
    for length in 0..bytes.len() {
        match parse(&bytes[..length]) {
            Err(error) => {
                assert_eq!(error, NotBlackBox::Nothing);
                assert!(length < 16, "{length}");
            }
            Ok(part) => {
                assert!(part.damaged_at.unwrap() <= length, "{length}");
                assert!(part.cycles.len() >= most, "more bytes, fewer cycles");
                most = part.cycles.len();
                let newest = &whole.cycles[whole.cycles.len() - most..];
                assert_eq!(part.cycles, newest, "the newest come first");
                with_cause += usize::from(part.cause == whole.cause);
            }
        }
    }
    assert_eq!(most, whole.cycles.len());
    assert!(with_cause > bytes.len() / 2);
}

#[test]
fn a_flipped_bit_is_detected_and_costs_one_section_if_it_is_in_contents() {
    let bytes = written(&flown(200, 50, 300), &ENDING_OF_RUN);
    let whole = parse(&bytes).unwrap();
    let mut cost_one = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let found = parse(&damaged).unwrap();
        let Some(damaged_at) = found.damaged_at else {
            assert_eq!(found, whole, "byte {at} fills up a section");
            continue;
        };
        assert!(damaged_at <= at);
        let mut cycles = found.cycles.iter();
        assert!(cycles.all(|cycle| whole.cycles.contains(cycle)));
        cost_one += usize::from(found.cycles.len() + 64 >= whole.cycles.len());
    }
    // All but those in the heads of sections.
    assert!(cost_one > bytes.len() * 9 / 10, "{cost_one}");
}

#[test]
fn other_files_and_newer_versions_are_refused() {
    assert_eq!(parse(b""), Err(NotBlackBox::Nothing));
    assert_eq!(parse(&[0; 5_000]), Err(NotBlackBox::Nothing));
    assert_eq!(parse(&[0xff; 5_000]), Err(NotBlackBox::Nothing));
    let mut newer = format::head();
    newer[8] = 2;
    let crc = crc32(&newer[..12]).to_le_bytes();
    newer[12..].copy_from_slice(&crc);
    assert_eq!(parse(&newer), Err(NotBlackBox::Newer(2)));
}

#[test]
fn the_checksum_is_the_crc32_of_zip() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn the_cause_of_death_is_described() {
    assert!(describe(&[]).contains("killed"));
    let flight = flown(1, 0, 0);
    assert!(
        flight
            .cause()
            .record(Kind::Panic, 0, 0, b"at law.rs:3: \xff no")
    );
    let mut bytes = [0; CAUSE_BYTES];
    let at = layout::CAUSE as u64;
    flight.file().read_exact_at(&mut bytes, at).unwrap();
    assert_eq!(describe(&bytes).as_str(), "panic: at law.rs:3: ? no");
    bytes[8..16].copy_from_slice(&[10, 0, 0, 0, 0x20, 0x4e, 0, 0]);
    assert!(describe(&bytes).starts_with("the loop finished no cycle for 20000 us"));
    bytes[8] = 200;
    assert!(describe(&bytes).starts_with("a cause of a newer version, number 200"));
    assert!(describe(&[0xff; 500]).contains("died while it wrote"));
}

/// A temporary folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("steadfast-box-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn config(&self, size_limit: u64) -> BlackBoxConfig {
        BlackBoxConfig {
            position: (1, 1),
            directory: self.0.to_str().unwrap().to_owned(),
            size_limit,
            seconds: 10,
            memory: "/nowhere".to_owned(),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn save(store: &mut Store, length: usize) -> Result<store::Path, store::StoreError> {
    use std::io::Write;
    store.save(length as u64, |out| out.write_all(&vec![7; length]))
}

#[test]
fn files_are_numbered_and_the_oldest_are_removed_first() {
    let folder = Folder::new("retention");
    let mut store = Store::open(&folder.config(1_000), "a/b").unwrap();
    for _ in 0..3 {
        save(&mut store, 400).unwrap();
    }
    let expected = ["a_b-000002.blackbox", "a_b-000003.blackbox"];
    assert_eq!(folder.names(), expected);
    // Another process continues the numbers, and leaves other files alone.
    fs::write(folder.0.join("a_b-7.blackbox"), [0; 900]).unwrap();
    fs::write(folder.0.join("other-000001.blackbox"), [0; 900]).unwrap();
    let mut store = Store::open(&folder.config(1_000), "a/b").unwrap();
    let path = save(&mut store, 900).unwrap();
    assert!(path.ends_with("/a_b-000004.blackbox"), "{path}");
    let expected = [
        "a_b-000004.blackbox",
        "a_b-7.blackbox",
        "other-000001.blackbox",
    ];
    assert_eq!(folder.names(), expected);
}

#[test]
fn a_file_that_cannot_be_written_leaves_no_file_and_uses_no_number() {
    let folder = Folder::new("refused");
    let mut store = Store::open(&folder.config(1_000), "b").unwrap();
    let refused = store.save(10, |out| {
        use std::io::Write;
        out.write_all(b"half of it")?;
        Err(std::io::Error::from_raw_os_error(libc::ENOSPC))
    });
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("no space"), "{error}");
    assert_eq!(folder.names(), [""; 0]);
    assert!(save(&mut store, 10).unwrap().ends_with("b-000001.blackbox"));
}

#[test]
fn a_full_device_gives_a_readable_error() {
    let flight = flown(100, 0, 100);
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let error = write(flight.file(), &ENDING_OF_RUN, &mut full).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let folder = Folder::new("file");
    fs::write(&folder.0, b"").unwrap();
    assert!(Store::open(&folder.config(1_000), "b").is_err());
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn a_start_is_marked_until_it_ends() {
    let folder = Folder::new("mark");
    let store = Store::open(&folder.config(1_000), "b").unwrap();
    assert!(!store.marked());
    store.mark().unwrap();
    assert!(Store::open(&folder.config(1_000), "b").unwrap().marked());
    store.unmark();
    assert!(!store.marked());
}

/// Set by the parent below: the test then saves until it is killed.
const WRITER: &str = "STEADFAST_BLACK_BOX_WRITER";

#[test]
fn a_writer_killed_at_any_time_leaves_only_whole_files() {
    if let Ok(directory) = std::env::var(WRITER) {
        let config = BlackBoxConfig {
            position: (1, 1),
            directory,
            size_limit: 200_000,
            seconds: 10,
            memory: "/nowhere".to_owned(),
        };
        let flight = flown(400, 100, 500);
        let mut store = Store::open(&config, "b").unwrap();
        // The limit applies only if the parent is gone.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(600);
        while std::time::Instant::now() < end {
            let write = |out: &mut File| write(flight.file(), &ENDING_OF_RUN, out);
            store.save(30_000, write).unwrap();
        }
        panic!("the parent did not kill this process");
    }
    let folder = Folder::new("killed");
    let myself = std::env::current_exe().unwrap();
    let mut seen = 0;
    // A slow or emulated machine takes longer until it writes.
    let mut delays = (0..25_u64)
        .map(|round| 2_000 + round * 1_700)
        .collect::<Vec<_>>();
    delays.extend((0..9).map(|doubling| 50_000 << doubling));
    for (round, delay) in delays.into_iter().enumerate() {
        if round >= 25 && seen > 0 {
            break;
        }
        let name =
            "telemetry::blackbox::tests::a_writer_killed_at_any_time_leaves_only_whole_files";
        let mut writer = emulation::start(&myself)
            .args(["--exact", name, "--nocapture"])
            .env(WRITER, &folder.0)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // From before the first write to after some files: whenever the kill comes, every file
        // must be complete.
        std::thread::sleep(std::time::Duration::from_micros(delay));
        writer.kill().unwrap();
        writer.wait().unwrap();
        if !folder.0.exists() {
            continue;
        }
        for name in folder.names().iter().filter(|name| name.ends_with(ENDING)) {
            let mut bytes = Vec::new();
            File::open(folder.0.join(name))
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .unwrap();
            assert_eq!(parse(&bytes).unwrap().damaged_at, None, "{name}");
            seen += 1;
        }
    }
    assert!(seen > 0, "the writer never wrote a file");
}
