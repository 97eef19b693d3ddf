//! The chips on the bus: a chip takes the bytes of one chip-select assertion and returns
//! as many.

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
/// A smaller command counts as 0 V; the DAC's step is 5 mV.
const DRIVEN_VOLTS: f64 = 0.01;
/// MCP4922: 2,048 to channel A, active, gain 1 (DS22250, register 5-1).
const MIDDLE: [u8; 2] = [0x38, 0x00];
/// Output range of the amplifier, V, from code 0 to code 4095.
const COMMAND_VOLTS: (f64, f64) = (-10.0, 10.0);

/// The motors and the time, shared by the chips.
pub(crate) struct Plant {
    now: Duration,
    board: SimBoard,
    axes: u8,
    encoders: u8,
    dacs: u8,
    /// Position at which the first motor's shaft is held, rad.
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

    /// Advances the plant to `now`, measured from the start.
    pub(crate) fn advance_to(&mut self, now: Duration) {
        self.now = now;
        let ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.board.advance(time::Instant::from_nanos(ns));
        if let (Some(held), Some(motor)) = (self.blocked, self.board.motor_mut(0)) {
            motor.set_state(held, 0.0);
        }
    }

    /// The position of the first motor's shaft, rad; 0 without a motor.
    pub(crate) fn position(&self) -> f64 {
        self.board
            .motor(0)
            .map_or(0.0, |motor| motor.position_rad())
    }

    /// Blocks the first motor's shaft at its position, or frees it.
    pub(crate) fn block(&mut self, blocked: bool) {
        let position = self.board.motor(0).map(|motor| motor.position_rad());
        self.blocked = if blocked { position } else { None };
    }

    /// Brings the first motor's shaft to rest at `position_rad`.
    pub(crate) fn rest(&mut self, position_rad: f64) {
        if let Some(motor) = self.board.motor_mut(0) {
            motor.set_state(position_rad, 0.0);
        }
    }

    /// Whether the command of the first motor's amplifier is not 0 V.
    fn is_driven(&self) -> bool {
        self.board.command_volts(0).unwrap_or(0.0).abs() > DRIVEN_VOLTS
    }

    /// The n-th encoder and the n-th DAC belong to the n-th motor. Enable and brake are
    /// pins of the board, which this process cannot read: here they are always active, and
    /// a DAC gives no torque before its first write.
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
    /// One frame. `rx` is as long as `tx`; it is unchanged where the chip does not reply.
    fn frame(&mut self, plant: &mut Plant, tx: &[u8], rx: &mut [u8]);

    /// Sets a fault of the chip or its wires; it replaces the one before.
    fn disturb(&mut self, plant: &mut Plant, fault: Option<Fault>);

    /// Whether its output is not the safe one.
    fn drives(&self, _plant: &Plant) -> bool {
        false
    }

    /// The frame that sets its safe output; empty if it has no output.
    fn safe_frame(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Replies with the frame before, as chips with pipelined replies do.
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

/// Replies with the plant's time: 16 bits of milliseconds, most significant first.
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
        // A frame too long for any of the chips gets no reply.
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
            // There is room, because all others were just cleared.
            let _ = faults.add_now(fault, FOREVER);
        }
    }

    fn drives(&self, plant: &Plant) -> bool {
        plant.is_driven()
    }

    /// The safe frame of a DAC; for an encoder it is one more reading.
    fn safe_frame(&self) -> Vec<u8> {
        MIDDLE.to_vec()
    }
}

/// The board of [`testbed::own`] that drives windings.
#[derive(Debug, Default)]
pub(crate) struct Windings {
    /// The last frame was incomplete, invalid, or had another torque than the safe one.
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

/// Every available chip.
#[derive(Debug)]
pub(crate) enum Model {
    Echo(Echo),
    Stopwatch(Stopwatch),
    Simulated(Simulated),
    Windings(Windings),
    Duty(Duty),
}

impl Model {
    /// Adds the chip of this name to the board; `None` if it is unknown or there is no
    /// room.
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
