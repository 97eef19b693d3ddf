//! One cycle of homing: see [`homing`](super::homing).

use super::config::Commands;
use super::homing::{Homing, HomingState, Method, Phase};
use crate::axis::drive::Axis;
use crate::axis::limits::LimitSwitch;
use crate::axis::memory::AxisState;
use crate::control::Sample;
use crate::cycle::image::DigitalInputs;

/// What one cycle of homing sees.
struct Seen {
    switch: bool,
    /// A limit switch that this phase does not expect, or the longest travel without the one
    /// that it does.
    blocked: bool,
}

impl Axis {
    /// One cycle of mode hm. `start` is bit 4 of the controlword, `rises` its rising edge.
    pub(in crate::axis) fn home(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        (start, rises, halt): (bool, bool, bool),
        digital: Option<&DigitalInputs>,
    ) {
        let homing = &commands.homing;
        if state.command.homing.phase == Phase::Stop {
            if state.trajectory.is_at_rest() {
                state.command.homing.phase = Phase::Idle;
            }
            return;
        }
        if halt || !start {
            if state.command.homing.is_active() {
                self.enter(homing, state, Phase::Stop);
            }
            return;
        }
        if rises {
            state.command.homing = HomingState::NONE;
            let phase = match homing.method {
                Method::None | Method::Here => Phase::Settle,
                Method::HardStop(_) => Phase::Push,
                Method::Switch { .. } => Phase::Seek,
            };
            self.enter(homing, state, phase);
            // A master sees the start before the end.
            return;
        }
        let seen = self.look(homing, state, digital);
        if seen.blocked {
            state.command.homing.failed = true;
            self.enter(homing, state, Phase::Stop);
            return;
        }
        let press = matches!(homing.method, Method::Switch { press: true, .. });
        match state.command.homing.phase {
            Phase::Idle | Phase::Stop => {}
            Phase::Seek if seen.switch => {
                let next = if press { Phase::Leave } else { Phase::Edge };
                self.enter(homing, state, next);
            }
            Phase::Leave if !seen.switch => self.enter(homing, state, Phase::Edge),
            Phase::Edge if seen.switch == press => {
                state.command.homing.home_rad = Some(state.feedback.position_rad());
                self.enter(homing, state, Phase::Settle);
            }
            Phase::Seek | Phase::Leave | Phase::Edge => {}
            Phase::Push => self.push(commands, state),
            Phase::Settle => self.settle(homing, state),
        }
    }

    /// Begins a phase with its motion. The range of positions does not count.
    fn enter(&self, homing: &Homing, state: &mut AxisState, phase: Phase) {
        state.command.homing.phase = phase;
        state.command.homing.from_rad = state.trajectory.last().position_rad;
        let velocity = match (homing.method, phase) {
            (Method::Switch { towards, .. }, Phase::Seek) => towards * homing.fast_rad_s,
            (Method::Switch { towards, .. }, Phase::Leave) => -towards * homing.fast_rad_s,
            (Method::Switch { towards, press, .. }, Phase::Edge) => {
                let direction = if press { towards } else { -towards };
                direction * homing.slow_rad_s
            }
            (Method::HardStop(towards), Phase::Push) => towards * homing.slow_rad_s,
            _ => 0.0,
        };
        self.profile.velocity_to(&mut state.trajectory, velocity);
    }

    /// The switch of the method, and limit switches in the direction of the motion.
    fn look(&self, homing: &Homing, state: &AxisState, digital: Option<&DigitalInputs>) -> Seen {
        let expected = match homing.method {
            Method::Switch { switch, .. } => Some(switch),
            Method::None | Method::Here | Method::HardStop(_) => None,
        };
        let Sample {
            position_rad,
            velocity_rad_s: velocity,
            ..
        } = *state.trajectory.last();
        let travel = (position_rad - state.command.homing.from_rad).abs();
        let searches = matches!(
            state.command.homing.phase,
            Phase::Seek | Phase::Leave | Phase::Edge | Phase::Push
        );
        let in_the_way = self.limits.switch_towards(velocity);
        // Without digital inputs there is no switch: those that are not readable trip all axes.
        let is_hit = |switch: Option<LimitSwitch>| {
            digital.is_some_and(|digital| switch.is_some_and(|switch| switch.is_hit(digital)))
        };
        Seen {
            switch: is_hit(expected),
            blocked: state.command.homing.is_active()
                && in_the_way != expected
                && is_hit(in_the_way)
                || searches && travel > homing.max_travel_rad,
        }
    }

    /// Towards a hard stop: it is reached when the axis stands although the command has grown.
    fn push(&self, commands: &Commands, state: &mut AxisState) {
        let blocked = state.command_volts.abs() >= commands.homing.stop_command_volts
            && state.feedback.velocity_rad_s().abs() < self.standstill_velocity_rad_s;
        if !blocked {
            state.command.homing.cycles = 0;
            return;
        }
        state.command.homing.cycles += 1;
        if state.command.homing.cycles > commands.window_cycles {
            let position = state.feedback.position_rad();
            state.command.homing.home_rad = Some(position);
            state.command.homing.phase = Phase::Settle;
            // Without the command that has grown.
            self.stand(state);
        }
    }

    /// Comes to rest; then the home position gets its position.
    fn settle(&self, homing: &Homing, state: &mut AxisState) {
        let still = state.feedback.velocity_rad_s().abs() < self.standstill_velocity_rad_s;
        if !state.trajectory.is_at_rest() || !still {
            return;
        }
        if homing.method != Method::None {
            let here = state.setpoint_rad();
            let home = state.command.homing.home_rad.unwrap_or(here);
            let moved = self
                .feedback
                .shift(&mut state.feedback, homing.offset_rad - home);
            state.trajectory.follow(Sample::at_rest(here + moved));
            self.pid.shift(&mut state.pid, moved);
            state.command.target_rad = here + moved;
        }
        state.command.homing.phase = Phase::Idle;
        state.command.homing.homed = true;
    }
}
