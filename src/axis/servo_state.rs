//! The state of the servo controller between cycles.

use core::ops::{Deref, DerefMut};

use super::config::MAX_AXES;
use super::fault::Fault;
use super::memory::AxisState;
use crate::cycle::ports::{FaultNumber, TRACE_LEN, Trace};
use crate::cycle::stop::StopCause;

/// The state of a [`Servo`](super::servo::Servo); `S` stores the states of its axes.
#[derive(Clone, Debug, PartialEq)]
pub struct ServoState<S = heapless::Vec<AxisState, MAX_AXES>> {
    pub(super) axes: S,
    pub(super) armed: bool,
    /// Whether the start of the program has not yet armed the axes.
    pub(super) arms_at_start: bool,
    /// Whether the axes were armed before.
    pub(super) was_armed: bool,
    /// Whether the last cycle had an emergency stop: an edge in the cycle after it may be older
    /// than the release.
    pub(super) was_emergency: bool,
    /// The first axis with a fault after the last cycle. Cached, because it is read three times
    /// in a cycle.
    pub(super) fault: Option<FaultNumber>,
    /// The largest tracking error of any axis, as of the last cycle.
    pub(super) error_max_rad: f64,
    /// Why the loop stopped the axes while they were armed, until they are armed again.
    pub(super) stopped: Option<StopCause>,
}

impl<S> ServoState<S> {
    pub(super) fn arm(&mut self) {
        self.armed = true;
        self.was_armed = true;
        self.arms_at_start = false;
        self.stopped = None;
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
        self.arms_at_start = false;
    }

    /// Disarms for a quick stop. Only axes that were armed count as stopped.
    pub(super) fn stop(&mut self, cause: StopCause) {
        let was_armed = self.armed || self.arms_at_start;
        if was_armed && cause != StopCause::RunEnds {
            self.stopped = Some(cause);
        }
        self.disarm();
    }

    /// Why the loop stopped the axes, if they were armed then and have not been armed again.
    pub const fn stopped(&self) -> Option<StopCause> {
        self.stopped
    }

    /// Whether the axes are armed: they have power or may get it.
    pub const fn is_armed(&self) -> bool {
        self.armed
    }

    /// The first axis with a fault, from 0, and the fault.
    pub const fn fault(&self) -> Option<(u8, Fault)> {
        match self.fault {
            None => None,
            Some(number) => Fault::from_number(number.get()),
        }
    }

    /// The number of this fault in records ([`Fault::number`]).
    pub const fn fault_number(&self) -> Option<FaultNumber> {
        self.fault
    }

    /// The largest tracking error of any axis so far in Operation enabled, rad.
    pub const fn tracking_error_max_rad(&self) -> f64 {
        self.error_max_rad
    }
}

impl<S: Deref<Target = [AxisState]>> ServoState<S> {
    #[cold]
    #[inline(never)]
    pub(super) fn first_fault(&self) -> Option<FaultNumber> {
        let mut numbered = (0_u8..).zip(self.axes.iter());
        numbered.find_map(|(number, axis)| axis.fault().map(|fault| fault.number(number)))
    }

    /// The axes, in the order of the configuration.
    pub fn axes(&self) -> &[AxisState] {
        &self.axes
    }

    /// Whether all axes are without power.
    pub fn is_at_rest(&self) -> bool {
        self.axes.iter().all(|axis| !axis.is_powered())
    }

    /// The trace of this cycle, with the names of
    /// [`Decide::TRACE`](crate::cycle::ports::Decide::TRACE).
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

    /// Copies the state of `other`.
    ///
    /// # Panics
    /// If `other` has another number of axes.
    pub fn copy_from(&mut self, other: &Self)
    where
        S: DerefMut,
    {
        let Self {
            axes,
            armed,
            arms_at_start,
            was_armed,
            was_emergency,
            fault,
            error_max_rad,
            stopped,
        } = other;
        self.axes.copy_from_slice(axes);
        self.armed = *armed;
        self.arms_at_start = *arms_at_start;
        self.was_armed = *was_armed;
        self.was_emergency = *was_emergency;
        self.fault = *fault;
        self.error_max_rad = *error_max_rad;
        self.stopped = *stopped;
    }
}
