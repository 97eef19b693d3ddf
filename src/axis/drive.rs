//! One axis: [`Axis::step`] evaluates a reading, advances the state machine, and drives the
//! outputs of one cycle.
//!
//! Promises: power is applied only after a good reading in the same cycle, with the setpoint at
//! that reading and 0 V. A command that is not finite is never written. The first fault is kept
//! until it is reset. Cost: a few hundred instructions; planning a move is included once for
//! each move.

use super::command::config::Commands;
use super::command::memory::CommandState;
use super::fault::Fault;
use super::feedback::{Feedback, FeedbackState, Reading};
use super::limits::{Limits, LimitsState};
use super::memory::{AxisState, Power};
use super::motion::{Program, ProgramState};
use super::state::{Command, Event, State};
use crate::control::{Pid, PidState, Sample, Trajectory, TrajectoryState};
use crate::cycle::image::{DigitalInputs, Inputs, Outputs};
use crate::cycle::ports::Tick;

/// A validated axis. Made by [`AxisConfig::build`](super::AxisConfig::build).
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub(super) feedback: Feedback,
    pub(super) limits: Limits,
    pub(super) profile: Trajectory,
    pub(super) pid: Pid,
    /// Volts for each rad/s of the setpoint, including the derivative gain.
    pub(super) velocity_gain: f64,
    pub(super) acceleration_gain: f64,
    pub(super) program: Program,
    pub(super) command: Option<Commands>,
    pub(super) command_channel: u8,
    pub(super) command_sign: f64,
    /// The bits of the outputs that are on while the axis has power: enable and brake release.
    pub(super) power_bits: u32,
    /// The bit of the brake release; 0 without a brake.
    pub(super) brake_bit: u32,
    pub(super) start_slots: u32,
    pub(super) brake_release_slots: u32,
    pub(super) brake_engage_slots: u32,
    pub(super) standstill_slots: u32,
    pub(super) standstill_velocity_rad_s: f64,
}

/// The request to an axis in one cycle.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Apply power, and follow the motion.
    Operate,
    /// Stop on the quick stop ramp, then remove power.
    Stop,
    /// React to a fault that was detected outside of the axis.
    Trip(Fault),
}

impl Axis {
    /// The state of this axis before its first cycle.
    pub const fn initial(&self) -> AxisState {
        AxisState {
            machine: State::NotReadyToSwitchOn,
            power: Power::Off,
            fault: None,
            feedback: FeedbackState::UNKNOWN,
            limits: LimitsState::NONE,
            trajectory: TrajectoryState::at_rest(0.0),
            pid: PidState::REST,
            program: ProgramState::START,
            command: CommandState::NONE,
            runs_program: false,
            has_commands: self.command.is_some(),
            command_volts: 0.0,
            tracking_error_rad: 0.0,
            slots_left: self.start_slots,
            error_max_rad: 0.0,
            error_squares: 0.0,
            error_count: 0,
        }
    }

    /// One cycle: evaluates the reading, advances the state machine and drives the outputs.
    /// `outputs` must hold the safe values of this axis' channels; they remain if the axis has no
    /// power.
    ///
    /// Outputs by state (CiA 402-2, section on the finite state automaton; IEC 61800-7-201 leaves
    /// the brake to the drive):
    ///
    /// | state | enable | brake release | command |
    /// |---|---|---|---|
    /// | Not ready, Switch on disabled, Ready to switch on | safe | safe | safe |
    /// | Switched on | on | on | holds the measured position |
    /// | Operation enabled | on | on | follows the trajectory |
    /// | Quick stop active, Fault reaction active | on | until at rest | follows the stop, then holds |
    /// | Fault | safe | safe | safe |
    ///
    /// "Safe" is the safe value of the board file. For enable and brake release it must mean off;
    /// for the command it need not be 0 V. Digital outputs are written first, so when enable
    /// switches, the amplifier sees the safe command for the time of one frame.
    ///
    /// Switched on lasts until the brake has released. The controller already holds the position,
    /// so that a hanging load does not drop; the setpoint does not move before Operation enabled.
    #[inline]
    pub fn step(
        &self,
        state: &mut AxisState,
        request: Request,
        inputs: &Inputs,
        tick: &Tick,
        outputs: &mut Outputs,
    ) {
        let elapsed = tick.elapsed_slots;
        let sample = &inputs.positions[usize::from(self.feedback.channel())];
        let command_volts = state.command_volts;
        let reading = self
            .feedback
            .update(&mut state.feedback, sample, command_volts);
        if let Request::Trip(fault) = request {
            self.trip(state, fault);
        }
        if let Reading::Failed(fault) = reading
            && state.machine != State::NotReadyToSwitchOn
        {
            self.trip(state, fault);
        }
        let digital = inputs.digital_ok();
        if self.limits.both_switches_hit(&mut state.limits, digital) {
            self.trip(state, Fault::BothLimitSwitches);
        }
        if state.runs_program && request == Request::Operate {
            self.operate(state, elapsed);
        } else {
            self.sequence(state, request, reading, inputs, elapsed);
        }
        if state.power != Power::Off {
            self.control(state, reading, digital, elapsed);
        }
        if state.power != Power::Off {
            outputs.analogs[usize::from(self.command_channel)] =
                self.command_sign * state.command_volts;
            outputs.set_bits(self.power_bits, true);
            if let Power::Engaging(_) = state.power {
                outputs.set_bits(self.brake_bit, false);
            }
        }
    }

