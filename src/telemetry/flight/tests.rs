use super::*;
use crate::cycle::force::Ended;
use crate::cycle::ports::{Clock as _, Record as _};
use crate::cycle::record::{CycleRecord, flags};
use crate::cycle::stop::{QuickStop, QuickStops, StopCause};
use crate::telemetry::changes::{Change, Changes, Lost, MAX_CHANGES, Noted};
use crate::telemetry::forced::{All, Forced, Name};
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
fn a_flight_file_is_read_back_as_written() {
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
fn the_ring_in_the_file_keeps_all_read_records_but_one() {
    let flight = flight(0);
    let (mut writer, mut reader) = ring::claim(flight.ring()).unwrap();
    for slot in 0..600 {
        writer.record(&record(slot));
        assert_eq!(reader.dequeue().map(|record| record.slot), Some(slot));
    }
    let bytes = bytes(&flight);
    let slots: Vec<u64> = Snapshot::of(&bytes)
        .unwrap()
        .ring()
        .map(|record| number(record, 0))
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
    journal.suspended(Duration::from_millis(1_500));
    journal.turn(3);
    let bytes = bytes(&flight);
    let snapshot = Snapshot::of(&bytes).unwrap();
    let status = snapshot.status();
    assert_eq!((status.cycles, status.dropped, status.errno), (250, 3, 0));
    assert_eq!(status.lateness_max_ns, 5_249);
    assert_eq!((status.last.slot, status.last.fault), (249, 7));
    assert_eq!(snapshot.sequence(), 2);
    assert_eq!(snapshot.header(word::RECORDS_WRITTEN), 250);
    let at = |place: usize| number(&bytes, layout::RECORDS + place * RECORD_BYTES);
    assert_eq!((at(0), at(49), at(50), at(99)), (200, 249, 150, 199));
    let seen: Vec<EventRecord> = events(
        &bytes[layout::EVENTS..layout::RECORDS],
        snapshot.header(word::EVENTS_WRITTEN),
    )
    .collect();
    let expected = [
        (0, Event::Started),
        (200, Event::Fault(7)),
        (249, Event::Suspended(1_500)),
        (249, Event::Dropped(3)),
    ];
    assert_eq!(
        seen,
        expected.map(|(slot, event)| EventRecord { slot, event })
    );
}

#[test]
fn a_broken_promise_is_an_event_in_its_slot_and_in_the_header() {
    use crate::realtime::audit::{Audit, Promise, Promises, Reaction};
    let flight = flight(10);
    let mut journal = Journal::new(&flight);
    let (audit, period) = (Audit::new(), Duration::from_secs(1_000));
    journal.add(&record(0));
    journal.broken(&audit, period);
    let from = crate::realtime::clock::Monotonic.now();
    audit.note(Promise::Cpu, from, "CPU 1", Reaction::Report);
    // A second call adds no event.
    journal.broken(&audit, period);
    journal.broken(&audit, period);
    let bytes = bytes(&flight);
    let snapshot = Snapshot::of(&bytes).unwrap();
    let written = snapshot.header(word::EVENTS_WRITTEN);
    let seen: Vec<_> = events(&bytes[layout::EVENTS..layout::RECORDS], written)
        .map(|record| (record.slot, record.event))
        .collect();
    let broken = Event::Broken(Promise::Cpu as u32);
    assert_eq!(seen, [(0, Event::Started), (0, broken)]);
    let bits = Promises::default().with(Promise::Cpu).bits();
    assert_eq!(snapshot.header(word::BROKEN), u64::from(bits));
    assert_eq!(snapshot.header(word::CONTRACT), 2);
}

#[test]
fn a_changed_parameter_is_two_events() {
    let flight = flight(10);
    let mut journal = Journal::new(&flight);
    let changes = Changes::new();
    journal.add(&record(7));
    let change = |number| {
        Noted::Changed(Change {
            number,
            client: 3,
            before: 40.0,
            after: -0.5,
        })
    };
    let saved = Noted::Saved {
        client: u16::MAX,
        count: 2,
    };
    for number in 1..MAX_CHANGES as u16 {
        assert!(changes.add(change(number + 299)));
    }
    assert!(changes.add(saved));
    assert!(!changes.add(change(0)), "there is no room");
    journal.changes(&changes);
    journal.changes(&changes);
    let bytes = bytes(&flight);
    let written = Snapshot::of(&bytes).unwrap().header(word::EVENTS_WRITTEN);
    let seen: Vec<_> = events(&bytes[layout::EVENTS..layout::RECORDS], written)
        .map(|record| (record.slot, record.event))
        .collect();
    assert_eq!(seen.len(), 2 * MAX_CHANGES);
    assert_eq!(seen.last(), Some(&(7, Event::Saved(u16::MAX, 2))));
    let expected = [
        (7, Event::ParameterFrom(300, 40.0_f32.to_bits())),
        (7, Event::ParameterTo(3, (-0.5_f32).to_bits())),
    ];
    assert_eq!(seen[1..3], expected);
}

#[test]
fn a_lost_client_is_an_event() {
    let flight = flight(10);
    let mut journal = Journal::new(&flight);
    let changes = Changes::new();
    journal.add(&record(7));
    let why = (1..=6).filter_map(Lost::from_number);
    for (why, group) in why.zip(0..) {
        let client = u16::MAX - u16::from(group);
        assert!(changes.add(Noted::Lost { client, group, why }));
    }
    journal.changes(&changes);
    let bytes = bytes(&flight);
    let written = Snapshot::of(&bytes).unwrap().header(word::EVENTS_WRITTEN);
    let seen: Vec<_> = events(&bytes[layout::EVENTS..layout::RECORDS], written)
        .skip(1)
        .map(|record| (record.slot, record.event))
        .collect();
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0], (7, Event::CommandsLost(u16::MAX, 1)));
    assert_eq!(seen[5], (7, Event::CommandsLost(u16::MAX - 5, 0x506)));
    assert_eq!(Lost::from_number(7), None);
}

