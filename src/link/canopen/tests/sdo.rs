//! Every form of the SDO protocol, byte by byte (CiA 301, "SDO protocols").

use super::super::{Item, Nmt, Refusal};
use super::fake::{Bench, NONE, frame};

const EDS: [u8; 3] = [0x21, 0x10, 0];
const NAME: [u8; 3] = [0x08, 0x10, 0];

#[test]
fn an_expedited_upload_says_how_many_bytes_are_used() {
    let mut bench = Bench::new(1);
    bench.set(Item::Statusword, 0x1637 as f64);
    bench.set(Item::Position, -0.000_002);
    let request = |index: u16, sub| {
        let [low, high] = index.to_le_bytes();
        [0x40, low, high, sub, 0, 0, 0, 0]
    };
    let answer = bench.sdo(request(0x1000, 0));
    assert_eq!(answer, [0x43, 0, 0x10, 0, 0x92, 0x01, 0x02, 0]);
    let answer = bench.sdo(request(0x6041, 0));
    assert_eq!(answer, [0x4B, 0x41, 0x60, 0, 0x37, 0x16, 0, 0]);
    let answer = bench.sdo(request(0x1001, 0));
    assert_eq!(answer, [0x4F, 0x01, 0x10, 0, 0, 0, 0, 0]);
    let answer = bench.sdo(request(0x6064, 0));
    assert_eq!(answer, [0x43, 0x64, 0x60, 0, 0xFE, 0xFF, 0xFF, 0xFF]);
    // An INTEGER8: the unused bytes are 0.
    let answer = bench.sdo(request(0x60C2, 2));
    assert_eq!(answer, [0x4F, 0xC2, 0x60, 2, 0xFD, 0, 0, 0]);
}

#[test]
fn an_expedited_download_with_and_without_a_length_is_taken() {
    let mut bench = Bench::new(1);
    let answer = bench.sdo([0x2B, 0x17, 0x10, 0, 0xF4, 0x01, 0, 0]);
    assert_eq!(answer, [0x60, 0x17, 0x10, 0, 0, 0, 0, 0]);
    assert_eq!(bench.read(0x1017, 0), Ok(500));
    // Without a length: that of the object.
    let answer = bench.sdo([0x22, 0x17, 0x10, 0, 0xE8, 0x03, 0xAA, 0xBB]);
    assert_eq!(answer, [0x60, 0x17, 0x10, 0, 0, 0, 0, 0]);
    assert_eq!(bench.read(0x1017, 0), Ok(1000));
}

#[test]
fn a_download_sets_the_value_of_the_axis_in_si_units() {
    let mut bench = Bench::new(2);
    assert_eq!(bench.write(0x6081, 0, 1_500_000, 4), Ok(()));
    assert_eq!(bench.value(Item::ProfileVelocity), 1.5);
    assert_eq!(bench.write(0x6083, 0, 2_500, 4), Ok(()));
    assert_eq!(bench.value(Item::ProfileAcceleration), 2.5);
    assert_eq!(bench.write(0x6066, 0, 20, 2), Ok(()));
    assert_eq!(bench.value(Item::FollowingErrorTime), 0.02);
    // The second axis.
    assert_eq!(bench.write(0x687A, 0, -7_000_000_i32 as u32, 4), Ok(()));
    assert_eq!(bench.drive.values[&(1, Item::TargetPosition as u8)], -7.0);
}

#[test]
fn a_controlword_is_confirmed_when_the_machine_has_taken_it() {
    let mut bench = Bench::new(1);
    bench.drive.waits = true;
    let request = [0x2B, 0x40, 0x60, 0, 6, 0, 0, 0];
    assert_eq!(bench.receive(0x605, &request), []);
    assert_eq!(bench.value(Item::Controlword), 6.0);
    assert_eq!(bench.wait(3), []);
    // A refusal is said at once, and an upload waits for nothing.
    assert_eq!(bench.write(0x6041, 0, 6, 2), Err(0x0601_0002));
    assert_eq!(bench.read(0x6040, 0), Ok(6));
    assert_eq!(bench.receive(0x605, &request), []);
    bench.drive.waits = false;
    assert_eq!(
        bench.wait(3),
        [frame(0x585, &[0x60, 0x40, 0x60, 0, 0, 0, 0, 0])]
    );
    assert_eq!(bench.write(0x6040, 0, 7, 2), Ok(()));
    // In segments, of which the last one writes.
    let begin = [0x21, 0x40, 0x60, 0, 2, 0, 0, 0];
    assert_eq!(bench.sdo(begin)[0], 0x60);
    bench.drive.waits = true;
    assert_eq!(bench.receive(0x605, &[0x0B, 15, 0, 0, 0, 0, 0, 0]), []);
    bench.drive.waits = false;
    assert_eq!(bench.wait(1), [frame(0x585, &[0x20, 0, 0, 0, 0, 0, 0, 0])]);
    assert_eq!(bench.value(Item::Controlword), 15.0);
    // A machine that does not take it: the client learns of it.
    bench.drive.waits = true;
    assert_eq!(bench.receive(0x605, &request), []);
    let timeout = frame(0x585, &[0x80, 0x40, 0x60, 0, 0, 0, 4, 5]);
    assert_eq!(bench.drive.withdrawn, NONE);
    assert_eq!(bench.wait(1100), [timeout]);
    assert_eq!(
        bench.drive.withdrawn,
        [0],
        "what was refused is not taken later"
    );
}