    /// Operation enabled without a stop request: the only state of an axis without commands
    /// that lasts.
    #[inline]
    fn operate(&self, state: &mut AxisState, elapsed: u32) {
        if state.trajectory.is_at_rest()
            && let Some(target) = self.program.next(&mut state.program, elapsed)
        {
            self.profile.move_to(&mut state.trajectory, target);
        }
    }

    /// Advances the state machine by the commands, by the request and by what has happened.
    #[inline(never)]
    fn sequence(
        &self,
        state: &mut AxisState,
        request: Request,
        reading: Reading,
        inputs: &Inputs,
        elapsed: u32,
    ) {
        match &self.command {
            Some(commands) => self.obey(commands, state, request, reading, inputs, elapsed),
            None => self.run_program(state, request, reading, elapsed),
        }
    }

    /// Advances the state machine of an axis that moves through its list.
    pub(super) fn run_program(
        &self,
        state: &mut AxisState,
        request: Request,
        reading: Reading,
        elapsed: u32,
    ) {
        let operate = request == Request::Operate;
        match state.machine {
            State::NotReadyToSwitchOn => match reading {
                Reading::Fresh => state.event(Event::Initialised),
                Reading::Held(fault) | Reading::Failed(fault) => {
                    state.slots_left = state.slots_left.saturating_sub(elapsed);
                    if state.slots_left == 0 {
                        self.trip(state, fault);
                    }
                }
            },
            State::SwitchOnDisabled => {
                if operate {
                    state.event(Event::Command(Command::Shutdown));
                }
            }
            State::ReadyToSwitchOn => {
                if !operate {
                    state.event(Event::Command(Command::QuickStop));
                } else if reading == Reading::Fresh {
                    state.event(Event::Command(Command::SwitchOn));
                    self.switch_on(state);
                }
            }
            State::SwitchedOn => match state.power {
                Power::Releasing(_) | Power::On if !operate => {
                    state.power = Power::Engaging(self.brake_engage_slots);
                }
                Power::Releasing(left) => match left.saturating_sub(elapsed) {
                    0 => {
                        state.power = Power::On;
                        self.program.resume(&mut state.program);
                        state.event(Event::Command(Command::EnableOperation));
                    }
                    left => state.power = Power::Releasing(left),
                },
                Power::Off | Power::On | Power::Engaging(_) => {
                    if self.engage_brake(state, elapsed) {
                        state.event(Event::Command(Command::QuickStop));
                    }
                }
            },
            State::OperationEnabled => {
                if !operate {
                    self.profile.stop(&mut state.trajectory);
                    state.slots_left = self.standstill_slots;
                    state.event(Event::Command(Command::QuickStop));
                } else {
                    self.operate(state, elapsed);
                }
            }
            State::QuickStopActive => {
                if self.continue_stop(state, elapsed) {
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

    /// Applies power, with the setpoint at the measured position and 0 V.
    pub(super) fn switch_on(&self, state: &mut AxisState) {
        self.stand(state);
        state.limits = LimitsState::NONE;
        state.power = Power::Releasing(self.brake_release_slots);
    }

    /// Sets the setpoint to the measured position and the command to 0 V.
    pub(super) fn stand(&self, state: &mut AxisState) {
        let position = state.feedback.position_rad();
        state.trajectory = TrajectoryState::at_rest(position);
        let measured_at = state.feedback.measured_at();
        self.pid
            .track(&mut state.pid, 0.0, position, position, 0.0, measured_at);
        state.command_volts = 0.0;
    }

    /// One cycle of a stop: ramp, standstill, brake. Returns true when power is off.
    pub(super) fn continue_stop(&self, state: &mut AxisState, elapsed: u32) -> bool {
        match state.power {
            Power::Releasing(_) | Power::On => {
                if state.trajectory.is_at_rest() {
                    let still =
                        state.feedback.velocity_rad_s().abs() < self.standstill_velocity_rad_s;
                    if still || state.slots_left == 0 {
                        state.power = Power::Engaging(self.brake_engage_slots);
                    }
                    state.slots_left = state.slots_left.saturating_sub(elapsed);
                }
                false
            }
            Power::Off | Power::Engaging(_) => self.engage_brake(state, elapsed),
        }
    }

    /// One cycle of the brake's engagement. Returns true when power is off.
    pub(super) fn engage_brake(&self, state: &mut AxisState, elapsed: u32) -> bool {
        if let Power::Engaging(left) = state.power {
            match left.saturating_sub(elapsed) {
                0 => state.cut_power(),
                left => state.power = Power::Engaging(left),
            }
        }
        state.power == Power::Off
    }

    /// One cycle of the position controller, under power.
    #[inline]
    fn control(
        &self,
        state: &mut AxisState,
        reading: Reading,
        digital: Option<&DigitalInputs>,
        elapsed: u32,
    ) {
        let mut setpoint = self.profile.advance(&mut state.trajectory, elapsed);
        if reading != Reading::Fresh {
            // Without a new reading the last command is held, like the last position.
            return;
        }
        let position = state.feedback.position_rad();
        let velocity = state.feedback.velocity_rad_s();
        let mut error = setpoint.position_rad - position;
        let found = self.limits.check(
            &mut state.limits,
            position,
            velocity,
            setpoint.velocity_rad_s,
            error,
            digital,
        );
        if let Some(fault) = found {
            self.exceed(state, fault);
            if state.power == Power::Off {
                return;
            }
            setpoint = *state.trajectory.last();
            error = setpoint.position_rad - position;
        }
        state.tracking_error_rad = error;
        if state.machine == State::OperationEnabled {
            if error.abs() > state.error_max_rad {
                state.error_max_rad = error.abs();
            }
            state.error_squares += error * error;
            state.error_count += 1;
        }
        let feed_forward = self.velocity_gain * setpoint.velocity_rad_s
            + self.acceleration_gain * setpoint.acceleration_rad_s2;
        let command = self.pid.step(
            &mut state.pid,
            setpoint.position_rad,
            position,
            feed_forward,
            state.feedback.measured_at(),
        );
        match command {
            Some(volts) => state.command_volts = volts,
            None => self.trip(state, Fault::NonFiniteCommand),
        }
    }

    /// A limit was exceeded: a fault, unless homing expects it.
    #[cold]
    #[inline(never)]
    fn exceed(&self, state: &mut AxisState, fault: Fault) {
        let homing = &state.command.homing;
        if !homing.tolerates(fault) {
            self.trip(state, fault);
        } else if self.limits.is_off_track(&state.limits)
            && !homing.tolerates(Fault::FollowingError)
        {
            // The limit has hidden it.
            self.trip(state, Fault::FollowingError);
        }
    }

    /// Enters the fault reaction: a quick stop ramp if the position can be trusted and power is
    /// on, otherwise power off at once. A second fault can only change the reaction from the
    /// ramp to power off.
    #[cold]
    #[inline(never)]
    pub(super) fn trip(&self, state: &mut AxisState, fault: Fault) {
        match state.machine {
            State::Fault => return,
            State::FaultReactionActive => {
                if fault.stops_on_ramp() && fault != Fault::FollowingError {
                    return;
                }
                // Leaving the stop ramp means loss of control: remove power (SS1-r, IEC
                // 61800-5-2).
                state.cut_power();
                state.event(Event::FaultReactionDone);
                return;
            }
            State::NotReadyToSwitchOn
            | State::SwitchOnDisabled
            | State::ReadyToSwitchOn
            | State::SwitchedOn
            | State::OperationEnabled
            | State::QuickStopActive => {
                state.fault = Some(fault);
                state.event(Event::FaultDetected);
            }
        }
        if fault.stops_on_ramp() && state.power != Power::Off {
            self.begin_stop(state, fault);
        } else {
            state.cut_power();
            state.event(Event::FaultReactionDone);
        }
    }

    fn begin_stop(&self, state: &mut AxisState, fault: Fault) {
        if fault == Fault::FollowingError {
            // The axis is far from the profile. A ramp that began at the setpoint would first
            // move it there.
            let from = Sample {
                position_rad: state.feedback.position_rad(),
                velocity_rad_s: state.feedback.velocity_rad_s(),
                acceleration_rad_s2: 0.0,
            };
            self.profile.stop_from(&mut state.trajectory, from);
        } else {
            self.profile.stop(&mut state.trajectory);
        }
        state.slots_left = self.standstill_slots;
    }

    /// Whether homing needs the digital inputs.
    pub(super) fn homing_needs_digital(&self) -> bool {
        let command = self.command.as_ref();
        command.is_some_and(|commands| commands.homing.needs_digital())
    }

    /// Whether the cause of a fault is still present, as far as the axis can measure: bad
    /// feedback, overspeed, or both limit switches at once. A single limit at an end of the
    /// range does not count, because the axis leaves it by moving away.
    pub fn cause_persists(&self, state: &AxisState) -> bool {
        // Power must not return without a valid position, whatever the fault was.
        let runaway = state.fault == Some(Fault::Overspeed)
            && self.limits.is_overspeed(state.feedback.velocity_rad_s());
        runaway || !state.feedback.is_healthy() || state.limits.both_hit()
    }

    /// Whether the axis has no power and no cause of a fault is present, so that
    /// [`Axis::reset`] can clear its fault.
    pub fn can_reset(&self, state: &AxisState) -> bool {
        state.power == Power::Off
            && state.machine != State::FaultReactionActive
            && !self.cause_persists(state)
    }

    /// Resets the fault if its cause is gone. Does nothing in any other state.
    pub fn reset(&self, state: &mut AxisState) {
        if state.machine == State::Fault && self.can_reset(state) {
            state.fault = None;
            state.event(Event::Command(Command::FaultReset));
        }
    }
}
