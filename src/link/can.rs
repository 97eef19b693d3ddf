//! The link to a CAN bus: the node of [`canopen`](super::canopen) on an interface.
//!
//! The master on the bus is one client of [`Owners`]: with its first command it claims the group
//! of an axis, and it loses it when the master is lost ([`Loss`]), so that another client can
//! take over. While it commands, others are refused, and while another client commands, its SDO
//! downloads are aborted with 0x08000021 and its PDOs are reported by EMCY.

mod notices;

use std::os::fd::{AsFd, BorrowedFd};

use self::notices::{Notice, Notices};
use super::canopen::{
    BusEvent, Config, Drive, Frame, Item, Loss, MAX_AXES, Nmt, Node, OUTBOX_FRAMES, Outbox, Pace,
    Refusal, Saved,
};
use super::frames::Shared;
use super::owner::{self, Client, Owners};
use super::parameters::{self, Object, Setting};
use super::saved::{Keep, MAX_SAVED};
use super::server::Link;
use crate::axis::command::config::SUPPORTED_MODES;
use crate::axis::state::State;
use crate::axis::status::STATUS;
use crate::axis::words::{control, status};
use crate::control::ParameterErrorKind;
use crate::cycle::ports::Clock;
use crate::device::can::{Can, CanError, MAX_WANTED, Received};
use crate::realtime::clock::Monotonic;
use crate::sys::Errno;
use crate::telemetry::say;
use crate::time::Instant;

/// Frames that are received before the loop gets the commands.
const TURN: usize = 64;
/// How often a change is repeated while the loop takes over the last one, which takes it
/// microseconds.
const TRIES: u8 = 3;
/// The commands of an axis: controlword, mode, target position, target velocity.
const COMMANDS: usize = 4;
/// The values of its status.
const STATUSES: usize = STATUS.len();
const _: () = assert!(crate::axis::MAX_AXES * STATUSES <= super::frames::MAX_STATUSES);

/// `[link.can]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanConfig {
    /// Name of the interface.
    pub interface: String,
    /// Its bit rate, bit/s.
    pub bit_rate: u32,
    /// The node.
    pub node: Config,
}

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
enum Status {
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

/// The values of the axes.
#[derive(Clone, Debug)]
struct Values {
    commands: [[f64; COMMANDS]; MAX_AXES],
    statuses: [[f64; STATUSES]; MAX_AXES],
    /// Bits of the controlword that the loop gets besides those of the master: what the targets
    /// follow, and Halt.
    marks: [u16; MAX_AXES],
    /// What was logged.
    notices: Notices,
}

impl Values {
    /// None.
    const NONE: Self = Self {
        commands: [[0.0; COMMANDS]; MAX_AXES],
        statuses: [[f64::NAN; STATUSES]; MAX_AXES],
        marks: [0; MAX_AXES],
        notices: Notices::NONE,
    };
}

/// The link.
pub struct CanLink<'l> {
    can: Can,
    node: Node,
    out: Outbox,
    shared: &'l Shared,
    axes: heapless::Vec<DriveConfig, MAX_AXES>,
    values: Values,
    /// The identifiers that the kernel passes on.
    wanted: heapless::Vec<(u16, u16), MAX_WANTED>,
    /// The next time at which the node has something to do.
    next: Instant,
    /// The interface is down.
    down: bool,
    /// An error of the socket was reported.
    failed: bool,
}

impl<'l> CanLink<'l> {
    /// Opens the interface of `config` for the first [`MAX_AXES`] of `axes`.
    ///
    /// # Errors
    /// Why the interface cannot be used.
    pub fn open(
        config: &CanConfig,
        shared: &'l Shared,
        axes: impl IntoIterator<Item = DriveConfig>,
    ) -> Result<Self, CanError> {
        let axes: heapless::Vec<_, MAX_AXES> = axes.into_iter().take(MAX_AXES).collect();
        Ok(Self {
            can: Can::open(&config.interface, config.bit_rate)?,
            node: Node::new(config.node, axes.len()),
            out: Outbox::new(),
            shared,
            axes,
            values: Values::NONE,
            wanted: heapless::Vec::new(),
            next: Instant::from_nanos(0),
            down: false,
            failed: false,
        })
    }
}

