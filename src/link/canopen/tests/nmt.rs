//! NMT states, boot-up, heartbeat of this node and of others.

use super::super::{BusEvent, Frame, Loss, Nmt, Outbox, Reset};
use super::fake::{Bench, NONE, frame};

#[test]
fn the_node_boots_up_and_follows_the_commands_of_the_master() {
    let mut bench = Bench::new(1);
    let steps: [(&[u8], Nmt); 7] = [
        (&[1, 5], Nmt::Operational),
        (&[0x80, 5], Nmt::PreOperational),
        (&[2, 0], Nmt::Stopped),
        (&[1, 6], Nmt::Stopped),
        (&[1, 0], Nmt::Operational),
        (&[99, 5], Nmt::Operational),
        (&[2, 5, 0], Nmt::Operational),
    ];
    for (data, state) in steps {
        bench.receive(0, data);
        assert_eq!(bench.node.nmt(), state, "{data:?}");
    }
}

#[test]
fn a_reset_boots_up_again_with_the_presets_and_invalidates_commands() {
    for command in [0x81, 0x82] {
        let mut bench = Bench::new(2);
        bench.write(0x1017, 0, 50, 2).unwrap();
        bench.receive(0, &[1, 5]);
        bench.receive(0, &[command, 5]);
        assert_eq!(bench.drive.lost, [(0, Loss::Stopped), (1, Loss::Stopped)]);
        assert_eq!(bench.poll(), [frame(0x705, &[0])]);
        assert_eq!(bench.node.nmt(), Nmt::PreOperational);
        assert_eq!(bench.read(0x1017, 0), Ok(1000));
    }
}

#[test]
fn nothing_is_received_before_the_boot_up_message() {
    let mut bench = Bench::new(1);
    bench.receive(0, &[0x81, 5]);
    assert_eq!(bench.receive(0x605, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]), []);
}

/// Heartbeats within `ms`.
fn beats(bench: &mut Bench, ms: u64) -> Vec<(u64, u8)> {
    let mut beats = Vec::new();
    for at in 1..=ms {
        bench.now += crate::time::Duration::from_millis(1);
        let sent = bench.poll();
        let beat = |frame: &&Frame| frame.id() == 0x705;
        beats.extend(sent.iter().filter(beat).map(|frame| (at, frame.data()[0])));
    }
    beats
}

#[test]
fn the_heartbeat_has_the_state_and_the_period_of_1017h() {
    let mut bench = Bench::new(1);
    assert_eq!(beats(&mut bench, 2000), [(1000, 127), (2000, 127)]);
    bench.write(0x1017, 0, 100, 2).unwrap();
    bench.receive(0, &[1, 5]);
    assert_eq!(beats(&mut bench, 250), [(100, 5), (200, 5)]);
    bench.write(0x1017, 0, 0, 2).unwrap();
    assert_eq!(beats(&mut bench, 3000), []);
}

#[test]
fn a_heartbeat_finds_no_room_and_comes_later() {
    let mut bench = Bench::new(1);
    bench.now += crate::time::Duration::from_millis(1000);
    let mut full = Outbox::new();
    while full.push_back(frame(1, &[])).is_ok() {}
    let next = bench.node.poll(bench.now, &mut bench.drive, &mut full);
    assert_eq!(next.since(bench.now).as_nanos(), 1_000_000);
    assert_eq!(bench.poll(), [frame(0x705, &[127])]);
}

#[test]
fn a_lost_heartbeat_invalidates_commands_and_is_reported_until_it_comes_back() {
    let mut bench = Bench::new(1);
    bench.write(0x1016, 1, 0x007F_0064, 4).unwrap();
    bench.receive(0, &[1, 5]);
    // Not supervised before the first one.
    bench.wait(300);
    assert_eq!(bench.drive.lost, []);
    bench.receive(0x77F, &[5]);
    bench.wait(99);
    assert_eq!(bench.drive.lost, []);
    bench.drive.alive.clear();
    let sent = bench.wait(1);
    let emergency = frame(0x85, &[0x30, 0x81, 0x11, 0x7F, 0, 0, 0, 0]);
    assert_eq!(sent, [emergency]);
    assert_eq!(bench.drive.lost, [(0, Loss::Heartbeat)]);
    assert_eq!(bench.node.nmt(), Nmt::PreOperational, "1029h");
    bench.wait(500);
    assert_eq!(bench.drive.lost.len(), 1, "reported once");
    assert_eq!(bench.drive.alive, NONE, "not alive in the poll of the loss");
    assert_eq!(bench.read(0x1003, 1), Ok(0x007F_8130));
    bench.receive(0x77F, &[5]);
    assert_eq!(bench.wait(1), [frame(0x85, &[0; 8])]);
    assert_eq!(bench.drive.alive, [0]);
}