#[test]
fn a_quick_stop_and_its_end_are_events_and_in_the_status() {
    let flight = flight(10);
    let mut journal = Journal::new(&flight);
    let with = |slot, flags| CycleRecord {
        flags,
        ..record(slot)
    };
    journal.add(&with(0, 0));
    // As the loop does it: the stop is written in slot 20, the flag is set from slot 33 on.
    flight
        .cause()
        .quick_stop(StopCause::Overrun.number(), 20, 13);
    let stopped = flags::QUICK_STOP | flags::STOPPED;
    journal.add(&with(33, stopped));
    journal.turn(0);
    let stop = QuickStop {
        cause: StopCause::Overrun,
        slot: 20,
        missed: 13,
    };
    let stops = QuickStops {
        count: 1,
        last: Some(stop),
    };
    assert_eq!(journal.quick_stops(), &stops);
    let status = |flight: &Flight| Snapshot::of(&bytes(flight)).unwrap().status();
    assert_eq!(status(&flight).quick_stops, stops);
    assert_eq!(status(&flight).last.flags, stopped);
    journal.add(&with(34, flags::STOPPED));
    journal.add(&with(35, 0));
    // A stop whose flags were set before, with a cause of a newer version.
    flight.cause().quick_stop(9, 40, u64::from(u32::MAX));
    journal.turn(0);
    let bytes = bytes(&flight);
    let written = Snapshot::of(&bytes).unwrap().header(word::EVENTS_WRITTEN);
    let seen: Vec<_> = events(&bytes[layout::EVENTS..layout::RECORDS], written)
        .map(|record| (record.slot, record.event))
        .collect();
    let expected = [
        (0, Event::Started),
        (20, Event::QuickStop(1, 13)),
        (33, Event::Flags(stopped)),
        (35, Event::ArmedAgain),
        (40, Event::QuickStop(9, (1 << 24) - 1)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn other_files_are_refused_with_their_reason() {
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
fn invalid_numbers_in_the_file_are_read_without_a_panic() {
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
fn a_flight_file_outside_of_memory_is_refused() {
    let refused = Claimed::at("/proc/self/comm").unwrap_err();
    assert_eq!(refused, FlightError::OnDisk);
}

#[test]
fn a_force_is_events_with_its_slots_and_text_in_the_header() {
    let flight = flight(10);
    let mut journal = Journal::new(&flight);
    journal.add(&record(7));
    let mut forces = All::new();
    let mut name = Name::new();
    name.push_str("output.lamp").unwrap();
    let lamp = Forced {
        name,
        place: 4 | 3 << 8,
        client: 5,
        value: 1.0,
        ms: 10_000,
        slot: 6,
        ended: None,
    };
    forces.begin(2, lamp);
    let shown = "output.lamp = 1 by client 5 for 10 s";
    assert_eq!(journal.forces(&mut forces), shown);
    let image = bytes(&flight);
    assert_eq!(Snapshot::of(&image).unwrap().forced(), shown);
    let ended = forces.end(2, Ended::Fault, 8).unwrap();
    assert_eq!(ended.ended, Some((Ended::Fault, 8)));
    assert_eq!(journal.forces(&mut forces), "");
    let bytes = bytes(&flight);
    let snapshot = Snapshot::of(&bytes).unwrap();
    assert_eq!(snapshot.forced(), "");
    let written = snapshot.header(word::EVENTS_WRITTEN);
    let seen: Vec<_> = events(&bytes[layout::EVENTS..layout::RECORDS], written)
        .map(|record| (record.slot, record.event))
        .collect();
    let expected = [
        (6, Event::ForcedTo(4 | 3 << 8, 1.0_f32.to_bits())),
        (6, Event::ForcedBy(5, 10_000)),
        (8, Event::ForceEnded(4 | 3 << 8, 4)),
    ];
    assert_eq!(seen[1..], expected);
    let (count, last) = forces.of_run();
    assert_eq!((count, last.len()), (1, 1));
}
