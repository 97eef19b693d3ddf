//! Drives without dynamics: the states of CiA 402, and positions that follow at once or with the
//! profile velocity.

use std::collections::BTreeMap;

use steadfast::axis::State;
use steadfast::axis::state::{Command, Event};
use steadfast::axis::words::status;
use steadfast::link::canopen::{Drive, Item, Loss, Pace, Refusal, Reset, Saved};
use steadfast::time::Instant;

/// Homing takes this long, s.
const HOMING_S: f64 = 0.2;
/// Following error that is a fault, rad: a controlword with this bit set causes it (bit 15 is the
/// manufacturer's).
const FAULT_BIT: u16 = 0x8000;
const FOLLOWING_ERROR: f64 = 0x8611 as f64;

/// One axis.
struct Axis {
    state: State,
    values: BTreeMap<u8, f64>,
    word: u16,
    position: f64,
    velocity: f64,
    /// The accepted target of pp.
    target: f64,
    acknowledged: bool,
    homing_left: f64,
    homed: bool,
    fault: f64,
}

/// The axes, and what was stored.
pub(crate) struct Simulated {
    axes: Vec<Axis>,
    stored: Vec<Saved>,
    last: Option<Instant>,
}

impl Axis {
    fn new() -> Self {
        let mut axis = Self {
            state: State::SwitchOnDisabled,
            values: BTreeMap::new(),
            word: 0,
            position: 0.0,
            velocity: 0.0,
            target: 0.0,
            acknowledged: false,
            homing_left: 0.0,
            homed: false,
            fault: 0.0,
        };
        let presets = [
            (Item::ProfileVelocity, 10.0),
            (Item::MaxProfileVelocity, 100.0),
            (Item::ProfileAcceleration, 100.0),
            (Item::ProfileDeceleration, 100.0),
            (Item::QuickStopDeceleration, 200.0),
            (Item::HomingMethod, 37.0),
            (Item::QuickStopOption, 2.0),
            // pp, pv, hm, csp, csv
            (Item::SupportedModes, 0x1A5 as f64),
        ];
        axis.values
            .extend(presets.map(|(item, value)| (item as u8, value)));
        axis
    }

    fn value(&self, item: Item) -> f64 {
        self.values.get(&(item as u8)).copied().unwrap_or(0.0)
    }

    fn mode(&self) -> i8 {
        self.value(Item::Mode) as i8
    }

    fn event(&mut self, event: Event) {
        self.state = self.state.next(event).unwrap_or(self.state);
    }

    /// A new controlword.
    fn command(&mut self, word: u16) {
        let rose = word & !self.word;
        self.word = word;
        let command = match word & 0xF {
            _ if rose & 0x80 != 0 => Command::FaultReset,
            low if low & 2 == 0 => Command::DisableVoltage,
            low if low & 4 == 0 => Command::QuickStop,
            low if low & 1 == 0 => Command::Shutdown,
            7 => Command::SwitchOn,
            _ => Command::EnableOperation,
        };
        self.event(Event::Command(command));
        if command == Command::FaultReset {
            self.fault = 0.0;
        }
        if word & FAULT_BIT != 0 {
            self.fault = FOLLOWING_ERROR;
            self.event(Event::FaultDetected);
        }
        if rose & 0x10 != 0 && self.state == State::OperationEnabled {
            match self.mode() {
                1 => {
                    let relative = word & 0x40 != 0;
                    let from = if relative { self.target } else { 0.0 };
                    self.target = from + self.value(Item::TargetPosition);
                    self.acknowledged = true;
                }
                6 => {
                    self.homing_left = HOMING_S;
                    self.homed = false;
                }
                _ => {}
            }
        }
        self.acknowledged &= word & 0x10 != 0;
    }

