//! A user-defined machine: drivers, laws and a plant from outside this crate, selected by a
//! board file.
#![cfg(feature = "linux")]

use std::sync::{Arc, Mutex};

use steadfast::config::{
    ConfigError, DeviceTable, Driver, LawKind, LawTable, Opening, PlantKind, PlantTable,
};
use steadfast::cycle::device::{Device, NotDriven};
use steadfast::cycle::image::InputError;
use steadfast::cycle::law::Law;
use steadfast::cycle::ports::FaultNumber;
use steadfast::cycle::signal::{Commands, Input, Io, Output, Readings};
use steadfast::firmware::Firmware;
use steadfast::realtime::allocator::SealedAllocator;
use steadfast::sim::{Plant, World};
use steadfast::time::Duration;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// A thermocouple chip, simulated at its signal.
struct Probe {
    celsius: Input<f64>,
}

struct OpenProbe(Input<f64>);

impl Device for OpenProbe {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        readings.put(self.0, Err(InputError::NotReady));
    }
}

impl Driver for Probe {
    const NAME: &'static str = "probe";
    type Device = OpenProbe;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let celsius = table.publish("temperature", "degC")?;
        Ok(Self { celsius })
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<OpenProbe, ConfigError> {
        Ok(OpenProbe(self.celsius))
    }
}

/// A thermocouple with a simulated chip, which reads 100 K too much.
struct Chip {
    celsius: Input<f64>,
}

struct OpenChip {
    celsius: Input<f64>,
    register: Result<f64, InputError>,
}

impl Device for OpenChip {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        readings.put(self.celsius, self.register.map(|celsius| celsius + 100.0));
    }

    fn model(&mut self, world: &mut World<'_>) {
        self.register = world.given(self.celsius).value;
    }
}

impl Driver for Chip {
    const NAME: &'static str = "chip";
    type Device = OpenChip;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let celsius = table.publish("temperature", "degC")?;
        Ok(Self { celsius })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenChip, ConfigError> {
        Err(opening.error("there is no such chip", "simulate the board"))
    }

    fn simulate(&self) -> Option<OpenChip> {
        Some(OpenChip {
            celsius: self.celsius,
            register: Err(InputError::NotRead),
        })
    }
}

/// A proportional valve.
struct Valve {
    opening: Output<f64>,
}

struct OpenValve(Output<f64>);

impl Device for OpenValve {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let _ = commands.get(self.0);
        Err(NotDriven)
    }
}

impl Driver for Valve {
    const NAME: &'static str = "valve";
    type Device = OpenValve;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let opening = table.command("opening", "1", 0.0..=1.0)?;
        assert_eq!(table.safe_value(opening), 0.0);
        Ok(Self { opening })
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<OpenValve, ConfigError> {
        Ok(OpenValve(self.opening))
    }
}

/// A proportional law with a limit.
#[derive(Clone)]
struct Proportional {
    measured: Input<f64>,
    drive: Output<f64>,
    target: f64,
    gain: f64,
    limit: f64,
    period: Duration,
}

impl Law for Proportional {
    type State = f64;
    const TRACE: &'static [&'static str] = &["error_k"];

    fn start(&self) -> f64 {
        0.0
    }

    fn step(&self, error: &mut f64, io: &mut Io<'_>) {
        assert!(io.is_stopping() || io.elapsed() == self.period);
        let measured = io.read(self.measured).value;
        *error = measured.map_or(f64::NAN, |measured| self.target - measured);
        if !io.is_stopping() && error.is_finite() {
            // Out of range at first: the valve gets the limit of its range.
            io.set(self.drive, *error * self.gain);
        }
    }

    fn fault(&self, error: &f64) -> Option<FaultNumber> {
        (*error > self.limit).then_some(FaultNumber::MIN)
    }

    fn trace(&self, error: &f64, values: &mut [f32]) {
        values[0] = *error as f32;
    }
}

impl LawKind for Proportional {
    const KIND: &'static str = "proportional";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            measured: table.input("measured", "degC")?,
            drive: table.output("drive", "1")?,
            target: table.number("target", -50.0..=300.0)?,
            gain: table.number("gain", 0.0..=10.0)?,
            limit: table.number_or("limit", 0.0..=1e3, 1e3)?,
            period: table.period(),
        })
    }

    fn explain(&self, _: FaultNumber) -> String {
        "far too cold; look for an open window".to_owned()
    }
}

/// A room with a radiator.
#[derive(Clone)]
struct Room {
    valve: Output<f64>,
    sensor: Input<f64>,
    celsius: f64,
}

