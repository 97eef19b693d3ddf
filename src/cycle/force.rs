//! Forces: values of the process image that somebody overrides for a limited time, to
//! commission a machine.
//!
//! A forced input has its value from after it was read on, so that all laws see it; a forced
//! output from after the laws have run on, so that it is driven. Nothing else of a cycle is
//! overridden. Who may force what is decided elsewhere: this table knows places in the image.
//!
//! Each force ends in the loop: at its time, by the emergency stop, by a request to stop, by a new
//! fault of a law, and when an output of [`Forces::power`] is active. In that cycle an output has its safe value; in
//! the next one it has again what its law sets.

use core::fmt;

use super::image::{Angle, InputChannel, Inputs, OutputChannel, Outputs};
use super::sample::Sample;
use crate::time::Instant;

/// Most forces at a time.
pub const MAX_FORCES: usize = 8;

/// A place of the process image that can be forced.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A digital input.
    InputLine(InputChannel),
    /// An index of [`Inputs::flags`].
    Flag(u8),
    /// An index of [`Inputs::analogs`].
    Number(u8),
    /// An index of [`Inputs::positions`].
    Angle(u8),
    /// A digital output.
    OutputLine(OutputChannel),
    /// A bit of [`Outputs::flags`].
    CommandFlag(u8),
    /// An index of [`Outputs::analogs`].
    Command(u8),
}

/// A force.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Force {
    /// What is forced.
    pub place: Place,
    /// The value: 0 or 1 for a flag, radians for an angle, else in the unit of the signal.
    pub value: f64,
    /// When it ends.
    pub until: Instant,
    /// Whether it stays while an output of [`Forces::power`] is active.
    pub with_power: bool,
}

/// Why a force ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ended {
    /// Its time was over.
    Time = 1,
    /// A client has ended it.
    Released = 2,
    /// The connection of its client was closed.
    Client = 3,
    /// A law reported a fault.
    Fault = 4,
    /// Everything was to be stopped.
    Stop = 5,
    /// An axis got power.
    Power = 6,
    /// The run ended.
    Run = 7,
    /// The emergency stop was pressed.
    EmergencyStop = 8,
}

impl Ended {
    /// The reason with this number in files; `None` for an unknown one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Time,
            2 => Self::Released,
            3 => Self::Client,
            4 => Self::Fault,
            5 => Self::Stop,
            6 => Self::Power,
            7 => Self::Run,
            8 => Self::EmergencyStop,
            _ => return None,
        })
    }
}

impl Ended {
    /// The name in the JSON report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Released => "released",
            Self::Client => "client-gone",
            Self::Fault => "fault",
            Self::Stop => "quick-stop",
            Self::Power => "power",
            Self::Run => "run-ends",
            Self::EmergencyStop => "emergency-stop",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "its time is over",
            Self::Released => "a client ended it",
            Self::Client => "its client is gone",
            Self::Fault => "a fault",
            Self::Stop => "a quick stop",
            Self::Power => "power was switched on",
            Self::Run => "the run ended",
            Self::EmergencyStop => "the emergency stop",
        })
    }
}

/// A force in the table.
#[derive(Copy, Clone, Debug)]
struct Seat {
    force: Force,
    /// Why and in which slot it ended.
    ended: Option<(Ended, u64)>,
    /// Since then its output had its safe value, or its input is what was read.
    undone: bool,
    /// The time of the forced sample of an input, and what was read in its place: a device that
    /// is not read in every cycle does not give it again at once.
    put: Option<Instant>,
    real: Sample<f64>,
}

/// The forces of a machine.
#[derive(Clone, Debug)]
pub struct Forces {
    seats: [Option<Seat>; MAX_FORCES],
    /// Digital outputs that give power, and digital inputs that end all forces, one bit each.
    power: u32,
    stop: u32,
    /// The digital inputs that were forced in the last cycle, and their levels.
    lines: u32,
    levels: u32,
}

