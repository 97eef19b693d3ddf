//! The ventilator follows its settings, and raises an alarm if it cannot.

use super::*;
use embedded_hal::i2c::{ErrorKind, Operation};
use std::sync::{Arc, Mutex};
use steadfast::cycle::image::Inputs;
use steadfast::cycle::ports::Tick;
use steadfast::telemetry::report::Report;

const BOARD: &str = include_str!("../board.toml");
/// Cycles per second of virtual time.
const SECOND: u64 = 500;
/// Cycles per breath, which takes four seconds.
const BREATH: u64 = 4 * SECOND;

/// All runs are in one test: a process has one loop at a time.
#[test]
fn the_ventilator_follows_its_settings_and_raises_alarms() {
    it_breathes_between_its_pressures_and_a_second_run_is_identical();
    a_disconnected_tube_raises_an_alarm();
    a_broken_sensor_raises_an_alarm_at_once();
    the_file_of_the_real_board_is_valid();
    the_driver_reads_the_converter();
}

/// Observations of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    cycles: u64,
    breaths: u32,
    inspires: bool,
    highest_mbar: f64,
    /// Maximum deviation at the end of inspiration and of expiration, mbar.
    off_mbar: [f64; 2],
    alarm_from: u64,
    last_opening: f64,
}

/// Runs `board` for `seconds`; the sensor breaks after `breaks_at` seconds.
fn breathe(board: &str, seconds: u64, breaks_at: u64) -> (Report, Seen) {
    let config = firmware().read("board.toml", board).unwrap();
    let pressure = config.signal::<f64>("airway.pressure").unwrap();
    let setpoint = config.signal::<f64>("breathing.set_point").unwrap();
    let valve = config.signal::<f64>("supply.duty").unwrap();
    let alarm = config.signal::<bool>("output.alarm").unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watched = Arc::clone(&seen);
    let watch = move |world: &mut World<'_>| {
        let mut seen = watched.lock().unwrap();
        let mbar = world.read(pressure).value.unwrap();
        seen.last_opening = world.read(valve).value.unwrap();
        seen.cycles += 1;
        seen.highest_mbar = seen.highest_mbar.max(mbar);
        let inspires = world.read(setpoint).value.unwrap() > 5.0;
        seen.breaths += u32::from(inspires && !seen.inspires);
        seen.inspires = inspires;
        // From the second breath on, because the first one starts at zero pressure.
        let (breath, place) = (seen.cycles / BREATH, seen.cycles % BREATH);
        let [inspired, expired] = &mut seen.off_mbar;
        match place as f64 / SECOND as f64 {
            1.1..1.38 if breath > 0 => *inspired = inspired.max((mbar - 20.0).abs()),
            3.0..3.98 if breath > 0 => *expired = expired.max((mbar - 5.0).abs()),
            _ => {}
        }
        if breath > 0 && seen.alarm_from == 0 && world.read(alarm).value == Ok(true) {
            seen.alarm_from = seen.cycles;
        }
        if seen.cycles > breaks_at * SECOND {
            world.fail(pressure, InputError::Bus);
        }
    };
    let report = firmware()
        .simulate_with(&config, seconds * SECOND, watch)
        .unwrap();
    assert_eq!(report.memory.allocations, Some(0));
    let seen = *seen.lock().unwrap();
    (report, seen)
}

fn it_breathes_between_its_pressures_and_a_second_run_is_identical() {
    let (report, seen) = breathe(BOARD, 180, u64::MAX / SECOND);
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!((seen.breaths, seen.alarm_from), (45, 0), "{seen:?}");
    assert!(seen.highest_mbar < 21.0, "{seen:?}");
    assert!(seen.off_mbar.iter().all(|mbar| *mbar < 1.0), "{seen:?}");
    let (again, seen_again) = breathe(BOARD, 180, u64::MAX / SECOND);
    assert_eq!((again.to_json(), seen_again), (report.to_json(), seen));
}

fn a_disconnected_tube_raises_an_alarm() {
    let board = format!("{BOARD}unplugged_from_s = 61.0\n");
    let (report, seen) = breathe(&board, 120, u64::MAX / SECOND);
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    let alarm_s = seen.alarm_from as f64 / SECOND as f64;
    assert!((61.0..69.0).contains(&alarm_s), "{alarm_s}");
}

fn a_broken_sensor_raises_an_alarm_at_once() {
    let (report, seen) = breathe(BOARD, 120, 60);
    let words = "law breathing: airway.pressure has no valid value; \
                 check for a broken wire or a device that does not answer";
    assert_eq!((report.exit.code, report.exit.reason.as_str()), (4, words));
    assert_eq!(seen.alarm_from, 60 * SECOND + 2, "{seen:?}");
    // Without a valid pressure the supply valve is closed.
    assert_eq!(seen.last_opening, 0.0);
}

fn the_file_of_the_real_board_is_valid() {
    let board = include_str!("../board.linux.toml");
    firmware().read("board.linux.toml", board).unwrap();
    let (from, to) = ("address = 0x48", "address = 0x7f");
    assert!(
        firmware()
            .read("board.linux.toml", &board.replace(from, to))
            .is_err()
    );
}

/// ADS1115 in continuous mode (datasheet SBAS444, 8.5 and 8.6).
#[derive(Default)]
struct Chip {
    /// Voltage at input 0, V.
    volts: f64,
    pointer: u8,
    configuration: u16,
}

impl I2cChip for Chip {
    fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        // MUX, PGA, MODE: input 0, 6.144 V, continuous.
        let converts = self.configuration & 0x7F00 == 0x4000;
        let conversion = if converts {
            self.volts / 6.144 * 32_768.0
        } else {
            0.0
        };
        for operation in operations {
            match operation {
                Operation::Write([pointer]) => self.pointer = *pointer,
                Operation::Write([0x01, high, low]) => {
                    self.configuration = u16::from_be_bytes([*high, *low]);
                }
                Operation::Read(bytes) if self.pointer == 0x00 => {
                    bytes.copy_from_slice(&(conversion as i16).to_be_bytes());
                }
                Operation::Write(_) | Operation::Read(_) => return Err(ErrorKind::Other),
            }
        }
        Ok(())
    }
}

fn the_driver_reads_the_converter() {
    let chip = Arc::<Mutex<Chip>>::default();
    let mbar = Input::numbered(0).unwrap();
    let open = |address| {
        let bus = I2c::simulated().with_chip(0x4A, chip.clone());
        OpenPressure::new(mbar, 25.0, bus, address)
    };
    assert!(open(0x48).is_none(), "no chip at this address");
    assert!(open(0x7F).is_none(), "not an address of an ADS1115");
    let mut device = open(0x4A).unwrap();
    for (volts, expected) in [
        (0.5, Ok(0.0)),
        (1.3, Ok(20.0)),
        (0.0, Err(InputError::OutOfRange)),
        (5.0, Err(InputError::OutOfRange)),
    ] {
        chip.lock().unwrap().volts = volts;
        let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
        device.sense(&mut Readings::new(&mut inputs, &tick, tick.now));
        match (inputs.analogs[0].value, expected) {
            (Ok(mbar), Ok(expected)) => assert!((mbar - expected).abs() < 0.005, "{mbar} mbar"),
            (read, expected) => assert_eq!(read, expected, "{volts} V"),
        }
    }
}
