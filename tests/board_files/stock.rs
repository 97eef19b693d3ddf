//! The kinds of `Firmware::stock`: errors in their tables.

use std::fs;
use std::path::Path;

use steadfast::firmware::Firmware;

/// A machine with each kind.
pub(super) const BOARD: &str = r#"
[board]
name = "stock"
realtime = "best-effort"
devices = "linux"

[loop]
period_us = 10_000
cpu = "any"

[gpio.gpio1]
chip = "30200000.gpio"

[pwm.one]
chip = "30660000.pwm"
channel = 0
period_ns = 50_000

[pwm.two]
chip = "30670000.pwm"
channel = 0
period_ns = 50_000

[pwm.three]
chip = "30680000.pwm"
channel = 0
period_ns = 50_000

[output.relay]
gpio = "gpio1"
line = 1
safe = false
max_hold_ms = 100
shutdown = 1

[output.lamp]
gpio = "gpio1"
line = 2
safe = true
max_hold_ms = 100
shutdown = 1

[output.contactor]
gpio = "gpio1"
line = 3
safe = false
max_hold_ms = 100
shutdown = 1

[device.valve]
driver = "pwm"
pwm = "one"
max_hold_ms = 100
shutdown = 1
safe = { duty = 0.5 }

[device.motor]
driver = "bridge"
forward = "two"
reverse = "three"
max_hold_ms = 100
shutdown = 1
safe = { duty = 0.0 }

[device.wheel]
driver = "counter"
count = "/sys/bus/counter/devices/counter0/count0/count"
counts_per_turn = 1440

[law.way]
kind = "profile"
input = "wheel.angle"
enable = "output.contactor"
targets = [1.0, 2.0]
rates = [0.5, 0.5]
holds_s = [1.0, 0.0]

[law.loop]
kind = "pid"
input = "wheel.angle"
output = "motor.duty"
set_point = "way.set_point"
kp = 1.0
ki = 0.5

[law.heat]
kind = "pid"
input = "wheel.angle"
set_point = 2.0
kp = 1.0

[law.relay]
kind = "proportion"
input = "heat.output"
output = "output.relay"
window = 100

[law.alarm]
kind = "alarm"
input = "wheel.angle"
output = "output.lamp"
high = 3.0
"#;

/// The same, simulated, with plants.
pub(super) fn simulated() -> String {
    let mut board = BOARD.replace("\"linux\"", "\"simulated\"");
    for there in [
        "gpio = \"gpio1\"\nline = 1\n",
        "gpio = \"gpio1\"\nline = 2\n",
        "gpio = \"gpio1\"\nline = 3\n",
        "pwm = \"one\"\n",
        "forward = \"two\"\nreverse = \"three\"\n",
        "count = \"/sys/bus/counter/devices/counter0/count0/count\"\n",
    ] {
        assert!(board.contains(there), "{there}");
        board = board.replace(there, "");
    }
    let buses = board.find("[gpio.gpio1]").unwrap()..board.find("[output.relay]").unwrap();
    board.replace_range(buses, "");
    board
        + r#"
[device.gauge]
driver = "counter"
counts_per_turn = 1440

[device.shaft]
driver = "counter"
counts_per_turn = 1440

[device.rate]
driver = "counter"
counts_per_turn = 1440

[simulation.plant.legs]
kind = "inertia"
inputs = ["valve.duty"]
angles = ["shaft.angle"]
inertia = 0.5

[simulation.plant.oven]
kind = "lag"
input = "output.relay"
output = "gauge.angle"
gain = 80.0
time_constant_s = 5.0

[simulation.plant.axle]
kind = "linear"
inputs = ["motor.duty"]
outputs = ["wheel.angle"]
start = [0.0, 0.0]
a = [0.0, 1.0, 0.0, -1.0]
b = [0.0, 10.0]
c = [1.0, 0.0]
"#
}

pub(super) fn refused(good: &str, cases: &str) {
    super::refused_by(good, cases, |text| Firmware::stock().read("b.toml", text));
}