impl Forces {
    /// No forces, on a machine whose digital outputs `power` give power and whose digital inputs
    /// `stop` end all forces while they are active.
    #[must_use]
    pub const fn new(power: u32, stop: u32) -> Self {
        Self {
            seats: [None; MAX_FORCES],
            power,
            stop,
            lines: 0,
            levels: 0,
        }
    }

    /// Digital outputs that give power, one bit each.
    #[must_use]
    pub const fn power(&self) -> u32 {
        self.power
    }

    /// Whether there is a force, or one of the last cycle still has a consequence.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.lines != 0 || self.seats.iter().any(Option::is_some)
    }

    /// Puts a force at `seat`, below [`MAX_FORCES`], in place of the one that was there.
    pub fn begin(&mut self, seat: usize, force: Force) {
        if let Some(seat) = self.seats.get_mut(seat) {
            *seat = Some(Seat {
                force,
                ended: None,
                undone: false,
                put: None,
                real: Sample::NOT_READ,
            });
        }
    }

    /// Ends the force at `seat` in the cycle of `slot`.
    pub fn end(&mut self, seat: usize, why: Ended, slot: u64) {
        if let Some(Some(seat)) = self.seats.get_mut(seat) {
            seat.end(why, slot);
        }
    }

    /// Takes a force out that has ended and has no consequence any more: its seat, the reason
    /// and the slot.
    pub fn take_ended(&mut self) -> Option<(usize, Ended, u64)> {
        let mut seats = self.seats.iter_mut().enumerate();
        seats.find_map(|(number, place)| {
            let (why, slot) = place.filter(|seat| seat.undone)?.ended?;
            *place = None;
            Some((number, why, slot))
        })
    }

    /// Ends forces whose time is over at `now`, all of them if a `stop` is requested or the emergency stop
    /// is pressed (or cannot be read, or was for less than a cycle), and sets the inputs
    /// of the others. To be called after inputs were read.
    #[inline(never)]
    pub fn sensed(&mut self, (slot, now): (u64, Instant), stop: bool, inputs: &mut Inputs) {
        let pressed = match &inputs.digital {
            Ok(seen) => (seen.levels | seen.rose | seen.fell) & self.stop != 0,
            Err(_) => self.stop != 0,
        };
        let (mut lines, mut levels) = (0, 0);
        for seat in self.seats.iter_mut().flatten() {
            if pressed {
                seat.end(Ended::EmergencyStop, slot);
            } else if stop {
                seat.end(Ended::Stop, slot);
            } else if now >= seat.force.until {
                seat.end(Ended::Time, slot);
            }
            if seat.ended.is_some() {
                seat.show(inputs, None);
            }
        }
        // After that: another force of the same input may have replaced one that ended.
        for seat in self.seats.iter_mut().flatten() {
            if seat.ended.is_some() {
                continue;
            }
            seat.show(inputs, Some(now));
            if let Place::InputLine(channel) = seat.force.place {
                let bit = channel.bit();
                lines |= bit;
                levels |= if seat.force.value == 0.0 { 0 } else { bit };
            }
        }
        let touched = lines | self.lines;
        if let Ok(digital) = &mut inputs.digital
            && touched != 0
        {
            // The levels that laws saw last: the forced ones, otherwise those before the edges.
            let real = digital.levels ^ digital.rose ^ digital.fell;
            let before = real & !self.lines | self.levels & self.lines;
            digital.levels = digital.levels & !lines | levels;
            let changed = (digital.levels ^ before) & touched;
            digital.rose = digital.rose & !touched | changed & digital.levels;
            digital.fell = digital.fell & !touched | changed & !digital.levels;
        }
        (self.lines, self.levels) = (lines, levels);
    }

    /// Ends all forces if a law has a new `fault`, and those that must not be there with power;
    /// then gives the outputs of ended forces their value of `safe`, and sets those of the
    /// others. Whether one is left. To be called after the laws have run.
    #[inline(never)]
    pub fn commanded(
        &mut self,
        slot: u64,
        fault: bool,
        safe: &Outputs,
        outputs: &mut Outputs,
    ) -> bool {
        let power = outputs.digital & self.power != 0;
        for seat in self.seats.iter_mut().flatten() {
            if fault {
                seat.end(Ended::Fault, slot);
            } else if power && !seat.force.with_power {
                seat.end(Ended::Power, slot);
            }
            if seat.ended.is_some() && !seat.undone {
                seat.undone = true;
                match seat.force.place {
                    Place::OutputLine(channel) => outputs.set(channel, safe.is_active(channel)),
                    Place::CommandFlag(index) => {
                        let bit = flag(index);
                        outputs.flags = outputs.flags & !bit | safe.flags & bit;
                    }
                    Place::Command(index) => command(outputs, index, || {
                        safe.analogs.get(usize::from(index)).copied()
                    }),
                    // In the next cycle: laws have seen the forced value in this one.
                    _ => seat.undone = false,
                }
            }
        }
        // After that: another force of the same output may have replaced one that ended.
        let mut is_left = false;
        for seat in self.seats.iter().flatten() {
            is_left |= !seat.undone;
            if seat.ended.is_some() {
                continue;
            }
            let value = seat.force.value;
            match seat.force.place {
                Place::OutputLine(channel) => outputs.set(channel, value != 0.0),
                Place::CommandFlag(index) => {
                    let bit = flag(index);
                    outputs.flags = outputs.flags & !bit | if value == 0.0 { 0 } else { bit };
                }
                Place::Command(index) => command(outputs, index, || Some(value)),
                _ => {}
            }
        }
        is_left
    }
}

