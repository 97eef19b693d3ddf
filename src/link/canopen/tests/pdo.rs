//! PDOs: presets, the mapping procedure, reception and transmission.

use super::super::{Item, Loss, Outbox, Refusal};
use super::fake::{Bench, NONE, frame};
use crate::time::Duration;

const INVALID: u32 = 0x8000_0000;

#[test]
fn an_unconfigured_master_finds_status_and_control_in_the_first_pdos() {
    let mut bench = Bench::new(2);
    assert_eq!(bench.read(0x1400, 1), Ok(0x205));
    assert_eq!(bench.read(0x1400, 2), Ok(255));
    assert_eq!(bench.read(0x1600, 0), Ok(2));
    assert_eq!(bench.read(0x1600, 1), Ok(0x6040_0010));
    assert_eq!(bench.read(0x1600, 2), Ok(0x6060_0008));
    assert_eq!(bench.read(0x1800, 1), Ok(0x4000_0185));
    assert_eq!(bench.read(0x1800, 5), Ok(100));
    assert_eq!(bench.read(0x1A00, 1), Ok(0x6041_0010));
    assert_eq!(bench.read(0x1A00, 2), Ok(0x6061_0008));
    // Those of the second axis are prepared but do not exist.
    assert_eq!(bench.read(0x1440, 1), Ok(INVALID));
    assert_eq!(bench.read(0x1640, 1), Ok(0x6840_0010));
    assert_eq!(bench.read(0x1A41, 1), Ok(0x6864_0020));
}

#[test]
fn the_order_of_lely_maps_a_pdo() {
    let mut bench = Bench::new(1);
    // COB-ID with bit 31, type, number of entries 0, entries, number, COB-ID.
    assert_eq!(bench.write(0x1401, 1, INVALID | 0x305, 4), Ok(()));
    assert_eq!(bench.write(0x1401, 2, 1, 1), Ok(()));
    assert_eq!(bench.write(0x1601, 0, 0, 1), Ok(()));
    assert_eq!(bench.write(0x1601, 1, 0x607A_0020, 4), Ok(()));
    assert_eq!(bench.write(0x1601, 2, 0x60FF_0020, 4), Ok(()));
    assert_eq!(bench.write(0x1601, 0, 2, 1), Ok(()));
    assert_eq!(bench.write(0x1401, 1, 0x305, 4), Ok(()));
    bench.receive(0, &[1, 5]);
    bench.receive(0x305, &[0x40, 0x42, 0x0F, 0, 0x80, 0x84, 0x1E, 0]);
    assert_eq!(bench.value(Item::TargetPosition), 0.0, "before SYNC");
    bench.receive(0x80, &[]);
    assert_eq!(bench.value(Item::TargetPosition), 1.0);
    assert_eq!(bench.value(Item::TargetVelocity), 2.0);
}

#[test]
fn a_mapping_changes_only_while_the_pdo_does_not_exist() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.write(0x1A00, 0, 0, 1), Err(0x0601_0000));
    assert_eq!(bench.write(0x1A00, 1, 0x6041_0010, 4), Err(0x0601_0000));
    assert_eq!(
        bench.write(0x1800, 3, 10, 2),
        Err(0x0609_0030),
        "inhibit time"
    );
    assert_eq!(
        bench.write(0x1800, 1, 0x186, 4),
        Err(0x0609_0030),
        "other id"
    );
    bench.write(0x1800, 1, INVALID | 0x185, 4).unwrap();
    assert_eq!(
        bench.write(0x1A00, 1, 0x6041_0010, 4),
        Err(0x0601_0000),
        "active"
    );
    bench.write(0x1A00, 0, 0, 1).unwrap();
    for (entry, code) in [
        (0x6040_0010, 0x0604_0041),
        (0x6041_0008, 0x0604_0041),
        (0x1008_0020, 0x0604_0041),
        (0x0005_0008, 0x0602_0000),
        (0x6841_0010, 0x0602_0000),
        (0x6041_0110, 0x0609_0011),
    ] {
        assert_eq!(bench.write(0x1A00, 1, entry, 4), Err(code), "{entry:08X}");
    }
    for sub in 1..=3 {
        bench.write(0x1A00, sub, 0x6064_0020, 4).unwrap();
    }
    assert_eq!(bench.write(0x1A00, 0, 3, 1), Err(0x0604_0042), "96 bits");
    assert_eq!(bench.write(0x1A00, 0, 9, 1), Err(0x0609_0031));
    assert_eq!(bench.write(0x1A00, 0, 2, 1), Ok(()));
    assert_eq!(
        bench.write(0x1800, 1, 0x2000_0185, 4),
        Err(0x0609_0030),
        "29 bits"
    );
    assert_eq!(
        bench.write(0x1800, 1, 0x601, 4),
        Err(0x0609_0030),
        "restricted"
    );
    assert_eq!(bench.write(0x1800, 2, 252, 1), Err(0x0609_0030), "remote");
    assert_eq!(bench.write(0x1800, 1, 0x1C5, 4), Ok(()));
}

