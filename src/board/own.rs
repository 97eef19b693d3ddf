//! Reads and drives the devices of `[device.X]` in the loop.
//!
//! Opening allocates; [`OwnDevices::sense`], [`OwnDevices::drive`] and [`OwnDevices::safe`] do
//! not, if the drivers do not.

use core::ops::Range;

use crate::config::{Config, ConfigError, MAX_ACTIONS, MAX_OWN_DEVICES, Opening, OwnDevice, Type};
use crate::cycle::device::{Device, World};
use crate::cycle::image::{Angle, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::law::Every;
use crate::cycle::ports::Tick;
use crate::cycle::signal::{Commands, Input, Readings, Value};
use crate::sys::arena::{Full, Placed};
use crate::sys::emergency::Slot;
use crate::sys::sort::sort_by_key;
use crate::time::Instant;

use super::ports::failing::DebounceCounter;

type Actions = heapless::Vec<Slot, MAX_ACTIONS>;

struct Own {
    /// Its index in the board file.
    number: u8,
    device: Placed<dyn Device>,
    every: Every,
    /// Whether a chip is behind it, real or a software model.
    has_chip: bool,
    /// Slots since its last turn, in a cycle that is its turn; otherwise `None`.
    due: Option<u32>,
    drives: bool,
    /// Its safe actions, in registered order.
    actions: Actions,
    unread: DebounceCounter,
    undriven: DebounceCounter,
}

impl Own {
    /// `tick` with the slots since the device's last turn; `None` if it is not its turn.
    fn turn(&self, tick: &Tick) -> Option<Tick> {
        self.due.map(|elapsed_slots| Tick {
            elapsed_slots,
            ..*tick
        })
    }
}

/// The devices, in the order of the board file.
pub(super) struct OwnDevices {
    /// Each in static memory: the list is moved on the stack during the start, and the stack
    /// that it touches is locked.
    all: heapless::Vec<Placed<Own>, MAX_OWN_DEVICES>,
    /// Indices in `all` of the devices with outputs, in shutdown order.
    shutdown: heapless::Vec<u8, MAX_OWN_DEVICES>,
}

impl OwnDevices {
    /// No devices.
    pub(super) const fn none() -> Self {
        Self {
            all: heapless::Vec::new(),
            shutdown: heapless::Vec::new(),
        }
    }

    /// Opens the devices of `config`.
    pub(super) fn open(config: &Config) -> Result<Self, ConfigError> {
        let entries = &config.machine.devices;
        let mut opened: Vec<_> = entries.iter().map(|_| None).collect();
        // Safe actions are executed in the order of their registration.
        for number in order(entries) {
            let entry = &entries[number];
            let title = format!("[device.{}]", entry.name);
            let mut opening = Opening::new(config.buses(), entry.position, &title, entry.drives);
            let device = entry.driver.open(&mut opening)?;
            let unsafe_in_a_crash = opening.error(
                "its driver registers no safe action for its outputs",
                "call `pwm`, `safe_spi` or `safe_i2c` of `Opening` in `Driver::open`",
            );
            let actions = opening.into_actions();
            if entry.drives && actions.is_empty() {
                return Err(unsafe_in_a_crash);
            }
            opened[number] = Some((device, actions));
        }
        let opened = opened.into_iter().zip(entries).zip(0_u8..);
        let mut own = Self::none();
        for ((device, entry), number) in opened {
            if let Some((device, actions)) = device {
                own.add(number, entry, device, actions, true)
                    .map_err(|full| {
                        let title = format!("[device.{}]", entry.name);
                        let opening =
                            Opening::new(config.buses(), entry.position, &title, entry.drives);
                        opening.error(full, "use fewer or smaller devices")
                    })?;
            }
        }
        own.shutdown = shutdown(&own.all, entries);
        Ok(own)
    }

    /// The devices of `entries` with a software model of their chip, and those that are
    /// simulated at their signals and have `tolerated_failures`.
    pub(super) fn simulate(entries: &[OwnDevice]) -> Result<Self, Full> {
        let mut own = Self::none();
        for (entry, number) in entries.iter().zip(0_u8..) {
            if let Some(device) = entry.driver.simulate() {
                own.add(number, entry, device?, Actions::new(), true)?;
            } else if entry.tolerated_failures.is_some() {
                let device = AtSignals(entry.senses.clone());
                let device = Placed::<dyn Device>::new(device, |device| device)?;
                own.add(number, entry, device, Actions::new(), false)?;
            }
        }
        own.shutdown = shutdown(&own.all, entries);
        Ok(own)
    }

    /// The index in the board file of each device with a chip.
    pub(super) fn with_chips(&self) -> impl Iterator<Item = usize> {
        let chips = self.all.iter().filter(|own| own.has_chip);
        chips.map(|own| usize::from(own.number))
    }

    fn add(
        &mut self,
        number: u8,
        entry: &OwnDevice,
        device: Placed<dyn Device>,
        actions: Actions,
        has_chip: bool,
    ) -> Result<(), Full> {
        let own = Own {
            number,
            has_chip,
            device,
            every: Every::slots(entry.every),
            due: None,
            drives: entry.drives,
            actions,
            unread: DebounceCounter::tolerating(entry.tolerated_failures),
            undriven: DebounceCounter::tolerating(entry.tolerated_failures),
        };
        // The reader limits the number of devices.
        let _ = self.all.push(Placed::<Own>::new(own, |own| own)?);
        Ok(())
    }

    /// Copies the signals that plants set into the software models of chips.
    pub(super) fn model(&mut self, world: &mut World<'_>) {
        for own in &mut self.all {
            own.device.model(world);
        }
    }

    /// Calls [`Device::sense`] of each device whose turn it is. Gives the last device that
    /// exceeds its tolerated failures.
    pub(super) fn sense(
        &mut self,
        tick: &Tick,
        inputs: &mut Inputs,
        began: Instant,
    ) -> Option<Lost> {
        let mut lost = None;
        for own in &mut self.all {
            let slots = own.every.turn(tick, false);
            own.due = slots.map(|slots| u32::try_from(slots).unwrap_or(u32::MAX));
            let Some(tick) = &own.turn(tick) else {
                continue;
            };
            let mut readings = Readings::new(inputs, tick, began);
            own.device.sense(&mut readings);
            if readings.failed() && own.unread.exceeded(tick) {
                lost = Some(Lost::Sensor(own.number));
            }
        }
        lost
    }

    /// Calls [`Device::act`] of each device with outputs whose turn it is, even after one has
    /// failed. Stops if `latched` gives true, which is checked before each device.
    pub(super) fn drive(
        &mut self,
        tick: &Tick,
        outputs: &Outputs,
        latched: impl Fn() -> bool,
    ) -> (Result<(), OutputError>, Option<Lost>) {
        let (mut result, mut lost) = (Ok(()), None);
        for own in &mut self.all {
            let Some(tick) = &own.turn(tick).filter(|_| own.drives) else {
                continue;
            };
            if latched() {
                return (Err(OutputError::Digital), lost);
            }
            if own.device.act(&Commands::new(outputs, tick)).is_err() {
                result = result.and(Err(OutputError::Device(own.number)));
                if own.undriven.exceeded(tick) {
                    lost = Some(Lost::Actuator(own.number));
                }
            }
        }
        (result, lost)
    }

    /// Drives the outputs of each device to `safe`, in shutdown order. If its driver fails, its
    /// safe actions are executed, as in a crash.
    pub(super) fn safe(&mut self, tick: &Tick, safe: &Outputs) -> Result<(), OutputError> {
        let mut result = Ok(());
        for index in 0..self.shutdown.len() {
            let own = &mut self.all[usize::from(self.shutdown[index])];
            let driven = own.device.act(&Commands::new(safe, tick)).is_ok();
            let mut actions = own.actions.iter();
            let done =
                driven || !own.actions.is_empty() && actions.all(|action| action.execute().is_ok());
            if !done {
                result = result.and(Err(OutputError::Device(own.number)));
            }
        }
        result
    }
}

/// A device that is simulated at its signals, given by their numbers of each type. It fails if
/// a plant injects a fault into one of them, and is then lost as a real device would be.
struct AtSignals([Range<usize>; 3]);

impl AtSignals {
    fn sense_each<T: Value>(&self, of: Type, readings: &mut Readings<'_>) {
        let numbers = self.0[of as usize].clone();
        let signals = numbers.filter_map(|number| Input::<T>::numbered(number as u8));
        for signal in signals {
            let sample = readings.get(signal);
            // A signal that no plant sets is not a failure.
            if sample.value.as_ref().err() != Some(&InputError::NotRead) {
                readings.put_at(signal, sample.value, sample.at);
            }
        }
    }
}

impl Device for AtSignals {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        self.sense_each::<bool>(Type::Flag, readings);
        self.sense_each::<f64>(Type::Number, readings);
        self.sense_each::<Angle>(Type::Angle, readings);
    }
}

/// The indices of `entries` in shutdown order, those without outputs first.
fn order(entries: &[OwnDevice]) -> Vec<usize> {
    let mut order: Vec<_> = (0..entries.len()).collect();
    sort_by_key(&mut order, |number| entries[*number].shutdown);
    order
}

/// The indices in `all` of the devices with outputs, in shutdown order.
fn shutdown(all: &[Placed<Own>], entries: &[OwnDevice]) -> heapless::Vec<u8, MAX_OWN_DEVICES> {
    let place = |number: usize| all.iter().position(|own| usize::from(own.number) == number);
    let driving = order(entries)
        .into_iter()
        .filter(|number| entries[*number].drives);
    driving.filter_map(place).map(|index| index as u8).collect()
}

impl Drop for OwnDevices {
    fn drop(&mut self) {
        for own in &mut self.all {
            for action in core::mem::take(&mut own.actions) {
                action.clear();
            }
        }
    }
}
