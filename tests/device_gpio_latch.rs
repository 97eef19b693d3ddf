//! Latched inputs: a pulse shorter than a period is reported exactly once, for every order
//! and loss of events that the kernel allows.
#![cfg(feature = "linux")]

mod device_stub;

use device_stub::{StubChip, chip, input};
use steadfast::cycle::image::InputChannel;
use steadfast::device::gpio::{InputLine, InputLines, LineEvent, flag};
use steadfast::sys::Errno;
use steadfast::sys::gpio::{LineAttribute, LineConfigAttribute};

/// Event `seqno` of the request, `line_seqno` of line `offset`.
fn event(seqno: u32, (offset, line_seqno): (u32, u32), id: u32) -> Result<LineEvent, Errno> {
    Ok(LineEvent {
        id,
        offset,
        seqno,
        line_seqno,
        ..LineEvent::default()
    })
}

const RISING: u32 = LineEvent::RISING;
const FALLING: u32 = LineEvent::FALLING;

/// A chip with latched lines 3 (channel 0) and 4 (channel 5) and line 5
/// (channel 6) not latched.
fn latched() -> (StubChip, [InputLine; 3]) {
    let latch = |line| InputLine {
        latch: true,
        ..line
    };
    let lines = [latch(input(0, 3)), latch(input(5, 4)), input(6, 5)];
    (chip("gpiochip0", "", &[]), lines)
}

