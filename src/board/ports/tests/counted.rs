//! Retries by the number of calls that a cycle has made, and the state of the ports after
//! failures.
//!
//! Every call takes the same time here, so there is an exact limit of that time up to which a
//! retry is permitted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

use super::super::*;
use super::{BOARD, DEADLINE};
use crate::config::Config;
use crate::cycle::image::DigitalInputs;
use crate::sim::{AxisWiring, EncoderConfig, MotorConfig, SimBoard, WiringError};
use embedded_hal::spi::SpiDevice;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation};

const SECOND: &str = r#"
[analog_output.second]
chip = "mcp4922"
channel = "b"
min_volts = -10.0
max_volts = 10.0
safe_volts = 2.5
max_hold_ms = 20
shutdown = 4
[output.pump]
safe = false
max_hold_ms = 20
shutdown = 2
[encoder.other]
chip = "as5047p"
[simulation.motor.y]
encoder = "other"
analog_output = "second"
[analog_input.other]
chip = "mcp3208"
channel = 1
vref_volts = 4.0
min_volts = 1.0
max_volts = 2.0
[simulation.heater.other]
analog_input = "other"
switch = "pump"
sensor_volts_at_0_c = 1.2
"#;

const ENCODERS: [usize; 2] = [0, 1];
const DACS: [usize; 2] = [2, 3];
const ADCS: [usize; 2] = [4, 5];
const BEGAN: Instant = Instant::from_nanos(5_000_000);

