//! The machine as the node sees it: the axes behind [`Owners`].

use super::notices::{Notice, Notices};
use crate::axis::command::config::SUPPORTED_MODES;
use crate::axis::state::State;
use crate::axis::status::STATUS;
use crate::axis::words::{control, status};
use crate::control::ParameterErrorKind;
use crate::link::canopen::{Drive, Item, Loss, MAX_AXES, Pace, Refusal, Reset, Saved};
use crate::link::owner::{self, Client, Owners};
use crate::link::parameters::{self, Object, Setting};
use crate::link::saved::{Keep, MAX_SAVED};
use crate::telemetry::changes::Lost;
use crate::telemetry::say;
use crate::time::Instant;

/// How often a change is repeated while the loop takes over the last one, which takes it
/// microseconds.
pub(super) const TRIES: u8 = 3;
/// The commands of an axis: controlword, mode, target position, target velocity.
const COMMANDS: usize = 4;
/// The values of its status.
pub(super) const STATUSES: usize = STATUS.len();
const _: () = assert!(crate::axis::MAX_AXES * STATUSES <= crate::link::frames::MAX_STATUSES);

/// A drive on the bus: an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveConfig {
    /// Its name.
    pub name: String,
    /// The group of its commands: controlword, mode, target position, target velocity.
    pub group: u8,
    /// The word of a frame with the first value of its status.
    pub status: usize,
}

/// The place of a value in [`STATUS`].
#[derive(Copy, Clone)]
pub(super) enum Status {
    Statusword = 0,
    ModeDisplay = 1,
    Position = 2,
    Velocity = 3,
    Setpoint = 4,
    FollowingError = 5,
    Fault = 7,
    VelocityDemand = 9,
    Switches = 10,
}

/// How far a reset is. The master has lost its commands, and the states of the axes count that the
/// loop has shown since.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    /// The loop has to take this hand-over, which has the loss.
    Lost(u64),
    /// And this one: then it has shown the cycle in which it took the first.
    Shown(u64),
    /// The states are those of the next turn of the link.
    Read(Instant),
}

/// The values of the axes.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) commands: [[f64; COMMANDS]; MAX_AXES],
    pub(super) statuses: [[f64; STATUSES]; MAX_AXES],
    /// Bits of the controlword that the loop gets besides those of the master: what the targets
    /// follow, and Halt.
    pub(super) marks: [u16; MAX_AXES],
    /// What was logged.
    pub(super) notices: Notices,
    /// The hand-over by which the loop gets a controlword that it may not have taken yet.
    pub(super) awaited: Option<u64>,
    /// A reset of the application.
    pub(super) reset: Step,
}

impl Values {
    /// None.
    pub(super) const NONE: Self = Self {
        commands: [[0.0; COMMANDS]; MAX_AXES],
        statuses: [[f64::NAN; STATUSES]; MAX_AXES],
        marks: [0; MAX_AXES],
        notices: Notices::NONE,
        awaited: None,
        reset: Step::Idle,
    };

    /// Notes whether the loop has taken the controlword.
    pub(super) fn note_taken(&mut self, owners: &mut Owners<'_>) {
        let taken = owners.taken();
        self.awaited.take_if(|awaited| *awaited <= taken);
    }
}

/// The machine as the node sees it.
pub(super) struct Machine<'a, 'm> {
    pub(super) owners: &'a mut Owners<'m>,
    pub(super) now: Instant,
    pub(super) axes: &'a [DriveConfig],
    pub(super) values: &'a mut Values,
}

/// The place of a command of an axis.
const fn command(item: Item) -> Option<usize> {
    Some(match item {
        Item::Controlword => 0,
        Item::Mode => 1,
        Item::TargetPosition => 2,
        Item::TargetVelocity => 3,
        _ => return None,
    })
}

impl Machine<'_, '_> {
    /// Claims the group of `axis`, and begins with the present position as the target, so that
    /// nothing moves to a target that was not commanded.
    ///
    /// A master that sends a PDO with each SYNC would claim at once an axis that was taken from
    /// it, and so undo a stop: it may claim such an axis when its power is off.
    fn claim(&mut self, axis: usize, group: u8) -> Result<(), Refusal> {
        if self.check_owner(axis, group)? {
            return Ok(());
        }
        self.owners
            .claim(Client::CAN, group)
            .map_err(|_| Refusal::Owner)?;
        let position = self.values.statuses[axis][Status::Position as usize];
        let position = if position.is_finite() { position } else { 0.0 };
        self.values.commands[axis] = [0.0, 0.0, position, 0.0];
        Ok(())
    }

