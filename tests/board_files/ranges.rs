//! Every key of a board file that can be too large, too small or too long has its bounds,
//! also keys without a test of their own.

use std::collections::BTreeSet;

use super::{Config, LINUX, SIM, edit, edited, error_of};

/// Keys that are in neither of the good files, because they exclude keys of these, or are for
/// other boards: (table, old text, new text).
const MORE: &[(&str, &str, &str)] = &[
    (
        "loop",
        "scheduler = \"fifo\"\npriority = 80",
        "scheduler = \"deadline\"\nruntime_us = 300",
    ),
    ("loop", "cpu = 3", "cpu = \"any\""),
    ("loop", "wake = \"spin\"\nspin_us = 20", "wake = \"sleep\""),
    (
        "gpio.main",
        "chip = \"pinctrl-bcm2711\"",
        "chip = \"pinctrl-bcm2711\"\ninputs = \"registers\"\noutputs = \"registers\"\ncontroller = \"bcm2835-gpio\"\n\
         device = \"/dev/mem\"\naddress = 0xfe200000",
    ),
    (
        "spi.dac",
        "device = \"/dev/spidev0.1\"",
        "device = \"/dev/uio0\"\naddress = 0x30830000\naccess = \"registers\"\ncontroller = \"ecspi\"\n\
         chip_select = 1\nclock_hz = 80_000_000\ncs_setup_ns = 350",
    ),
];

/// Tables for keys that are in none of the good files.
const TABLES: &str = "
[output.heater]
safe = false
max_hold_ms = 20
shutdown = 1

[analog_input.oven]
chip = \"mcp3208\"
channel = 0
vref_volts = 5.0

[simulation.heater.oven]
analog_input = \"oven\"
switch = \"heater\"
ambient_c = 20.0
full_power_rise_k = 100.0
time_constant_s = 5.0
sensor_volts_at_0_c = 0.5
sensor_volts_per_k = 0.01

[command.target]
unit = \"rad\"
min = -10.0
max = 10.0
timeout_ms = 100

[link.local]
path = \"/run/steadfast/bench.sock\"
readers = \"group\"
commanders = \"owner\"
";

/// Keys of the motor for which the simulated board has the defaults.
const MOTOR: &str = "noise_counts = 1
load_nm = 0.0
lower_end_rad = -20.0
upper_end_rad = 20.0
lower_switch = \"lower\"
lower_switch_rad = -15.0
upper_switch = \"upper\"
upper_switch_rad = 15.0";

/// Good files that together have every key.
fn files() -> Vec<String> {
    let more: Vec<_> = MORE.iter().map(|(t, from, to)| edit(t, from, to)).collect();
    let motor = edit("simulation.motor.x", "noise_counts = 1", MOTOR);
    let inputs = edit(
        "input.emergency_stop",
        "[input.emergency_stop]",
        "[input.emergency_stop]\n\n[input.lower]\n\n[input.upper]",
    );
    let sim = edited(SIM, &[motor, inputs]);
    vec![
        LINUX.to_owned(),
        edited(LINUX, &more),
        format!("{sim}\n{TABLES}"),
    ]
}

/// Each `key = value` of a file as its table, the key and the value.
pub(super) fn values(good: &str) -> Vec<(String, String, String)> {
    let mut table = String::new();
    let mut found = Vec::new();
    for line in good.lines() {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = value.split('#').next().unwrap_or(value).trim();
            found.push((table.clone(), key.to_owned(), value.to_owned()));
        }
    }
    found
}

/// The error that another value of a key gives.
fn with(good: &str, (table, key, value): &(String, String, String), bad: &str) -> String {
    let from = format!("\n{key} = {value}");
    let to = format!("\n{key} = §{bad}");
    let error = error_of(&edited(good, &[edit(table, &from, &to)]));
    assert!(error.what.contains(&format!("`{key}`")), "{error}");
    assert!(error.fix.starts_with("it must be"), "{error}");
    error.fix.clone()
}

#[test]
fn every_number_has_a_minimum_and_a_maximum() {
    let (mut whole, mut real) = (0, 0);
    for good in files() {
        Config::parse("good.toml", &good).expect("good");
        for entry in values(&good) {
            let value = entry.2.replace('_', "");
            if value.parse::<i64>().is_ok() {
                for bad in ["-1", "99999999999999999999", "9223372036854775807"] {
                    // Every seed is valid.
                    if entry.1 == "seed" && bad.starts_with("92") {
                        continue;
                    }
                    let fix = with(&good, &entry, bad);
                    assert!(fix.contains("whole number from"), "{fix}");
                }
                whole += 1;
            } else if value.parse::<f64>().is_ok() {
                for bad in ["1e300", "-1e300", "1e13", "-1e13"] {
                    let fix = with(&good, &entry, bad);
                    assert!(fix.contains("finite number from"), "{fix}");
                }
                real += 1;
            }
        }
    }
    assert!(whole > 40 && real > 80, "{whole} whole ones, {real} others");
}

#[test]
fn every_text_has_a_maximum_length_or_is_an_enumeration() {
    let long = format!("\"{}\"", "n".repeat(65));
    let mut tried = 0;
    for good in files() {
        for entry in values(&good) {
            if !entry.2.starts_with('"') {
                continue;
            }
            let (table, key, value) = &entry;
            let from = format!("\n{key} = {value}");
            let to = format!("\n{key} = §{long}");
            error_of(&edited(&good, &[edit(table, &from, &to)]));
            tried += 1;
        }
    }
    assert!(tried > 60, "only {tried}");
}

/// The keys of the stock tables, from their reference. Tables of drivers, laws and plants have
/// tests of their own.
fn known_keys() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/board-file.md");
    let page = std::fs::read_to_string(page).expect("the reference is there");
    let sections = page.split("\n## ").skip(1);
    let sections = sections.filter(|section| !is_chosen(section));
    let rows = sections.flat_map(|section| section.lines().skip(1));
    let keys = rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`'));
    keys.map(|(key, _)| key.to_owned()).collect()
}

/// Whether a section of the reference is for one driver, law or plant.
fn is_chosen(section: &str) -> bool {
    let title = section.lines().next().unwrap_or_default();
    title.contains("` with `")
}

#[test]
fn the_tested_files_contain_every_key() {
    let mut there = BTreeSet::new();
    for good in files() {
        for (table, key, _) in values(&good) {
            there.extend(table.split('.').map(str::to_owned));
            there.insert(key);
        }
    }
    // Tables of user machines: tests/own_machine.rs.
    there.extend(["law", "plant", "driver", "kind"].map(str::to_owned));
    let missing: Vec<_> = known_keys().difference(&there).cloned().collect();
    assert!(missing.is_empty(), "in none of the files: {missing:?}");
    assert!(known_keys().len() > 100);
}