impl Seat {
    fn end(&mut self, why: Ended, slot: u64) {
        // The first reason counts.
        self.ended.get_or_insert((why, slot));
    }

    /// Sets the sample of a forced input, with the time `at`; or without one sets it back to what
    /// was read.
    fn show(&mut self, inputs: &mut Inputs, at: Option<Instant>) {
        let value = self.force.value;
        match self.force.place {
            Place::Flag(index) => {
                let of = (f64::from, |value: f64| value != 0.0);
                self.put(
                    inputs.flags.get_mut(usize::from(index)),
                    value != 0.0,
                    at,
                    of,
                );
            }
            Place::Number(index) => {
                let of = (|value| value, |value| value);
                self.put(inputs.analogs.get_mut(usize::from(index)), value, at, of);
            }
            Place::Angle(index) => {
                let of = (
                    |angle: Angle| f64::from(angle.0),
                    |value| Angle(value as u32),
                );
                let value = Angle::from_radians(value);
                self.put(inputs.positions.get_mut(usize::from(index)), value, at, of);
            }
            Place::InputLine(_) => self.undone |= at.is_none(),
            Place::OutputLine(_) | Place::CommandFlag(_) | Place::Command(_) => {}
        }
    }

    fn put<T: Copy>(
        &mut self,
        sample: Option<&mut Sample<T>>,
        forced: T,
        at: Option<Instant>,
        (number, value): (impl Fn(T) -> f64, impl Fn(f64) -> T),
    ) {
        self.undone |= at.is_none();
        let Some(sample) = sample else {
            return;
        };
        let was_read = self.put != Some(sample.at);
        if was_read {
            self.real = Sample {
                value: sample.value.map(number),
                at: sample.at,
            };
        }
        if let Some(at) = at {
            sample.value = Ok(forced);
            sample.at = at;
        } else if !was_read {
            sample.value = self.real.value.map(value);
            sample.at = self.real.at;
        }
        self.put = at;
    }
}

/// The bit of the commanded flag `index`.
const fn flag(index: u8) -> u32 {
    1 << (index % 32)
}

fn command(outputs: &mut Outputs, index: u8, value: impl FnOnce() -> Option<f64>) {
    if let (Some(output), Some(value)) = (outputs.analogs.get_mut(usize::from(index)), value()) {
        *output = value;
    }
}

#[cfg(test)]
mod tests;