#[test]
fn the_good_stock_boards_are_read() {
    let stock = Firmware::stock();
    stock
        .read("b.toml", BOARD)
        .unwrap_or_else(|error| panic!("{error}"));
    let board = simulated();
    stock
        .read("b.toml", &board)
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn errors_in_driver_tables_have_line_and_column() {
    refused(
        BOARD,
        r#"
device.valve: pwm = "one" -> §channel = "one"
    unknown key `channel`; known here
device.valve: duty = 0.5 -> duty = §1.5
    `duty` is 1.5; from 0 to 1
device.§motor: forward = "two"\n ->
    has no `forward`; add `forward = ...`
device.motor: "three" -> §"two"
    two; only one table can use it
device.§motor: duty = 0.0 -> duty = 0.5
    the safe value of `duty` is not 0; make it 0
device.wheel: 1440 -> §0
    `counts_per_turn` is 0; from 1 to 1000000
device.wheel: count = "/sys -> §cuont = "/sys
    unknown key `cuont`; did you mean `count`?
"#,
    );
    refused(
        &simulated(),
        r#"
device.wheel: counts_per_turn -> §count = "/sys"\ncounts_per_turn
    `count` of [device.wheel] has no effect; remove it
device.motor: max_hold_ms -> §forward = "two"\nmax_hold_ms
    `forward` of [device.motor] has no effect; remove it
"#,
    );
}

#[test]
fn errors_in_plant_tables_have_line_and_column() {
    refused(
        &simulated(),
        r#"
simulation.plant.oven: "output.relay" -> §"output.rely"
    no signal "output.rely"; "output.relay"
simulation.plant.oven: "gauge.angle" -> §"wheel.duty"
    no signal; available:
simulation.plant.oven: 5.0 -> §0.0
    `time_constant_s` is 0.0; from 0.000001
simulation.plant.oven: gain = 80.0 -> §gian = 80.0
    unknown key `gian`; did you mean `gain`?
simulation.plant.§legs: inertia = 0.5 ->
    has no `inertia`; add `inertia = ...`
simulation.plant.legs: angles = ["shaft -> angles = §["rate.angle", "shaft
    `angles` has 2 entries; each of the 1 entries of `inputs`
simulation.plant.legs: "valve.duty" -> §"motor.dutty"
    no signal "motor.dutty"; "motor.duty"
simulation.plant.axle: a = [0.0, 1.0, 0.0, -1.0] -> a = §[0.0, 1.0]
    `a` has 2 entries; 2 rows of 2
simulation.plant.axle: b = [0.0, 10.0] -> b = §[0.0]
    `b` has 1 entries; 2 rows of 1
simulation.plant.axle: c = [1.0, 0.0] -> c = [1.0, §nan]
    `c` is nan; a finite number
simulation.plant.axle: ["motor.duty"] -> §[]
    `inputs` is empty; add an entry
simulation.plant.axle: ["wheel.angle"] -> [§"gauge.angle"]
    is already set by [simulation.plant.oven]; one writer
simulation.plant.axle: ["motor.duty"] -> ["motor.duty", §"output.lamp"]
    is a flag, not a number; another signal
"#,
    );
}

/// Every key that a table is asked for, and every kind, is in docs/stock.md.
#[test]
fn every_kind_and_every_key_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = fs::read_to_string(root.join("docs/stock.md")).unwrap();
    let mut seen = 0;
    for file in fs::read_dir(root.join("src/stock")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() || path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // `table.number("kp", ...)`, `matrix(table, "a", ...)`, `KIND: &str = "pid"`.
        let names = text.split(['(', ',', '=']).map(str::trim_start);
        let names = names.filter_map(|after| after.strip_prefix('"')?.split_once('"'));
        let names = names.filter(|(_, rest)| rest.starts_with([')', ',', ';']) || rest.is_empty());
        for (name, _) in names.filter(|(name, _)| is_key(name)) {
            let found = [format!("`{name}`"), format!(".{name}`")];
            let found = found.iter().any(|name| documented.contains(name));
            assert!(found, "{path:?}: `{name}`");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} names");
}

/// Whether `text` can be a key and is not a unit.
fn is_key(text: &str) -> bool {
    let units = ["rad", "1", ""];
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.chars().all(letters) && !units.contains(&text)
}
