//! The robot on the virtual clock, with the code that runs on its real board.

use std::sync::{Arc, Mutex};

use embedded_hal::spi::ErrorKind;
use steadfast::config::Config;
use steadfast::cycle::image::{Inputs, Outputs, Sample};
use steadfast::cycle::ports::{Directive, Tick};
use steadfast::cycle::stop::StopCause;
use steadfast::telemetry::report::Report;

use super::*;

const BOARD: &str = include_str!("../board.toml");
const SECONDS: u64 = 1_000;

/// Observations of a run.
#[derive(Copy, Clone, Default)]
struct Seen {
    cycles: u64,
    /// Tilt of the plant, rad: maximum and present value.
    tilt_most: f64,
    tilt: f64,
    /// Angle of the left wheel, rad.
    wheel: f64,
    duties: [f64; 2],
}

fn read(board: &str) -> Config {
    let config = firmware().read("board.toml", board);
    config.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `board` for `cycles` cycles; from cycle `broken` on the IMU does not answer.
fn run(board: &str, cycles: u64, broken: u64) -> (Report, Seen) {
    let config = read(board);
    let signal = |name| {
        config
            .signal::<f64>(name)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let [tilt, rate, wheel] = ["imu.tilt", "imu.rate", "left_wheel.angle"].map(signal);
    let duties = ["left.duty", "right.duty"].map(signal);
    let shared = Arc::new(Mutex::new(Seen {
        tilt: 0.05,
        ..Seen::default()
    }));
    let to = Arc::clone(&shared);
    let watch = move |world: &mut World<'_>| {
        let mut seen = to.lock().unwrap();
        seen.cycles += 1;
        if seen.cycles <= cycles {
            // Integrated, because the accelerometer measures more than the tilt.
            seen.tilt += world.read(rate).value.unwrap() / SECONDS as f64;
            seen.tilt_most = seen.tilt_most.max(seen.tilt.abs());
            seen.wheel = world.read(wheel).value.unwrap();
        }
        seen.duties = duties.map(|duty| world.read(duty).value.unwrap());
        if seen.cycles >= broken {
            world.fail(tilt, InputError::Bus);
        }
    };
    let report = firmware().simulate_with(&config, cycles, watch).unwrap();
    assert_eq!(report.memory.allocations, Some(0));
    let seen = *shared.lock().unwrap();
    (report, seen)
}

fn it_stays_upright_and_returns_after_a_push() {
    let (report, seen) = run(BOARD, 20 * SECONDS, u64::MAX);
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.laws[0].fault, None);
    assert!(
        (0.05..0.5).contains(&seen.tilt_most),
        "{} rad",
        seen.tilt_most
    );
    let (again, _) = run(BOARD, 20 * SECONDS, u64::MAX);
    assert_eq!(
        report.to_json(),
        again.to_json(),
        "the same to the last bit"
    );
    assert!(seen.tilt.abs() < 0.01, "{} rad", seen.tilt);
    assert!(seen.wheel.abs() < 0.5, "{} rad", seen.wheel);
}

fn without_feedback_it_falls_over_and_the_motors_are_off() {
    let board = BOARD.replace(
        "gains = [3.3, 0.46, 2.6, 2.3, 0.2]",
        "gains = [0.0, 0.0, 0.0, 0.0, 0.0]",
    );
    let (report, seen) = run(&board, 5 * SECONDS, u64::MAX);
    assert_eq!(report.exit.code, 4);
    let reason = "law balance: the robot has fallen over; stand it up and start again";
    assert_eq!(report.exit.reason, reason);
    assert_eq!(seen.duties, [0.0; 2]);
}

fn the_run_ends_when_the_imu_is_lost() {
    let (report, seen) = run(BOARD, 5 * SECONDS, 2_500);
    assert_eq!(report.exit.code, 4);
    assert!(
        report.exit.reason.contains("device.imu"),
        "{}",
        report.exit.reason
    );
    assert!(seen.cycles < 2_600, "{} cycles", seen.cycles);
}

/// A simulated BMI160: the top bit of the first byte selects reading; the address increments.
struct Chip([u8; 128]);

impl SpiChip for Chip {
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), ErrorKind> {
        let Self(registers) = self;
        match *sent {
            [address, ..] if address & 0x80 != 0 => {
                let read = &registers[usize::from(address & 0x7F)..];
                (received[1..].iter_mut().zip(read)).for_each(|(to, from)| *to = *from);
                Ok(())
            }
            // Each sensor has its own command to switch it on.
            [0x7E, command @ (0x11 | 0x15)] => {
                registers[0x03] |= if command == 0x11 {
                    0b01 << 4
                } else {
                    0b01 << 2
                };
                Ok(())
            }
            _ => Err(ErrorKind::Other),
        }
    }
}

