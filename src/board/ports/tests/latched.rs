//! Outputs that another thread makes safe while the loop writes them.

use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use super::super::*;
use super::{BOARD, DEADLINE};
use crate::config::Config;
use crate::cycle::image::DigitalInputs;
use embedded_hal::spi::SpiDevice;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation};

/// A write to the outputs.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Write {
    Lines(u32),
    Frame([u8; 2]),
}

#[derive(Default)]
struct Hardware {
    /// Polls until the latch is set.
    polls_left: Option<u32>,
    latched: bool,
    writes: Vec<Write>,
    /// Number of writes before the latch was set.
    before: usize,
    /// Frames that fail.
    failures: u32,
}

impl Hardware {
    fn latch(&mut self) {
        if !self.latched {
            self.latched = true;
            self.before = self.writes.len();
        }
    }
}

/// Devices whose safe-state latch is set before a poll, or during a call.
#[derive(Clone)]
struct Watched {
    hardware: Rc<RefCell<Hardware>>,
    /// The call, from 0, during which the latch is set.
    within: Option<usize>,
}

impl Watched {
    fn record(&self, write: Write) {
        let mut hardware = self.hardware.borrow_mut();
        if self.within == Some(hardware.writes.len()) {
            hardware.latch();
        }
        hardware.writes.push(write);
    }
}

impl ErrorType for Watched {
    type Error = ErrorKind;
}

impl SpiDevice for Watched {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        if let [Operation::Write(bytes)] = operations {
            self.record(Write::Frame([bytes[0], bytes[1]]));
        }
        let mut hardware = self.hardware.borrow_mut();
        if hardware.failures > 0 {
            hardware.failures -= 1;
            return Err(ErrorKind::Other);
        }
        Ok(())
    }
}

impl Devices for Watched {
    type Spi<'a> = Self;

    fn latched(&self) -> bool {
        let mut hardware = self.hardware.borrow_mut();
        match hardware.polls_left {
            Some(0) => hardware.latch(),
            Some(polls) => hardware.polls_left = Some(polls - 1),
            None => {}
        }
        hardware.latched
    }

    fn advance(&mut self, tick: &Tick) -> Instant {
        tick.now
    }

    fn spi(&mut self, _: usize) -> Self {
        self.clone()
    }

    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        Ok(DigitalInputs::default())
    }

    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.record(Write::Lines(levels));
        Ok(())
    }
}

const SECOND: &str = r#"
[analog_output.second]
chip = "mcp4922"
channel = "b"
min_volts = -10.0
max_volts = 10.0
safe_volts = 2.5
max_hold_ms = 20
shutdown = 3
[encoder.other]
chip = "as5047p"
[simulation.motor.y]
encoder = "other"
analog_output = "second"
"#;

/// One driving cycle, with the latch set after `polls` polls or during call `within`.
fn cycle(polls: Option<u32>, within: Option<usize>, failures: u32) -> (Watched, Ports<Watched>) {
    let text = std::format!("{BOARD}{SECOND}");
    let io = Config::parse("b.toml", &text).expect("good").io;
    let map = SpiMap {
        encoders: std::vec![0, 1],
        analog_outputs: std::vec![2, 3],
        analog_inputs: std::vec![4],
    };
    let devices = Watched {
        hardware: Rc::default(),
        within,
    };
    devices.hardware.borrow_mut().polls_left = polls;
    devices.hardware.borrow_mut().failures = failures;
    let mut ports = Ports::new(devices.clone(), &io, &map).retrying_until(DEADLINE);
    let mut outputs = ports.safe_image();
    outputs.digital = 1;
    outputs.analogs[..2].copy_from_slice(&[5.0, 6.0]);
    let acted = ports.act(&Tick::default(), &outputs);
    if devices.hardware.borrow().latched {
        assert_eq!(acted, Err(OutputError::Digital));
    }
    (devices, ports)
}

/// Everything at its safe value: the lines, then the converters in order.
fn safe() -> Vec<Write> {
    let (devices, mut ports) = cycle(None, None, 0);
    devices.hardware.borrow_mut().writes.clear();
    assert_eq!(ports.safe(&Tick::default()), Ok(()));
    std::mem::take(&mut devices.hardware.borrow_mut().writes)
}

#[test]
fn only_safe_values_are_sent_after_the_outputs_are_latched_safe() {
    let safe = safe();
    assert_eq!(safe.len(), 3, "{safe:?}");
    // A failure adds a poll, before the retry.
    for failures in [0, 1] {
        let mut polls = 0;
        loop {
            let (devices, _) = cycle(Some(polls), None, failures);
            let hardware = devices.hardware.borrow();
            if !hardware.latched {
                break;
            }
            let mut after = hardware.writes[hardware.before..].to_vec();
            // A failed safe frame is sent again.
            after.dedup();
            assert_eq!(after, safe, "poll {polls}");
            polls += 1;
        }
        // Before the lines, before each of two frames, and at the end of the cycle.
        assert_eq!(polls, 4 + failures);
    }
}

#[test]
fn safe_values_follow_a_write_in_progress_when_the_outputs_are_latched_safe() {
    let safe = safe();
    for within in 0..3 {
        let (devices, _) = cycle(None, Some(within), 0);
        let hardware = devices.hardware.borrow();
        assert_eq!((hardware.latched, hardware.before), (true, within));
        assert_eq!(hardware.writes[within + 1..], safe[..], "within {within}");
    }
}

#[test]
fn safe_frames_are_repeated_and_nothing_else_is_driven() {
    let safe = safe();
    // The latch is set during the cycle by a thread that could not send its frames.
    let (devices, mut ports) = cycle(None, Some(2), 0);
    devices.hardware.borrow_mut().writes.clear();
    assert_eq!(ports.safe(&Tick::default()), Ok(()));
    assert_eq!(devices.hardware.borrow().writes, safe);
    devices.hardware.borrow_mut().writes.clear();
    devices.hardware.borrow_mut().failures = 2;
    let failed = ports.safe(&Tick::default());
    assert!(matches!(failed, Err(OutputError::Analog(_))), "{failed:?}");
}