#[test]
fn access_errors_have_the_codes_of_the_standard() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.read(0x1007, 0), Err(0x0602_0000), "no object");
    assert_eq!(bench.read(0x6840, 0), Err(0x0602_0000), "no second axis");
    assert_eq!(bench.read(0x1404, 0), Err(0x0602_0000), "no fifth PDO");
    assert_eq!(bench.read(0x1018, 5), Err(0x0609_0011), "no sub-index");
    assert_eq!(bench.write(0x1000, 0, 1, 4), Err(0x0601_0002), "read-only");
    assert_eq!(
        bench.write(0x1008, 0, 1, 4),
        Err(0x0601_0002),
        "read-only text"
    );
    assert_eq!(bench.write(0x1017, 0, 1, 4), Err(0x0607_0012), "too long");
    assert_eq!(bench.write(0x1017, 0, 1, 1), Err(0x0607_0013), "too short");
    assert_eq!(bench.write(0x1029, 1, 3, 1), Err(0x0609_0031), "too high");
    assert_eq!(bench.write(0x60C2, 2, 0x80, 1), Err(0x0609_0032), "too low");
    assert_eq!(bench.write(0x1010, 1, 1, 4), Err(0x0800_0020), "signature");
    assert_eq!(bench.read(0x1003, 1), Err(0x0800_0024), "no error yet");
}

#[test]
fn a_refusal_of_the_machine_becomes_an_abort_code() {
    let mut bench = Bench::new(1);
    let codes = [
        (Refusal::Owner, 0x0800_0021),
        (Refusal::State, 0x0800_0022),
        (Refusal::TooHigh, 0x0609_0031),
        (Refusal::TooLow, 0x0609_0032),
        (Refusal::Value, 0x0609_0030),
        (Refusal::Conflict, 0x0604_0043),
        (Refusal::ReadOnly, 0x0601_0002),
        (Refusal::Failed, 0x0606_0000),
    ];
    for (refusal, code) in codes {
        let item = Item::Controlword as u8;
        bench.drive.refused.insert(item, refusal);
        assert_eq!(bench.write(0x6040, 0, 6, 2), Err(code), "{refusal:?}");
    }
}

#[test]
fn a_text_is_uploaded_in_segments_with_alternating_toggle() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = NAME;
    let answer = bench.sdo([0x40, low, high, sub, 0, 0, 0, 0]);
    assert_eq!(answer, [0x41, low, high, sub, 9, 0, 0, 0]);
    assert_eq!(bench.sdo([0x60, 0, 0, 0, 0, 0, 0, 0]), *b"\x00steadfa");
    assert_eq!(
        bench.sdo([0x70, 0, 0, 0, 0, 0, 0, 0]),
        [0x10 | 5 << 1 | 1, b's', b't', 0, 0, 0, 0, 0]
    );
    // The transfer is over.
    let answer = bench.sdo([0x60, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer, [0x80, low, high, sub, 0x01, 0, 0x04, 0x05]);
}

