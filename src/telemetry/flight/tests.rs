use super::*;
use crate::cycle::ports::Record as _;
use crate::cycle::record::CycleRecord;
use crate::telemetry::journal::{Event, EventRecord, Journal};
use crate::telemetry::ring;

fn flight(records: u64) -> Flight {
    let claimed = Claimed::anonymous().unwrap();
    assert!(claimed.left_behind().is_none());
    let period = Duration::from_millis(1);
    claimed
        .begin(records, period, format_args!("board = test\n"))
        .unwrap()
}

fn bytes(flight: &Flight) -> Vec<u8> {
    let length = flight.file().metadata().unwrap().len();
    let mut bytes = vec![0; length as usize];
    flight.file().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn record(slot: u64) -> CycleRecord {
    CycleRecord {
        slot,
        lateness_ns: 5_000 + slot as u32,
        ..CycleRecord::default()
    }
}

#[test]
fn the_file_says_what_was_written_to_it() {
    let flight = flight(10);
    let bytes_of = bytes(&flight);
    let snapshot = Snapshot::of(&bytes_of).unwrap();
    assert_eq!(snapshot.header(word::STATE), RUNNING);
    assert_eq!(snapshot.header(word::PERIOD_NS), 1_000_000);
    assert_eq!(snapshot.header(word::PID), u64::from(std::process::id()));
    assert_eq!(snapshot.record_capacity(), 10);
    assert_eq!(snapshot.facts(), "board = test\n");
    assert_eq!(snapshot.contract(), "");
    flight.judged(&Contract::default());
    flight.end();
    let bytes_of = bytes(&flight);
    let snapshot = Snapshot::of(&bytes_of).unwrap();
    assert!(snapshot.contract().starts_with("NOT REAL-TIME: 0 of 0"));
    assert_eq!(snapshot.header(word::CONTRACT), 2);
    assert_eq!(snapshot.header(word::STATE), ENDED);
}

#[test]
fn the_ring_in_the_file_keeps_what_was_read_already_but_for_one() {
    let flight = flight(0);
    let (mut writer, mut reader) = ring::claim(flight.ring()).unwrap();
    for slot in 0..600 {
        writer.record(&record(slot));
        assert_eq!(reader.take().map(|record| record.slot), Some(slot));
    }
    let bytes = bytes(&flight);
    let slots: Vec<u64> = Snapshot::of(&bytes)
        .unwrap()
        .ring()
        .map(|record| read::number(record, 0))
        .collect();
    assert_eq!(slots, (89..600).collect::<Vec<_>>());
}

#[test]
fn the_journal_keeps_the_newest_records_events_and_the_status() {
    let flight = flight(100);
    let mut journal = Journal::new(&flight);
    for slot in 0..250 {
        let mut record = record(slot);
        if slot >= 200 {
            record.fault = 7;
        }
        journal.add(&record);
    }
    journal.turn(3);
    let bytes = bytes(&flight);
    let snapshot = Snapshot::of(&bytes).unwrap();
    let status = snapshot.status();
    assert_eq!((status.cycles, status.dropped, status.errno), (250, 3, 0));
    assert_eq!(status.lateness_max_ns, 5_249);
    assert_eq!((status.last.slot, status.last.fault), (249, 7));
    assert_eq!(snapshot.sequence(), 2);
    assert_eq!(snapshot.header(word::RECORDS_WRITTEN), 250);
    let at = |place: usize| read::number(&bytes, layout::RECORDS + place * RECORD_BYTES);
    assert_eq!((at(0), at(49), at(50), at(99)), (200, 249, 150, 199));
    let seen: Vec<EventRecord> = events(
        &bytes[layout::EVENTS..layout::RECORDS],
        snapshot.header(word::EVENTS_WRITTEN),
    )
    .collect();
    let expected = [
        (0, Event::Started),
        (200, Event::Fault(7)),
        (249, Event::Dropped(3)),
    ];
    assert_eq!(
        seen,
        expected.map(|(slot, event)| EventRecord { slot, event })
    );
}

#[test]
fn bytes_that_are_no_flight_file_are_told_apart() {
    let mut bytes = bytes(&flight(0));
    for length in [0, 7, 8, layout::MAPPED - 1] {
        let short = Snapshot::of(&bytes[..length]).unwrap_err();
        assert_eq!(short, NotFlight::Short { length });
    }
    bytes[8] = 9;
    assert_eq!(Snapshot::of(&bytes).unwrap_err(), NotFlight::Version(9));
    bytes[0] = b'X';
    assert_eq!(Snapshot::of(&bytes).unwrap_err(), NotFlight::Magic);
}

#[test]
fn numbers_that_cannot_be_break_nothing() {
    let mut bytes = bytes(&flight(0));
    bytes[8 * word::RECORDS_WRITTEN..layout::FACTS].fill(0xff);
    bytes[layout::FACTS..].fill(0xff);
    let snapshot = Snapshot::of(&bytes).unwrap();
    assert!(snapshot.ring().count() < CAPACITY);
    let _ = (snapshot.status(), snapshot.facts(), snapshot.contract());
    assert_eq!(events(&bytes[layout::EVENTS..], u64::MAX).count(), 256);
    assert_eq!(events(&[], u64::MAX).count(), 0);
}

#[test]
fn a_file_that_is_not_in_memory_is_refused() {
    let refused = Claimed::at("/proc/self/comm").unwrap_err();
    assert_eq!(refused, FlightError::OnDisk);
}
