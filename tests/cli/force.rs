//! Signals that clients force over the local link.

use std::time::{Duration, Instant};

use serde_json::Value;
use steadfast::link::force::{ALL, MAX_SECONDS};
use steadfast::link::protocol::Kind;
use steadfast::stock::registry;
use testbed::emulation::not_run;

use super::emulated;
use super::links::{Client, Controller};

/// A lamp that may be forced while the axis has power, one that may not, and two inputs.
const TABLES: &str = "\
force_with_power = [\"output.lamp\"]
never_force = [\"input.gate\"]
[input.door]
[input.gate]
[output.lamp]
safe = true
max_hold_ms = 20
shutdown = 2
[output.other]
safe = false
max_hold_ms = 20
shutdown = 2
";

/// The numbers of signals.
struct Numbers(Vec<String>);

impl Numbers {
    fn of(controller: &Controller) -> Self {
        let config = controller.config();
        let names = config.machine.signals.iter();
        Self(names.map(|signal| signal.name.clone()).collect())
    }

    fn get(&self, name: &str) -> u32 {
        let found = self.0.iter().position(|known| known == name);
        found.expect("it is in the board file") as u32
    }
}

/// The number of forces.
fn count(client: &mut Client) -> usize {
    let places = 0..8;
    places
        .filter(|place| client.ask(Kind::Forced, *place, &[]).is_ok())
        .count()
}

/// Waits until there is no force.
fn ends(client: &mut Client) {
    let begun = Instant::now();
    while count(client) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never ends");
    }
}

#[test]
fn a_force_is_refused_by_name_or_ends_by_its_time_its_client_and_a_fault() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("force", TABLES);
    let numbers = Numbers::of(&controller);
    let mut client = controller.connect();
    let lamp = numbers.get("output.lamp");
    for (name, values, why) in [
        ("input.emergency_stop", &[1.0, 1.0][..], "needed for safety"),
        ("output.enable", &[1.0, 1.0], "needed for safety"),
        ("output.brake_release", &[1.0, 1.0], "needed for safety"),
        ("output.heartbeat", &[1.0, 1.0], "needed for safety"),
        ("encoder.shaft", &[1.0, 1.0], "needed for safety"),
        ("input.gate", &[1.0, 1.0], "input.gate is never forced"),
        ("command.speed", &[1.0, 1.0], "is a command"),
        ("output.other", &[1.0, 1.0], "an axis has power"),
        ("input.door", &[1.0, 1.0], "an axis has power"),
        ("analog_output.torque", &[1.0, 1.0], "an axis has power"),
        ("analog_output.torque", &[10.1, 1.0], "from -10 to 10"),
        ("analog_output.torque", &[f64::NAN, 1.0], "from -10 to 10"),
        ("output.lamp", &[0.5, 1.0], "is a flag"),
        ("output.lamp", &[1.0], "a value and a time"),
        ("output.lamp", &[1.0, 0.0], "a time"),
        ("output.lamp", &[1.0, -1.0], "a time"),
        ("output.lamp", &[1.0, f64::NAN], "a time"),
        ("output.lamp", &[1.0, MAX_SECONDS + 1.0], "3600 s"),
    ] {
        let refused = client.ask(Kind::Force, numbers.get(name), values);
        let refused = refused.expect_err(name);
        assert!(refused.contains(why), "{name}: {refused}");
    }
    for unknown in [9999, ALL] {
        let refused = client.ask(Kind::Force, unknown, &[1.0, 1.0]);
        refused.expect_err("there is no such signal");
    }
    assert_eq!(count(&mut client), 0);

    // By its time.
    client
        .ask(Kind::Force, lamp, &[0.0, 0.05])
        .expect("a lamp may be forced");
    assert_eq!(count(&mut client), 1);
    ends(&mut client);

    // By its client; meanwhile another is refused, and may end it.
    client.ask(Kind::Force, lamp, &[0.0, 3600.0]).expect("1 h");
    let mut other = controller.connect();
    let refused = other.ask(Kind::Force, lamp, &[1.0, 1.0]);
    let refused = refused.expect_err("it is forced");
    assert_eq!(refused, "client 1 forces output.lamp");
    other.ask(Kind::Unforce, lamp, &[]).expect("a stop");
    ends(&mut other);
    other.ask(Kind::Force, lamp, &[0.0, 3600.0]).expect("1 h");
    drop(other);
    ends(&mut client);

    // By a fault: a window of the following error that the motion leaves.
    client.ask(Kind::Force, lamp, &[0.0, 3600.0]).expect("1 h");
    let parameters = super::parameters::parameters(&mut client);
    let (window, _) = parameters["x.limits.following_error_window_rad"];
    let values = [f64::from(window), 1e-9];
    client.ask(Kind::Change, 0, &values).expect("in range");
    ends(&mut client);

    // Without power, after the ramp and the brake, the others may be forced as well. By the end
    // of the run.
    let other = numbers.get("output.other");
    let begun = Instant::now();
    while let Err(refused) = client.ask(Kind::Force, other, &[1.0, 60.0]) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{refused}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let door = numbers.get("input.door");
    client.ask(Kind::Force, door, &[1.0, 60.0]).expect("1 min");
    let volts = numbers.get("analog_output.torque");
    client.ask(Kind::Force, volts, &[2.5, 60.0]).expect("1 min");

    let (report, said) = controller.ended();
    let forces = report["forces"].as_array().expect("a list");
    let ended = forces.iter().map(|force| {
        let word = |value: &Value| value.as_str().expect("a text").to_owned();
        (word(&force["signal"]), word(&force["ended"]["reason"]))
    });
    let ended: Vec<(String, String)> = ended.collect();
    let by = |reasons: &[(String, String)]| {
        let reasons = reasons.iter().map(|(_, reason)| reason.clone());
        reasons.collect::<Vec<_>>()
    };
    assert_eq!(
        by(&ended[..4]),
        ["time", "released", "client-gone", "fault"]
    );
    assert_eq!((ended.len(), &report["forced"]), (7, &Value::from(7)));
    for (name, reason) in &ended[4..] {
        let reasons = ["quick-stop", "run-ends"];
        assert!(reasons.contains(&reason.as_str()), "{name}: {reason}");
    }
    for line in [
        "steadfast: forced: output.lamp = 0 by client 1 for 0.05 s",
        "steadfast: output.lamp is not forced any more: its time is over",
        "steadfast: output.lamp is not forced any more: its client is gone",
        "steadfast: output.lamp is not forced any more: a fault",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
}