fn the_driver_reads_the_chip_and_reports_errors() {
    let signals = [0, 1].map(|number| Input::numbered(number).unwrap());
    let chip = Arc::new(Mutex::new(Chip([0; 128])));
    let refused = OpenImu::new(signals, Spi::simulated(chip.clone()));
    assert!(refused.is_none(), "a chip with another identity");
    chip.lock().unwrap().0[0x00] = 0xD1;
    let mut imu = OpenImu::new(signals, Spi::simulated(chip.clone())).unwrap();
    let mut sense = || {
        let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
        imu.sense(&mut Readings::new(&mut inputs, &tick, tick.now));
        [inputs.analogs[0].value, inputs.analogs[1].value]
    };
    {
        let registers = &mut chip.lock().unwrap().0;
        assert_eq!(registers[0x03], 0b01_01_00, "both sensors are on");
        // 100 degrees/s, and 0.1 rad forward of upright: x measures the support from behind.
        registers[0x0E..0x10].copy_from_slice(&1_640_i16.to_le_bytes());
        let [x, z] = [-0.1_f64.sin(), 0.1_f64.cos()].map(|g| (g * 16_384.0) as i16);
        registers[0x12..0x14].copy_from_slice(&x.to_le_bytes());
        registers[0x16..0x18].copy_from_slice(&z.to_le_bytes());
    }
    let [tilt, rate] = sense().map(Result::unwrap);
    assert!((tilt - 0.1).abs() < 1e-4, "{tilt} rad");
    assert!((rate - 100_f64.to_radians()).abs() < 1e-9, "{rate} rad/s");
    let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
    let spi = Spi::simulated(Arc::new(Mutex::new(Chip([0xD1; 128]))));
    let mut imu = OpenImu::new(signals, spi).unwrap();
    imu.1 = Bmi160::new_with_spi(Spi::simulated(Arc::new(Mutex::new(Dead))));
    imu.sense(&mut Readings::new(&mut inputs, &tick, tick.now));
    assert_eq!(inputs.analogs[0].value, Err(InputError::Bus));
    assert_eq!(inputs.analogs[1].value, Err(InputError::Bus));
}

/// A chip with disconnected wires.
struct Dead;

impl SpiChip for Dead {
    fn exchange(&mut self, _: &[u8], _: &mut [u8]) -> Result<(), ErrorKind> {
        Err(ErrorKind::Other)
    }
}

/// Tests the law alone: a run ends in the step in which the motors are off, before a watch runs.
fn during_a_stop_the_motors_are_off() {
    let [tilt, rate, left, right] = [0, 1, 2, 3].map(|number| Input::numbered(number).unwrap());
    let law = Balance {
        tilt,
        rate,
        wheels: [left, right],
        duties: [0, 1].map(|number| Output::numbered(number).unwrap()),
        gains: [1.0; 5],
        filter_s: 1.0,
        radius_m: 0.04,
    };
    let mut inputs = Inputs::NOT_READ;
    inputs.analogs[..4].fill(Sample {
        value: Ok(0.1),
        at: Instant::from_nanos(0),
    });
    let stop = Directive::QuickStop(StopCause::RunEnds);
    for (directive, is_off) in [(Directive::Run, false), (stop, true)] {
        let tick = Tick {
            directive,
            ..Tick::default()
        };
        let mut outputs = Outputs::new(0, &[0.0, 0.0]);
        let elapsed = steadfast::time::Duration::from_millis(1);
        let mut io = Io::new(&inputs, &mut outputs, &tick, elapsed);
        law.step(&mut law.start(), &mut io);
        assert_eq!(outputs.analogs[..2] == [0.0, 0.0], is_off, "{directive:?}");
    }
}

/// All runs are in one test: a process has one loop at a time, and no other test may allocate
/// during it.
#[test]
fn the_robot_balances_and_stops_on_faults() {
    firmware()
        .read("board.linux.toml", include_str!("../board.linux.toml"))
        .unwrap_or_else(|error| panic!("{error}"));
    the_driver_reads_the_chip_and_reports_errors();
    during_a_stop_the_motors_are_off();
    it_stays_upright_and_returns_after_a_push();
    without_feedback_it_falls_over_and_the_motors_are_off();
    the_run_ends_when_the_imu_is_lost();
}
