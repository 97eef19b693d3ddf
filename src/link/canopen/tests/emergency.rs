//! EMCY, the error register and the history.

use super::super::Item;
use super::fake::{Bench, frame};

#[test]
fn a_fault_of_an_axis_is_sent_and_its_end_too() {
    let mut bench = Bench::new(2);
    bench
        .drive
        .values
        .insert((1, Item::ErrorCode as u8), 0x8611 as f64);
    let fault = frame(0x85, &[0x11, 0x86, 0x21, 2, 0, 0, 0, 0]);
    assert_eq!(bench.wait(3), [fault]);
    assert_eq!(bench.read(0x1001, 0), Ok(0x21));
    assert_eq!(bench.read(0x1003, 0), Ok(1));
    assert_eq!(bench.read(0x1003, 1), Ok(0x0002_8611));
    bench.drive.values.clear();
    assert_eq!(bench.wait(3), [frame(0x85, &[0; 8])]);
    assert_eq!(bench.read(0x1001, 0), Ok(0));
    assert_eq!(bench.read(0x1003, 0), Ok(1), "the history is kept");
}

#[test]
fn the_history_is_newest_first_and_is_cleared_by_writing_0() {
    let mut bench = Bench::new(1);
    for code in 0x7301..=0x730A {
        bench.set(Item::ErrorCode, f64::from(code));
        bench.wait(1);
    }
    assert_eq!(bench.read(0x1003, 0), Ok(8));
    assert_eq!(bench.read(0x1003, 1), Ok(0x0001_730A));
    assert_eq!(bench.read(0x1003, 8), Ok(0x0001_7303));
    assert_eq!(bench.write(0x1003, 0, 1, 1), Err(0x0609_0031));
    assert_eq!(bench.write(0x1003, 0, 0, 1), Ok(()));
    assert_eq!(bench.read(0x1003, 0), Ok(0));
    assert_eq!(bench.read(0x1003, 1), Err(0x0800_0024));
}

#[test]
fn the_inhibit_time_spaces_messages() {
    let mut bench = Bench::new(1);
    bench.write(0x1015, 0, 100, 2).unwrap();
    let mut at = Vec::new();
    for ms in 0..40 {
        if ms < 3 {
            bench.set(Item::ErrorCode, f64::from(0x7300 + ms));
        }
        at.extend(bench.wait(1).iter().map(|_| ms));
    }
    assert_eq!(at, [0, 10, 20]);
}

#[test]
fn bit_31_of_1014h_and_the_state_stopped_silence_messages() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.write(0x1014, 0, 0x86, 4), Err(0x0609_0030), "exists");
    assert_eq!(bench.write(0x1014, 0, 0x8000_0085, 4), Ok(()));
    bench.set(Item::ErrorCode, 0x7300 as f64);
    assert_eq!(bench.wait(10), []);
    assert_eq!(
        bench.write(0x1014, 0, 0x601, 4),
        Err(0x0609_0030),
        "restricted"
    );
    assert_eq!(bench.write(0x1014, 0, 0x86, 4), Ok(()));
    assert_eq!(bench.wait(1)[0].id(), 0x86);
    bench.receive(0, &[2, 5]);
    bench.set(Item::ErrorCode, 0x8611 as f64);
    assert_eq!(bench.wait(10), []);
}
