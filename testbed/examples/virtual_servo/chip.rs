//! What hangs on the bus: a chip takes the bytes of one chip-select assertion
//! and gives as many back.

use std::time::Duration;

use steadfast::sim::{
    AxisWiring, Drive, EncoderConfig, FOREVER, Fault, Load, MotorConfig, OutputStage, SimBoard,
    WiringError,
};
use steadfast::time;
use testbed::own;

/// Seed of the simulated board's noise.
const SEED: u64 = 1;
/// Step of the motor's integration.
const STEP: time::Duration = time::Duration::from_micros(100);
/// Reference of the DAC, V.
const REFERENCE_VOLTS: f64 = 5.0;
/// A command of less is 0 V: the DAC's step is 5 mV.
const DRIVEN_VOLTS: f64 = 0.01;
/// MCP4922: 2,048 to channel A, active, gain 1 (DS22250, register 5-1).
const MIDDLE: [u8; 2] = [0x38, 0x00];
/// What the amplifier makes of the DAC's range, V, from code 0 to code 4095.
const COMMAND_VOLTS: (f64, f64) = (-10.0, 10.0);

/// What the chips share: the motors, and the time.
pub(crate) struct Plant {
    now: Duration,
    board: SimBoard,
    axes: u8,
    encoders: u8,
    dacs: u8,
    /// Where the first motor's shaft is held, rad.
    blocked: Option<f64>,
}

impl Plant {
    /// A plant without a motor.
    pub(crate) fn new() -> Self {
        Self {
            now: Duration::ZERO,
            board: SimBoard::new(SEED, STEP),
            axes: 0,
            encoders: 0,
            dacs: 0,
            blocked: None,
        }
    }

    /// Lets the plant's time go on to `now`, measured from the start.
    pub(crate) fn advance_to(&mut self, now: Duration) {
        self.now = now;
        let ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.board.advance(time::Instant::from_nanos(ns));
        if let (Some(held), Some(motor)) = (self.blocked, self.board.motor_mut(0)) {
            motor.set_state(held, 0.0);
        }
    }

    /// Blocks the first motor's shaft where it stands, or frees it.
    pub(crate) fn block(&mut self, blocked: bool) {
        let position = self.board.motor(0).map(|motor| motor.position_rad());
        self.blocked = if blocked { position } else { None };
    }

    /// The first motor's shaft at rest at `position_rad`.
    pub(crate) fn rest(&mut self, position_rad: f64) {
        if let Some(motor) = self.board.motor_mut(0) {
            motor.set_state(position_rad, 0.0);
        }
    }

    /// Whether the first motor's amplifier is commanded to anything but 0 V.
    fn is_driven(&self) -> bool {
        self.board.command_volts(0).unwrap_or(0.0).abs() > DRIVEN_VOLTS
    }

    /// The n-th encoder and the n-th DAC belong to the n-th motor. Its enable
    /// and its brake are pins of the board, which this process cannot see:
    /// here they are always on, and a DAC that has not been written to gives
    /// no torque.
    fn axis(&mut self, number: u8) -> Result<u8, WiringError> {
        while self.axes <= number {
            self.axes = 1 + self
                .board
                .add_axis(MotorConfig::default(), AxisWiring::default())?;
        }
        Ok(number)
    }

    fn add_encoder(&mut self) -> Result<usize, WiringError> {
        let axis = self.axis(self.encoders)?;
        self.encoders += 1;
        let config = EncoderConfig {
            noise_counts: 1,
            ..EncoderConfig::default()
        };
        self.board.add_encoder(axis, config)
    }

    fn add_dac(&mut self) -> Result<usize, WiringError> {
        let load = Load::Axis(self.axis(self.dacs)?);
        self.dacs += 1;
        let (min, max) = COMMAND_VOLTS;
        let stage = OutputStage::spanning(min, max, REFERENCE_VOLTS);
        let drives = [Some(Drive { load, stage }), None];
        self.board.add_dac(REFERENCE_VOLTS, REFERENCE_VOLTS, drives)
    }
}

/// A chip's model.
pub(crate) trait Chip {
    /// One frame. `rx` is as long as `tx`; it stays as it is where the chip
    /// does not answer.
    fn frame(&mut self, plant: &mut Plant, tx: &[u8], rx: &mut [u8]);

    /// Takes on a fault of its own or of its wires, in place of the one before.
    fn disturb(&mut self, plant: &mut Plant, fault: Option<Fault>);

    /// Whether it drives anything but what is safe.
    fn drives(&self, _plant: &Plant) -> bool {
        false
    }

    /// The frame after which it drives what is safe; empty where it drives nothing.
    fn safe_frame(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Gives back the frame before, as chips with pipelined replies do.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    before: Vec<u8>,
}

impl Chip for Echo {
    fn frame(&mut self, _plant: &mut Plant, tx: &[u8], rx: &mut [u8]) {
        for (received, sent) in rx.iter_mut().zip(&self.before) {
            *received = *sent;
        }
        self.before = tx.to_vec();
    }

    /// It measures nothing.
    fn disturb(&mut self, _plant: &mut Plant, _fault: Option<Fault>) {}
}

/// Measures the plant's time: 16 bits of milliseconds, most significant first.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    fault: Option<Fault>,
    shown: u16,
}