#[test]
fn an_rpdo_of_type_255_is_applied_at_once_and_only_when_operational() {
    let mut bench = Bench::new(1);
    bench.receive(0x205, &[0x06, 0, 8]);
    assert_eq!(bench.value(Item::Controlword), 0.0);
    bench.receive(0, &[1, 5]);
    bench.receive(0x205, &[0x06, 0, 0xFD]);
    assert_eq!(bench.value(Item::Controlword), 6.0);
    assert_eq!(bench.value(Item::Mode), -3.0);
}

#[test]
fn an_rpdo_may_have_gaps() {
    let mut bench = Bench::new(1);
    bench.write(0x1600, 0, 0, 1).unwrap_err();
    bench.write(0x1400, 1, INVALID | 0x205, 4).unwrap();
    bench.write(0x1600, 0, 0, 1).unwrap();
    bench.write(0x1600, 1, 0x0006_0010, 4).unwrap();
    bench.write(0x1600, 2, 0x6040_0010, 4).unwrap();
    bench.write(0x1600, 0, 2, 1).unwrap();
    bench.write(0x1400, 1, 0x205, 4).unwrap();
    bench.receive(0, &[1, 5]);
    bench.receive(0x205, &[1, 2, 0x0F, 0]);
    assert_eq!(bench.value(Item::Controlword), 15.0);
}

#[test]
fn a_short_rpdo_is_not_applied_and_a_long_one_is_both_reported_once() {
    let mut bench = Bench::operational(1);
    bench.receive(0x205, &[0x06, 0]);
    bench.receive(0x205, &[0x06]);
    assert_eq!(bench.value(Item::Controlword), 0.0);
    assert_eq!(bench.wait(1)[0].data()[..6], [0x10, 0x82, 0, 1, 2, 3]);
    bench.receive(0x205, &[0x07, 0, 1]);
    bench.receive(0x205, &[0x0F, 0, 1, 0xAA]);
    assert_eq!(bench.value(Item::Controlword), 15.0);
    let sent = bench.wait(5);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].data()[..6], [0x20, 0x82, 0, 1, 4, 3]);
}

#[test]
fn a_refused_rpdo_is_reported_once_until_it_is_taken() {
    let mut bench = Bench::operational(1);
    let item = Item::Controlword as u8;
    bench.drive.refused.insert(item, Refusal::Owner);
    for _ in 0..10 {
        bench.receive(0x205, &[0x06, 0, 8]);
    }
    assert_eq!(bench.value(Item::Mode), 8.0, "the other value is taken");
    let refused = frame(0x85, &[0x01, 0xFF, 0, 1, 0x21, 0, 0, 0x08]);
    assert_eq!(bench.wait(10), [refused]);
    bench.drive.refused.clear();
    bench.receive(0x205, &[0x06, 0, 8]);
    bench.drive.refused.insert(item, Refusal::Owner);
    bench.receive(0x205, &[0x06, 0, 8]);
    assert_eq!(bench.wait(10), [refused]);
}

