//! The automaton of a commanded axis: what the controlword does in each state, and what happens
//! when the commands are lost.

use super::config::{Commands, OnLoss, Order, QuickStopOption};
use super::memory::{Mode, Source};
use crate::axis::drive::{Axis, Request};
use crate::axis::fault::Fault;
use crate::axis::feedback::Reading;
use crate::axis::memory::{AxisState, Power};
use crate::axis::state::{Command, Event, State};
use crate::axis::words::control::{ENABLE_OPERATION, FAULT_RESET};
use crate::cycle::image::{InputError, Inputs};

impl Axis {
    /// One cycle of an axis with command signals.
    #[inline]
    pub(in crate::axis) fn obey(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        request: Request,
        reading: Reading,
        inputs: &Inputs,
        elapsed: u32,
    ) {
        state.command.permitted = request == Request::Operate;
        if commands.has_switches {
            state.command.digital = inputs.digital.ok();
        }
        match commands.read(inputs) {
            Ok(order) => {
                let word = order.controlword;
                let rises = word & !state.command.controlword;
                state.command.controlword = word;
                if state.command.source != Source::Link {
                    self.begin_link(commands, state);
                }
                if order.mode != state.command.mode.number() {
                    self.change_mode(commands, state, order.mode);
                }
                // As `Command::decode`, which the usual cycle does not need.
                let enables = word & 0xF == ENABLE_OPERATION;
                if enables
                    && state.machine == State::OperationEnabled
                    && request == Request::Operate
                    && !state.command.leaving
                {
                    self.follow(commands, state, &order, rises, inputs, elapsed);
                    return;
                }
                if rises & FAULT_RESET != 0 {
                    self.reset_own(state);
                }
                let command = Some(Command::decode(word));
                self.transit(commands, state, request, command, reading, elapsed);
            }
            Err(error) => self.without(commands, state, request, error, reading, elapsed),
        }
    }

    /// Whether the fault reset of the controlword rises in this cycle, before the axis has seen
    /// it.
    pub(in crate::axis) fn is_reset_commanded(&self, state: &AxisState, inputs: &Inputs) -> bool {
        let order = self.command.as_ref().map(|commands| commands.read(inputs));
        matches!(order, Some(Ok(Order { controlword, .. }))
            if controlword & !state.command.controlword & FAULT_RESET != 0)
    }

    /// The first command after none.
    #[cold]
    #[inline(never)]
    fn begin_link(&self, commands: &Commands, state: &mut AxisState) {
        if state.command.source == Source::Program && state.machine == State::OperationEnabled {
            // It moved through its list.
            self.brake(commands, state);
            state.command.begin(state.trajectory.target_rad());
        }
        state.command.source = Source::Link;
    }

    /// A mode that is not the present one.
    #[cold]
    #[inline(never)]
    fn change_mode(&self, commands: &Commands, state: &mut AxisState, number: i8) {
        let Some(mode) = Mode::from_number(number) else {
            return;
        };
        state.command.mode = mode;
        if state.machine == State::OperationEnabled && !state.command.leaving {
            match mode {
                // These plan from the motion as it is.
                Mode::ProfileVelocity | Mode::SyncPosition | Mode::SyncVelocity => {}
                Mode::None | Mode::ProfilePosition | Mode::Homing => self.brake(commands, state),
            }
        }
        state.command.begin(state.trajectory.target_rad());
    }

    /// A cycle without valid commands.
    #[cold]
    #[inline(never)]
    fn without(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        request: Request,
        error: InputError,
        reading: Reading,
        elapsed: u32,
    ) {
        match state.command.source {
            Source::Program if error == InputError::NotRead => {
                let request = match request {
                    Request::Operate if self.program.is_empty() => Request::Stop,
                    other => other,
                };
                self.run_program(state, request, reading, elapsed);
                return;
            }
            Source::Program | Source::Link => {
                let released = error == InputError::NotRead;
                state.command.source = if released {
                    Source::Released
                } else {
                    Source::Lost
                };
                if !released {
                    self.lose(commands, state);
                }
            }
            Source::Lost | Source::Released => {}
        }
        let command = match state.command.source {
            Source::Released if state.power != Power::Off => Some(Command::Shutdown),
            Source::Released => Some(Command::DisableVoltage),
            Source::Program | Source::Link | Source::Lost => None,
        };
        self.transit(commands, state, request, command, reading, elapsed);
    }

    /// The commands are stale for the first time.
    fn lose(&self, commands: &Commands, state: &mut AxisState) {
        match commands.on_loss {
            OnLoss::QuickStop if state.power != Power::Off => self.trip(state, Fault::CommandLost),
            OnLoss::QuickStop => state.event(Event::Command(Command::DisableVoltage)),
            OnLoss::Hold if state.machine == State::OperationEnabled => {
                self.brake(commands, state);
                state.command.begin(state.trajectory.target_rad());
            }
            OnLoss::Hold => {}
        }
    }

    /// Fault reset by the controlword: the fault of this axis, if its cause is gone. An
    /// emergency stop and unreadable inputs concern the machine, and need its reset.
    #[cold]
    #[inline(never)]
    fn reset_own(&self, state: &mut AxisState) {
        match state.fault {
            Some(Fault::EmergencyStop | Fault::DigitalInputs) | None => {}
            Some(_) => self.reset(state),
        }
    }