impl Chip for Stopwatch {
    fn frame(&mut self, plant: &mut Plant, _tx: &[u8], rx: &mut [u8]) {
        let milliseconds = plant.now.as_millis() as u16;
        self.shown = match self.fault {
            Some(Fault::StuckPosition) => self.shown,
            Some(Fault::PositionJump(counts)) => milliseconds.wrapping_add_signed(counts),
            // It has no wires.
            Some(_) | None => milliseconds,
        };
        for (received, byte) in rx.iter_mut().zip(self.shown.to_be_bytes()) {
            *received = byte;
        }
    }

    fn disturb(&mut self, _plant: &mut Plant, fault: Option<Fault>) {
        self.fault = fault;
    }
}

/// A chip of the simulated board, the same model that the host's tests use.
#[derive(Debug)]
pub(crate) struct Simulated {
    /// Its number there.
    number: usize,
}

impl Chip for Simulated {
    fn frame(&mut self, plant: &mut Plant, tx: &[u8], rx: &mut [u8]) {
        // A frame too long for any of the chips is answered by silence.
        if plant.board.exchange(self.number, tx, rx).is_err() {
            rx.fill(0);
        }
    }

    fn disturb(&mut self, plant: &mut Plant, fault: Option<Fault>) {
        let Some(faults) = plant.board.faults_mut(self.number) else {
            return;
        };
        faults.clear();
        if let Some(fault) = fault {
            // There is room: all others have just been cleared.
            let _ = faults.add_now(fault, FOREVER);
        }
    }

    fn drives(&self, plant: &Plant) -> bool {
        plant.is_driven()
    }

    /// Of a DAC. An encoder's is one more reading.
    fn safe_frame(&self) -> Vec<u8> {
        MIDDLE.to_vec()
    }
}

/// The board of [`testbed::own`] that drives windings.
#[derive(Debug, Default)]
pub(crate) struct Windings {
    /// The last frame was not whole, wrong, or with another torque than the safe one.
    drives: bool,
}

impl Chip for Windings {
    fn frame(&mut self, _plant: &mut Plant, tx: &[u8], _rx: &mut [u8]) {
        self.drives = own::torque(tx) != Some(own::SAFE_TORQUE);
    }

    /// It measures nothing.
    fn disturb(&mut self, _plant: &mut Plant, _fault: Option<Fault>) {}

    fn drives(&self, _plant: &Plant) -> bool {
        self.drives
    }

    fn safe_frame(&self) -> Vec<u8> {
        own::frame(0, own::SAFE_TORQUE).to_vec()
    }
}

/// The PWM channel of [`testbed::own`]. A frame is the text that was written to the
/// attribute `duty_cycle`.
#[derive(Debug, Default)]
pub(crate) struct Duty {
    /// The last text was not that of the safe duty.
    drives: bool,
}

impl Chip for Duty {
    fn frame(&mut self, _plant: &mut Plant, tx: &[u8], _rx: &mut [u8]) {
        self.drives = tx != own::SAFE_DUTY_NS.as_bytes();
    }

    /// It has no wires.
    fn disturb(&mut self, _plant: &mut Plant, _fault: Option<Fault>) {}

    fn drives(&self, _plant: &Plant) -> bool {
        self.drives
    }

    fn safe_frame(&self) -> Vec<u8> {
        own::SAFE_DUTY_NS.as_bytes().to_vec()
    }
}

/// Every chip that can be asked for.
#[derive(Debug)]
pub(crate) enum Model {
    Echo(Echo),
    Stopwatch(Stopwatch),
    Simulated(Simulated),
    Windings(Windings),
    Duty(Duty),
}

impl Model {
    /// Puts a chip of that name onto the board; `None` if there is none, or no
    /// room for it.
    pub(crate) fn by_name(name: &str, plant: &mut Plant) -> Option<Self> {
        let simulated = |number| Self::Simulated(Simulated { number });
        Some(match name {
            "echo" => Self::Echo(Echo::default()),
            "stopwatch" => Self::Stopwatch(Stopwatch::default()),
            "as5047p" => simulated(plant.add_encoder().ok()?),
            "mcp4922" => simulated(plant.add_dac().ok()?),
            "windings" => Self::Windings(Windings::default()),
            "duty" => Self::Duty(Duty::default()),
            _ => return None,
        })
    }
}

impl Model {
    fn chip(&self) -> &dyn Chip {
        match self {
            Self::Echo(chip) => chip,
            Self::Stopwatch(chip) => chip,
            Self::Simulated(chip) => chip,
            Self::Windings(chip) => chip,
            Self::Duty(chip) => chip,
        }
    }

    fn chip_mut(&mut self) -> &mut dyn Chip {
        match self {
            Self::Echo(chip) => chip,
            Self::Stopwatch(chip) => chip,
            Self::Simulated(chip) => chip,
            Self::Windings(chip) => chip,
            Self::Duty(chip) => chip,
        }
    }
}

impl Chip for Model {
    fn frame(&mut self, plant: &mut Plant, tx: &[u8], rx: &mut [u8]) {
        self.chip_mut().frame(plant, tx, rx);
    }

    fn disturb(&mut self, plant: &mut Plant, fault: Option<Fault>) {
        self.chip_mut().disturb(plant, fault);
    }

    fn drives(&self, plant: &Plant) -> bool {
        self.chip().drives(plant)
    }

    fn safe_frame(&self) -> Vec<u8> {
        self.chip().safe_frame()
    }
}
