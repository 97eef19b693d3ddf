//! Strangers on the bus: a second node with this node's id, and frames of a wrong form.

use super::super::{BusEvent, Frame, Item, Loss, Nmt, Outbox};
use super::fake::{Bench, frame};

const INVALID: u32 = 0x8000_0000;

/// The node with the id 5 follows SYNC in csp.
fn commanded() -> Bench {
    let mut bench = Bench::new(1);
    bench.write(0x1401, 1, INVALID | 0x305, 4).unwrap();
    bench.write(0x1401, 2, 1, 1).unwrap();
    bench.write(0x1401, 1, 0x305, 4).unwrap();
    bench.write(0x1006, 0, 10_000, 4).unwrap();
    bench.receive(0, &[1, 5]);
    bench.receive(0x205, &[0x0F, 0, 8]);
    bench.receive(0x305, &1_000_000_i32.to_le_bytes());
    bench.receive(0x80, &[]);
    bench.wait(5);
    bench
}

/// It still is operational, and its commands are what they were.
fn assert_undisturbed(bench: &mut Bench) {
    assert_eq!(bench.node.nmt(), Nmt::Operational);
    assert_eq!(bench.drive.lost, []);
    assert_eq!(bench.value(Item::Controlword), 15.0);
    assert_eq!(bench.value(Item::Mode), 8.0);
    assert_eq!(bench.value(Item::TargetPosition), 1.0);
    assert_eq!(bench.read(0x2001, 4), Ok(1), "SYNC messages");
}

#[test]
fn a_second_node_with_this_id_is_reported_once_and_stops_nothing() {
    let answer = [0x43, 0x64, 0x60, 0, 1, 2, 3, 4];
    let twin: [(u16, &[u8]); 4] = [
        (0x705, &[0]),
        (0x705, &[5]),
        (0x85, &[0x30, 0x81, 0x11, 0, 0, 0, 0, 0]),
        (0x585, &answer),
    ];
    for (id, data) in twin {
        let mut bench = commanded();
        let wanted = |(want, bits): (u16, u16)| id & bits == want & bits;
        assert!(bench.node.identifiers().any(wanted), "{id:03X}");
        assert!(!bench.node.has_twin());
        for _ in 0..3 {
            assert_eq!(bench.receive(id, data), []);
        }
        assert!(bench.node.has_twin());
        let emergency = frame(0x85, &[0x02, 0xFF, 0, 0, 0, 0, 0, 0]);
        let sent = bench.wait(2);
        let emergencies = sent.iter().filter(|frame| frame.id() == 0x85);
        assert_eq!(emergencies.collect::<Vec<_>>(), [&emergency]);
        assert_undisturbed(&mut bench);
        // Told again after a reset.
        bench.receive(0, &[0x82, 5]);
        bench.poll();
        bench.receive(id, data);
        assert!(bench.wait(2).contains(&emergency));
    }
}

#[test]
fn frames_of_a_wrong_length_do_nothing() {
    for id in [0x000, 0x605, 0x77F, 0x205, 0x305] {
        let right: &[usize] = match id {
            0 => &[2],
            0x605 => &[8],
            0x77F => &[1],
            // A longer PDO is applied and reported.
            0x205 => &[3, 4, 5, 6, 7, 8],
            _ => &[4, 5, 6, 7, 8],
        };
        for length in (0..=8).filter(|length| !right.contains(length)) {
            let mut bench = commanded();
            let answers = bench.receive(id, &[2; 8][..length]);
            assert_eq!(answers, [], "{id:03X} {length}");
            assert_undisturbed(&mut bench);
        }
    }
}

#[test]
fn remote_frames_do_nothing() {
    let mut bench = commanded();
    let mut out = Outbox::new();
    for id in [0x000, 0x080, 0x605, 0x205, 0x305, 0x185, 0x705, 0x585] {
        for length in 0..=8 {
            let frame = Frame::remote(id, length).unwrap();
            bench
                .node
                .receive(bench.now, &frame, &mut bench.drive, &mut out);
        }
    }
    assert!(out.is_empty() && !bench.node.has_twin());
    assert_undisturbed(&mut bench);
}

#[test]
fn a_sync_of_a_wrong_length_is_reported_once_until_a_right_one_comes() {
    let mut bench = commanded();
    let count = |sent: Vec<Frame>| {
        let is_its = |frame: &&Frame| frame.data().starts_with(&[0x40, 0x82]);
        sent.iter().filter(is_its).count()
    };
    for data in [&[1][..], &[2], &[0; 8]] {
        assert_eq!(bench.receive(0x80, data), []);
    }
    assert_eq!(count(bench.wait(3)), 1);
    assert_undisturbed(&mut bench);
    bench.receive(0x80, &[]);
    bench.receive(0x80, &[1]);
    assert_eq!(count(bench.wait(3)), 1);
}

#[test]
fn bus_off_ends_the_commands_once_and_is_reported_when_it_is_over() {
    let mut bench = commanded();
    bench.node.bus(BusEvent::Off, &mut bench.drive);
    assert_eq!(bench.drive.lost, [(0, Loss::Bus)]);
    bench.drive.alive.clear();
    bench.wait(5);
    assert!(bench.drive.alive.is_empty());
    bench.node.bus(BusEvent::Recovered, &mut bench.drive);
    let emergency = frame(0x85, &[0x40, 0x81, 0x11, 0, 0, 0, 0, 0]);
    assert!(bench.wait(3).contains(&emergency));
    // A second end of nothing.
    bench.node.bus(BusEvent::Recovered, &mut bench.drive);
    assert_eq!(bench.wait(3).iter().filter(|f| f.id() == 0x85).count(), 0);
}