#[test]
fn the_reaction_to_a_lost_heartbeat_is_that_of_1029h() {
    for (behaviour, state) in [
        (0, Nmt::PreOperational),
        (1, Nmt::Operational),
        (2, Nmt::Stopped),
    ] {
        let mut bench = Bench::new(1);
        bench.write(0x1029, 1, behaviour, 1).unwrap();
        bench.write(0x1016, 2, 0x0002_000A, 4).unwrap();
        bench.receive(0, &[1, 5]);
        bench.receive(0x702, &[5]);
        bench.wait(20);
        assert_eq!(bench.node.nmt(), state);
    }
}

#[test]
fn a_consumer_is_removed_by_writing_0_and_a_node_is_consumed_once() {
    let mut bench = Bench::new(1);
    bench.write(0x1016, 1, 0x0002_000A, 4).unwrap();
    assert_eq!(bench.write(0x1016, 2, 0x0002_0014, 4), Err(0x0604_0043));
    assert_eq!(bench.write(0x1016, 2, 0x0080_0014, 4), Err(0x0609_0030));
    bench.receive(0x702, &[5]);
    bench.wait(20);
    assert_eq!(bench.drive.lost.len(), 1);
    bench.write(0x1016, 1, 0, 4).unwrap();
    bench.drive.alive.clear();
    bench.wait(1);
    assert_eq!(bench.drive.alive, [0]);
}

#[test]
fn bus_off_invalidates_commands_until_the_controller_recovers() {
    let mut bench = Bench::new(1);
    bench.node.bus(BusEvent::Off, &mut bench.drive);
    assert_eq!(bench.drive.lost, [(0, Loss::Bus)]);
    bench.drive.alive.clear();
    bench.wait(10);
    assert_eq!(bench.drive.alive, NONE);
    bench.node.bus(BusEvent::Recovered, &mut bench.drive);
    let sent = bench.wait(2);
    assert_eq!(sent[0].data()[..3], [0x40, 0x81, 0x11]);
    assert_eq!(sent[1].data(), [0; 8]);
    assert_eq!(bench.drive.alive.len(), 2);
}

#[test]
fn a_second_node_with_this_id_is_reported_once() {
    let mut bench = Bench::new(1);
    for _ in 0..3 {
        bench.receive(0x705, &[5]);
    }
    let sent = bench.wait(10);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].data()[..3], [0x02, 0xFF, 0]);
}

#[test]
fn stopped_by_nmt_the_commands_are_not_valid() {
    let mut bench = Bench::operational(1);
    bench.receive(0, &[2, 0]);
    assert_eq!(bench.drive.lost, [(0, Loss::Stopped)]);
    bench.drive.alive.clear();
    bench.wait(5);
    assert_eq!(bench.drive.alive, NONE);
}

#[test]
fn a_reset_node_waits_for_the_axes_and_resets_their_parameters_before_the_boot_up() {
    let mut bench = Bench::operational(1);
    bench.receive(0, &[0x82, 5]);
    bench.poll();
    assert_eq!(bench.drive.resets, 0, "reset communication leaves them");
    bench.drive.reset = Reset::Waits;
    bench.receive(0, &[0x81, 5]);
    let before = bench.now;
    for _ in 0..50 {
        bench.now += crate::time::Duration::from_millis(1);
        assert_eq!(bench.poll(), []);
    }
    assert_eq!(bench.node.nmt(), Nmt::Initialising);
    assert!(bench.now > before && bench.drive.resets == 50);
    bench.drive.reset = Reset::Done;
    assert_eq!(bench.poll(), [frame(0x705, &[0])]);
    bench.wait(10);
    assert_eq!(bench.drive.resets, 51, "once");
}

#[test]
fn a_reset_of_parameters_that_is_refused_is_reported_after_the_boot_up() {
    let mut bench = Bench::operational(1);
    bench.drive.reset = Reset::Refused;
    bench.receive(0, &[0x81, 5]);
    let sent = bench.poll();
    let emergency = frame(0x85, &[0x03, 0xFF, 0, 0, 0, 0, 0, 0]);
    assert_eq!(sent, [frame(0x705, &[0]), emergency]);
    assert_eq!(bench.node.nmt(), Nmt::PreOperational);
    assert_eq!(bench.drive.resets, 1);
}