    /// Whether the master owns `group` of `axis`.
    ///
    /// # Errors
    /// It may not claim it now.
    fn check_owner(&self, axis: usize, group: u8) -> Result<bool, Refusal> {
        match self.owners.owners().nth(usize::from(group)).flatten() {
            Some(owner) if owner == Client::CAN => Ok(true),
            None if !self.owners.is_revoked(group) || self.is_off(axis) => Ok(false),
            _ => Err(Refusal::Owner),
        }
    }

    /// The object of `axis` with a parameter, or with a value that cannot change.
    fn object(&self, axis: usize, item: Item) -> Option<Object> {
        let parameters = &*self.owners.parameters;
        parameters.object(&self.axes[axis].name, item.object())
    }

    /// Changes a parameter of `axis` as a local client does. An axis without an owner stays
    /// without one: a configuration is no command, and ends no one's turn.
    fn change(&mut self, axis: usize, item: Item, si: f64) -> Result<(), Refusal> {
        let Some(Object {
            value: present,
            number: Some(number),
            per_si,
        }) = self.object(axis, item)
        else {
            return Err(Refusal::ReadOnly);
        };
        self.check_owner(axis, self.axes[axis].group)?;
        // A PDO repeats it in each cycle; nothing is to be built and logged then.
        if (si - present).abs() <= 1e-12 * present.abs() {
            return Ok(());
        }
        let value = si * per_si;
        let parameters = &mut *self.owners.parameters;
        let mut tries = 0..TRIES;
        let refused = loop {
            match parameters.set(false, &[Setting { number, value }]) {
                Ok(()) => {
                    let client = (Client::CAN.0, &Client::CAN as _);
                    self.owners.changes.add(parameters, client, self.now);
                    return Ok(());
                }
                Err(parameters::Refusal::Busy) if tries.next().is_some() => {}
                Err(parameters::Refusal::Busy) => return Err(Refusal::State),
                Err(parameters::Refusal::NoSuchParameter) => return Err(Refusal::ReadOnly),
                Err(parameters::Refusal::Value { error, .. }) => break error,
            }
        };
        let last = |name: &'static str| name.rsplit('.').next();
        let written = parameters.get(number).map_or("", |parameter| parameter.key);
        Err(match refused.kind {
            ParameterErrorKind::NonFinite => Refusal::Value,
            // Another parameter no longer fits to this one.
            _ if last(refused.name) != last(written) => Refusal::Conflict,
            ParameterErrorKind::NotPositive { .. } | ParameterErrorKind::BelowMinimum { .. } => {
                Refusal::TooLow
            }
            ParameterErrorKind::OutOfRange { max, value, .. } if value > max => Refusal::TooHigh,
            ParameterErrorKind::OutOfRange { .. } => Refusal::TooLow,
            ParameterErrorKind::AtOrAboveNyquist { .. } => Refusal::TooHigh,
            _ => Refusal::Conflict,
        })
    }

    /// Hands the commands of `axis` to the loop: those of the master, and what they follow. The
    /// bits of the manufacturer are not the master's.
    fn write(&mut self, axis: usize, mut values: [f64; COMMANDS]) -> Result<(), owner::Refusal> {
        let marks = self.values.marks[axis];
        // The modes pv, csp and csv hold; a set-point of pp and homing do not come with SYNC.
        let holds = matches!(values[1] as i8, 3 | 8 | 9);
        let marks = if holds { marks } else { marks & !control::HALT };
        let word = values[0] as u16 & !(control::PACED | control::PACE);
        values[0] = f64::from(word | marks);
        let group = self.axes[axis].group;
        self.owners.write(Client::CAN, group, &values, self.now)
    }

    /// Whether `axis` has no power, and needs the whole sequence of controlwords to get it.
    fn is_off(&self, axis: usize) -> bool {
        let word = self.values.statuses[axis][Status::Statusword as usize];
        !word.is_nan()
            && matches!(
                status::state(word as u16),
                Some(State::NotReadyToSwitchOn | State::SwitchOnDisabled | State::Fault)
            )
    }
}

impl Drive for Machine<'_, '_> {
    fn axes(&self) -> usize {
        self.axes.len()
    }

