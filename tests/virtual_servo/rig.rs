//! The chips, the plant that they share, and the faults that were asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::chip::{Chip, Model, Plant, PositionFault};
use crate::cuse::{Answer, Device, Ioctl, errno};

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
}

impl Rig {
    pub(crate) fn new(plant: Plant, chips: Vec<(String, Model)>) -> Self {
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
    /// | `clear` | – | all is well again |
    ///
    /// `xCOUNT` ends the first four lines' effect after so many messages.
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
        let (node, rest) = words.split_first()?;
        let slot = self.slots.iter_mut().find(|slot| slot.node == *node)?;
        let action = match *rest {
            ["eio"] => Action::Fail(errno::EIO),
            ["etimedout"] => Action::Fail(errno::ETIMEDOUT),
            ["eproto"] => Action::Fail(errno::EPROTO),
            ["short", bytes] => Action::Short(bytes.parse().ok()?),
            ["parity"] => Action::WrongParity,
            ["delay", us] => Action::Delay(Duration::from_micros(us.parse().ok()?)),
            ["stuck"] if count.is_none() => {
                slot.chip.disturb(&mut self.plant, PositionFault::Stuck);
                return Some(());
            }
            ["jump", counts] if count.is_none() => {
                slot.chip
                    .disturb(&mut self.plant, PositionFault::Offset(counts.parse().ok()?));
                return Some(());
            }
            ["clear"] if count.is_none() => {
                slot.chip.disturb(&mut self.plant, PositionFault::None);
                Action::Pass
            }
            _ => return None,
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
