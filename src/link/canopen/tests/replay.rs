//! The frames of masters by other authors: python-canopen 2.4 with its profile p402, and the
//! concise DCF of Lely's dcfgen. tests/canopen/axis.py logged them against the firmware's axis. The
//! node must answer each SDO request in the same way again.

use super::super::{Config, Frame, Nmt, Node, Outbox};
use super::fake::Fake;
use crate::time::{Duration, Instant};

/// A log by its name, and the state of the node at its end.
macro_rules! trace {
    ($name:literal, $end:expr) => {
        (
            $name,
            include_str!(concat!("../../../../tests/canopen/traces/", $name, ".log")),
            $end,
        )
    };
}

const TRACES: [(&str, &str, Nmt); 9] = [
    trace!(
        "a_following_error_is_reported_by_emcy_and_reset",
        Nmt::Operational
    ),
    trace!(
        "all_objects_of_the_served_eds_are_read_back",
        Nmt::PreOperational
    ),
    trace!(
        "an_axis_configured_by_bus_yml_follows_csp",
        Nmt::Operational
    ),
    trace!("cyclic_synchronous_modes_follow_sync", Nmt::Operational),
    trace!("homing_and_profile_position", Nmt::Operational),
    trace!("profile_velocity_and_halt", Nmt::Operational),
    trace!("refused_parameters_change_nothing", Nmt::PreOperational),
    trace!(
        "the_loss_of_the_masters_heartbeat_stops_the_axis",
        Nmt::PreOperational
    ),
    trace!(
        "the_states_of_cia_402_within_the_time_outs_of_p402",
        Nmt::Operational
    ),
];

/// A line of a log: its time, the identifier and the data.
fn parse(line: &str) -> (Duration, Frame) {
    let mut words = line.split(' ');
    let time: f64 = words
        .next()
        .unwrap()
        .trim_matches(['(', ')'])
        .parse()
        .unwrap();
    let (id, data) = words.nth(1).unwrap().split_once('#').unwrap();
    let bytes: Vec<u8> = (0..data.len() / 2)
        .map(|at| u8::from_str_radix(&data[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let frame = Frame::new(u16::from_str_radix(id, 16).unwrap(), &bytes).unwrap();
    (Duration::from_nanos((time * 1e9) as u64), frame)
}

/// What an answer to an SDO request must be: with the value, where it is the node's own and not
/// one of the axis or of a measurement.
fn comparable(answer: &Frame) -> Vec<u8> {
    let data = answer.data();
    let index = u16::from_le_bytes([data[1], data[2]]);
    let is_upload = data[0] >> 5 == 2;
    let is_of_write = matches!(data[0], 0x60 | 0x80);
    let varies = index >= 0x2000 || matches!(index, 0x1001 | 0x1003 | 0x1018);
    // The axis behind the node of the test takes all values.
    let of_axis = is_of_write && index >= 0x6000;
    match () {
        () if of_axis => data[1..4].to_vec(),
        () if is_upload && varies => data[..4].to_vec(),
        () => data.to_vec(),
    }
}

/// The answers of a new node to the master's frames of a log, its state at the end, and the
/// answers of the log.
fn replay(log: &str) -> (Vec<Frame>, Nmt, Vec<Frame>) {
    let config = Config {
        node_id: 1,
        serial: 0,
        sync_losses: 100,
        sync_hold: 25,
        stores: true,
    };
    let mut node = Node::new(config, 1);
    let mut drive = Fake::new(1);
    let (mut sent, mut logged) = (Vec::new(), Vec::new());
    let mut now = Instant::from_nanos(1_000_000_000);
    let begun = now;
    let mut out = Outbox::new();
    node.poll(now, &mut drive, &mut out);
    for line in log.lines() {
        let (time, frame) = parse(line);
        while now < begun + time {
            now = (begun + time).min(now + Duration::from_millis(1));
            node.poll(now, &mut drive, &mut out);
        }
        match frame.id() {
            0x581 => logged.push(frame),
            0x081 | 0x181 | 0x281 | 0x381 | 0x481 | 0x701 => {}
            _ => node.receive(now, &frame, &mut drive, &mut out),
        }
        sent.extend(core::mem::take(&mut out));
    }
    sent.retain(|frame| frame.id() == 0x581);
    (sent, node.nmt(), logged)
}

#[test]
fn the_requests_of_other_masters_are_answered_as_they_were() {
    for (name, log, end) in TRACES {
        let (sent, nmt, logged) = replay(log);
        assert!(logged.len() > 20, "{name}");
        assert_eq!(sent.len(), logged.len(), "{name}");
        for (number, (now, then)) in sent.iter().zip(&logged).enumerate() {
            assert_eq!(
                comparable(now),
                comparable(then),
                "{name}: answer {number}: {now:02X?}, logged {then:02X?}"
            );
        }
        assert_eq!(nmt, end, "{name}");
    }
}