    fn get(&self, axis: usize, item: Item) -> Result<f64, Refusal> {
        if let Some(place) = command(item) {
            return Ok(self.values.commands[axis][place]);
        }
        let place = match item {
            Item::Statusword => Status::Statusword,
            Item::ModeDisplay => Status::ModeDisplay,
            Item::Position => Status::Position,
            Item::Velocity => Status::Velocity,
            Item::Setpoint => Status::Setpoint,
            Item::FollowingError => Status::FollowingError,
            Item::ErrorCode => Status::Fault,
            Item::SetpointVelocity => Status::VelocityDemand,
            Item::DigitalInputs => Status::Switches,
            Item::SupportedModes => return Ok(f64::from(SUPPORTED_MODES)),
            _ => {
                let object = self.object(axis, item).ok_or(Refusal::NoData)?;
                return Ok(object.value);
            }
        };
        let value = self.values.statuses[axis][place as usize];
        if value.is_nan() {
            return Err(Refusal::NoData);
        }
        Ok(value)
    }

    fn set(&mut self, axis: usize, item: Item, value: f64) -> Result<(), Refusal> {
        let Some(place) = command(item) else {
            return self.change(axis, item, value);
        };
        let group = self.axes[axis].group;
        self.claim(axis, group)?;
        let mut values = self.values.commands[axis];
        values[place] = value;
        match self.write(axis, values) {
            Ok(()) => {
                let before = core::mem::replace(&mut self.values.commands[axis], values);
                if item == Item::Controlword && before != values {
                    let next = self.owners.next_hand_over();
                    self.values.awaited.get_or_insert(next);
                }
                Ok(())
            }
            Err(owner::Refusal::OutOfRange { max, .. }) if value > max => Err(Refusal::TooHigh),
            Err(owner::Refusal::OutOfRange { .. }) => Err(Refusal::TooLow),
            Err(_) => Err(Refusal::Owner),
        }
    }

    fn is_taken(&self) -> bool {
        self.values.awaited.is_none()
    }

    fn withdraw(&mut self, axis: usize) {
        // What is written next, also with a SYNC, must not bring the controlword back.
        self.values.commands[axis][0] = 0.0;
        let group = self.axes[axis].group;
        self.owners.withdraw(Client::CAN, group, self.now);
    }

    fn alive(&mut self, axis: usize) {
        self.owners
            .refresh_group(Client::CAN, self.axes[axis].group, self.now);
    }

    fn pace(&mut self, axis: usize, pace: Pace) {
        let before = self.values.marks[axis];
        let marks = match pace {
            Pace::Free => 0,
            Pace::Sync => (before ^ control::PACE | control::PACED) & !control::HALT,
            Pace::Hold => before | control::HALT,
        };
        self.values.marks[axis] = marks;
        // It is refused for an axis that the master does not command.
        if marks != before
            && self.write(axis, self.values.commands[axis]).is_ok()
            && pace == Pace::Hold
        {
            self.values.notices.add(Notice::Hold);
        }
    }

    fn lost(&mut self, axis: usize, loss: Loss) {
        self.values.marks[axis] = 0;
        let DriveConfig { name, group, .. } = &self.axes[axis];
        let why = match loss {
            Loss::Heartbeat => Lost::Heartbeat,
            Loss::Sync => Lost::Sync,
            Loss::Rpdo => Lost::Pdo,
            Loss::Bus => Lost::Bus,
            Loss::Stopped => Lost::Stopped,
        };
        if (self.owners).lost_group(Client::CAN, *group, why, self.now) {
            say(format_args!(
                "steadfast: the CAN master no longer commands {name}: {why}"
            ));
        }
    }

    fn store(
        &mut self,
        node_id: u8,
        next: &mut dyn FnMut() -> Option<Saved>,
    ) -> Result<(), Refusal> {
        let all: heapless::Vec<Saved, MAX_SAVED> = core::iter::from_fn(next).collect();
        let keep = Keep::With(node_id, &all);
        self.owners.keep(Client::CAN, keep, self.now)?;
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Refusal> {
        self.owners.keep(Client::CAN, Keep::Defaults, self.now)?;
        Ok(())
    }

    fn keep_node_id(&mut self, node_id: u8) -> Result<(), Refusal> {
        let keep = Keep::NodeId(node_id);
        self.owners.keep(Client::CAN, keep, self.now)?;
        Ok(())
    }

    fn reset(&mut self) -> Reset {
        self.reset_step()
    }

    fn stored(&mut self) -> Option<Result<(), Refusal>> {
        let kept = self.owners.take_kept(Client::CAN)?;
        Some(kept.map(|_| ()).map_err(Refusal::from))
    }

    fn saved(&self, node_id: u8, number: usize) -> Option<Saved> {
        self.owners.store.as_ref()?.communication(node_id, number)
    }
}