#[test]
fn latched_lines_request_both_edges_and_the_largest_buffer() {
    let (chip, lines) = latched();
    let (inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    assert!(reader.is_some());
    assert_eq!(inputs.latched(), 1 | 1 << 5);
    let request = chip.wires.requests.borrow()[0];
    let edges = flag::INPUT | flag::EDGE_RISING | flag::EDGE_FALLING;
    assert_eq!(request.config.flags, edges);
    assert_eq!(request.event_buffer_size, 1_024);
    let plain = LineConfigAttribute {
        attribute: LineAttribute::flags(flag::INPUT),
        mask: 0b100,
    };
    assert_eq!(request.config.attributes[0], plain);
}

#[test]
fn a_pulse_between_two_readings_is_seen_once() {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    inputs.read().unwrap();
    let pulse = [event(1, (4, 1), RISING), event(2, (4, 2), FALLING)];
    chip.wires.events.borrow_mut().extend(pulse);
    assert_eq!(reader.drain(0), Ok(2));
    let seen = inputs.read().unwrap();
    assert_eq!((seen.levels, seen.rose, seen.fell), (0, 1 << 5, 1 << 5));
    assert!(seen.was_active(InputChannel::new(5).unwrap()));
    let after = inputs.read().unwrap();
    assert_eq!((after.rose, after.fell), (0, 0));
}

#[test]
fn the_edge_of_a_latched_line_is_counted_once_although_its_level_is_seen_first() {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    inputs.read().unwrap();
    chip.wires.levels.set(0b101);
    let first = inputs.read().unwrap();
    let plain = 1 << 6;
    assert_eq!((first.levels, first.rose), (1 | plain, plain));
    chip.wires
        .events
        .borrow_mut()
        .push(event(1, (3, 1), RISING));
    reader.drain(0).unwrap();
    assert_eq!(inputs.read().unwrap().rose, 1);
    assert_eq!(inputs.read().unwrap().rose, 0);
}

#[test]
fn an_event_without_a_change_of_level_counts_as_a_whole_pulse() {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    inputs.read().unwrap();
    chip.wires
        .events
        .borrow_mut()
        .push(event(1, (3, 1), FALLING));
    reader.drain(0).unwrap();
    let seen = inputs.read().unwrap();
    assert_eq!((seen.rose, seen.fell), (1, 1));
}

/// Drains `events`, then once more without events; returns the edges that the loop reads
/// after each.
fn edges_after(events: Vec<Result<LineEvent, Errno>>) -> [(u32, u32); 2] {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    inputs.read().unwrap();
    chip.wires.events.borrow_mut().extend(events);
    [(); 2].map(|()| {
        reader.drain(0).unwrap();
        let seen = inputs.read().unwrap();
        (seen.rose, seen.fell)
    })
}

const NONE: (u32, u32) = (0, 0);
const EVERY: u32 = 1 | 1 << 5;

#[test]
fn a_gap_in_the_sequence_numbers_of_a_line_counts_as_both_edges_of_that_line() {
    let overflow = vec![
        event(1, (3, 1), RISING),
        event(2, (4, 1), RISING),
        event(9, (3, 8), FALLING),
    ];
    assert_eq!(edges_after(overflow), [(EVERY, 1), NONE]);
    // The level alone would show only a falling edge.
    let overflow = vec![event(5, (4, 5), RISING)];
    assert_eq!(edges_after(overflow), [(1 << 5, 1 << 5), NONE]);
}

#[test]
fn lost_events_of_an_unknown_line_count_as_both_edges_of_every_line() {
    // Two events of the other line are missing; certain once no event is pending.
    let overflow = vec![event(1, (3, 1), RISING), event(4, (3, 2), FALLING)];
    assert_eq!(edges_after(overflow), [(1, 1), (EVERY, EVERY)]);
    // Three missing events are more than can be pending.
    let overflow = vec![event(1, (3, 1), RISING), event(5, (3, 2), FALLING)];
    assert_eq!(edges_after(overflow), [(EVERY, EVERY), NONE]);
}

#[test]
fn a_loss_is_reported_only_once() {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    inputs.read().unwrap();
    let mut edges_of = |event| {
        chip.wires.events.borrow_mut().push(event);
        reader.drain(0).unwrap();
        reader.drain(0).unwrap();
        let seen = inputs.read().unwrap();
        (seen.rose, seen.fell)
    };
    assert_eq!(edges_of(event(3, (3, 1), RISING)), (EVERY, EVERY));
    assert_eq!(edges_of(event(4, (4, 3), RISING)), (1 << 5, 0));
    assert_eq!(edges_of(event(6, (4, 4), FALLING)), (EVERY, EVERY));
}

#[test]
fn reordered_events_are_not_a_loss() {
    let overtaken = vec![event(2, (4, 1), RISING), event(1, (3, 1), RISING)];
    assert_eq!(edges_after(overtaken), [(EVERY, 0), NONE]);
}

#[test]
fn a_burst_is_drained_in_bounded_parts_and_stays_latched_until_taken() {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    inputs.read().unwrap();
    let burst = (1..=40).map(|n| event(n, (3, n), if n % 2 == 1 { RISING } else { FALLING }));
    chip.wires.events.borrow_mut().extend(burst);
    let drained = [(); 4].map(|()| reader.drain(0));
    assert_eq!(drained, [Ok(16), Ok(16), Ok(8), Ok(0)]);
    let seen = inputs.read().unwrap();
    assert_eq!((seen.rose, seen.fell), (1, 1));
}

#[test]
fn without_its_reader_a_latched_line_falls_back_to_changes_of_level() {
    let (chip, lines) = latched();
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    inputs.read().unwrap();
    drop(reader);
    assert_eq!(inputs.latched(), 0);
    chip.wires.levels.set(0b001);
    assert_eq!(inputs.read().unwrap().rose, 1);
}

#[test]
fn a_reader_ignores_interrupted_reads_and_ends_with_the_chip() {
    let (chip, lines) = latched();
    let (_inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    let mut reader = reader.unwrap();
    chip.wires.events.borrow_mut().push(Err(Errno(4)));
    assert_eq!(reader.drain(0), Ok(0), "EINTR");
    chip.wires.events.borrow_mut().push(Err(Errno(19)));
    assert_eq!(reader.run(|| true), Err(Errno(19)), "ENODEV");
    assert_eq!(reader.run(|| false), Ok(()));
}