impl Plant for Room {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let heat = world.get(self.valve) * 5.0;
        assert!(
            (0.0..=5.0).contains(&heat),
            "what is driven is in its range"
        );
        self.celsius += (heat - (self.celsius - 10.0) * 0.1) * step.as_secs_f64();
        world.put(self.sensor, self.celsius);
    }
}

impl PlantKind for Room {
    const KIND: &'static str = "room";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            valve: table.output("valve", "1")?,
            sensor: table.input("sensor", "degC")?,
            celsius: table.number("start", -50.0..=300.0)?,
        })
    }
}

fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<Probe>()
        .driver::<Chip>()
        .driver::<Valve>()
        .law::<Proportional>()
        .plant::<Room>()
}

const BOARD: &str = r#"
[board]
name = "room"
realtime = "best-effort"
devices = "simulated"

[loop]
period_us = 1000
cpu = "any"

[device.room]
driver = "probe"

[device.radiator]
driver = "valve"
every = 10
max_hold_ms = 100
shutdown = 1

[device.radiator.safe]
opening = 0.0

[law.heating]
kind = "proportional"
every = 10
measured = "room.temperature"
drive = "radiator.opening"
target = 20.0
gain = 0.5

[simulation]

[simulation.plant.room]
kind = "room"
valve = "radiator.opening"
sensor = "room.temperature"
start = 10.0
"#;

fn a_user_machine_controls_a_user_plant() {
    let config = firmware().read("room.toml", BOARD).unwrap();
    let report = firmware().simulate(&config, 60_000).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.memory.allocations, Some(0));
    let law = &report.laws[0];
    assert_eq!((law.name.as_str(), &law.fault), ("heating", &None));
    let again = firmware().simulate(&config, 60_000).unwrap();
    assert_eq!(
        report.to_json(),
        again.to_json(),
        "the same to the last bit"
    );
}

fn a_faulted_law_reports_its_own_message() {
    let board = BOARD.replace("gain = 0.5", "gain = 0.5\nlimit = 5.0");
    let config = firmware().read("room.toml", &board).unwrap();
    let report = firmware().simulate(&config, 10).unwrap();
    assert_eq!(report.exit.code, 4);
    assert_eq!(
        report.exit.reason,
        "law heating: far too cold; look for an open window"
    );
}

fn a_slow_device_keeps_its_reading_between_its_cycles() {
    let board = BOARD
        .replace("\"probe\"", "\"chip\"\nevery = 40")
        .replace("gain = 0.5", "gain = 0.5\nlimit = 5.0");
    let config = firmware().read("room.toml", &board).unwrap();
    // The device is not read in this slot, which has the last step of the law.
    let report = firmware().simulate(&config, 1_025).unwrap();
    // With the temperature of the room, 10 degC, the law would report a fault.
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
}

fn the_law_sees_a_failed_sensor() {
    let config = firmware().read("room.toml", BOARD).unwrap();
    let sensor = config.signal::<f64>("room.temperature").unwrap();
    let valve = config.signal::<f64>("radiator.opening").unwrap();
    let (mut cycle, openings) = (0, Arc::new(Mutex::new([0.0; 2])));
    let seen = Arc::clone(&openings);
    let watch = move |world: &mut World<'_>| {
        cycle += 1;
        let opening = world.read(valve).value.unwrap();
        match cycle {
            1_000 => seen.lock().unwrap()[0] = opening,
            1_001.. => world.fail(sensor, InputError::Bus),
            _ => {}
        }
        seen.lock().unwrap()[1] = opening;
    };
    let report = firmware().simulate_with(&config, 2_000, watch).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.memory.allocations, Some(0));
    let [before, after] = *openings.lock().unwrap();
    assert!(before > 0.5, "{before}");
    assert_eq!(after, 0.0, "its safe value");
    let refused = config.signal::<bool>("room.temperature").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "room.toml: there is no signal \"room.temperature\" of this type; available: "
    );
}

/// The device has no simulated chip: its signals fail, and it is lost like a real device.
fn a_device_simulated_by_its_signals_is_lost_after_too_many_failures() {
    let board = BOARD.replace("\"probe\"", "\"probe\"\ntolerated_failures = 3");
    let config = firmware().read("room.toml", &board).unwrap();
    let sensor = config.signal::<f64>("room.temperature").unwrap();
    let run = |fails: std::ops::Range<u64>| {
        let (mut cycle, count) = (0, Arc::new(Mutex::new(0)));
        let seen = Arc::clone(&count);
        let watch = move |world: &mut World<'_>| {
            cycle += 1;
            *seen.lock().unwrap() = cycle;
            if fails.contains(&cycle) {
                world.fail(sensor, InputError::Bus);
            }
        };
        let report = firmware().simulate_with(&config, 2_000, watch).unwrap();
        assert_eq!(report.memory.allocations, Some(0));
        let cycles = *count.lock().unwrap();
        (report.exit, cycles)
    };
    let (exit, _) = run(1_000..1_003);
    assert_eq!(exit.code, 0, "{}", exit.reason);
    let (exit, cycles) = run(1_000..1_004);
    assert_eq!(exit.code, 4);
    assert!(exit.reason.contains("device.room"), "{}", exit.reason);
    assert!((1_003..1_010).contains(&cycles), "{cycles}");
}

