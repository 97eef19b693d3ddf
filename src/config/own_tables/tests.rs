//! Lists of signals, and errors in them.

use super::*;
use crate::config::{Config, Driver, LawKind, Opening, Registry};
use crate::cycle::device::Device;
use crate::cycle::law::Law;
use crate::cycle::signal::Io;

/// A driver with computed names of signals, and two PWM channels.
struct Bank;

impl Device for () {}

impl Driver for Bank {
    const NAME: &'static str = "bank";
    type Device = ();

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self> {
        let up = table.pwm_at("up")?;
        assert_ne!(up, table.pwm_at("down")?, "two channels");
        let names = ["a", "b", "c"].map(|name| format!("{name}_angle"));
        let _: [Input<f64>; 3] = table.publish_each(names, "rad")?;
        let [x, y] = table.command_each(["x", "y"], "1", 0.0..=1.0)?;
        assert_ne!(x, y);
        Ok(Self)
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct Mix;

impl Law for Mix {
    type State = ();
    fn start(&self) {}
    fn step(&self, (): &mut (), _: &mut Io<'_>) {}
}

impl LawKind for Mix {
    const KIND: &'static str = "mix";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self> {
        let from: [Input<f64>; 3] = table.inputs("from", "rad")?;
        assert!(from[0] != from[1] && from[1] != from[2], "in their order");
        let _: [Output<f64>; 2] = table.outputs("to", "1")?;
        let gains: [f64; 3] = table.numbers_exactly("gains", 0.0..=9.0)?;
        assert_eq!(gains, [1.0, 2.0, 3.0]);
        Ok(Self)
    }
}

const BOARD: &str = r#"
[board]
name = "b"
realtime = "best-effort"
devices = "linux"
[loop]
period_us = 1000
cpu = "any"
[pwm.one]
chip = "pwmchip0"
channel = 0
period_ns = 50_000
[pwm.two]
chip = "pwmchip0"
channel = 1
period_ns = 50_000
[device.bank]
driver = "bank"
up = "one"
down = "two"
max_hold_ms = 20
shutdown = 1
safe = { x = 0.0, y = 1.0 }
[law.mix]
kind = "mix"
from = ["bank.a_angle", "bank.c_angle", "bank.b_angle"]
to = ["bank.x", "bank.y"]
gains = [1.0, 2.0, 3.0]
"#;

fn read(board: &str) -> Result<Config> {
    let registry = Registry::new().driver::<Bank>().law::<Mix>();
    Config::parse_with("b.toml", board, &registry)
}

#[test]
fn lists_of_signals_and_computed_names_are_read() {
    let config = read(BOARD).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = (config.machine.signals.iter())
        .map(|signal| signal.name.as_str())
        .collect();
    let all = ["a_angle", "b_angle", "c_angle", "x", "y"].map(|name| format!("bank.{name}"));
    assert_eq!(names, all);
    assert_eq!(config.machine.laws[0].drives.commands, 0b11);
    assert_eq!(config.machine.signals.safe(), [0.0, 1.0]);
}

#[test]
fn an_error_in_a_list_has_the_position_of_its_item() {
    for (from, to, words) in [
        (
            ", \"bank.b_angle\"]",
            "]",
            "b.toml:26:8: `from` has 2 entries; it takes 3",
        ),
        (
            "\"bank.c_angle\"",
            "\"bank.c_angel\"",
            "b.toml:26:25: there is no signal \"bank.c_angel\"; did you mean \"bank.c_angle\"?",
        ),
        (
            "\"bank.c_angle\"",
            "3",
            "b.toml:26:25: `from` is the whole number 3; make it a text in quotes",
        ),
        (
            "[\"bank.x\", \"bank.y\"]",
            "\"bank.x\"",
            "b.toml:27:6: `to` is the text \"bank.x\"; make it a list of texts in quotes",
        ),
        (
            "\"bank.y\"]",
            "\"bank.x\"]",
            "b.toml:27:17: \"bank.x\" is already set by [law.mix] in line 27; name another signal, each has one writer",
        ),
        (
            "2.0, 3.0",
            "2.0",
            "b.toml:28:9: `gains` has 2 entries; it takes 3",
        ),
        (
            "gains = ",
            "gain = ",
            "b.toml:28:1: unknown key `gain` in [law.mix]; did you mean `gains`?",
        ),
        (
            "gains = ",
            "gain = 1\ngains = ",
            "b.toml:28:1: unknown key `gain` in [law.mix]; did you mean `gains`?",
        ),
        (
            "gains = ",
            "x = 1\ngains = ",
            "b.toml:28:1: unknown key `x` in [law.mix]; known here: kind, every, from, to, gains",
        ),
        (
            "down = \"two\"",
            "down = \"one\"",
            "b.toml:20:8: [pwm.one] is already used by [device.bank] in line 17; choose another one, only one table can use it",
        ),
        (
            "down = \"two\"",
            "down = \"three\"",
            "b.toml:20:8: there is no [pwm.three]; available: one, two",
        ),
    ] {
        assert!(BOARD.contains(from), "{from}");
        let refused = read(&BOARD.replacen(from, to, 1)).unwrap_err();
        assert_eq!(refused.to_string(), words);
    }
}