    fn advance(&mut self, seconds: f64) {
        match self.state {
            State::QuickStopActive => self.event(Event::QuickStopDone),
            State::FaultReactionActive => self.event(Event::FaultReactionDone),
            _ => {}
        }
        if self.state != State::OperationEnabled {
            self.velocity = 0.0;
            self.target = self.position;
            return;
        }
        let halt = self.word & 0x100 != 0;
        let before = self.position;
        match self.mode() {
            1 if !halt => {
                let most = self.value(Item::ProfileVelocity) * seconds;
                self.position += (self.target - self.position).clamp(-most, most);
            }
            3 | 9 if !halt => self.position += self.value(Item::TargetVelocity) * seconds,
            6 if self.homing_left > 0.0 && !halt => {
                self.homing_left -= seconds;
                if self.homing_left <= 0.0 {
                    self.homed = true;
                    self.position = self.value(Item::HomeOffset);
                    return;
                }
            }
            8 => self.position = self.value(Item::TargetPosition),
            _ => {}
        }
        if seconds > 0.0 {
            self.velocity = (self.position - before) / seconds;
        }
    }

    fn statusword(&self) -> u16 {
        let mut word = status::bits(self.state) | status::VOLTAGE_ENABLED | status::REMOTE;
        let enabled = self.state == State::OperationEnabled;
        let (reached, bit_12) = match self.mode() {
            1 => (self.position == self.target, self.acknowledged),
            6 => (self.homing_left <= 0.0, self.homed),
            8 | 9 => (false, enabled),
            _ => (true, false),
        };
        word |= u16::from(reached) << 10 | u16::from(bit_12) << 12;
        word
    }
}

impl Simulated {
    /// Drives that are off.
    pub(crate) fn new(axes: usize) -> Self {
        Self {
            axes: (0..axes).map(|_| Axis::new()).collect(),
            stored: Vec::new(),
            last: None,
        }
    }

    /// Moves on to `now`.
    pub(crate) fn advance(&mut self, now: Instant) {
        let since = self.last.map_or(now, |last| last);
        self.last = Some(now);
        for axis in &mut self.axes {
            axis.advance(now.since(since).as_secs_f64());
        }
    }
}

impl Drive for Simulated {
    fn axes(&self) -> usize {
        self.axes.len()
    }

    fn get(&self, axis: usize, item: Item) -> Result<f64, Refusal> {
        let axis = &self.axes[axis];
        Ok(match item {
            Item::Statusword => axis.statusword().into(),
            Item::ModeDisplay => axis.value(Item::Mode),
            Item::Position | Item::Setpoint => axis.position,
            Item::Velocity | Item::SetpointVelocity => axis.velocity,
            Item::ErrorCode => axis.fault,
            item => axis.value(item),
        })
    }

    fn set(&mut self, axis: usize, item: Item, value: f64) -> Result<(), Refusal> {
        let axis = &mut self.axes[axis];
        if item == Item::Mode && !matches!(value as i8, 0 | 1 | 3 | 6 | 8 | 9) {
            return Err(Refusal::Value);
        }
        axis.values.insert(item as u8, value);
        if item == Item::Controlword {
            axis.command(value as u16);
        }
        Ok(())
    }

    fn is_taken(&self) -> bool {
        true
    }

    fn withdraw(&mut self, _axis: usize) {}

    fn alive(&mut self, _axis: usize) {}

    fn pace(&mut self, _axis: usize, _pace: Pace) {}

    fn lost(&mut self, axis: usize, _loss: Loss) {
        self.axes[axis].event(Event::Command(Command::QuickStop));
    }

    fn store(&mut self, _: u8, next: &mut dyn FnMut() -> Option<Saved>) -> Result<(), Refusal> {
        let powered = |axis: &Axis| axis.state == State::OperationEnabled;
        if self.axes.iter().any(powered) {
            return Err(Refusal::State);
        }
        self.stored = std::iter::from_fn(next).collect();
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Refusal> {
        self.stored.clear();
        Ok(())
    }

    fn keep_node_id(&mut self, _: u8) -> Result<(), Refusal> {
        self.stored.clear();
        Ok(())
    }

    fn reset(&mut self) -> Reset {
        Reset::Done
    }

    fn stored(&mut self) -> Option<Result<(), Refusal>> {
        Some(Ok(()))
    }

    fn saved(&self, _: u8, number: usize) -> Option<Saved> {
        self.stored.get(number).copied()
    }
}
