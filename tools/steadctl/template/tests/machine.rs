//! The whole machine: firmware, board file and plant.

use my_robot::{BOARD, firmware};
use steadfast::realtime::allocator::SealedAllocator;

// Aborts this test if the loop allocates.
#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// All runs are in one test: a process has one loop at a time, and while it runs no other thread
/// may allocate.
#[test]
fn the_machine_regulates_and_stops_on_a_fault() {
    ten_seconds_of_virtual_time_end_without_a_fault();
    a_heater_without_effect_is_a_fault();
    the_board_file_of_the_real_board_is_valid();
}

fn ten_seconds_of_virtual_time_end_without_a_fault() {
    let config = firmware().read("board.toml", BOARD).unwrap();
    let report = firmware().simulate(&config, 10_000).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.cycles.run, 10_000);
    assert_eq!(report.laws[0].fault, None);
    assert_eq!(report.memory.allocations, Some(0));
    let again = firmware().simulate(&config, 10_000).unwrap();
    assert_eq!(report.to_json(), again.to_json(), "not the same run again");
}

fn a_heater_without_effect_is_a_fault() {
    let weak = BOARD.replace("rise_k = 200.0", "rise_k = 20.0");
    assert_ne!(weak, BOARD);
    let config = firmware().read("board.toml", &weak).unwrap();
    let report = firmware().simulate(&config, 10_000).unwrap();
    assert_eq!(report.exit.code, 4);
    assert_eq!(
        report.exit.reason,
        "law oven: the heater has no effect; check heater, fuse and thermometer"
    );
}

fn the_board_file_of_the_real_board_is_valid() {
    let real = include_str!("../board.linux.toml");
    if let Err(error) = firmware().read("board.linux.toml", real) {
        panic!("{error}");
    }
}
