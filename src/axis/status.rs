//! The status of an axis for links: statusword, mode display and actual values of CiA 402.

use super::command::memory::{Mode, Source};
use super::drive::Axis;
use super::memory::AxisState;
use super::state::State;
use super::words::status as word;
use crate::cycle::word::{Word, put};

/// The status values of an axis and their units, in the order of [`Axis::status`].
pub const STATUS: [(&str, &str); 11] = [
    // 6041h, 6061h, 6064h, 606Ch, 6062h, 60F4h, the output in volts, 603Fh, the accepted target,
    // 606Bh, 60FDh.
    ("statusword", ""),
    ("mode_display", ""),
    ("position", "rad"),
    ("velocity", "rad/s"),
    ("setpoint", "rad"),
    ("following_error", "rad"),
    ("command", "V"),
    ("fault", ""),
    ("accepted_target", "rad"),
    ("velocity_demand", "rad/s"),
    ("switches", ""),
];

impl Axis {
    /// Writes the status of this axis, with the names and units of [`STATUS`], to `words`.
    #[inline]
    pub fn status(&self, state: &AxisState, words: &[Word; STATUS.len()]) {
        let fault = state.fault().map_or(0, super::fault::Fault::code);
        // The pattern has the order of the table.
        let [
            statusword,
            mode,
            position,
            velocity,
            setpoint,
            following_error,
            command,
            fault_code,
            target,
            velocity_demand,
            switches,
        ] = words;
        put(statusword, f64::from(self.statusword(state)));
        put(mode, f64::from(state.command.mode().number()));
        put(position, state.position_rad());
        put(velocity, state.velocity_rad_s());
        put(setpoint, state.setpoint_rad());
        put(following_error, state.tracking_error_rad());
        put(command, state.command_volts());
        put(fault_code, f64::from(fault));
        put(target, state.target_rad());
        put(velocity_demand, state.setpoint_velocity_rad_s());
        put(switches, self.switches(state));
    }

    /// The digital inputs (60FDh): bit 0 the negative limit switch, bit 1 the positive one, bit 2
    /// the home switch; 1: hit, also for a moment since the last cycle. Not a number if the axis
    /// has a switch and the inputs could not be read.
    #[inline]
    fn switches(&self, state: &AxisState) -> f64 {
        if self.command.as_ref().is_some_and(|it| !it.has_switches) {
            return 0.0;
        }
        self.read_switches(state)
    }

    #[inline(never)]
    fn read_switches(&self, state: &AxisState) -> f64 {
        let limits = self.limits.config();
        let home = self
            .command
            .as_ref()
            .and_then(|command| command.homing.switch);
        let switches = [limits.negative_switch, limits.positive_switch, home];
        let mut word = 0.0;
        for (switch, bit) in switches.into_iter().zip([1.0, 2.0, 4.0]) {
            let Some(switch) = switch else { continue };
            match &state.command.digital {
                Some(digital) if switch.is_hit(digital) => word += bit,
                Some(_) => {}
                None => return f64::NAN,
            }
        }
        word
    }

    /// The statusword (6041h).
    ///
    /// Bits 0 to 3, 5 and 6 are the state by the table of CiA 402-2. Bit 4, voltage enabled: the
    /// machine is armed, or the axis has power. Bit 9, remote: a link commands the axis. Bit 10,
    /// target reached; bit 11, internal limit active: a target, or the way to it, was limited.
    /// Bits 12 and 13 by mode:
    ///
    /// | mode | 12 | 13 |
    /// |---|---|---|
    /// | pp | set-point acknowledge | following error outside of its window |
    /// | pv | speed is 0 | 0 |
    /// | hm | homing attained | homing error |
    /// | csp, csv | the axis follows the command | following error outside of its window |
    pub fn statusword(&self, state: &AxisState) -> u16 {
        let command = &state.command;
        let mut word = word::bits(state.state());
        let mut set = |bit: u16, on: bool| {
            if on {
                word |= bit;
            }
        };
        set(
            word::VOLTAGE_ENABLED,
            command.permitted || state.is_powered(),
        );
        set(word::REMOTE, matches!(command.source, Source::Link));
        set(word::INTERNAL_LIMIT, command.limited);
        let enabled = state.state() == State::OperationEnabled;
        let off_track = enabled
            && state.tracking_error_rad().abs() > self.limits.config().following_error_window_rad;
        match command.mode {
            Mode::None => {}
            Mode::ProfilePosition => {
                set(word::TARGET_REACHED, command.reached);
                set(
                    word::MODE_SPECIFIC_12,
                    command.acknowledged || command.buffered_rad.is_some(),
                );
                set(word::MODE_SPECIFIC_13, off_track);
            }
            Mode::ProfileVelocity => {
                set(word::TARGET_REACHED, command.reached);
                let speed = state.velocity_rad_s().abs();
                set(
                    word::MODE_SPECIFIC_12,
                    speed < self.standstill_velocity_rad_s,
                );
            }
            Mode::Homing => {
                let homing = &command.homing;
                let idle = !homing.is_active();
                let homed = idle && homing.is_homed();
                set(word::TARGET_REACHED, homed || idle && command.reached);
                set(word::MODE_SPECIFIC_12, homed);
                set(word::MODE_SPECIFIC_13, homing.has_failed());
            }
            Mode::SyncPosition | Mode::SyncVelocity => {
                set(word::MODE_SPECIFIC_12, enabled && !command.halted);
                set(word::MODE_SPECIFIC_13, off_track);
            }
        }
        word
    }
}
