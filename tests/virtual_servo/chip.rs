//! What hangs on the bus: a chip takes the bytes of one chip-select assertion
//! and gives as many back.

use std::time::Duration;

/// What the chips share.
#[derive(Debug, Default)]
pub(crate) struct Plant {
    now: Duration,
}

impl Plant {
    /// Lets the plant's time go on to `now`, measured from the start.
    pub(crate) fn advance_to(&mut self, now: Duration) {
        self.now = now;
    }
}

/// A fault of what is measured, not of how it is transferred.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum PositionFault {
    /// All is well.
    #[default]
    None,
    /// The value does not change any more.
    Stuck,
    /// The value is off by this many counts.
    Offset(i32),
}

/// A chip's model.
pub(crate) trait Chip {
    /// One frame. `rx` is as long as `tx`.
    fn frame(&mut self, plant: &mut Plant, tx: &[u8], rx: &mut [u8]);

    /// Takes on a fault of what it measures.
    fn disturb(&mut self, fault: PositionFault);
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
    fn disturb(&mut self, _fault: PositionFault) {}
}

/// Measures the plant's time: 16 bits of milliseconds, most significant first.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    fault: PositionFault,
    shown: u16,
}

impl Chip for Stopwatch {
    fn frame(&mut self, plant: &mut Plant, _tx: &[u8], rx: &mut [u8]) {
        let milliseconds = plant.now.as_millis() as u16;
        self.shown = match self.fault {
            PositionFault::None => milliseconds,
            PositionFault::Stuck => self.shown,
            PositionFault::Offset(counts) => milliseconds.wrapping_add(counts as u16),
        };
        for (received, byte) in rx.iter_mut().zip(self.shown.to_be_bytes()) {
            *received = byte;
        }
    }

    fn disturb(&mut self, fault: PositionFault) {
        self.fault = fault;
    }
}

/// Every chip that can be asked for.
#[derive(Debug)]
pub(crate) enum Model {
    Echo(Echo),
    Stopwatch(Stopwatch),
}

impl Model {
    /// The chip of that name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "echo" => Self::Echo(Echo::default()),
            "stopwatch" => Self::Stopwatch(Stopwatch::default()),
            _ => return None,
        })
    }
}

impl Chip for Model {
    fn frame(&mut self, plant: &mut Plant, tx: &[u8], rx: &mut [u8]) {
        match self {
            Self::Echo(chip) => chip.frame(plant, tx, rx),
            Self::Stopwatch(chip) => chip.frame(plant, tx, rx),
        }
    }

    fn disturb(&mut self, fault: PositionFault) {
        match self {
            Self::Echo(chip) => chip.disturb(fault),
            Self::Stopwatch(chip) => chip.disturb(fault),
        }
    }
}
