//! A servo axis on a user's sensor and drive, beside a user's control law, in one board file.
#![cfg(feature = "linux")]

mod kinds;

use std::sync::{Arc, Mutex};

use kinds::{Drive, Fan, Hall, JOINTS, Joints, Motor, Motors};
use steadfast::firmware::prelude::*;
use steadfast::stock::SIM_BOARD;
use steadfast::telemetry::report::Report;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<Hall>()
        .driver::<Drive>()
        .driver::<Joints>()
        .law::<Fan>()
        .plant::<Motor>()
        .plant::<Motors>()
}

const DEVICES: &str = r#"
[output.fan]
safe = false
max_hold_ms = 20
shutdown = 2

[output.heater]
safe = false
max_hold_ms = 20
shutdown = 2

[device.oven]
driver = "counter"
counts_per_turn = 1000

[device.hall]
driver = "hall"

[device.drive]
driver = "drive"
max_hold_ms = 20
shutdown = 3

[device.drive.safe]
duty = 0.0
volts = 0.0

[law.heat]
kind = "two_point"
input = "oven.angle"
output = "output.heater"
set_point = 0.5
hysteresis = 0.1

[law.fan]
kind = "fan"
volts = "drive.volts"
fan = "output.fan"
above = 1.0
"#;

const PLANT: &str = r#"
[simulation.plant.oven]
kind = "lag"
input = "output.heater"
output = "oven.angle"
gain = 2.0
time_constant_s = 0.5

[simulation.plant.motor]
kind = "motor"
volts = "drive.volts"
angle = "hall.angle"
"#;

/// The simulated board with encoder, converter and motor replaced by user devices.
fn board() -> String {
    let mut text = SIM_BOARD.to_owned();
    let cut = |text: &mut String, from: &str, to: &str| {
        let start = text.find(from).unwrap();
        let end = text[start..].find(to).map_or(text.len(), |end| start + end);
        text.replace_range(start..end, "");
    };
    cut(&mut text, "[encoder.shaft]", "[safety]");
    cut(&mut text, "[simulation.motor.x]", "[never]");
    let text = text
        .replace("encoder = \"shaft\"", "encoder = \"hall.angle\"")
        .replace(
            "analog_output = \"torque\"",
            "analog_output = \"drive.volts\"",
        )
        .replace("kp = 40.0", "kp = 8.0")
        .replace("ki = 200.0", "ki = 20.0")
        .replace("kd = 0.8", "kd = 0.0")
        .replace(
            "velocity_feed_forward_v_s_rad = 0.02",
            "velocity_feed_forward_v_s_rad = 0.2",
        );
    let at = text.find("[simulation]").unwrap();
    format!("{}{DEVICES}\n{}{PLANT}", &text[..at], &text[at..])
}

fn state(report: &Report) -> &str {
    let [section] = &report.sections[..] else {
        panic!("{:?}", report.sections)
    };
    assert_eq!(
        (section.key, section.entries[0].name.as_str()),
        ("axes", "x")
    );
    &section.entries[0].text
}

/// An axis, a stock law and a user law in one board file.
fn the_axis_moves_a_user_plant() {
    let config = firmware()
        .read("b.toml", &board())
        .unwrap_or_else(|e| panic!("{e}"));
    let angle = config.signal::<Angle>("hall.angle").unwrap();
    let fan = config.signal::<bool>("output.fan").unwrap();
    let oven = config.signal::<f64>("oven.angle").unwrap();
    let seen = Arc::new(Mutex::new((0, 0, 0.0)));
    let to = seen.clone();
    let mut cycle = 0;
    let watch = move |world: &mut World<'_>| {
        let mut seen = to.lock().unwrap();
        cycle += 1;
        if cycle == 4_000 {
            seen.2 = world.read(oven).value.unwrap();
        }
        let far = world
            .read(angle)
            .value
            .is_ok_and(|angle| (1.0..5.0).contains(&angle.as_radians()));
        seen.0 += u32::from(far);
        seen.1 += u32::from(world.read(fan).value.unwrap());
    };
    let report = firmware().simulate_with(&config, 5_000, watch).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.memory.allocations, Some(0));
    assert!(
        state(&report).starts_with("Switch on disabled; tracking error max 0."),
        "{}",
        state(&report)
    );
    let (moved, blew, warmth) = *seen.lock().unwrap();
    assert!(moved > 100 && blew > 100, "moved {moved}, blew {blew}");
    // About the set point.
    assert!((0.35..0.65).contains(&warmth), "{warmth}");
    let names: Vec<_> = report.laws.iter().map(|law| law.name.as_str()).collect();
    assert_eq!(names, ["heat", "fan"]);
}

/// An H-bridge and a quadrature encoder without user code: a common axis of robots.
fn an_axis_of_stock_kinds_alone_moves() {
    let text = board()
        .replace("\"hall.angle\"", "\"wheel.turn\"")
        .replace("\"drive.volts\"\nenable", "\"motor.volts\"\nenable")
        .replace("max_command_volts = 10.0", "max_command_volts = 12.0");
    let start = text.find("[device.hall]").unwrap();
    let laws = text.find("[law.heat]").unwrap();
    let end = text.find("[law.fan]").unwrap();
    let plants = text.find("[simulation.plant.motor]").unwrap();
    let simulation = text.find("[simulation]").unwrap();
    let devices = "[device.motor]\ndriver = \"bridge\"\nsupply_volts = 12.0\nmax_hold_ms = 20\n\
                   shutdown = 3\nsafe = { volts = 0.0 }\n\
                   [device.wheel]\ndriver = \"counter\"\ncounts_per_turn = 4096\n";
    let motor = "[simulation.plant.motor]\nkind = \"inertia\"\ninputs = [\"motor.volts\"]\n\
                 angles = [\"wheel.angle\"]\nturns = [\"wheel.turn\"]\n\
                 gain = 0.05\ninertia = 2.0e-4\nfriction = 0.01\n";
    let text = [
        &text[..start],
        devices,
        &text[laws..end],
        &text[simulation..plants],
        motor,
    ];
    let config = Firmware::stock().read("b.toml", &text.concat());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let report = Firmware::stock().simulate(&config, 5_000).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    let state = state(&report);
    assert!(state.contains("tracking error max 0."), "{state}");
    assert!(
        !state.contains("max 0.000000"),
        "the axis did not move: {state}"
    );
}

