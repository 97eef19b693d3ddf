//! The parameters of the axes, changed by links while the loop runs.
//!
//! The link thread builds the axes anew with the changed values, puts them into an exchange and
//! raises its flag; the loop copies them from there before it decides. Both sides only try the
//! exchange's lock, so neither waits for the other. Nothing is allocated after the start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use crate::axis::{Axis, AxisConfig, PARAMETERS};
use crate::link::parameters::{Object, Parameter, Parameters, Refusal, Setting};
use crate::time::Duration;

/// The axes on their way to the loop.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    fresh: AtomicBool,
    axes: Mutex<Vec<Axis>>,
}

impl Exchange {
    /// Gives the axes to `with`, if they are new and the link thread does not write them at this
    /// moment. Waits for nothing.
    pub(super) fn take(&self, with: impl FnOnce(&[Axis])) {
        if self.fresh.load(Ordering::Relaxed)
            && let Ok(axes) = self.axes.try_lock()
        {
            self.fresh.store(false, Ordering::Relaxed);
            with(&axes);
        }
    }
}

/// The side of the link thread.
pub(super) struct Tuning {
    names: Vec<String>,
    period: Duration,
    exchange: Arc<Exchange>,
    start: Vec<AxisConfig>,
    /// Those of the board file.
    board: Vec<AxisConfig>,
    /// Those of the next start.
    next: Vec<AxisConfig>,
    /// Those of the next start, when they are kept.
    keeps: Vec<AxisConfig>,
    pub(super) present: Vec<AxisConfig>,
    /// The next values while a change is checked, otherwise those before the last change.
    other: Vec<AxisConfig>,
    built: Vec<Axis>,
}

impl Tuning {
    /// The parameters of axes with these names and configurations: those of the start, and of the
    /// board file.
    pub(super) fn new(
        names: Vec<String>,
        start: &[AxisConfig],
        board: &[AxisConfig],
        period: Duration,
        exchange: Arc<Exchange>,
    ) -> Self {
        exchange.fresh.store(false, Ordering::Relaxed);
        // Built when the board file was read, so each of them is valid.
        let [built, in_exchange] = core::array::from_fn(|_| {
            let built = start.iter().filter_map(|axis| axis.build(period).ok());
            built.collect::<Vec<Axis>>()
        });
        if let Ok(mut axes) = exchange.axes.lock() {
            *axes = in_exchange;
        }
        let [next, keeps, start, present, other] = core::array::from_fn(|_| start.to_vec());
        Self {
            names,
            period,
            exchange,
            present,
            other,
            start,
            board: board.to_vec(),
            next,
            keeps,
            built,
        }
    }

    fn name(&self, axis: usize) -> &str {
        self.names.get(axis).map_or("", String::as_str)
    }
}

/// The axis and the place in [`PARAMETERS`] of the parameter `number`.
fn split(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / PARAMETERS.len(), number % PARAMETERS.len())
}

impl Parameters for Tuning {
    fn count(&self) -> u32 {
        (self.start.len() * PARAMETERS.len()) as u32
    }

    fn get(&mut self, number: u32) -> Option<Parameter<'_>> {
        let (axis, place) = split(number);
        let parameter = &PARAMETERS[place];
        let start = self.start.get_mut(axis)?;
        parameter.is_of(start).then_some(())?;
        let start = parameter.get(start);
        let value = parameter.get(self.present.get_mut(axis)?);
        let board = parameter.get(self.board.get_mut(axis)?);
        let next = parameter.get(self.next.get_mut(axis)?);
        Some(Parameter {
            of: self.name(axis),
            key: parameter.key,
            unit: parameter.unit(),
            value,
            start,
            range: parameter.range(),
            board,
            next,
        })
    }

    fn object(&self, of: &str, object: (u16, u8)) -> Option<Object> {
        let axis = self.names.iter().position(|name| name == of)?;
        let config = self.present.get(axis)?;
        let place = (PARAMETERS.iter()).position(|parameter| parameter.object() == Some(object));
        let Some(place) = place else {
            return Some(Object {
                value: config.fixed_object(object)?,
                number: None,
                per_si: 1.0,
            });
        };
        let parameter = &PARAMETERS[place];
        parameter.is_of(config).then_some(())?;
        let per_si = parameter.per_si();
        Some(Object {
            value: parameter.get(&mut config.clone()) / per_si,
            number: Some((axis * PARAMETERS.len() + place) as u32),
            per_si,
        })
    }

    fn set(&mut self, from_start: bool, settings: &[Setting]) -> Result<(), Refusal<'_>> {
        let from = if from_start {
            &self.start
        } else {
            &self.present
        };
        self.other.clone_from_slice(from);
        for setting in settings {
            let (axis, place) = split(setting.number);
            let parameter = &PARAMETERS[place];
            let config = self.other.get_mut(axis);
            let Some(config) = config.filter(|config| parameter.is_of(config)) else {
                return Err(Refusal::NoSuchParameter);
            };
            if let Err(error) = parameter.set(config, setting.value) {
                let of = self.name(axis);
                return Err(Refusal::Value { of, error });
            }
        }
        for (axis, (config, to)) in self.other.iter().zip(&mut self.built).enumerate() {
            match config.build(self.period) {
                Ok(built) => *to = built,
                Err(error) => {
                    let of = self.name(axis);
                    return Err(Refusal::Value { of, error });
                }
            }
        }
        match self.exchange.axes.try_lock() {
            Ok(mut axes) => core::mem::swap(&mut *axes, &mut self.built),
            // No code panics while it has the lock.
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return Err(Refusal::Busy),
        }
        core::mem::swap(&mut self.present, &mut self.other);
        self.exchange.fresh.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn before(&mut self, number: u32) -> f64 {
        let (axis, place) = split(number);
        let config = self.other.get_mut(axis);
        config.map_or(f64::NAN, |config| PARAMETERS[place].get(config))
    }

    fn is_pending(&self) -> bool {
        self.exchange.fresh.load(Ordering::Relaxed)
    }

    fn keeps(&mut self, defaults: bool) {
        let from = if defaults { &self.board } else { &self.present };
        self.keeps.clone_from_slice(from);
    }

    fn kept(&mut self) {
        self.next.clone_from_slice(&self.keeps);
    }
}
