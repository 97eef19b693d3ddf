//! The chips, the plant that they share, and the faults that were asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use steadfast::sim::Fault;

use crate::chip::{Chip, Model, Plant};
use crate::cuse::{Answer, Device, Ioctl, errno};
use crate::lamp::Lamp;

/// What becomes of one message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It passes unharmed.
    Pass,
    /// It fails with this errno; the chip sees nothing of it.
    Fail(i32),
    /// Only this many bytes are said to have been moved.
    Short(usize),
    /// The top bit of each frame's reply is turned over.
    WrongParity,
    /// The answer comes this much later.
    Delay(Duration),
}

/// A chip with its name and the fault it has at present.
struct Slot {
    node: String,
    chip: Model,
    action: Action,
    /// Messages that the action still lasts for; `None`: until it is cleared.
    left: Option<u32>,
}

/// All chips and the plant.
pub(crate) struct Rig {
    slots: Vec<Slot>,
    plant: Plant,
    start: Instant,
    lamps: Lamps,
    driven: bool,
}

/// What can be seen of the rig from outside of the board.
#[derive(Debug, Default)]
pub(crate) struct Lamps {
    /// Lit by whoever wants a moment to be known.
    pub(crate) mark: Option<Lamp>,
    /// Lit while the first motor's amplifier is commanded to anything but 0 V.
    pub(crate) driven: Option<Lamp>,
}

/// A command of less is 0 V: the DAC's step is 5 mV.
const DRIVEN_VOLTS: f64 = 0.01;

/// MCP4922: 2,048 to channel A, active, gain 1 (DS22250, register 5-1).
const MIDDLE: [u8; 2] = [0x38, 0x00];

/// Where a shaft rests: away from the encoder's zero, whose reading an AS5047P's
/// driver has to ask for twice.
const REST_RAD: f64 = 1.0;

impl Rig {
    pub(crate) fn new(plant: Plant, chips: Vec<(String, Model)>, lamps: Lamps) -> Self {
        let slots = chips
            .into_iter()
            .map(|(node, chip)| Slot {
                node,
                chip,
                action: Action::Pass,
                left: None,
            })
            .collect();
        Self {
            slots,
            plant,
            start: Instant::now(),
            lamps,
            driven: false,
        }
    }

    /// Brings the plant to the present: guest time, because `Instant` is
    /// `CLOCK_MONOTONIC`.
    pub(crate) fn advance(&mut self) {
        self.plant.advance_to(self.start.elapsed());
    }

    /// One frame: everything between two edges of chip select.
    pub(crate) fn frame(&mut self, chip: usize, tx: &[u8], rx: &mut [u8]) {
        if let Some(slot) = self.slots.get_mut(chip) {
            slot.chip.frame(&mut self.plant, tx, rx);
        }
        let driven = self.plant.command_volts().abs() > DRIVEN_VOLTS;
        if driven != self.driven
            && let Some(lamp) = &self.lamps.driven
        {
            lamp.set(driven);
        }
        self.driven = driven;
    }

    /// What becomes of the next message to `chip`.
    pub(crate) fn next_action(&mut self, chip: usize) -> Action {
        let Some(slot) = self.slots.get_mut(chip) else {
            return Action::Pass;
        };
        match &mut slot.left {
            None => slot.action,
            Some(0) => {
                slot.action = Action::Pass;
                slot.left = None;
                Action::Pass
            }
            Some(left) => {
                *left -= 1;
                slot.action
            }
        }
    }