/// Whatever a client sends, and however fast: at most eight forces, none without its line.
#[test]
fn a_client_that_forces_without_pause_is_refused_and_the_loop_keeps_its_promises() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("force-storm", TABLES);
    let numbers = Numbers::of(&controller);
    let lamp = numbers.get("output.lamp");
    let mut client = controller.connect();
    let mut refusals = Vec::new();
    for number in 0..200 {
        let value = f64::from(number % 2);
        refusals.extend(client.ask(Kind::Force, lamp, &[value, 3600.0]).err());
        assert!(count(&mut client) <= 8);
        if number % 5 == 0 {
            client.ask(Kind::Unforce, ALL, &[]).expect("a stop");
        }
    }
    let of_storm = |refused: &String| refused.contains("too many forces in a short time");
    assert!(refusals.iter().any(of_storm), "{refusals:?}");
    client.ask(Kind::Unforce, ALL, &[]).expect("a stop");
    ends(&mut client);
    let (report, said) = controller.end_with_errors();
    let forced = said.lines().filter(|line| line.contains("forced: output"));
    let ended = said.lines().filter(|line| line.contains("not forced any"));
    let count = report["forced"].as_u64().expect("a number");
    assert_eq!(forced.count() as u64, count);
    assert_eq!(ended.count() as u64, count);
    assert_eq!(report["forces"].as_array().expect("the last").len(), 8);
}

/// What the board file permits must make sense.
#[test]
fn a_signal_of_safety_in_force_with_power_is_an_error_of_the_board_file() {
    for (list, what) in [
        ("input.emergency_stop", "is needed for safety"),
        ("analog_output.torque", "is the voltage of a drive"),
        ("output.lamb", "there is no signal"),
    ] {
        let text = format!(
            "{}\n[link.local]\nforce_with_power = [\"{list}\"]\n",
            super::SIM_BOARD
        );
        let refused = steadfast::config::Config::parse_with("board.toml", &text, &registry());
        let refused = refused.expect_err(list).to_string();
        assert!(refused.contains(what), "{refused}");
        assert!(refused.contains(list), "{refused}");
    }
}
