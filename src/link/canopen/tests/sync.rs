//! SYNC: synchronous PDOs, the counter, supervision and measurement.

use super::super::{Item, Loss, Nmt, Pace};
use super::fake::{Bench, NONE, frame};
use crate::time::Duration;

const INVALID: u32 = 0x8000_0000;

/// TPDO 3 with the position, of this type.
fn map(bench: &mut Bench, kind: u32, start: u32) {
    bench.write(0x1802, 2, kind, 1).unwrap();
    bench.write(0x1802, 6, start, 1).unwrap();
    bench.write(0x1A02, 1, 0x6064_0020, 4).unwrap();
    bench.write(0x1A02, 0, 1, 1).unwrap();
    bench.write(0x1802, 1, 0x385, 4).unwrap();
    for other in [0x1800, 0x1801] {
        let id = bench.read(other, 1).unwrap();
        bench.write(other, 1, INVALID | id, 4).unwrap();
    }
}

#[test]
fn a_tpdo_of_type_n_is_sent_with_every_nth_sync() {
    for kind in [1, 3] {
        let mut bench = Bench::new(1);
        map(&mut bench, kind, 0);
        assert_eq!(bench.receive(0x80, &[]), [], "pre-operational");
        bench.receive(0, &[1, 5]);
        bench.set(Item::Position, 0.000_258);
        for number in 1..=9 {
            let sent = bench.receive(0x80, &[]);
            if number % kind == 0 {
                assert_eq!(sent, [frame(0x385, &[2, 1, 0, 0])]);
            } else {
                assert_eq!(sent, []);
            }
        }
        assert_eq!(bench.wait(500), [], "only with SYNC");
    }
}

#[test]
fn a_tpdo_of_type_0_is_sent_with_sync_after_an_event() {
    let mut bench = Bench::new(1);
    bench.write(0x1800, 1, INVALID | 0x185, 4).unwrap();
    bench.write(0x1800, 2, 0, 1).unwrap();
    bench.write(0x1800, 1, 0x185, 4).unwrap();
    bench.write(0x1801, 1, INVALID | 0x285, 4).unwrap();
    bench.receive(0, &[1, 5]);
    assert_eq!(bench.wait(300), []);
    assert_eq!(bench.receive(0x80, &[]), [frame(0x185, &[0, 0, 0])]);
    bench.wait(1);
    assert_eq!(bench.receive(0x80, &[]), []);
    bench.set(Item::Statusword, 7.0);
    bench.wait(1);
    assert_eq!(bench.receive(0x80, &[]), [frame(0x185, &[7, 0, 0])]);
}