std::thread_local! {
    /// The time, ns.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

struct Hardware {
    /// The encoders.
    board: SimBoard,
    /// The next transfer of this chip fails.
    fails: Option<usize>,
    /// Transfers of each chip.
    transfers: [u32; 6],
    /// The code of the analog inputs, 0 to 4095.
    code: u16,
    /// All written levels of the lines.
    lines: Vec<u32>,
    latched: bool,
}

/// Devices whose calls take `call` each.
#[derive(Clone)]
struct Timed {
    hardware: Rc<RefCell<Hardware>>,
    call: Duration,
}

impl Timed {
    fn pass(&self) {
        NOW.set(NOW.get() + self.call.as_nanos());
    }
}

struct Chip {
    devices: Timed,
    index: usize,
}

impl ErrorType for Chip {
    type Error = ErrorKind;
}

impl SpiDevice for Chip {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        self.devices.pass();
        let mut hardware = self.devices.hardware.borrow_mut();
        hardware.transfers[self.index] += 1;
        if hardware.fails == Some(self.index) {
            hardware.fails = None;
            return Err(ErrorKind::Other);
        }
        if ENCODERS.contains(&self.index) {
            let mut encoder = hardware.board.device(self.index).expect("an encoder");
            return encoder.transaction(operations);
        }
        for operation in operations {
            match operation {
                Operation::TransferInPlace(bytes) if bytes.len() == 3 => {
                    bytes[1..].copy_from_slice(&hardware.code.to_be_bytes());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Devices for Timed {
    type Spi<'a> = Chip;

    fn latched(&self) -> bool {
        self.hardware.borrow().latched
    }

    fn advance(&mut self, tick: &Tick) -> Instant {
        tick.now
    }

    fn now(_: &Tick) -> Instant {
        Instant::from_nanos(NOW.get())
    }

    fn spi(&mut self, index: usize) -> Chip {
        Chip {
            devices: self.clone(),
            index,
        }
    }

    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        self.pass();
        Ok(DigitalInputs::default())
    }

    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.pass();
        self.hardware.borrow_mut().lines.push(levels);
        Ok(())
    }
}

fn encoders() -> Result<SimBoard, WiringError> {
    let mut board = SimBoard::new(1, Duration::from_micros(5));
    for _ in ENCODERS {
        let axis = board.add_axis(MotorConfig::default(), AxisWiring::default())?;
        let settled = EncoderConfig {
            noise_counts: 0,
            power_on: Duration::ZERO,
        };
        board.add_encoder(axis, settled)?;
        let motor = board.motor_mut(axis);
        motor.expect("just added").set_state(0.3, 0.0);
    }
    Ok(board)
}

/// Two channels of each kind: a cycle without failures makes eight calls.
fn ports(call_us: u64) -> (Ports<Timed>, Rc<RefCell<Hardware>>) {
    let text = BOARD.replace("shutdown = 2", "shutdown = 3") + SECOND;
    let io = Config::parse("b.toml", &text).expect("good").io;
    let map = SpiMap {
        encoders: ENCODERS.to_vec(),
        analog_outputs: DACS.to_vec(),
        analog_inputs: ADCS.to_vec(),
    };
    let hardware = Rc::new(RefCell::new(Hardware {
        board: encoders().expect("wired"),
        fails: None,
        transfers: [0; 6],
        code: 1_500,
        lines: Vec::new(),
        latched: false,
    }));
    let devices = Timed {
        hardware: Rc::clone(&hardware),
        call: Duration::from_micros(call_us),
    };
    let ports = Ports::new(devices, &io, &map).retrying_until(DEADLINE);
    (ports, hardware)
}

fn tick() -> Tick {
    Tick {
        release: BEGAN,
        now: BEGAN,
        elapsed_slots: 1,
        ..Tick::default()
    }
}

/// Transfers of `chip` in a cycle in which its first one fails.
fn transfers(chip: usize, call_us: u64) -> (u32, Inputs) {
    let (mut ports, hardware) = ports(call_us);
    let mut inputs = Inputs::NOT_READ;
    let outputs = ports.safe_image();
    // The first request of the encoders takes another frame.
    NOW.set(BEGAN.as_nanos());
    ports.sense(&tick(), &mut inputs);
    hardware.borrow_mut().fails = Some(chip);
    hardware.borrow_mut().transfers = [0; 6];
    NOW.set(BEGAN.as_nanos());
    ports.sense(&tick(), &mut inputs);
    let _ = ports.act(&tick(), &outputs);
    let transfers = hardware.borrow().transfers[chip];
    (transfers, inputs)
}

/// With `d` of eight calls done, each of the time t, one more is permitted if d t and twice t
/// for each of the remaining 8 - d + 2 calls, in total (20 - d) t, do not exceed a period.
#[test]
fn a_retry_is_allowed_by_the_transfers_done_and_still_to_do() {
    // An encoder's retry takes two frames.
    for (chip, done, again) in [
        (ENCODERS[0], 2, 2),
        (ENCODERS[1], 3, 2),
        (ADCS[0], 4, 1),
        (ADCS[1], 5, 1),
        (DACS[0], 7, 1),
        (DACS[1], 8, 1),
    ] {
        let longest = 1_000 / (20 - done);
        let made = transfers(chip, longest).0;
        assert_eq!(made, 1 + again, "{chip}: {longest} us");
        let beyond = longest + 1;
        assert_eq!(transfers(chip, beyond).0, 1, "{chip}: {beyond} us");
    }
}

#[test]
fn a_retried_input_has_the_time_of_the_retry() {
    // The lines and the failed transfer came before it.
    let (_, inputs) = transfers(ADCS[1], 20);
    let analogs = inputs.analogs;
    assert_eq!(analogs[1].at, BEGAN + Duration::from_micros(40));
    assert_eq!(analogs[0].at, BEGAN);
}

#[test]
fn the_limits_of_an_input_are_inclusive() {
    let (mut ports, hardware) = ports(1);
    for (code, good) in [(1_023, false), (1_024, true), (2_048, true), (2_049, false)] {
        hardware.borrow_mut().code = code;
        let mut inputs = Inputs::NOT_READ;
        ports.sense(&tick(), &mut inputs);
        assert_eq!(inputs.analogs[1].value.is_ok(), good, "{code}");
    }
}

#[test]
fn a_deviation_equal_to_the_tolerance_is_tolerated() {
    let (mut ports, _) = ports(1);
    let mut inputs = Inputs::NOT_READ;
    inputs.analogs[0].value = Ok(1.0);
    ports.monitors[0].expected = Some(0.5);
    for (tolerance, lost) in [(0.5, None), (0.499, Some(Lost::Monitored(0)))] {
        ports.monitors[0].config.tolerance_volts = tolerance;
        for slot in 0..10 {
            ports.watch(&Tick { slot, ..tick() }, &inputs);
        }
        assert_eq!(ports.lost, lost, "{tolerance}");
    }
}

#[test]
fn lines_go_safe_step_by_step_in_shutdown_order() {
    let (mut ports, hardware) = ports(1);
    let mut outputs = ports.safe_image();
    outputs.digital = 0b11;
    for (latched, steps) in [(false, [0b10, 0b00]), (true, [0b00, 0b00])] {
        hardware.borrow_mut().latched = false;
        assert_eq!(ports.act(&tick(), &outputs), Ok(()));
        hardware.borrow_mut().lines.clear();
        hardware.borrow_mut().latched = latched;
        assert_eq!(ports.safe(&tick()), Ok(()));
        assert_eq!(hardware.borrow().lines, steps, "latched: {latched}");
    }
}

#[test]
fn a_command_from_before_the_safe_state_is_not_compared_afterwards() {
    let (mut ports, _) = ports(1);
    let outputs = ports.safe_image();
    assert_eq!(ports.act(&tick(), &outputs), Ok(()));
    assert!(ports.monitors[0].expected.is_some());
    assert_eq!(ports.safe(&tick()), Ok(()));
    assert_eq!(ports.monitors[0].expected, None);
}

#[test]
fn the_first_loss_is_reported_unless_only_the_second_stops_the_outputs() {
    let (mut ports, _) = ports(1);
    let input = |channel| Lost::AnalogInput(channel, InputError::Bus);
    for (lost, named) in [
        (input(0), input(0)),
        (input(1), input(0)),
        (Lost::AnalogOutput(1), Lost::AnalogOutput(1)),
        (Lost::Monitored(0), Lost::AnalogOutput(1)),
        (input(1), Lost::AnalogOutput(1)),
    ] {
        ports.lose(lost);
        assert_eq!(ports.lost, Some(named), "{lost:?}");
    }
}