fn the_axis_stops_when_its_sensor_is_lost_and_names_it() {
    let config = firmware().read("b.toml", &board()).unwrap();
    let angle = config.signal::<Angle>("hall.angle").unwrap();
    let volts = config.signal::<f64>("drive.volts").unwrap();
    let last = Arc::new(Mutex::new(f64::NAN));
    let (to, mut cycle) = (last.clone(), 0);
    let watch = move |world: &mut World<'_>| {
        cycle += 1;
        if cycle > 1_000 {
            world.fail(angle, InputError::Bus);
        }
        *to.lock().unwrap() = world.read(volts).value.unwrap();
    };
    let report = firmware().simulate_with(&config, 2_000, watch).unwrap();
    assert_eq!(report.exit.code, 4);
    let reason = &report.exit.reason;
    assert!(
        reason.starts_with("axis x: ") && reason.contains("[device.hall]"),
        "{reason}"
    );
    assert_eq!(*last.lock().unwrap(), 0.0, "its safe value");
}

/// The board of [`board`] with 32 axes, each with its own angle and voltage.
fn board_of_joints(joints: usize) -> String {
    let board = board();
    let part = |from: &str, to: &str| {
        let start = board.find(from).unwrap();
        start..start + board[start..].find(to).unwrap()
    };
    let (outputs, axis) = (
        part("[output.enable]", "[output.heartbeat]"),
        part("[axis.x]", "[output.fan]"),
    );
    let mut text = board[..outputs.start].to_owned();
    let mut devices = "[device.joints]\ndriver = \"joints\"\nmax_hold_ms = 20\nshutdown = 3\n\
                       [device.joints.safe]\n"
        .to_owned();
    let mut axes = String::new();
    for joint in 0..JOINTS {
        devices += &format!("volts{joint} = 0.0\n");
    }
    for joint in 0..joints {
        let safe = "safe = false\nmax_hold_ms = 20\nshutdown = 1\n";
        text += &format!("[output.enable{joint}]\n{safe}");
        axes += &board[axis.clone()]
            .replace("axis.x", &format!("axis.j{joint}"))
            .replace("hall.angle", &format!("joints.angle{joint}"))
            .replace("drive.volts", &format!("joints.volts{joint}"))
            .replace("\"enable\"", &format!("\"enable{joint}\""))
            .replace("brake_release = \"brake_release\"\n", "");
    }
    let simulation = &board[part("[simulation]", "[simulation.plant")];
    let all = |signal: &str| {
        (0..JOINTS)
            .map(|joint| format!("\"joints.{signal}{joint}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (volts, angles) = (all("volts"), all("angle"));
    let safety = "[safety]\nemergency_stop = \"emergency_stop\"\narm = \"at-start\"\n";
    let plant = "[simulation.plant.all]\nkind = \"motors\"\n";
    format!(
        "{text}{safety}{axes}{devices}{simulation}{plant}volts = [{volts}]\nangles = [{angles}]\n"
    )
}

fn thirty_two_axes_move_in_one_machine() {
    let board = board_of_joints(JOINTS);
    let config = firmware()
        .read("b.toml", &board)
        .unwrap_or_else(|e| panic!("{e}"));
    let report = firmware().simulate(&config, 3_000).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.memory.allocations, Some(0));
    let axes = &report.sections[0].entries;
    assert_eq!(axes.len(), JOINTS);
    for axis in axes {
        assert!(
            axis.text.contains("tracking error max 0."),
            "{}: {}",
            axis.name,
            axis.text
        );
        assert!(
            !axis.text.contains("max 0.000000"),
            "{} never moved",
            axis.name
        );
    }
    let error = firmware().read("b.toml", &board_of_joints(JOINTS + 1));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("at most 32 are supported"), "{error}");
}

fn errors_are_reported_at_their_key() {
    for (from, to, words) in [
        (
            "\"hall.angle\"",
            "\"hall.angel\"",
            "there is no signal \"hall.angel\"",
        ),
        ("\"hall.angle\"", "\"hall\"", "there is no [encoder.hall]"),
        (
            "analog_output = \"drive.volts\"",
            "analog_output = \"drive.duty\"",
            "\"drive.duty\" is without a unit, expected in V",
        ),
        (
            "max_command_volts = 10.0",
            "max_command_volts = 13.0",
            "`max_command_volts` is 13, but the range of [device.drive] is -12 to 12 V; it must be at most 12",
        ),
    ] {
        let board = board();
        assert!(board.contains(from), "{from}");
        let error = match firmware().read("b.toml", &board.replacen(from, to, 1)) {
            Ok(_) => panic!("expected an error for {to}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// One after the other: there is one loop in a process, and while the allocator is sealed
/// no other test may allocate.
#[test]
fn servo_axes_run_on_user_devices() {
    errors_are_reported_at_their_key();
    thirty_two_axes_move_in_one_machine();
    an_axis_of_stock_kinds_alone_moves();
    the_axis_moves_a_user_plant();
    the_axis_stops_when_its_sensor_is_lost_and_names_it();
}
