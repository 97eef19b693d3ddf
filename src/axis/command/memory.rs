//! What a commanded axis remembers between cycles.

use super::homing::HomingState;
use crate::axis::words::control::{PACE, PACED};
use crate::cycle::image::DigitalInputs;

/// Modes of operation (6060h) of the axis.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum Mode {
    /// 0: no mode; an enabled axis holds its position.
    #[default]
    None = 0,
    /// 1, pp: moves to set-points on the profile.
    ProfilePosition = 1,
    /// 3, pv: turns at a velocity, changed on the profile.
    ProfileVelocity = 3,
    /// 6, hm: finds the zero of the position.
    Homing = 6,
    /// 8, csp: follows a target position in each cycle.
    SyncPosition = 8,
    /// 9, csv: follows a target velocity in each cycle.
    SyncVelocity = 9,
}

impl Mode {
    /// The mode with this number of 6060h; `None` for those that the axis does not have.
    #[must_use]
    pub const fn from_number(number: i8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::ProfilePosition,
            3 => Self::ProfileVelocity,
            6 => Self::Homing,
            8 => Self::SyncPosition,
            9 => Self::SyncVelocity,
            _ => return None,
        })
    }

    /// Its number (6061h).
    #[must_use]
    pub const fn number(self) -> i8 {
        self as i8
    }
}

/// Who commands the axis.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::axis) enum Source {
    /// No link so far: the list of positions, if it has one.
    Program,
    /// A link.
    Link,
    /// A link whose commands are stale.
    Lost,
    /// None any more: the link has released the axis.
    Released,
}

/// The state of the commands of an axis.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct CommandState {
    pub(in crate::axis) source: Source,
    pub(in crate::axis) mode: Mode,
    /// The last controlword, for its edges.
    pub(in crate::axis) controlword: u16,
    /// Whether the machine was armed in the last cycle.
    pub(in crate::axis) permitted: bool,
    /// Whether the axis stops because of shutdown or disable operation.
    pub(in crate::axis) leaving: bool,
    /// Whether Halt was set in the last cycle of Operation enabled.
    pub(in crate::axis) halted: bool,
    /// Whether a target or a velocity was limited.
    pub(in crate::axis) limited: bool,
    /// Whether the target was within its window for long enough.
    pub(in crate::axis) reached: bool,
    /// How many cycles it was within so far.
    pub(in crate::axis) cycles_inside: u32,
    /// Mode pp: whether a set-point was taken while bit 4 is still set; whether the axis moves
    /// to a set-point; the next one.
    pub(in crate::axis) acknowledged: bool,
    pub(in crate::axis) busy: bool,
    pub(in crate::axis) buffered_rad: Option<f64>,
    /// The accepted target position, rad.
    pub(in crate::axis) target_rad: f64,
    /// Mode pv: the velocity that the motion was planned for; `None` before.
    pub(in crate::axis) velocity_rad_s: Option<f64>,
    /// Mode csp: slots left to the target.
    pub(in crate::axis) slots_left: u32,
    /// Mode csp with SYNC: the pace bits of the last cycle; whether the way to the target was
    /// never limited; slots for which the setpoint went on without SYNC, `u32::MAX` once it
    /// stops.
    pub(in crate::axis) pace: u16,
    pub(in crate::axis) exact: bool,
    pub(in crate::axis) extrapolated: u32,
    /// The digital inputs of the last cycle; `None` if they could not be read.
    pub(in crate::axis) digital: Option<DigitalInputs>,
    pub(in crate::axis) homing: HomingState,
}

impl CommandState {
    /// The state before the first command.
    pub const NONE: Self = Self {
        source: Source::Program,
        mode: Mode::None,
        controlword: 0,
        permitted: false,
        leaving: false,
        halted: false,
        limited: false,
        reached: false,
        cycles_inside: 0,
        acknowledged: false,
        busy: false,
        buffered_rad: None,
        target_rad: 0.0,
        velocity_rad_s: None,
        slots_left: 0,
        pace: 0,
        exact: false,
        extrapolated: 0,
        digital: None,
        homing: HomingState::NONE,
    };

    /// Whether the targets follow SYNC, and none has come since the last cycle.
    pub(in crate::axis) const fn waits_for_sync(&mut self, controlword: u16) -> bool {
        let pace = controlword & (PACED | PACE);
        let waits = pace & PACED != 0 && pace == self.pace;
        self.pace = pace;
        waits
    }

    /// The mode (6061h).
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Forgets what belongs to the mode and its motion. The axis stands, or stops, at
    /// `setpoint_rad`.
    pub(in crate::axis) fn begin(&mut self, setpoint_rad: f64) {
        self.acknowledged = false;
        self.busy = false;
        self.buffered_rad = None;
        self.target_rad = setpoint_rad;
        self.velocity_rad_s = None;
        self.slots_left = 0;
        self.pace = 0;
        self.extrapolated = 0;
        self.halted = false;
        self.limited = false;
        self.homing.abort();
        self.restart_window();
    }

    /// The target has changed: it is not reached.
    #[inline]
    pub(in crate::axis) const fn restart_window(&mut self) {
        self.reached = false;
        self.cycles_inside = 0;
    }

    /// Counts a cycle in which the target is within its window, or not.
    #[inline]
    pub(in crate::axis) const fn count_inside(&mut self, inside: bool, window_cycles: u32) {
        if inside {
            self.reached = self.cycles_inside >= window_cycles;
            self.cycles_inside = self.cycles_inside.saturating_add(1);
        } else {
            self.restart_window();
        }
    }
}