#[test]
fn a_wrong_toggle_ends_the_transfer() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = NAME;
    bench.sdo([0x40, low, high, sub, 0, 0, 0, 0]);
    let answer = bench.sdo([0x70, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer, [0x80, low, high, sub, 0, 0, 0x03, 0x05]);
    let answer = bench.sdo([0x60, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer[4..], [0x01, 0, 0x04, 0x05]);
}

#[test]
fn a_value_is_downloaded_in_segments() {
    let mut bench = Bench::new(1);
    let answer = bench.sdo([0x21, 0x7A, 0x60, 0, 4, 0, 0, 0]);
    assert_eq!(answer, [0x60, 0x7A, 0x60, 0, 0, 0, 0, 0]);
    // Two bytes, then two more in the last segment.
    let answer = bench.sdo([0x0A, 0x40, 0x42, 0, 0, 0, 0, 0]);
    assert_eq!(answer, [0x20, 0, 0, 0, 0, 0, 0, 0]);
    let answer = bench.sdo([0x1B, 0x0F, 0x00, 0, 0, 0, 0, 0]);
    assert_eq!(answer, [0x30, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bench.value(Item::TargetPosition), 1.0);
}

#[test]
fn a_segmented_download_of_a_wrong_length_is_refused() {
    let mut bench = Bench::new(1);
    let answer = bench.sdo([0x21, 0x17, 0x10, 0, 3, 0, 0, 0]);
    assert_eq!(answer[4..], [0x12, 0, 0x07, 0x06]);
    // Without a length at first: one byte, then the end.
    bench.sdo([0x20, 0x17, 0x10, 0, 0, 0, 0, 0]);
    let answer = bench.sdo([0x0D, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer[..4], [0x80, 0x17, 0x10, 0]);
    assert_eq!(answer[4..], [0x13, 0, 0x07, 0x06]);
    bench.sdo([0x20, 0x17, 0x10, 0, 0, 0, 0, 0]);
    let answer = bench.sdo([0x01, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(answer[4..], [0x12, 0, 0x07, 0x06]);
    assert_eq!(bench.read(0x1017, 0), Ok(1000));
}

#[test]
fn a_transfer_that_stands_still_is_ended_after_one_second() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = NAME;
    bench.sdo([0x40, low, high, sub, 0, 0, 0, 0]);
    assert_eq!(bench.wait(999), []);
    let abort = frame(0x585, &[0x80, low, high, sub, 0, 0, 0x04, 0x05]);
    assert_eq!(bench.wait(1), [abort]);
    assert_eq!(bench.wait(2000), []);
}

#[test]
fn the_client_can_end_a_transfer_without_an_answer() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = NAME;
    bench.sdo([0x40, low, high, sub, 0, 0, 0, 0]);
    assert_eq!(
        bench.receive(0x605, &[0x80, low, high, sub, 0, 0, 4, 5]),
        []
    );
    assert_eq!(bench.wait(2000), []);
}

#[test]
fn unknown_commands_and_block_downloads_are_refused() {
    let mut bench = Bench::new(1);
    for command in [0xC6, 0xE0] {
        let answer = bench.sdo([command, 0x17, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(answer, [0x80, 0x17, 0x10, 0, 0x01, 0, 0x04, 0x05]);
    }
}

#[test]
fn requests_of_a_wrong_length_and_in_the_state_stopped_have_no_answer() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.receive(0x605, &[0x40, 0, 0x10]), []);
    bench.receive(0, &[2, 5]);
    assert_eq!(bench.node.nmt(), Nmt::Stopped);
    assert_eq!(bench.receive(0x605, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]), []);
}

/// The segments of the block that follows a request.
fn block(bench: &mut Bench, request: [u8; 8]) -> Vec<[u8; 8]> {
    let mut sent = bench.receive(0x605, &request);
    loop {
        let more = bench.poll();
        if more.is_empty() {
            break;
        }
        sent.extend(more);
    }
    let of = |frame: &super::super::Frame| frame.data().try_into().unwrap();
    sent.iter().map(of).collect()
}

#[test]
fn a_text_is_uploaded_in_one_block() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = NAME;
    // With checksum, 10 segments in a block.
    let answer = bench.sdo([0xA4, low, high, sub, 10, 0, 0, 0]);
    assert_eq!(answer, [0xC6, low, high, sub, 9, 0, 0, 0]);
    let segments = block(&mut bench, [0xA3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(segments[0], *b"\x01steadfa");
    assert_eq!(segments[1], *b"\x82st\0\0\0\0\0");
    assert_eq!(segments.len(), 2);
    // All arrived: 5 bytes of the last segment are unused, CRC-16/XMODEM of "steadfast".
    let answer = bench.sdo([0xA2, 2, 10, 0, 0, 0, 0, 0]);
    assert_eq!(answer[0], 0xC1 | 5 << 2);
    assert_eq!(u16::from_le_bytes([answer[1], answer[2]]), 0xC828);
    assert_eq!(bench.receive(0x605, &[0xA1, 0, 0, 0, 0, 0, 0, 0]), []);
    assert_eq!(bench.wait(2000), []);
}

#[test]
fn a_block_upload_of_the_eds_is_the_same_text_as_in_segments() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = EDS;
    bench.sdo([0x40, low, high, sub, 0, 0, 0, 0]);
    let mut expected = Vec::<u8>::new();
    let mut toggle = 0;
    loop {
        let answer = bench.sdo([0x60 | toggle, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer[0] & 0xF0, toggle);
        toggle ^= 0x10;
        let unused = usize::from(answer[0] >> 1 & 7);
        expected.extend(&answer[1..8 - unused]);
        if answer[0] & 1 != 0 {
            break;
        }
    }
    let answer = bench.sdo([0xA0, low, high, sub, 127, 0, 0, 0]);
    assert_eq!(answer, [0xC4, low, high, sub, 0, 0, 0, 0]);
    let mut text = Vec::<u8>::new();
    let mut segments = block(&mut bench, [0xA3, 0, 0, 0, 0, 0, 0, 0]);
    let mut losses = 0;
    loop {
        // Of each third block the end gets lost.
        losses += 1;
        let arrived = if losses % 3 == 0 {
            segments.len() / 2
        } else {
            segments.len()
        };
        for (number, segment) in segments[..arrived].iter().enumerate() {
            assert_eq!(usize::from(segment[0] & 0x7F), number + 1);
            text.extend(&segment[1..]);
        }
        let ended = segments[arrived - 1][0] & 0x80 != 0;
        segments = block(&mut bench, [0xA2, arrived as u8, 100, 0, 0, 0, 0, 0]);
        if ended {
            break;
        }
    }
    let unused = usize::from(segments[0][0] >> 2 & 7);
    text.truncate(text.len() - unused);
    assert_eq!(segments[0][1..3], [0, 0], "no checksum was asked for");
    assert!(
        text == expected,
        "{} of {} bytes",
        text.len(),
        expected.len()
    );
}

#[test]
fn wrong_steps_of_a_block_upload_are_refused() {
    let mut bench = Bench::new(1);
    let [low, high, sub] = EDS;
    for size in [0, 128] {
        let answer = bench.sdo([0xA4, low, high, sub, size, 0, 0, 0]);
        assert_eq!(answer[4..], [0x02, 0, 0x04, 0x05]);
    }
    for command in [0xA1, 0xA2, 0xA3] {
        let answer = bench.sdo([command, 1, 10, 0, 0, 0, 0, 0]);
        assert_eq!(answer[4..], [0x01, 0, 0x04, 0x05], "{command:02X}");
    }
    bench.sdo([0xA4, low, high, sub, 4, 0, 0, 0]);
    block(&mut bench, [0xA3, 0, 0, 0, 0, 0, 0, 0]);
    let answer = bench.sdo([0xA2, 5, 4, 0, 0, 0, 0, 0]);
    assert_eq!(
        answer[4..],
        [0x03, 0, 0x04, 0x05],
        "acknowledged more than was sent"
    );
}

#[test]
fn a_fixed_value_may_be_written_as_it_is() {
    let mut bench = Bench::new(1);
    bench.set(Item::HomingMethod, -3.0);
    let method = Item::HomingMethod as u8;
    bench.drive.refused.insert(method, Refusal::ReadOnly);
    assert_eq!(bench.write(0x6098, 0, 0xFD, 1), Ok(()));
    assert_eq!(bench.write(0x6098, 0, 37, 1), Err(0x0601_0002));
}

#[test]
fn the_interpolation_period_is_that_of_the_axis() {
    let mut bench = Bench::new(1);
    // As written, and as changed by another client.
    bench.write(0x60C2, 2, 0xFC, 1).unwrap();
    bench.write(0x60C2, 1, 25, 1).unwrap();
    assert_eq!(bench.value(Item::InterpolationPeriod), 0.0025);
    for (seconds, value, index) in [
        (0.0025, 25, 0xFC),
        (0.010, 100, 0xFC),
        (0.0, 0, 0xFC),
        (0.0125, 125, 0xFC),
        (0.000_125, 125, 0xFA),
        (0.3, 30, 0xFE),
        (600.0, 255, 0),
    ] {
        bench.set(Item::InterpolationPeriod, seconds);
        assert_eq!(bench.read(0x60C2, 1), Ok(value), "{seconds}");
        assert_eq!(bench.read(0x60C2, 2), Ok(index), "{seconds}");
    }
    bench.set(Item::InterpolationPeriod, 0.000_125);
    bench.write(0x60C2, 2, 0xFB, 1).unwrap();
    assert_eq!(bench.value(Item::InterpolationPeriod), 0.001_25);
}
