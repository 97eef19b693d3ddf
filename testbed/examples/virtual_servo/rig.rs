//! The chips, their common plant, and the injected faults.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use steadfast::sim::Fault;

use crate::cam::Cam;
use crate::chip::{Chip, Model, Plant};
use crate::cuse::{Answer, Device, Ioctl, errno};
use crate::lamp::Lamp;
use crate::registers::Controller;

/// The effect on one message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// None.
    Pass,
    /// It fails with this errno before it reaches the chip.
    Fail(i32),
    /// It reports only this many bytes as moved.
    Short(usize),
    /// The top bit of each reply is inverted.
    WrongParity,
    /// The answer is delayed by this time.
    Delay(Duration),
}

/// A chip with its name and its current fault.
struct Slot {
    node: String,
    chip: Model,
    /// On while the chip's output is not the safe one.
    lamp: Option<Lamp>,
    lit: bool,
    action: Action,
    /// Remaining messages of the action; `None`: until it is cleared.
    left: Option<u32>,
}

/// A chip of the command line: its node, its model, and its lamp.
pub(crate) type Asked = (String, Model, Option<Lamp>);

/// All chips and the plant.
pub(crate) struct Rig {
    slots: Vec<Slot>,
    plant: Plant,
    start: Instant,
    /// Switched by the command `mark`.
    mark: Option<Lamp>,
    /// The switches on the first motor's shaft.
    cams: Vec<Cam>,
    /// A controller by registers.
    controller: Option<Controller>,
}

/// Rest position of the shaft, not the encoder's zero, which the AS5047P driver reads
/// twice.
const REST_RAD: f64 = 1.0;

impl Rig {
    /// A rig without chips.
    pub(crate) fn new(
        plant: Plant,
        mark: Option<Lamp>,
        cams: Vec<Cam>,
        controller: Option<Controller>,
    ) -> Self {
        Self {
            slots: Vec::new(),
            plant,
            start: Instant::now(),
            mark,
            cams,
            controller,
        }
    }

    pub(crate) fn add(&mut self, chips: Vec<Asked>) {
        let slots = chips.into_iter().map(|(node, chip, lamp)| Slot {
            node,
            chip,
            lamp,
            lit: false,
            action: Action::Pass,
            left: None,
        });
        self.slots.extend(slots);
    }

    /// Advances the plant to now, in guest time: `Instant` is `CLOCK_MONOTONIC`. Then takes what was
    /// sent by registers since the last call: nothing tells of it at once.
    pub(crate) fn advance(&mut self) {
        self.plant.advance_to(self.start.elapsed());
        let position = self.plant.position();
        self.cams.iter().for_each(|cam| cam.follow(position));
        if let Some(controller) = &mut self.controller
            && let Some(frame) = controller.sent()
        {
            let chip = controller.chip;
            self.frame(chip, &frame, &mut [0; 2]);
        }
    }

    /// One frame: everything between two edges of chip select.
    pub(crate) fn frame(&mut self, chip: usize, tx: &[u8], rx: &mut [u8]) {
        let Some(slot) = self.slots.get_mut(chip) else {
            return;
        };
        slot.chip.frame(&mut self.plant, tx, rx);
        let drives = slot.chip.drives(&self.plant);
        if drives != slot.lit
            && let Some(lamp) = &slot.lamp
        {
            lamp.set(drives);
        }
        slot.lit = drives;
    }

