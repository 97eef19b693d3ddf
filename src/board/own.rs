//! Devices of drivers of one's own, as the loop reads and drives them.

use core::ops::Range;

use crate::config::{Config, ConfigError, MAX_ACTIONS, MAX_OWN_DEVICES, Opening, OwnDevice, Type};
use crate::cycle::device::{Device, World};
use crate::cycle::image::{Angle, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::law::Every;
use crate::cycle::ports::Tick;
use crate::cycle::signal::{Commands, Input, Readings, Value};
use crate::sys::arena::{Full, Placed};
use crate::sys::emergency::Slot;
use crate::time::Instant;

use super::ports::failing::DebounceCounter;

type Actions = heapless::Vec<Slot, MAX_ACTIONS>;

struct Own {
    /// Its position in the board file.
    number: u8,
    device: Placed<dyn Device>,
    every: Every,
    /// Whether it has a chip made of software.
    has_chip: bool,
    /// In this cycle it is its turn: slots since the one before.
    due: Option<u32>,
    drives: bool,
    /// What makes its outputs safe in a crash.
    actions: Actions,
    unread: DebounceCounter,
    undriven: DebounceCounter,
}

impl Own {
    /// `tick`, counted in the device's own turns; `None` where it is not its turn.
    fn turn(&self, tick: &Tick) -> Option<Tick> {
        self.due.map(|elapsed_slots| Tick {
            elapsed_slots,
            ..*tick
        })
    }
}

/// The devices, in the order of the board file.
pub(super) struct OwnDevices {
    /// In static memory each: the loop's devices are moved about while they are put
    /// together, and each place where they have been on the stack is locked.
    all: heapless::Vec<Placed<Own>, MAX_OWN_DEVICES>,
    /// Those with outputs, in the order of shutting down.
    shutdown: heapless::Vec<u8, MAX_OWN_DEVICES>,
}

impl OwnDevices {
    /// None.
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
        // Safe actions are done in the order in which they were given.
        for number in order(entries) {
            let entry = &entries[number];
            let title = format!("[device.{}]", entry.name);
            let mut opening = Opening::new(config.buses(), entry.position, &title, entry.drives);
            let device = entry.driver.open(&mut opening)?;
            let unsafe_in_a_crash = opening.error(
                "its driver has outputs and no safe action",
                "let `open` give one: `pwm`, `safe_spi` or `safe_i2c`",
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

    /// Those of `entries` that are simulated by a chip made of software, and those that
    /// are simulated at their signals and can be lost.
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

    /// The position in the board file of each that has a chip.
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
        // The board file has at most as many.
        let _ = self.all.push(Placed::<Own>::new(own, |own| own)?);
        Ok(())
    }

    /// Puts what plants give into the chips that are made of software.
    pub(super) fn model(&mut self, world: &mut World<'_>) {
        for own in &mut self.all {
            own.device.model(world);
        }
    }

    /// Lets each read its signals; the last one that is lost, if any is.
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

    /// Drives each that has outputs and whose turn it is. Whatever one says, the others
    /// are driven too. `latched` is asked before each.
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

    /// Drives each that has outputs to `safe`, in the order of shutting down. Where its
    /// driver cannot do it, its safe actions are done, as a crash would.
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

/// A device that is simulated at its signals, these of each type: it fails where a plant
/// lets one of them fail, so that it is lost as the real one would be.
struct AtSignals([Range<usize>; 3]);

impl AtSignals {
    fn sense_each<T: Value>(&self, of: Type, readings: &mut Readings<'_>) {
        let numbers = self.0[of as usize].clone();
        let signals = numbers.filter_map(|number| Input::<T>::numbered(number as u8));
        for signal in signals {
            let sample = readings.get(signal);
            // What no plant gives is no failure of the device.
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

/// The numbers of `entries` in the order of shutting down, those without outputs first.
fn order(entries: &[OwnDevice]) -> Vec<usize> {
    let mut order: Vec<_> = (0..entries.len()).collect();
    order.sort_by_key(|number| entries[*number].shutdown);
    order
}

/// Which of `all` have outputs, in the order of shutting down.
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
