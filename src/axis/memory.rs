//! The state of an axis between cycles, and its accessors.

use super::command::memory::{CommandState, Mode};
use super::fault::Fault;
use super::feedback::FeedbackState;
use super::limits::LimitsState;
use super::motion::ProgramState;
use super::state::{Event, State};
use crate::control::{PidState, TrajectoryState};

/// Power and brake.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// No power, brake engaged.
    Off,
    /// Power, brake releasing for this many more slots.
    Releasing(u32),
    /// Power, brake released.
    On,
    /// Power, brake engaging for this many more slots.
    Engaging(u32),
}

/// The state of an axis.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct AxisState {
    pub(super) machine: State,
    pub(super) power: Power,
    pub(super) fault: Option<Fault>,
    pub(super) feedback: FeedbackState,
    pub(super) limits: LimitsState,
    pub(super) trajectory: TrajectoryState,
    pub(super) pid: PidState,
    pub(super) program: ProgramState,
    pub(super) command: CommandState,
    /// Whether the state is Operation enabled and the axis has no command signals: it moves
    /// through its list.
    pub(super) runs_program: bool,
    /// Whether the axis has command signals.
    pub(super) has_commands: bool,
    pub(super) command_volts: f64,
    pub(super) tracking_error_rad: f64,
    /// Slots left for the start-up, later for the wait for standstill.
    pub(super) slots_left: u32,
    pub(super) error_max_rad: f64,
    pub(super) error_squares: f64,
    pub(super) error_count: u64,
}

impl AxisState {
    pub(super) fn event(&mut self, event: Event) {
        if let Some(next) = self.machine.next(event) {
            self.machine = next;
            self.runs_program = next == State::OperationEnabled && !self.has_commands;
            self.command.leaving = false;
            self.command.homing.abort();
        }
    }

    pub(super) fn cut_power(&mut self) {
        self.power = Power::Off;
        self.command_volts = 0.0;
        self.tracking_error_rad = 0.0;
        self.trajectory.hold();
    }

    /// The state of the state machine.
    pub const fn state(&self) -> State {
        self.machine
    }

    /// The fault that stopped the axis, until it is reset.
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The state of the commands from outside.
    pub const fn command(&self) -> &CommandState {
        &self.command
    }

    /// The position that the axis moves to: that of the last accepted set-point in the modes with
    /// a target position, otherwise the end of the present motion, rad.
    pub fn target_rad(&self) -> f64 {
        match self.command.mode() {
            Mode::ProfilePosition | Mode::SyncPosition if self.has_commands => {
                self.command.target_rad
            }
            _ => self.trajectory.target_rad(),
        }
    }

    /// Whether power is applied.
    pub const fn is_powered(&self) -> bool {
        !matches!(self.power, Power::Off)
    }

    /// Measured position, rad.
    pub const fn position_rad(&self) -> f64 {
        self.feedback.position_rad()
    }

    /// Measured velocity, filtered, rad/s.
    pub const fn velocity_rad_s(&self) -> f64 {
        self.feedback.velocity_rad_s()
    }

    /// The setpoint, rad. Without power, the last setpoint.
    pub const fn setpoint_rad(&self) -> f64 {
        self.trajectory.last().position_rad
    }

    /// Velocity of the setpoint, rad/s. Without power, 0.
    pub const fn setpoint_velocity_rad_s(&self) -> f64 {
        self.trajectory.last().velocity_rad_s
    }

    /// The command, volts, positive in positive direction of the axis.
    pub const fn command_volts(&self) -> f64 {
        self.command_volts
    }

    /// Setpoint minus position, rad; 0 without power.
    pub const fn tracking_error_rad(&self) -> f64 {
        self.tracking_error_rad
    }

    /// The largest tracking error so far in Operation enabled, rad.
    pub const fn tracking_error_max_rad(&self) -> f64 {
        self.error_max_rad
    }

    /// Root mean square of the tracking error in Operation enabled, rad; 0 before its first
    /// cycle.
    pub fn tracking_error_rms_rad(&self) -> f64 {
        match self.error_count {
            0 => 0.0,
            count => libm::sqrt(self.error_squares / count as f64),
        }
    }
}