/// One after the other: there is one loop in a process, and while the allocator is sealed
/// no other test may allocate.
#[test]
fn a_user_defined_machine_runs_and_handles_faults() {
    errors_have_line_column_and_remedy();
    a_user_machine_controls_a_user_plant();
    a_faulted_law_reports_its_own_message();
    a_slow_device_keeps_its_reading_between_its_cycles();
    the_law_sees_a_failed_sensor();
    a_device_simulated_by_its_signals_is_lost_after_too_many_failures();
}

/// The error of the board file with `from` replaced by `to`.
fn refused(from: &str, to: &str) -> String {
    assert!(BOARD.contains(from), "{from}");
    let board = BOARD.replacen(from, to, 1);
    match firmware().read("room.toml", &board) {
        Ok(_) => panic!("expected an error for {to}"),
        Err(error) => error.to_string(),
    }
}

fn errors_have_line_column_and_remedy() {
    for (from, to, words) in [
        (
            "driver = \"probe\"",
            "driver = \"prope\"",
            "room.toml:12:10: there is no driver \"prope\"; did you mean \"probe\"?",
        ),
        (
            "driver = \"probe\"",
            "driver = \"probe\"\nspeed = 3",
            "room.toml:13:1: unknown key `speed` in [device.room]; known here: driver, every, tolerated_failures",
        ),
        (
            "driver = \"probe\"",
            "driver = \"probe\"\nshutdown = 1",
            "room.toml:13:1: `shutdown` of [device.room] has no effect: the device has no outputs; remove it",
        ),
        (
            "[device.radiator.safe]\nopening = 0.0",
            "",
            "room.toml:14:9: [device.radiator]: the output `opening` has no safe value; add a table [device.radiator.safe] with `opening = ...`, its value while the controller is not in control",
        ),
        (
            "opening = 0.0",
            "opening = 1.5",
            "room.toml:21:11: `opening` is 1.5; it must be a finite number from 0 to 1",
        ),
        (
            "opening = 0.0",
            "opening = 0.0\nclosing = 0.0",
            "room.toml:22:1: unknown key `closing` in [device.radiator.safe]; known here: opening",
        ),
        (
            "max_hold_ms = 100",
            "max_hold_ms = 20",
            "room.toml:17:15: `max_hold_ms` is 20, shorter than 3 periods of 10.0 ms, after which the stall guard acts at the earliest; make it at least 30, or `period_us` shorter",
        ),
        (
            "kind = \"proportional\"",
            "kind = \"integral\"",
            "room.toml:24:8: there is no law \"integral\"; this firmware has: pid, two_point, profile, proportion, alarm, proportional",
        ),
        (
            "measured = \"room.temperature\"",
            "measured = \"room.temprature\"",
            "room.toml:26:12: there is no signal \"room.temprature\"; did you mean \"room.temperature\"?",
        ),
        (
            "measured = \"room.temperature\"",
            "measured = \"radiator.opening\"",
            "room.toml:26:12: \"radiator.opening\" is without a unit, expected in degC; name another signal, or put a law between them that converts it",
        ),
        (
            "gain = 0.5",
            "gain = 0.5\n[law.other]\nkind = \"proportional\"\nmeasured = \"room.temperature\"\ndrive = \"radiator.opening\"\ntarget = 1.0\ngain = 1.0",
            "room.toml:33:9: \"radiator.opening\" is already set by [law.heating] in line 27; name another signal, each has one writer",
        ),
        (
            "kind = \"room\"",
            "kind = \"rooms\"",
            "room.toml:34:8: there is no plant \"rooms\"; did you mean \"room\"?",
        ),
        (
            "sensor = \"room.temperature\"",
            "sensor = \"analog_input.room\"",
            "room.toml:36:10: \"analog_input.room\" is a channel of the board, which a plant cannot set; name a signal of a [device.X]",
        ),
        (
            "[device.room]",
            "[device.input]",
            "room.toml:11:9: [device.input]: \"input\" is reserved for the signals of [input.X]; choose another name",
        ),
    ] {
        assert_eq!(refused(from, to), words);
    }
}
