//! 1010h, 1011h and 1020h.

use super::super::Refusal;
use super::fake::{Bench, frame};

const SAVE: u32 = 0x6576_6173;
const LOAD: u32 = 0x6461_6F6C;
const INVALID: u32 = 0x8000_0000;

/// A node whose second TPDO was mapped anew.
fn changed() -> Bench {
    let mut bench = Bench::new(2);
    bench.write(0x1017, 0, 250, 2).unwrap();
    bench.write(0x1801, 1, INVALID | 0x285, 4).unwrap();
    bench.write(0x1801, 2, 1, 1).unwrap();
    bench.write(0x1801, 3, 10, 2).unwrap();
    bench.write(0x1A01, 0, 0, 1).unwrap();
    bench.write(0x1A01, 1, 0x6041_0010, 4).unwrap();
    bench.write(0x1A01, 2, 0x6864_0020, 4).unwrap();
    bench.write(0x1A01, 0, 2, 1).unwrap();
    bench.write(0x1801, 1, 0x285, 4).unwrap();
    bench.write(0x1843, 1, 0x3C5, 4).unwrap();
    bench.write(0x1020, 1, 12_345, 4).unwrap();
    bench.write(0x1020, 2, 678, 4).unwrap();
    bench
}

fn check(bench: &mut Bench) {
    assert_eq!(bench.read(0x1017, 0), Ok(250));
    assert_eq!(bench.read(0x1801, 1), Ok(0x285));
    assert_eq!(bench.read(0x1801, 2), Ok(1));
    assert_eq!(bench.read(0x1801, 3), Ok(10));
    assert_eq!(bench.read(0x1A01, 0), Ok(2));
    assert_eq!(bench.read(0x1A01, 1), Ok(0x6041_0010));
    assert_eq!(bench.read(0x1A01, 2), Ok(0x6864_0020));
    assert_eq!(bench.read(0x1843, 1), Ok(0x3C5));
    assert_eq!(bench.read(0x1020, 1), Ok(12_345));
    assert_eq!(bench.read(0x1020, 2), Ok(678));
    // What was not changed.
    assert_eq!(bench.read(0x1800, 1), Ok(0x4000_0185));
    assert_eq!(bench.read(0x1A00, 0), Ok(2));
}

#[test]
fn stored_parameters_are_valid_after_a_reset() {
    let mut bench = changed();
    assert_eq!(bench.write(0x1010, 1, SAVE, 4), Ok(()));
    bench.receive(0, &[0x81, 5]);
    bench.poll();
    check(&mut bench);
    // A second storing keeps them.
    assert_eq!(bench.write(0x1010, 1, SAVE, 4), Ok(()));
    bench.receive(0, &[0x82, 5]);
    bench.poll();
    check(&mut bench);
}

#[test]
fn parameters_that_were_not_stored_are_lost_by_a_reset() {
    let mut bench = changed();
    bench.receive(0, &[0x82, 5]);
    bench.poll();
    assert_eq!(bench.read(0x1017, 0), Ok(1000));
    assert_eq!(bench.read(0x1A01, 1), Ok(0x6064_0020));
    assert_eq!(bench.read(0x1020, 1), Ok(0));
}

#[test]
fn the_presets_are_valid_after_restore_and_a_reset() {
    let mut bench = changed();
    bench.write(0x1010, 1, SAVE, 4).unwrap();
    bench.write(0x1011, 1, LOAD, 4).unwrap();
    assert_eq!(bench.read(0x1017, 0), Ok(250), "until the reset");
    bench.receive(0, &[0x82, 5]);
    bench.poll();
    assert_eq!(bench.read(0x1017, 0), Ok(1000));
    assert_eq!(bench.write(0x1011, 1, 1, 4), Err(0x0800_0020));
}

#[test]
fn storing_is_refused_while_an_axis_has_power() {
    let mut bench = changed();
    bench.drive.powered = true;
    assert_eq!(bench.write(0x1010, 1, SAVE, 4), Err(0x0800_0022));
    assert!(bench.drive.stored.is_empty());
    assert_eq!(bench.read(0x1010, 1), Ok(1), "stores on command");
}

#[test]
fn writing_a_parameter_makes_the_configuration_unverified() {
    let mut bench = changed();
    bench.write(0x6040, 0, 6, 2).unwrap();
    assert_eq!(bench.read(0x1020, 1), Ok(12_345), "no parameter");
    bench.write(0x1017, 0, 100, 2).unwrap();
    assert_eq!(bench.read(0x1020, 1), Ok(0));
}

#[test]
fn stored_values_that_do_not_fit_are_left_out() {
    let mut bench = changed();
    bench.write(0x1010, 1, SAVE, 4).unwrap();
    for saved in &mut bench.drive.stored {
        saved.value = 0xFFFF_FFFF;
    }
    bench.drive.stored[0].index = 0x3000;
    bench.receive(0, &[0x82, 5]);
    bench.poll();
    assert_eq!(bench.read(0x1801, 1), Ok(0x4000_0285));
    assert_eq!(bench.read(0x1A01, 0), Ok(2));
}

#[test]
fn storing_is_confirmed_when_the_disk_has_taken_it_and_other_frames_go_on() {
    for (index, signature) in [(0x1010, SAVE), (0x1011, LOAD)] {
        let mut bench = changed();
        bench.drive.disk = None;
        let [low, high] = u16::to_le_bytes(index);
        let [a, b, c, d] = signature.to_le_bytes();
        let request = [0x23, low, high, 1, a, b, c, d];
        assert_eq!(bench.receive(0x605, &request), []);
        // Longer than the time-out of SDO; the node is alive.
        bench.receive(0, &[1, 5]);
        let sent = bench.wait(3000);
        assert!(sent.iter().any(|frame| frame.id() == 0x185), "TPDO 1");
        assert!(sent.iter().all(|frame| frame.id() != 0x585), "{sent:02X?}");
        bench.drive.disk = Some(Ok(()));
        let answer = frame(0x585, &[0x60, low, high, 1, 0, 0, 0, 0]);
        assert!(bench.wait(2).contains(&answer));
        // A disk that does not take it.
        bench.drive.disk = None;
        assert_eq!(bench.receive(0x605, &request), []);
        bench.drive.disk = Some(Err(Refusal::Failed));
        let abort = frame(0x585, &[0x80, low, high, 1, 0, 0, 6, 6]);
        assert!(bench.wait(2).contains(&abort));
        // The client gives up: the result of the save is sent to no client.
        bench.drive.disk = None;
        assert_eq!(bench.receive(0x605, &request), []);
        bench.receive(0x605, &[0x80, low, high, 1, 0, 0, 4, 5]);
        assert_eq!(bench.read(0x1017, 0), Ok(250));
        bench.drive.disk = Some(Ok(()));
        let sent = bench.wait(5);
        assert!(sent.iter().all(|frame| frame.id() != 0x585), "{sent:02X?}");
        assert_eq!(bench.write(index, 1, signature, 4), Ok(()));
    }
}

#[test]
fn presets_are_valid_only_if_the_disk_has_taken_the_restore() {
    let mut bench = changed();
    bench.write(0x1010, 1, SAVE, 4).unwrap();
    bench.drive.disk = Some(Err(Refusal::Failed));
    assert_eq!(bench.write(0x1011, 1, LOAD, 4), Err(0x0606_0000));
    assert!(!bench.node.dictionary.restored);
}
