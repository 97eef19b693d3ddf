//! Parameters of an axis, changed over the local link while the loop runs.

use std::collections::BTreeMap;

use steadfast::axis::PARAMETERS;
use steadfast::link::parameters::read_described;
use steadfast::link::protocol::{Answered, Kind, MAX_PACKET, Request};
use steadfast::sys::local_socket::{readable, wait_any};
use testbed::emulation::not_run;

use super::emulated;
use super::links::{Client, Controller};

/// The number and the values of each parameter: present, at the start, least, greatest.
pub(super) fn parameters(client: &mut Client) -> BTreeMap<String, (u32, [f64; 4])> {
    let (mut found, mut count) = (BTreeMap::new(), 1);
    let mut target = 0;
    while target < count {
        client.number += 1;
        let request = Request {
            kind: Kind::Parameter,
            number: client.number,
            target,
            values: heapless::Vec::new(),
        };
        let sent = client.connection.send(&request.packet(), None);
        sent.expect("the controller runs");
        let mut waited = [readable(std::os::fd::AsFd::as_fd(&client.connection))];
        assert_eq!(wait_any(&mut waited, 30_000), Ok(true), "no answer");
        let mut packet = [0; MAX_PACKET];
        let length = client.connection.receive(&mut packet);
        let packet = &packet[..length.expect("an answer").expect("it is there")];
        let head = Answered::read(&packet[..16]).expect("a head");
        assert_eq!(head.number, client.number);
        count = head.value;
        match read_described(packet) {
            Some((values, name, _)) if head.done => {
                found.insert(name.to_owned(), (target, values));
            }
            _ => assert!(!head.done, "a description is malformed"),
        }
        target += 1;
    }
    found
}

fn change(client: &mut Client, target: u32, settings: &[(u32, f64)]) -> Result<(), String> {
    let pairs = settings.iter();
    let values: Vec<f64> = pairs.flat_map(|(n, v)| [f64::from(*n), *v]).collect();
    client.ask(Kind::Change, target, &values)
}

#[test]
fn parameters_change_together_or_not_at_all() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("parameters", "");
    let mut client = controller.connect();
    let start = parameters(&mut client);
    let own = PARAMETERS.iter().filter(|parameter| {
        !parameter.key.starts_with("command.") && !parameter.key.starts_with("homing.")
    });
    assert_eq!(start.len(), own.count(), "{start:?}");
    let (kp, values) = start["x.gains.kp"];
    assert_eq!(values, [40.0, 40.0, 0.0, 1e9]);
    let (velocity, _) = start["x.profile.velocity_rad_s"];
    let (timeout, values) = start["x.limits.following_error_timeout_ms"];
    assert_eq!(values[0], 20.0, "in ms");
    let value = |client: &mut Client, name: &str| parameters(client)[name].1[0];

    change(&mut client, 0, &[(kp, 50.0), (timeout, 30.0)]).expect("both are in range");
    assert_eq!(value(&mut client, "x.gains.kp"), 50.0);
    // The second contradicts `max_velocity_rad_s`, so the first is refused as well.
    let refused = change(&mut client, 0, &[(kp, 60.0), (velocity, 41.0)]);
    let refused = refused.expect_err("too fast");
    assert!(
        refused.contains("x: velocity_rad_s is 41, it must be from 0 to 40"),
        "{refused}"
    );
    for wrong in [
        &[(kp, f64::NAN)][..],
        &[(kp, -1.0)],
        &[(kp, 1e10)],
        &[(9999, 1.0)],
        &[(u32::MAX, 1.0)],
    ] {
        change(&mut client, 0, wrong).expect_err("it is refused");
    }
    for malformed in [&[f64::from(kp)][..], &[0.5, 1.0], &[f64::NAN, 1.0]] {
        let refused = client.ask(Kind::Change, 0, malformed);
        refused.expect_err("no pair of a number and a value");
    }
    assert_eq!(value(&mut client, "x.gains.kp"), 50.0);
    assert_eq!(
        value(&mut client, "x.limits.following_error_timeout_ms"),
        30.0
    );

    // Back to the start, but for one.
    change(&mut client, 1, &[(velocity, 10.0)]).expect("it is in range");
    assert_eq!(value(&mut client, "x.gains.kp"), 40.0);
    assert_eq!(value(&mut client, "x.profile.velocity_rad_s"), 10.0);
    change(&mut client, 1, &[]).expect("the values of the start are valid");
    assert_eq!(parameters(&mut client), start);

    // Many changes while the axis moves: the loop allocates nothing, and keeps its promises.
    for number in 0..300 {
        let kp = (kp, 40.0 + f64::from(number % 7));
        while let Err(refused) = change(&mut client, 0, &[kp]) {
            assert!(refused.contains("repeat"), "{refused}");
        }
    }
    let (report, said) = controller.end_with_errors();
    assert_eq!(report["fault"], serde_json::Value::Null, "{report}");
    let line = "steadfast: client 1 changed x.gains.kp from 40 to 50 V/rad";
    assert!(said.lines().any(|said| said == line), "{said}");
}
