//! Reset of the application by the master (NMT, reset node): the parameters of the axes on the bus go
//! back to their values at power-on.

use super::machine::{Machine, Status, Step};
use crate::axis::PARAMETERS;
use crate::axis::state::State;
use crate::axis::words::status;
use crate::link::canopen::{MAX_AXES, Reset};
use crate::link::owner::Client;
use crate::link::parameters::{Refusal, Setting};
use crate::telemetry::say;

impl Machine<'_, '_> {
    /// One step of a reset.
    pub(super) fn reset_step(&mut self) -> Reset {
        let taken = self.owners.taken();
        self.values.reset = match self.values.reset {
            Step::Idle => {
                self.owners.hand_over_again();
                Step::Lost(self.owners.next_hand_over())
            }
            Step::Lost(number) if number <= taken => {
                self.owners.hand_over_again();
                Step::Shown(self.owners.next_hand_over())
            }
            Step::Shown(number) if number <= taken => Step::Read(self.now),
            Step::Read(at) if at < self.now => {
                let reset = self.reset_now();
                if reset != Reset::Waits {
                    self.values.reset = Step::Idle;
                }
                return reset;
            }
            waits => waits,
        };
        Reset::Waits
    }

    /// Resets the parameters, if no axis has power.
    fn reset_now(&mut self) -> Reset {
        for (axis, statuses) in self.axes.iter().zip(&self.values.statuses) {
            let word = statuses[Status::Statusword as usize];
            match status::state(word as u16).filter(|_| !word.is_nan()) {
                Some(
                    State::NotReadyToSwitchOn
                    | State::SwitchOnDisabled
                    | State::ReadyToSwitchOn
                    | State::Fault,
                ) => {}
                // It stops, and has no power then.
                Some(State::QuickStopActive | State::FaultReactionActive) | None => {
                    return Reset::Waits;
                }
                Some(_) => {
                    say(format_args!(
                        "steadfast: a reset of the node left the parameters as they are: {} has power; stop it, then reset the node again",
                        axis.name
                    ));
                    return Reset::Refused;
                }
            }
        }
        let parameters = &mut *self.owners.parameters;
        let mut settings: heapless::Vec<Setting, { MAX_AXES * PARAMETERS.len() }> =
            heapless::Vec::new();
        for number in 0..parameters.count() {
            let Some(parameter) = parameters.get(number) else {
                continue;
            };
            let is_changed = parameter.value != parameter.next;
            if is_changed && self.axes.iter().any(|axis| axis.name == parameter.of) {
                let value = parameter.next;
                // There is room for all parameters of all axes on the bus.
                let _ = settings.push(Setting { number, value });
            }
        }
        if settings.is_empty() {
            return Reset::Done;
        }
        match parameters.set(false, &settings) {
            Ok(()) => {
                let client = (Client::CAN.0, &Client::CAN as _);
                self.owners.changes.add(parameters, client, self.now);
                Reset::Done
            }
            Err(Refusal::Busy) => Reset::Waits,
            Err(refusal) => {
                say(format_args!(
                    "steadfast: a reset of the node left the parameters as they are: {refusal}"
                ));
                Reset::Refused
            }
        }
    }
}