    /// Carries out one command: `NODE FAULT [ARGUMENT] [xCOUNT]`.
    ///
    /// | fault | argument | effect |
    /// |---|---|---|
    /// | `eio`, `etimedout`, `eproto` | – | the ioctl fails so |
    /// | `short` | bytes | so many are said to have been moved |
    /// | `parity` | – | the top bit of each reply is turned over |
    /// | `delay` | microseconds | the answer is late |
    /// | `stuck` | – | the position does not change any more |
    /// | `jump` | counts | the position is off by so much |
    /// | `weak`, `strong` | – | the magnet is too far, too close |
    /// | `framing` | – | a bit of each command is turned over |
    /// | `low`, `high` | – | the line from the chip is stuck so |
    /// | `silent` | – | the chip does not see its chip select |
    /// | `clear` | – | all is well again |
    ///
    /// `xCOUNT` ends the first four lines' effect after so many messages.
    ///
    /// `mark on|off` lights the mark or puts it out; `shaft blocked|free` holds
    /// the first motor's shaft where it stands or lets it go; `NODE rest` brings
    /// the first motor to rest, with the DAC at `NODE` at half its range, which
    /// is 0 V.
    ///
    /// # Errors
    /// `None`: there is no such node, fault or argument.
    pub(crate) fn command(&mut self, line: &str) -> Option<()> {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let count = match words.last().and_then(|word| word.strip_prefix('x')) {
            Some(number) => {
                words.pop();
                Some(number.parse().ok()?)
            }
            None => None,
        };
        match words[..] {
            ["mark", "on"] => self.mark(true),
            ["mark", "off"] => self.mark(false),
            ["shaft", "blocked"] => self.plant.block(true),
            ["shaft", "free"] => self.plant.block(false),
            [node, "rest"] => self.rest(node)?,
            [node, ref fault @ ..] => self.disturb(node, fault, count)?,
            [] => return None,
        }
        Some(())
    }

    fn mark(&self, lit: bool) {
        if let Some(lamp) = &self.lamps.mark {
            lamp.set(lit);
        }
    }

    fn rest(&mut self, node: &str) -> Option<()> {
        let chip = self.slots.iter().position(|slot| slot.node == *node)?;
        self.advance();
        self.frame(chip, &MIDDLE, &mut [0; 2]);
        self.plant.rest(REST_RAD);
        Some(())
    }

    fn disturb(&mut self, node: &str, fault: &[&str], count: Option<u32>) -> Option<()> {
        let slot = self.slots.iter_mut().find(|slot| slot.node == *node)?;
        let action = match *fault {
            ["eio"] => Action::Fail(errno::EIO),
            ["etimedout"] => Action::Fail(errno::ETIMEDOUT),
            ["eproto"] => Action::Fail(errno::EPROTO),
            ["short", bytes] => Action::Short(bytes.parse().ok()?),
            ["parity"] => Action::WrongParity,
            ["delay", us] => Action::Delay(Duration::from_micros(us.parse().ok()?)),
            ["clear"] if count.is_none() => {
                slot.chip.disturb(&mut self.plant, None);
                Action::Pass
            }
            _ if count.is_some() => return None,
            _ => {
                let fault = match *fault {
                    ["stuck"] => Fault::StuckPosition,
                    ["jump", counts] => Fault::PositionJump(counts.parse().ok()?),
                    ["weak"] => Fault::FieldWeak,
                    ["strong"] => Fault::FieldStrong,
                    ["framing"] => Fault::CommandBitFlip(0),
                    ["low"] => Fault::MisoLow,
                    ["high"] => Fault::MisoHigh,
                    ["silent"] => Fault::NoAnswer,
                    _ => return None,
                };
                slot.chip.disturb(&mut self.plant, Some(fault));
                return Some(());
            }
        };
        slot.action = action;
        slot.left = count;
        Some(())
    }
}

/// `/dev/servo-control`: a write is one command, carried out when it returns.
pub(crate) struct ControlNode {
    pub(crate) rig: Arc<Mutex<Rig>>,
}

impl Device for ControlNode {
    fn ioctl(&mut self, _request: Ioctl<'_>) -> Answer {
        Answer::Failed(errno::ENOTTY)
    }

    fn read(&mut self, _len: usize) -> Result<Vec<u8>, i32> {
        Ok(Vec::new())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), i32> {
        let text = std::str::from_utf8(data).map_err(|_| errno::EINVAL)?;
        let mut rig = self.rig.lock().unwrap_or_else(PoisonError::into_inner);
        rig.command(text).ok_or(errno::EINVAL)
    }
}