#[test]
fn the_start_value_waits_for_the_counter_of_sync() {
    let mut bench = Bench::new(1);
    bench.write(0x1019, 0, 4, 1).unwrap();
    map(&mut bench, 2, 3);
    bench.receive(0, &[1, 5]);
    let sent = [1, 2, 3, 4, 1, 2, 3, 4].map(|counter| bench.receive(0x80, &[counter]).len());
    assert_eq!(sent, [0, 0, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn a_sync_of_an_unexpected_length_has_no_effect_and_is_reported() {
    let mut bench = Bench::operational(1);
    assert_eq!(bench.receive(0x80, &[1]), []);
    assert_eq!(bench.wait(1)[0].data()[..4], [0x40, 0x82, 0, 1]);
}

/// A node with RPDO 2 of type 1, and SYNC every 10 ms.
fn synchronous() -> Bench {
    let mut bench = Bench::new(1);
    bench.write(0x1401, 1, INVALID | 0x305, 4).unwrap();
    bench.write(0x1401, 2, 1, 1).unwrap();
    bench.write(0x1401, 1, 0x305, 4).unwrap();
    bench.write(0x1006, 0, 10_000, 4).unwrap();
    bench.receive(0, &[1, 5]);
    bench.wait(1000);
    assert_eq!(bench.drive.lost, [], "not supervised before the first one");
    for _ in 0..5 {
        bench.receive(0x80, &[]);
        bench.wait(10);
    }
    bench
}

#[test]
fn one_missing_sync_is_counted_and_the_second_invalidates_commands() {
    let mut bench = synchronous();
    // The node was made with two losses; the last SYNC is 10 ms old.
    bench.wait(5);
    assert_eq!(bench.read(0x2001, 3), Ok(1));
    assert_eq!(bench.drive.lost, []);
    bench.wait(9);
    assert_eq!(bench.drive.lost, []);
    bench.drive.alive.clear();
    let sent = bench.wait(2);
    assert_eq!(bench.read(0x2001, 3), Ok(2));
    assert_eq!(bench.drive.lost, [(0, Loss::Sync)]);
    assert_eq!(sent[0].data()[..4], [0x00, 0x87, 0x11, 2]);
    assert_eq!(bench.node.nmt(), Nmt::PreOperational);
    bench.wait(100);
    assert_eq!(bench.drive.alive, NONE);
    bench.receive(0x80, &[]);
    bench.wait(1);
    assert_eq!(bench.drive.alive, [0]);
}

#[test]
fn one_missing_sync_between_others_is_tolerated() {
    let mut bench = synchronous();
    for _ in 0..10 {
        bench.wait(10);
        bench.receive(0x80, &[]);
        bench.wait(10);
        bench.receive(0x80, &[]);
        bench.wait(10);
    }
    assert_eq!(bench.drive.lost, []);
    assert_eq!(bench.read(0x2001, 3), Ok(10));
}

#[test]
fn the_period_and_its_largest_deviation_are_measured() {
    let mut bench = synchronous();
    bench.receive(0x80, &[]);
    bench.wait(12);
    bench.receive(0x80, &[]);
    assert_eq!(bench.read(0x2001, 1), Ok(12_000));
    assert_eq!(bench.read(0x2001, 2), Ok(2_000));
}

#[test]
fn the_jitter_is_measured_with_its_sign_and_a_missing_sync_is_no_jitter() {
    let mut bench = Bench::new(1);
    bench.write(0x1006, 0, 10_000, 4).unwrap();
    bench.receive(0, &[1, 5]);
    for late_us in [0, 300, 0, -200, 9_900, 100, 400] {
        bench.receive(0x80, &[]);
        bench.now += Duration::from_micros((10_000 + late_us) as u64);
        bench.poll();
    }
    bench.receive(0x80, &[]);
    // 9,900 us later is one missing message, and 100 us early.
    assert_eq!(bench.read(0x2001, 3), Ok(1));
    assert_eq!(bench.read(0x2001, 4), Ok(8), "messages");
    assert_eq!(bench.read(0x2001, 5), Ok((80_000 + 500) * 1000 / 8), "mean");
    assert_eq!(bench.read(0x2001, 6), Ok(-200_i32 as u32));
    assert_eq!(bench.read(0x2001, 7), Ok(400));
    assert_eq!(bench.read(0x2001, 8), Ok(400));
    assert_eq!(bench.write(0x2001, 4, 1, 4), Err(0x0609_0031), "only 0");
    bench.write(0x2001, 4, 0, 4).unwrap();
    for sub in 1..=9 {
        assert_eq!(bench.read(0x2001, sub), Ok(0), "{sub}");
    }
    bench.receive(0x80, &[]);
    assert_eq!(bench.read(0x2001, 4), Ok(1));
}

#[test]
fn the_axes_hold_before_sync_is_lost_and_follow_the_next_one() {
    let mut bench = synchronous();
    bench.node.dictionary.config.sync_hold = 2;
    bench.node.dictionary.config.sync_losses = 4;
    assert_eq!(bench.drive.paces.last(), Some(&(0, Pace::Sync)));
    bench.drive.paces.clear();
    // The last SYNC is 10 ms old; the first one is missing after 15 ms, the second after 25 ms.
    bench.wait(14);
    assert_eq!(bench.read(0x2001, 3), Ok(1));
    assert_eq!(bench.drive.paces, []);
    bench.wait(2);
    assert_eq!(bench.drive.paces, [(0, Pace::Hold)]);
    bench.wait(8);
    assert_eq!(bench.read(0x2001, 9), Ok(1));
    bench.receive(0x80, &[]);
    assert_eq!(bench.drive.paces, [(0, Pace::Hold), (0, Pace::Sync)]);
    bench.drive.paces.clear();
    assert_eq!(bench.drive.lost, []);
    bench.wait(50);
    assert_eq!(bench.drive.paces, [(0, Pace::Hold), (0, Pace::Free)]);
    assert_eq!(bench.drive.lost, [(0, Loss::Sync)]);
    assert_eq!(bench.read(0x2001, 9), Ok(2));
}

#[test]
fn an_axis_without_a_synchronous_rpdo_follows_no_sync() {
    let mut bench = synchronous();
    bench.drive.paces.clear();
    let id = bench.read(0x1401, 1).unwrap();
    bench.write(0x1401, 1, INVALID | id, 4).unwrap();
    bench.receive(0x80, &[]);
    assert_eq!(bench.drive.paces, [(0, Pace::Free)]);
}

#[test]
fn without_1006h_the_interpolation_period_supervises_sync() {
    let mut bench = synchronous();
    bench.write(0x1006, 0, 0, 4).unwrap();
    bench.write(0x60C2, 1, 50, 1).unwrap();
    assert_eq!(bench.value(Item::InterpolationPeriod), 0.05);
    bench.receive(0x80, &[]);
    bench.wait(120);
    assert_eq!(bench.drive.lost, []);
    bench.wait(10);
    assert_eq!(bench.drive.lost, [(0, Loss::Sync)]);
}

#[test]
fn offsets_are_added_in_their_mode_only() {
    let mut bench = Bench::new(1);
    bench.write(0x60B0, 0, 500_000, 4).unwrap();
    bench.write(0x60B1, 0, -250_000_i32 as u32, 4).unwrap();
    bench.set(Item::ModeDisplay, 1.0);
    bench.write(0x607A, 0, 1_000_000, 4).unwrap();
    assert_eq!(bench.value(Item::TargetPosition), 1.0);
    bench.set(Item::ModeDisplay, 8.0);
    bench.write(0x607A, 0, 1_000_000, 4).unwrap();
    assert_eq!(bench.value(Item::TargetPosition), 1.5);
    assert_eq!(bench.read(0x607A, 0), Ok(1_000_000));
    bench.set(Item::ModeDisplay, 9.0);
    bench.write(0x60FF, 0, 1_000_000, 4).unwrap();
    assert_eq!(bench.value(Item::TargetVelocity), 0.75);
}