    /// Advances the automaton by a command of the controlword; `None` keeps what is.
    #[inline(never)]
    fn transit(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        request: Request,
        command: Option<Command>,
        reading: Reading,
        elapsed: u32,
    ) {
        let operate = request == Request::Operate;
        let source = state.command.source;
        match state.machine {
            State::NotReadyToSwitchOn => self.run_program(state, request, reading, elapsed),
            State::SwitchOnDisabled => {
                if operate && command == Some(Command::Shutdown) {
                    state.event(Event::Command(Command::Shutdown));
                }
            }
            State::ReadyToSwitchOn => match command {
                _ if !operate => state.event(Event::Command(Command::QuickStop)),
                Some(
                    command @ (Command::SwitchOn
                    | Command::EnableOperation
                    | Command::DisableVoltage
                    | Command::QuickStop),
                ) => state.event(Event::Command(command)),
                Some(Command::Shutdown | Command::FaultReset) | None => {}
            },
            State::SwitchedOn => {
                self.transit_switched_on(state, operate, command, reading, elapsed);
            }
            State::OperationEnabled => {
                self.transit_enabled(commands, state, operate, command, elapsed);
            }
            State::QuickStopActive => {
                if command == Some(Command::DisableVoltage) {
                    state.cut_power();
                    state.event(Event::Command(Command::DisableVoltage));
                } else if operate && commands.quick_stop.stays() && source != Source::Released {
                    if command == Some(Command::EnableOperation) && state.trajectory.is_at_rest() {
                        state.event(Event::Command(Command::EnableOperation));
                        state.command.begin(state.setpoint_rad());
                    }
                } else if self.continue_stop(state, elapsed) {
                    state.event(Event::QuickStopDone);
                }
            }
            State::FaultReactionActive => {
                if self.continue_stop(state, elapsed) {
                    state.event(Event::FaultReactionDone);
                }
            }
            State::Fault => {}
        }
    }

    /// Switched on: power is off until the command is "enable operation", then it is on while
    /// the brake releases.
    fn transit_switched_on(
        &self,
        state: &mut AxisState,
        operate: bool,
        command: Option<Command>,
        reading: Reading,
        elapsed: u32,
    ) {
        if command == Some(Command::DisableVoltage) {
            state.cut_power();
            state.event(Event::Command(Command::DisableVoltage));
            return;
        }
        if operate && command == Some(Command::EnableOperation) {
            match state.power {
                Power::Off if reading == Reading::Fresh => self.switch_on(state),
                Power::Releasing(left) => match left.saturating_sub(elapsed) {
                    0 => {
                        state.power = Power::On;
                        state.event(Event::Command(Command::EnableOperation));
                        state.command.begin(state.setpoint_rad());
                    }
                    left => state.power = Power::Releasing(left),
                },
                Power::Engaging(_) => {
                    self.engage_brake(state, elapsed);
                }
                Power::Off | Power::On => {}
            }
            return;
        }
        if let Power::Releasing(_) | Power::On = state.power {
            state.power = Power::Engaging(self.brake_engage_slots);
        }
        if !self.engage_brake(state, elapsed) {
            return;
        }
        match command {
            _ if !operate => state.event(Event::Command(Command::QuickStop)),
            Some(command @ (Command::Shutdown | Command::QuickStop)) => {
                state.event(Event::Command(command));
            }
            _ => {}
        }
    }

    /// Operation enabled with another command than "enable operation", or stopping because of
    /// one.
    fn transit_enabled(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        operate: bool,
        command: Option<Command>,
        elapsed: u32,
    ) {
        let option = commands.quick_stop;
        match command {
            Some(Command::DisableVoltage) => {
                state.cut_power();
                state.event(Event::Command(Command::DisableVoltage));
            }
            _ if !operate => {
                self.profile.stop(&mut state.trajectory);
                self.quick_stop(state);
            }
            Some(Command::QuickStop) if option == QuickStopOption::Disable => {
                state.cut_power();
                state.event(Event::Command(Command::DisableVoltage));
            }
            Some(Command::QuickStop) => {
                match option {
                    QuickStopOption::SlowDown | QuickStopOption::SlowDownAndStay => {
                        self.brake(commands, state);
                    }
                    QuickStopOption::Disable
                    | QuickStopOption::QuickStop
                    | QuickStopOption::QuickStopAndStay => self.profile.stop(&mut state.trajectory),
                }
                self.quick_stop(state);
            }
            Some(command @ (Command::Shutdown | Command::SwitchOn | Command::EnableOperation)) => {
                let engages = matches!(state.power, Power::Engaging(_));
                if command == Command::EnableOperation && !engages {
                    state.command.leaving = false;
                    state.command.begin(state.trajectory.target_rad());
                    return;
                }
                if !state.command.leaving {
                    state.command.leaving = true;
                    self.brake(commands, state);
                    state.slots_left = self.standstill_slots;
                }
                if self.continue_stop(state, elapsed) {
                    let to = match command {
                        Command::Shutdown => Command::Shutdown,
                        _ => Command::SwitchOn,
                    };
                    state.event(Event::Command(to));
                }
            }
            // Commands are lost: hold.
            Some(Command::FaultReset) | None => {
                if state.command.leaving && self.continue_stop(state, elapsed) {
                    state.event(Event::Command(Command::SwitchOn));
                }
            }
        }
    }

    fn quick_stop(&self, state: &mut AxisState) {
        state.slots_left = self.standstill_slots;
        state.event(Event::Command(Command::QuickStop));
    }
}