#[test]
fn an_rpdo_is_supervised_by_its_event_timer_from_the_first_one_on() {
    let mut bench = Bench::operational(1);
    bench.write(0x1400, 5, 20, 2).unwrap();
    bench.wait(100);
    assert_eq!(bench.drive.lost, []);
    bench.receive(0x205, &[0x06, 0, 8]);
    bench.wait(19);
    assert_eq!(bench.drive.lost, []);
    bench.drive.alive.clear();
    let sent = bench.wait(30);
    assert_eq!(bench.drive.lost, [(0, Loss::Rpdo)]);
    assert_eq!(sent[0].data()[..4], [0x50, 0x82, 0x11, 1]);
    assert_eq!(bench.drive.alive, NONE);
    bench.receive(0x205, &[0x06, 0, 8]);
    bench.wait(1);
    assert_eq!(bench.drive.alive, [0]);
}

#[test]
fn the_status_is_sent_when_it_changes_and_with_the_event_timer() {
    let mut bench = Bench::new(1);
    bench.set(Item::Statusword, 0x250 as f64);
    bench.receive(0, &[1, 5]);
    // At the start, then after 100 ms.
    let status = frame(0x185, &[0x50, 0x02, 0]);
    let position = frame(0x285, &[0; 8]);
    assert_eq!(bench.wait(1), [status, position]);
    assert_eq!(bench.wait(99), []);
    assert_eq!(bench.wait(1), [status, position]);
    // A change is sent at once, and the timer begins anew; noise of the position is not sent.
    bench.set(Item::Statusword, 0x231 as f64);
    bench.set(Item::Position, 1e-6);
    assert_eq!(bench.wait(1), [frame(0x185, &[0x31, 0x02, 0])]);
    assert_eq!(bench.wait(98), []);
}

#[test]
fn the_inhibit_time_spaces_changes_and_the_last_value_is_sent() {
    let mut bench = Bench::new(1);
    bench.write(0x1800, 1, INVALID | 0x185, 4).unwrap();
    bench.write(0x1800, 3, 100, 2).unwrap();
    bench.write(0x1800, 5, 0, 2).unwrap();
    bench.write(0x1800, 1, 0x185, 4).unwrap();
    bench.receive(0, &[1, 5]);
    bench.wait(2);
    let mut words = Vec::new();
    for word in 1..=30 {
        bench.set(Item::Statusword, f64::from(word));
        words.extend(bench.wait(1).iter().map(|frame| frame.data()[0]));
    }
    words.extend(bench.wait(20).iter().map(|frame| frame.data()[0]));
    assert_eq!(words, [9, 19, 29, 30]);
}

#[test]
fn a_full_outbox_delays_a_tpdo() {
    let mut bench = Bench::operational(1);
    bench.set(Item::Statusword, 1.0);
    let mut full = Outbox::new();
    while full.push_back(frame(1, &[])).is_ok() {}
    let next = bench.node.poll(bench.now, &mut bench.drive, &mut full);
    assert_eq!(next.since(bench.now).as_nanos(), 1_000_000);
    // The event timer of TPDO 2 ends meanwhile; the next poll is not in the past.
    bench.now += Duration::from_millis(200);
    let next = bench.node.poll(bench.now, &mut bench.drive, &mut full);
    assert_eq!(next.since(bench.now).as_nanos(), 1_000_000);
    assert!(next > bench.now);
    let sent = bench.poll();
    assert_eq!(sent, [frame(0x185, &[1, 0, 0]), frame(0x285, &[0; 8])]);
}

#[test]
fn an_axis_has_its_own_pdos_at_64() {
    let mut bench = Bench::new(2);
    bench.write(0x1440, 1, 0x215, 4).unwrap();
    bench.receive(0, &[1, 5]);
    bench.receive(0x215, &[0x07, 0, 3]);
    assert_eq!(bench.drive.values[&(1, Item::Controlword as u8)], 7.0);
    assert_eq!(bench.value(Item::Controlword), 0.0);
}
