//! All faults of the simulated board, one after the other, each followed by a reset.

use std::cell::Cell;

use steadfast::board::{Ports, Simulated};
use steadfast::cycle::image::{Inputs, OutputError, Outputs};
use steadfast::cycle::ports::{Act, Clock, Sense, Tick};
use steadfast::sim::Fault;
use steadfast::time::{Duration, Instant};

/// The input that is the emergency stop.
const EMERGENCY_STOP: u8 = 0;
/// The input that is the reset button.
pub(crate) const RESET: u8 = 1;

/// Cycles from one fault to the next, enough for stop, reset and start of the motion.
const EVERY: u64 = 1_500;
/// When the reset button is pressed and released in these cycles.
const RESET_AT: (u64, u64) = (700, 710);

/// A fault, and how long it lasts.
#[derive(Copy, Clone, Debug)]
enum Disturbance {
    /// A fault of all encoders, for this many transfers.
    Encoder(Fault, u64),
    /// A fault of all converters that drive the motors.
    Converter(Fault, u64),
    /// The emergency stop, for this many cycles; 0 is a pulse between two.
    EmergencyStop(u64),
}

const DISTURBANCES: [Disturbance; 16] = [
    Disturbance::Encoder(Fault::BusError, 200),
    Disturbance::EmergencyStop(100),
    Disturbance::Encoder(Fault::ShortTransfer, 200),
    Disturbance::Encoder(Fault::LostClocks, 200),
    Disturbance::Converter(Fault::BusError, 2),
    Disturbance::Encoder(Fault::ReplyBitFlip(5), 200),
    Disturbance::Encoder(Fault::CommandBitFlip(3), 200),
    Disturbance::EmergencyStop(0),
    Disturbance::Encoder(Fault::MisoLow, 200),
    Disturbance::Encoder(Fault::MisoHigh, 200),
    Disturbance::Encoder(Fault::NoAnswer, 200),
    Disturbance::Encoder(Fault::StuckPosition, 600),
    Disturbance::Encoder(Fault::PositionJump(4_000), 200),
    Disturbance::Encoder(Fault::FieldWeak, 300),
    Disturbance::Encoder(Fault::FieldStrong, 300),
    Disturbance::Encoder(Fault::CordicOverflow, 300),
];

/// The ports of the simulated board with faults.
pub(crate) struct Disturbed {
    ports: Ports<Simulated>,
    axes: usize,
    cycle: u64,
    made: u32,
}

impl Disturbed {
    pub(crate) fn new(ports: Ports<Simulated>, axes: usize) -> Self {
        Self {
            ports,
            axes,
            cycle: 0,
            made: 0,
        }
    }

    /// Whether the run was long enough for all faults.
    pub(crate) fn every_disturbance_was_made(&self) -> bool {
        self.made.count_ones() as usize == DISTURBANCES.len()
    }

    fn press(&mut self, input: u8, down: bool) {
        let board = self.ports.devices.board_mut();
        board.gpio_mut().set_input(input, down);
    }

    /// The board numbers the encoders before the converters.
    fn disturb(&mut self, first: usize, fault: Fault, transfers: u64) {
        let board = self.ports.devices.board_mut();
        for chip in first..first + self.axes {
            let plan = board.faults_mut(chip).unwrap();
            plan.add_now(fault, transfers).unwrap();
        }
    }

    fn disturb_now(&mut self) {
        let (round, at) = (self.cycle / EVERY, self.cycle % EVERY);
        self.cycle += 1;
        // No fault during the start.
        if round == 0 {
            return;
        }
        let number = (round - 1) as usize % DISTURBANCES.len();
        match (DISTURBANCES[number], at) {
            (_, 0) => self.made |= 1 << number,
            (_, at) if at == RESET_AT.0 => self.press(RESET, true),
            (_, at) if at == RESET_AT.1 => self.press(RESET, false),
            _ => {}
        }
        match DISTURBANCES[number] {
            Disturbance::Encoder(fault, transfers) if at == 0 => self.disturb(0, fault, transfers),
            Disturbance::Converter(fault, transfers) if at == 0 => {
                self.disturb(self.axes, fault, transfers);
            }
            Disturbance::EmergencyStop(cycles) => {
                if at == 0 {
                    self.press(EMERGENCY_STOP, true);
                }
                if at == cycles {
                    self.press(EMERGENCY_STOP, false);
                }
            }
            Disturbance::Encoder(..) | Disturbance::Converter(..) => {}
        }
    }
}

impl Sense for Disturbed {
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs) {
        self.disturb_now();
        self.ports.sense(tick, inputs);
    }
}

impl Act for Disturbed {
    fn safe_image(&self) -> Outputs {
        self.ports.safe_image()
    }

    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        self.ports.act(tick, outputs)
    }

    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError> {
        self.ports.safe(tick)
    }
}

/// A virtual clock with slow cycles: sometimes enough in a row for a quick stop, never for
/// a fault of the ladder.
pub(crate) struct SlowClock {
    period: Duration,
    woken: Instant,
    cycle: Cell<u64>,
}

impl SlowClock {
    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            woken: Instant::from_nanos(0),
            cycle: Cell::new(0),
        }
    }

    /// One slow cycle in 5,000 misses two slots; six in a row in 23,000 miss
    /// their own deadline each.
    fn cost(&self) -> Duration {
        let cycle = self.cycle.get();
        if cycle % 23_000 >= 22_994 {
            self.period + Duration::from_micros(50)
        } else if cycle % 5_000 == 4_999 {
            self.period * 2 + Duration::from_micros(500)
        } else {
            Duration::from_micros(20)
        }
    }
}

impl Clock for SlowClock {
    fn now(&self) -> Instant {
        self.woken + self.cost()
    }

    fn wait_until(&mut self, release: Instant) -> Instant {
        let free = self.now();
        self.cycle.set(self.cycle.get() + 1);
        self.woken = free.max(release);
        self.woken
    }
}