impl Link for CanLink<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.can.as_fd()
    }

    /// Rounded up; at least one while frames wait for room in the queue of the interface.
    fn timeout_ms(&self, now: Instant) -> u16 {
        let ms = self.next.since(now).as_nanos().div_ceil(1_000_000);
        let least = u16::from(!self.out.is_empty());
        u16::try_from(ms).unwrap_or(u16::MAX).max(least)
    }

    fn serve(&mut self, owners: &mut Owners<'_>, now: Instant) {
        for (axis, statuses) in self.axes.iter().zip(&mut self.values.statuses) {
            let mut newest = [0.0; STATUSES];
            if self.shared.newest(axis.status, &mut newest) {
                *statuses = newest;
            }
        }
        let mut machine = Machine {
            owners,
            now,
            axes: &self.axes,
            values: &mut self.values,
        };
        if self.node.nmt() == Nmt::Initialising {
            // The boot-up message comes before the first frame is received.
            self.node.poll(now, &mut machine, &mut self.out);
        }
        for _ in 0..TURN {
            if self.out.len() > OUTBOX_FRAMES / 2 {
                break;
            }
            let received = match self.can.receive() {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(errno) => {
                    report(&mut self.failed, errno);
                    break;
                }
            };
            let event = match received {
                Received::Frame {
                    id,
                    remote,
                    len,
                    data,
                } => {
                    let data = data.get(..usize::from(len)).unwrap_or(&data);
                    if !remote && let Some(frame) = Frame::new(id, data) {
                        // SYNC is measured and supervised by the time at which the kernel got it,
                        // however late this thread is.
                        let at = match self.node.is_sync(id) {
                            true => Monotonic.now() - self.can.age(),
                            false => now,
                        };
                        self.node.receive(at, &frame, &mut machine, &mut self.out);
                    }
                    continue;
                }
                Received::BusOff => {
                    machine.values.notices.add(Notice::Off);
                    BusEvent::Off
                }
                Received::Down => {
                    machine.values.notices.add(Notice::Down);
                    self.down = true;
                    BusEvent::Off
                }
                Received::Restarted => BusEvent::Recovered,
                Received::Passive => {
                    machine.values.notices.add(Notice::Passive);
                    BusEvent::Passive
                }
                Received::Overrun => BusEvent::Overrun,
            };
            self.node.bus(event, &mut machine);
        }
        if self.node.has_twin() {
            machine.values.notices.add(Notice::SameId);
        }
        // After it: what has come in time is not lost because this thread is late.
        self.next = self.node.poll(now, &mut machine, &mut self.out);
        while let Some(frame) = self.out.front() {
            match self.can.send(frame.id(), frame.data()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(errno) => {
                    report(&mut self.failed, errno);
                    break;
                }
            }
            let _ = self.out.pop_front();
            if core::mem::take(&mut self.down) {
                self.node.bus(BusEvent::Recovered, &mut machine);
            }
        }
        let same = self.node.identifiers().eq(self.wanted.iter().copied());
        if !same {
            self.wanted = self.node.identifiers().take(MAX_WANTED).collect();
            if let Err(errno) = self.can.want(self.wanted.iter().copied()) {
                report(&mut self.failed, errno);
            }
        }
    }
}

/// Reports the first error of the socket.
fn report(failed: &mut bool, errno: Errno) {
    if !core::mem::replace(failed, true) {
        say(format_args!(
            "steadfast: the CAN interface failed ({errno}); see the kernel log (dmesg)"
        ));
    }
}

/// The machine as the node sees it.
struct Machine<'a, 'm> {
    owners: &'a mut Owners<'m>,
    now: Instant,
    axes: &'a [DriveConfig],
    values: &'a mut Values,
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
                self.values.commands[axis] = values;
                Ok(())
            }
            Err(owner::Refusal::OutOfRange { max, .. }) if value > max => Err(Refusal::TooHigh),
            Err(owner::Refusal::OutOfRange { .. }) => Err(Refusal::TooLow),
            Err(_) => Err(Refusal::Owner),
        }
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
        if self.owners.lost_group(Client::CAN, *group, self.now) {
            let what = match loss {
                Loss::Heartbeat => "its heartbeat did not come",
                Loss::Sync => "SYNC did not come",
                Loss::Rpdo => "a PDO did not come in time",
                Loss::Bus => "the bus is off",
                Loss::Stopped => "it stopped or reset this node",
            };
            say(format_args!(
                "steadfast: the CAN master no longer commands {name}: {what}"
            ));
        }
    }

    fn store(&mut self, next: &mut dyn FnMut() -> Option<Saved>) -> Result<(), Refusal> {
        let all: heapless::Vec<Saved, MAX_SAVED> = core::iter::from_fn(next).collect();
        self.owners.keep(Client::CAN, Keep::With(&all), self.now)?;
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Refusal> {
        self.owners.keep(Client::CAN, Keep::Defaults, self.now)?;
        Ok(())
    }

    fn saved(&self, number: usize) -> Option<Saved> {
        self.owners.store.as_ref()?.communication(number)
    }
}

#[cfg(test)]
mod tests;
