//! What the servo controller remembers.

use core::ops::{Deref, DerefMut};

use super::config::MAX_AXES;
use super::fault::Fault;
use super::memory::AxisState;
use crate::cycle::ports::{TRACE_LEN, Trace};
use crate::cycle::stop::StopCause;

/// What a [`Servo`](super::servo::Servo) remembers; `S` is where its axes' states are.
#[derive(Clone, Debug, PartialEq)]
pub struct ServoState<S = heapless::Vec<AxisState, MAX_AXES>> {
    pub(super) axes: S,
    pub(super) armed: bool,
    /// Whether the start of the program has yet to arm the axes.
    pub(super) arms_at_start: bool,
    /// Whether the last cycle took power from every axis: an edge seen right
    /// after it may have come before.
    pub(super) was_emergency: bool,
    /// The first axis with a fault after the last cycle. Kept, because it is
    /// asked for three times a cycle and axes change only there.
    pub(super) fault: Option<(u8, Fault)>,
    /// The largest tracking error of any axis, as of the last cycle.
    pub(super) error_max_rad: f64,
    /// Why the loop stopped axes that were armed, until they are armed again.
    pub(super) stopped: Option<StopCause>,
}

impl<S> ServoState<S> {
    pub(super) fn arm(&mut self) {
        self.armed = true;
        self.arms_at_start = false;
        self.stopped = None;
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
        self.arms_at_start = false;
    }

    /// Disarms for a quick stop. Axes that were not armed anyway were not stopped.
    pub(super) fn stop(&mut self, cause: StopCause) {
        let was_armed = self.armed || self.arms_at_start;
        if was_armed && cause != StopCause::RunEnds {
            self.stopped = Some(cause);
        }
        self.disarm();
    }

    /// Why the loop stopped axes that were armed, if they have not been armed again.
    pub const fn stopped(&self) -> Option<StopCause> {
        self.stopped
    }

    /// Whether the axes may come up, or are up.
    pub const fn is_armed(&self) -> bool {
        self.armed
    }

    /// The first axis with a fault, from 0, and the fault.
    pub const fn fault(&self) -> Option<(u8, Fault)> {
        self.fault
    }

    /// The largest distance of any axis from its setpoint so far in Operation
    /// enabled, rad.
    pub const fn tracking_error_max_rad(&self) -> f64 {
        self.error_max_rad
    }
}

impl<S: Deref<Target = [AxisState]>> ServoState<S> {
    #[cold]
    #[inline(never)]
    pub(super) fn first_fault(&self) -> Option<(u8, Fault)> {
        let mut numbered = (0_u8..).zip(self.axes.iter());
        numbered.find_map(|(number, axis)| axis.fault().map(|fault| (number, fault)))
    }

    /// The axes, in the order of the configuration.
    pub fn axes(&self) -> &[AxisState] {
        &self.axes
    }

    /// Whether no axis has power.
    pub fn is_at_rest(&self) -> bool {
        self.axes.iter().all(|axis| !axis.is_powered())
    }

    /// The values to remember of this cycle, as named by [`Decide::TRACE`](crate::cycle::ports::Decide::TRACE).
    #[inline]
    pub fn trace(&self) -> Trace {
        let Some(first) = self.axes.first() else {
            return [0.0; TRACE_LEN];
        };
        [
            first.tracking_error_rad() as f32,
            first.position_rad() as f32,
            first.setpoint_rad() as f32,
            first.velocity_rad_s() as f32,
            first.command_volts() as f32,
            f32::from(first.state().number()),
            self.tracking_error_max_rad() as f32,
            if self.armed { 1.0 } else { 0.0 },
        ]
    }

    /// Takes the state of `other`, which has as many axes.
    pub fn copy_from(&mut self, other: &Self)
    where
        S: DerefMut,
    {
        let Self {
            axes,
            armed,
            arms_at_start,
            was_emergency,
            fault,
            error_max_rad,
            stopped,
        } = other;
        self.axes.copy_from_slice(axes);
        self.armed = *armed;
        self.arms_at_start = *arms_at_start;
        self.was_emergency = *was_emergency;
        self.fault = *fault;
        self.error_max_rad = *error_max_rad;
        self.stopped = *stopped;
    }
}