    /// The effect on the next message to `chip`.
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
    /// | `eio`, `etimedout`, `eproto` | – | the ioctl fails with this errno |
    /// | `short` | bytes | the ioctl reports this many bytes as moved |
    /// | `parity` | – | the top bit of each reply is inverted |
    /// | `delay` | microseconds | the answer is delayed |
    /// | `stuck` | – | the position no longer changes |
    /// | `jump` | counts | the position has this offset |
    /// | `weak`, `strong` | – | the magnet is too far, too close |
    /// | `framing` | – | a bit of each command is inverted |
    /// | `low`, `high` | – | the data line from the chip is stuck at this level |
    /// | `silent` | – | the chip select does not reach the chip |
    /// | `clear` | – | removes the fault |
    ///
    /// `xCOUNT` limits the effect of the first four lines to this many messages.
    ///
    /// `mark on|off` switches the mark; `shaft blocked|free` blocks the first motor's shaft
    /// at its position or frees it; `NODE rest [RAD]` brings the first motor to rest, and sends
    /// the chip at `NODE` its safe frame (of a DAC half its range, which is 0 V); `cams broken`
    /// breaks the wires of the switches; `registers works|stuck|overrun|gone` is the state of the
    /// controller by registers.
    ///
    /// # Errors
    /// `None`: unknown node, fault or argument.
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
            ["cams", "broken"] => self.cams.iter_mut().for_each(Cam::break_wire),
            ["registers", state] => self.controller.as_mut()?.disturb(state)?,
            [node, "rest"] => self.rest(node, REST_RAD)?,
            [node, "rest", position] => self.rest(node, position.parse().ok()?)?,
            [node, ref fault @ ..] => self.disturb(node, fault, count)?,
            [] => return None,
        }
        Some(())
    }

    fn mark(&self, lit: bool) {
        if let Some(lamp) = &self.mark {
            lamp.set(lit);
        }
    }

    fn rest(&mut self, node: &str, position_rad: f64) -> Option<()> {
        let chip = self.slots.iter().position(|slot| slot.node == *node)?;
        self.advance();
        let frame = self.slots[chip].chip.safe_frame();
        self.frame(chip, &frame, &mut vec![0; frame.len()]);
        self.plant.rest(position_rad);
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

/// Determines the effect on the next message to `chip`, and waits for its delay without
/// the lock, so that the other devices continue.
///
/// # Errors
/// The errno of the failure.
pub(crate) fn meet(rig: &Mutex<Rig>, chip: usize) -> Result<Action, i32> {
    let action = with(rig, |rig| rig.next_action(chip));
    match action {
        Action::Fail(error) => return Err(error),
        Action::Delay(span) => thread::sleep(span),
        Action::Short(_) | Action::WrongParity | Action::Pass => {}
    }
    Ok(action)
}

/// Runs `act` with the rig locked.
pub(crate) fn with<T>(rig: &Mutex<Rig>, act: impl FnOnce(&mut Rig) -> T) -> T {
    act(&mut rig.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The attribute `duty_cycle` of a PWM channel in sysfs
/// (Documentation/ABI/testing/sysfs-class-pwm), as far as the kernel's client uses it.
pub(crate) struct DutyNode {
    rig: Arc<Mutex<Rig>>,
    /// Index of the chip in the rig.
    chip: usize,
    text: Vec<u8>,
    /// The text was returned, and the next read returns its end: reads of a CUSE node have
    /// no file offset.
    is_at_end: bool,
}

impl DutyNode {
    /// The node of `chip`, at duty 0.
    pub(crate) fn new(rig: Arc<Mutex<Rig>>, chip: usize) -> Self {
        Self {
            rig,
            chip,
            text: b"0".to_vec(),
            is_at_end: false,
        }
    }
}

impl Device for DutyNode {
    fn ioctl(&mut self, _request: Ioctl<'_>) -> Answer {
        Answer::Failed(errno::ENOTTY)
    }

    fn read(&mut self, _len: usize) -> Result<Vec<u8>, i32> {
        self.is_at_end = !self.is_at_end;
        Ok(if self.is_at_end {
            self.text.clone()
        } else {
            Vec::new()
        })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), i32> {
        let is_number = !data.is_empty() && data.iter().all(u8::is_ascii_digit);
        if !is_number {
            return Err(errno::EINVAL);
        }
        meet(&self.rig, self.chip)?;
        with(&self.rig, |rig| rig.frame(self.chip, data, &mut []));
        (self.text, self.is_at_end) = (data.to_vec(), false);
        Ok(())
    }
}

/// `/dev/servo-control`: a write is one command, completed when it returns. A read gives the
/// position of the first motor's shaft, rad.
pub(crate) struct ControlNode {
    rig: Arc<Mutex<Rig>>,
    /// As in [`DutyNode`].
    is_at_end: bool,
}

impl ControlNode {
    pub(crate) fn new(rig: Arc<Mutex<Rig>>) -> Self {
        Self {
            rig,
            is_at_end: true,
        }
    }
}

impl Device for ControlNode {
    fn ioctl(&mut self, _request: Ioctl<'_>) -> Answer {
        Answer::Failed(errno::ENOTTY)
    }

    fn read(&mut self, _len: usize) -> Result<Vec<u8>, i32> {
        self.is_at_end = !self.is_at_end;
        Ok(match self.is_at_end {
            true => Vec::new(),
            false => with(&self.rig, |rig| {
                rig.advance();
                format!("{:.6}\n", rig.plant.position()).into_bytes()
            }),
        })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), i32> {
        let text = std::str::from_utf8(data).map_err(|_| errno::EINVAL)?;
        with(&self.rig, |rig| rig.command(text)).ok_or(errno::EINVAL)
    }
}
