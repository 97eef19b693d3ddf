//! The modes of operation of an enabled axis: pp, pv, csp, csv.
//!
//! No setpoint leaves the range of positions: pp and csp limit their targets to it, pv moves to
//! its end, csp and csv slow down before it so that the quick stop ramp ends within it.

use super::config::{Commands, Order};
use super::memory::Mode;
use crate::axis::drive::Axis;
use crate::axis::memory::AxisState;
use crate::axis::words::control::{CHANGE_IMMEDIATELY, HALT, NEW_SET_POINT, RELATIVE};
use crate::control::Sample;
use crate::cycle::image::Inputs;

impl Axis {
    /// One cycle of Operation enabled with the controlword "enable operation". `rises` are its
    /// bits that have risen.
    #[inline]
    pub(super) fn follow(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        order: &Order<'_>,
        rises: u16,
        inputs: &Inputs,
        elapsed: u32,
    ) {
        let halt = order.controlword & HALT != 0;
        match state.command.mode {
            Mode::SyncPosition => {
                self.sync_position(commands, state, order, elapsed);
            }
            Mode::SyncVelocity => {
                let target = if halt { 0.0 } else { order.target_velocity() };
                self.sync_velocity(commands, state, target, elapsed);
            }
            Mode::ProfilePosition => {
                if rises & NEW_SET_POINT != 0
                    && let Some(target) = order.target_position()
                {
                    self.take_set_point(commands, state, order.controlword, target);
                }
                self.profile_position(commands, state, order.controlword, halt);
            }
            Mode::ProfileVelocity => {
                let target = if halt { 0.0 } else { order.target_velocity() };
                self.profile_velocity(commands, state, target);
            }
            Mode::Homing => {
                let start = order.controlword & NEW_SET_POINT != 0;
                let rises = rises & NEW_SET_POINT != 0;
                let digital = inputs.digital.as_ref().ok();
                self.home(commands, state, (start, rises, halt), digital);
                self.await_standstill(commands, state);
            }
            Mode::None => {}
        }
        state.command.halted = halt;
    }

    /// Stops on the ramp of the profile, or on the quick stop ramp if the former would end
    /// outside of the range.
    pub(in crate::axis) fn brake(&self, commands: &Commands, state: &mut AxisState) {
        let end = self.profile.rest_position_rad(&state.trajectory);
        if commands.within_range(end) == end {
            self.profile.velocity_to(&mut state.trajectory, 0.0);
        } else {
            self.profile.stop(&mut state.trajectory);
        }
    }

    /// Mode pp: a rising edge of "new set-point".
    #[cold]
    #[inline(never)]
    fn take_set_point(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        controlword: u16,
        target_rad: f64,
    ) {
        let command = &mut state.command;
        let at_once = controlword & CHANGE_IMMEDIATELY != 0 || !command.busy;
        if !at_once && command.buffered_rad.is_some() {
            // No room: bit 12 stays 1.
            return;
        }
        let absolute = if controlword & RELATIVE != 0 {
            command.buffered_rad.unwrap_or(command.target_rad) + target_rad
        } else {
            target_rad
        };
        let target = commands.within_range(absolute);
        command.limited = target != absolute;
        command.acknowledged = true;
        if at_once {
            command.buffered_rad = None;
            self.start(state, target);
            if controlword & HALT != 0 {
                // It is taken, and begins when Halt ends.
                self.brake(commands, state);
            }
        } else {
            command.buffered_rad = Some(target);
        }
    }

    /// Mode pp: begins the motion to a set-point.
    fn start(&self, state: &mut AxisState, target_rad: f64) {
        state.command.target_rad = target_rad;
        state.command.busy = true;
        state.command.restart_window();
        let speed = self.profile.config().velocity_rad_s;
        self.profile
            .retarget(&mut state.trajectory, target_rad, speed);
    }

    /// Mode pp: Halt, the end of a motion, the next set-point, target reached.
    #[inline]
    fn profile_position(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        controlword: u16,
        halt: bool,
    ) {
        if controlword & NEW_SET_POINT == 0 {
            state.command.acknowledged = false;
        }
        if halt != state.command.halted {
            self.halt_position(commands, state, halt);
        }
        if halt {
            self.await_standstill(commands, state);
            return;
        }
        if state.command.busy {
            if !state.trajectory.is_at_rest() {
                return;
            }
            state.command.busy = false;
            if let Some(next) = state.command.buffered_rad.take() {
                self.start(state, next);
                return;
            }
        }
        let left = state.command.target_rad - state.feedback.position_rad();
        let inside = left.abs() <= commands.window_rad;
        state.command.count_inside(inside, commands.window_cycles);
    }

    /// Mode pp: begins or ends a Halt.
    #[cold]
    #[inline(never)]
    fn halt_position(&self, commands: &Commands, state: &mut AxisState, halt: bool) {
        state.command.restart_window();
        if halt {
            self.brake(commands, state);
        } else if state.command.busy {
            self.start(state, state.command.target_rad);
        }
    }

    /// Target reached of Halt: the axis stands.
    #[inline]
    fn await_standstill(&self, commands: &Commands, state: &mut AxisState) {
        let stands = state.trajectory.is_at_rest()
            && state.feedback.velocity_rad_s().abs() < self.standstill_velocity_rad_s;
        state.command.count_inside(stands, commands.window_cycles);
    }

