//! `steadfast check FILE`: checks a board file, and that this machine has the devices that it
//! names.

use std::fmt::Write as _;
use std::path::Path;

use super::failure::{BAD_INPUT, FAILED, Failure, print};
use super::known::Known;
use super::run::with_saved;
use crate::board::{self, Machine, RunError, Simulated};
use crate::config::Config;
use crate::stock::servo::Axes;
use crate::telemetry::{escaped, say};

// Not inlined, so that `run`, whose stack is locked, has a small stack frame.
#[inline(never)]
pub(super) fn main(known: &Known, file: &Path) -> Result<u8, Failure> {
    let config = with_saved(known.load(file)?)?;
    match &config.simulation {
        Some(simulation) => {
            Simulated::build(simulation, &config.io, config.run.period)
                .map_err(|error| Failure::new(BAD_INPUT, &RunError::Wiring(error)))?;
        }
        None => {
            let missing = board::missing(&config, &Machine::default());
            for error in &missing {
                say(format_args!("{error}"));
            }
            for warning in board::warnings(&config, &Machine::default()) {
                say(format_args!(
                    "{}: warning: {warning}",
                    escaped(&config.file)
                ));
            }
            if !missing.is_empty() {
                return Ok(FAILED);
            }
        }
    }
    board::can_is_supported(&config).map_err(|error| Failure::new(BAD_INPUT, &error))?;
    print(&summary(&config))
}

/// The content of the board file: one line with the numbers of its parts, and one line for each
/// device, control law and signal of its own.
fn summary(config: &Config) -> String {
    let io = &config.io;
    let axes = Axes::of(config).map_or(0, |axes| axes.names.axes.len());
    let machine = &config.machine;
    let devices = machine.devices.len();
    let laws = (machine.laws.iter())
        .filter(|law| law.name.is_some())
        .count();
    let own = match (devices, laws) {
        (0, 0) => String::new(),
        _ => format!(
            "{devices} device{}, {laws} law{}, ",
            if devices == 1 { "" } else { "s" },
            if laws == 1 { "" } else { "s" }
        ),
    };
    let mut shown = format!(
        "{}: ok, board \"{}\": {axes} axes, {} digital inputs, {} digital outputs, {} encoders, \
         {} analog outputs, {} analog inputs, {own}a period of {}\n",
        escaped(&config.file),
        config.name,
        io.inputs.len(),
        io.outputs.len(),
        io.encoders.len(),
        io.analog_outputs.len(),
        io.analog_inputs.len(),
        config.run.period,
    );
    for entry in &io.gpio {
        if let Some(registers) = &entry.registers {
            let (name, bank) = (&entry.name, registers.bank.name());
            let what = match (registers.inputs, registers.outputs) {
                (true, true) => "inputs and outputs",
                (true, false) => "inputs",
                (false, _) => "outputs",
            };
            let _ = writeln!(shown, "  [gpio.{name}] {what} by registers of {bank}");
        }
    }
    for entry in &io.spi {
        if let Some(registers) = entry.registers {
            let (kind, hz) = (registers.kind.name(), registers.divider.hz);
            let _ = writeln!(
                shown,
                "  [spi.{}] by registers of {kind}, {hz} Hz",
                entry.name
            );
        }
    }
    let devices = (machine.devices.iter()).map(|device| ("device", &device.name, device.every));
    let laws = (machine.laws.iter())
        .filter_map(|law| law.name.as_ref().map(|name| ("law", name, law.every)));
    for (header, name, every) in devices.chain(laws) {
        let period = config.run.period * u64::from(every);
        let _ = writeln!(shown, "  [{header}.{name}] every = {every}, {period}");
    }
    for signal in machine.signals.own() {
        let _ = write!(shown, "  {}: {}", signal.name, signal.of.describe());
        if !matches!(signal.unit, "" | "1") {
            let _ = write!(shown, " in {}", signal.unit);
        }
        if let Some((least, most)) = machine.signals.range(signal) {
            let _ = write!(shown, ", {least} to {most}");
        }
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigError, DeviceTable, Driver, LawKind, LawTable, Opening, Registry};
    use crate::cycle::device::Device;
    use crate::cycle::law::Law;
    use crate::cycle::signal::{Input, Io};

    struct Fan;
    struct OpenFan;

    impl Device for OpenFan {}

    impl Driver for Fan {
        const NAME: &'static str = "fan";
        type Device = OpenFan;

        fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
            table.command("speed", "1", 0.0..=1.5)?;
            table.command_flag("lamp")?;
            let _: Input<f64> = table.publish("air", "degC")?;
            Ok(Self)
        }

        fn open(&self, _: &mut Opening<'_>) -> Result<OpenFan, ConfigError> {
            Ok(OpenFan)
        }
    }

    #[derive(Clone)]
    struct Cooling;

    impl Law for Cooling {
        type State = ();
        fn start(&self) {}
        fn step(&self, (): &mut (), _: &mut Io<'_>) {}
    }

    impl LawKind for Cooling {
        const KIND: &'static str = "cooling";

        fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
            table.publish("heat", "W", 0.0)?;
            Ok(Self)
        }
    }

    #[test]
    fn each_device_law_and_signal_of_the_board_file_has_a_line() {
        let board = r#"
            board = { name = "case", devices = "simulated", realtime = "best-effort" }
            loop = { period_us = 10_000, cpu = "any" }
            simulation = {}
            [device.fan]
            driver = "fan"
            max_hold_ms = 100
            shutdown = 1
            safe = { speed = 1.0, lamp = false }
            [law.cooling]
            kind = "cooling"
            every = 10
        "#;
        let registry = Registry::new().driver::<Fan>().law::<Cooling>();
        let config = Config::parse_with("case.toml", board, &registry);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            summary(&config),
            "case.toml: ok, board \"case\": 0 axes, 0 digital inputs, 0 digital outputs, \
             0 encoders, 0 analog outputs, 0 analog inputs, 1 device, 1 law, a period of 10.0 ms\n  \
             [device.fan] every = 1, 10.0 ms\n  \
             [law.cooling] every = 10, 100 ms\n  \
             fan.speed: a number, 0 to 1.5\n  \
             fan.lamp: a flag\n  \
             fan.air: a number in degC\n  \
             cooling.heat: a number in W\n"
        );
    }

    #[test]
    fn a_board_without_devices_and_laws_has_one_line() {
        let shown = summary(&Config::simulated());
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(
            shown.ends_with(" analog inputs, a period of 1.00 ms\n"),
            "{shown}"
        );
    }
}