    /// Mode pv.
    #[inline]
    fn profile_velocity(&self, commands: &Commands, state: &mut AxisState, target: f64) {
        if state.command.velocity_rad_s != Some(target) {
            self.take_velocity(commands, state, target);
        }
        // At rest with a velocity to reach: at the end of the range.
        let at_end = state.trajectory.is_at_rest() && target != 0.0;
        state.command.limited = at_end || target.abs() > commands.velocity_rad_s;
        let left = target - state.feedback.velocity_rad_s();
        let inside = left.abs() <= self.standstill_velocity_rad_s;
        state.command.count_inside(inside, commands.window_cycles);
    }

    /// Mode pv: plans the motion of a new velocity.
    #[cold]
    #[inline(never)]
    fn take_velocity(&self, commands: &Commands, state: &mut AxisState, target: f64) {
        state.command.velocity_rad_s = Some(target);
        state.command.restart_window();
        let end = if target > 0.0 {
            commands.max_rad
        } else {
            commands.min_rad
        };
        let rest = self.profile.rest_position_rad(&state.trajectory);
        if target == 0.0 || (end - rest) * target <= 0.0 {
            self.brake(commands, state);
        } else if end.is_finite() {
            self.profile
                .retarget(&mut state.trajectory, end, target.abs());
        } else {
            self.profile.velocity_to(&mut state.trajectory, target);
        }
    }

    /// Mode csp. A target further away than the axis may move in the time is approached at the
    /// velocity of the profile.
    #[inline]
    fn sync_position(
        &self,
        commands: &Commands,
        state: &mut AxisState,
        order: &Order<'_>,
        elapsed: u32,
    ) {
        let controlword = order.controlword;
        let halt = controlword & HALT != 0;
        let waits = commands.extrapolation_slots > 0 && state.command.waits_for_sync(controlword);
        if halt || state.command.halted {
            if !state.command.halted {
                self.brake(commands, state);
            }
            if halt {
                return;
            }
        }
        if let Some(asked) = order.target_position() {
            let target = commands.within_range(asked);
            #[expect(
                clippy::double_comparisons,
                reason = "unlike `!=` it does not test for NaN; both are finite"
            )]
            let limited = target < asked || target > asked;
            state.command.limited = limited;
            // Not each refresh: a link may refresh the commands more often than the target.
            let resumes = state.command.extrapolated > 0 && !waits;
            if target != state.command.target_rad || resumes {
                state.command.target_rad = target;
                state.command.slots_left = commands.interpolation_slots;
                state.command.extrapolated = 0;
                state.command.exact = true;
            }
        }
        if waits && state.command.slots_left == 0 {
            self.go_on(commands, state, elapsed);
            return;
        }
        let last = state.trajectory.last().position_rad;
        let mut step = state.command.target_rad - last;
        let left = state.command.slots_left;
        if left > elapsed {
            step *= f64::from(elapsed) / f64::from(left);
        }
        state.command.slots_left = left.saturating_sub(elapsed);
        let velocity = step * commands.rate_hz / f64::from(elapsed);
        self.step_at(commands, state, velocity, elapsed);
        if state.command.limited {
            state.command.exact = false;
        }
    }

    /// Mode csp: SYNC did not come with the next target when the last one was reached. The
    /// setpoint goes on at its velocity, then it stops on the ramp of the profile. One that was
    /// limited on its way, and so has another velocity than its targets, stands.
    #[cold]
    #[inline(never)]
    fn go_on(&self, commands: &Commands, state: &mut AxisState, elapsed: u32) {
        let command = &mut state.command;
        if command.extrapolated < commands.extrapolation_slots {
            command.extrapolated += elapsed;
            let last = state.trajectory.last().velocity_rad_s;
            let velocity = if command.exact { last } else { 0.0 };
            self.step_at(commands, state, velocity, elapsed);
        } else if command.extrapolated != u32::MAX {
            command.extrapolated = u32::MAX;
            self.brake(commands, state);
        }
    }

    /// Mode csv. The velocity changes by no more than the acceleration of the profile.
    #[inline]
    fn sync_velocity(&self, commands: &Commands, state: &mut AxisState, target: f64, elapsed: u32) {
        let last = state.trajectory.last().velocity_rad_s;
        let most = commands.velocity_step_rad_s * f64::from(elapsed);
        let velocity = last + (target - last).clamp(-most, most);
        state.command.limited = false;
        self.step_at(commands, state, velocity, elapsed);
    }

    /// Modes csp and csv: the setpoint moves at `velocity`, limited to that of the profile and
    /// to what can be stopped before the end of the range.
    #[inline]
    fn step_at(&self, commands: &Commands, state: &mut AxisState, velocity: f64, elapsed: u32) {
        let last = state.trajectory.last().position_rad;
        let mut velocity = velocity;
        if velocity.abs() > commands.velocity_rad_s {
            velocity = commands.velocity_rad_s.copysign(velocity);
            state.command.limited = true;
        }
        let to_end = if velocity > 0.0 {
            commands.max_rad - last
        } else {
            last - commands.min_rad
        };
        let slots = f64::from(elapsed);
        let left = to_end / slots;
        if !commands.may_have(velocity.abs(), left) {
            let speed = commands.highest(left).min(velocity.abs());
            velocity = speed.copysign(velocity);
            state.command.limited = true;
        }
        state.trajectory.follow(Sample {
            position_rad: last + velocity * commands.period_s * slots,
            velocity_rad_s: velocity,
            acceleration_rad_s2: 0.0,
        });
    }
}
