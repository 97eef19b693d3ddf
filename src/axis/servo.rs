//! The servo controller: up to 32 axes that stop and start as one machine.
//!
//! An emergency stop, or a fault of an axis, stops all axes; after it they are armed again only
//! by a rising edge of the reset input. [`Servo`] has the rules. Every start is the same:
//! setpoint at the measured position, 0 V.
//!
//! Sets only the lamp and the outputs of axes under power; reads no clock and allocates
//! nothing. Cost: that of [`Axis::step`] for each axis, and about twenty instructions.

use super::config::{AxisConfig, MAX_AXES};
use super::drive::{Axis, Request};
use super::fault::Fault;
use super::limits::LimitSwitch;
use super::memory::AxisState;
use super::servo_state::ServoState;
use super::state::State;
use crate::control::param::{self, ParameterError, ParameterErrorKind};
use crate::cycle::image::{InputChannel, Inputs, OutputChannel, Outputs};
use crate::cycle::ports::{Decide, Directive, FaultNumber, Tick, Trace};
use crate::cycle::stop::StopCause;
use crate::time::Duration;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// What arms the axes for the first time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Arm {
    /// The start of the program, if the emergency stop is released at that time.
    AtStart,
    /// A rising edge of the reset input.
    #[default]
    OnReset,
    /// A rising edge of the reset input, or of fault reset in the controlword of an axis.
    OnCommand,
}

/// What arms the axes again after a quick stop of the loop.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Rearm {
    /// A rising edge of the reset input, as after a fault.
    #[default]
    OnReset,
    /// The controller itself, when all axes are at rest without a fault and cycles have met
    /// their deadlines until the overrun bucket was empty.
    WhenInTime,
    /// A rising edge of the reset input, or of fault reset (bit 7) in the controlword of an
    /// axis: after a quick stop, a fault and an emergency stop.
    OnCommand,
}

/// The configuration of a [`Servo`].
///
/// `C` holds the axes: a slice or a vector of any kind. The default has room for
/// [`MAX_AXES`], which takes 11 kB; a vector of the right length takes less.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServoConfig<C = heapless::Vec<AxisConfig, MAX_AXES>> {
    /// The axes, at least one.
    pub axes: C,
    /// Digital input that is active while the emergency stop is pressed. Wire the contact
    /// normally closed and declare the line active-low, so that a broken wire reads as pressed.
    pub emergency_stop: Option<InputChannel>,
    /// Digital input of the reset button. Without it the axes cannot be armed again after a
    /// stop.
    pub reset: Option<InputChannel>,
    /// Digital output that is active while an axis has a fault, and while the axes are off
    /// after a quick stop of the loop.
    pub fault_lamp: Option<OutputChannel>,
    /// What arms the axes for the first time.
    pub arm: Arm,
    /// What arms the axes again after a quick stop of the loop.
    pub rearm: Rearm,
}

/// Why a [`ServoConfig`] was refused.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct ServoError {
    /// The axis of the parameter, from 0; `None` for a parameter of the controller.
    pub axis: Option<u8>,
    /// The parameter and what is wrong with it.
    pub parameter: ParameterError,
}

impl fmt::Display for ServoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(axis) = self.axis {
            write!(f, "axis {axis}: ")?;
        }
        self.parameter.fmt(f)
    }
}

impl core::error::Error for ServoError {}

impl From<ParameterError> for ServoError {
    fn from(parameter: ParameterError) -> Self {
        Self {
            axis: None,
            parameter,
        }
    }
}

/// A validated servo controller. It is its own configuration for [`Decide`]; `A` stores its axes.
///
/// - The emergency stop removes power from every axis in the cycle that reads it (stop category
///   0, IEC 60204-1 section 9.2): command, enable and brake get their safe values. A pulse
///   shorter than a period counts, and digital inputs that cannot be read count as pressed.
///   Releasing the emergency stop starts nothing.
/// - Arming again needs a rising edge of the reset input after every cause is gone. The edge
///   resets the faults and arms the axes. An edge that comes too early is lost, so a button that
///   is held or stuck does not arm; a pulse that is over when the line is read is lost too.
/// - A fault of one axis stops the others on their quick stop ramps.
/// - [`Directive::QuickStop`] stops every axis and disarms. If the loop requests it while the run
///   goes on, the lamp is lit and the cause is kept ([`ServoState::stopped`]) until the axes are
///   armed again: by the reset, or without it by [`Rearm::WhenInTime`].
/// - With [`Arm::OnCommand`] and [`Rearm::OnCommand`] a rising edge of fault reset (bit 7) in the
///   controlword of any axis acts as the reset input.
/// - An armed axis with command signals has power only if its controlword enables it.
#[derive(Clone, Debug, PartialEq)]
pub struct Servo<A = heapless::Vec<Axis, MAX_AXES>> {
    axes: A,
    /// The bit of the emergency stop; 0: none.
    emergency_bit: u32,
    reset: Option<InputChannel>,
    /// The bit of the fault lamp; 0: none.
    lamp_bit: u32,
    arm: Arm,
    rearm: Rearm,
    needs_digital: bool,
}

/// The channels in use, one bit each.
#[derive(Default)]
struct Used {
    encoders: u64,
    commands: u64,
    inputs: u64,
    outputs: u64,
}

/// Marks `channel` as used.
fn claim(used: &mut u64, name: &'static str, channel: Option<u8>) -> Result<(), ParameterError> {
    let Some(channel) = channel else {
        return Ok(());
    };
    let bit = 1 << channel;
    if *used & bit != 0 {
        return Err(ParameterError {
            name,
            kind: ParameterErrorKind::Duplicate { channel },
        });
    }
    *used |= bit;
    Ok(())
}

impl Used {
    fn claim_axis(&mut self, axis: &AxisConfig) -> Result<(), ParameterError> {
        let channel_of = |switch: Option<LimitSwitch>| switch.map(|s| s.channel.number());
        let negative = channel_of(axis.limits.negative_switch);
        let positive = channel_of(axis.limits.positive_switch);
        let encoder = Some(axis.feedback.encoder_channel);
        claim(&mut self.encoders, "encoder_channel", encoder)?;
        claim(
            &mut self.commands,
            "command_channel",
            Some(axis.command_channel),
        )?;
        claim(
            &mut self.outputs,
            "enable_channel",
            Some(axis.enable_channel.number()),
        )?;
        claim(
            &mut self.outputs,
            "brake_channel",
            axis.brake_channel.map(OutputChannel::number),
        )?;
        claim(&mut self.inputs, "negative_switch.channel", negative)?;
        claim(&mut self.inputs, "positive_switch.channel", positive)?;
        let home = channel_of(axis.command_config.homing.switch);
        claim(&mut self.inputs, "switch.channel", home)
    }
}

impl<C: Deref<Target = [AxisConfig]>> ServoConfig<C> {
    /// Validates the configuration for cycles of `period`.
    ///
    /// # Errors
    /// The first invalid parameter and its axis: outside of its range, an unknown channel or
    /// one used twice, no axis, or `arm` by a reset input that is not configured.
    pub fn build(&self, period: Duration) -> Result<Servo, ServoError> {
        self.build_in(period)
    }

    /// As [`ServoConfig::build`], with the axes stored in `A`, which must have room for all of
    /// them.
    ///
    /// # Errors
    /// As for [`ServoConfig::build`].
    pub fn build_in<A: Default + Extend<Axis>>(
        &self,
        period: Duration,
    ) -> Result<Servo<A>, ServoError> {
        let missing = |name| ParameterError {
            name,
            kind: ParameterErrorKind::Missing,
        };
        if self.axes.is_empty() {
            return Err(missing("axes").into());
        }
        param::in_range("axes", self.axes.len() as f64, 1.0, MAX_AXES as f64)?;
        if self.arm == Arm::OnReset && self.reset.is_none() {
            return Err(missing("reset").into());
        }
        let by_command = self.arm == Arm::OnCommand || self.rearm == Rearm::OnCommand;
        if by_command && self.axes.iter().all(|axis| axis.command.is_none()) {
            return Err(missing("command").into());
        }
        let mut used = Used::default();
        let input = |channel: Option<InputChannel>| channel.map(InputChannel::number);
        let lamp = self.fault_lamp.map(OutputChannel::number);
        claim(
            &mut used.inputs,
            "emergency_stop",
            input(self.emergency_stop),
        )?;
        claim(&mut used.inputs, "reset", input(self.reset))?;
        claim(&mut used.outputs, "fault_lamp", lamp)?;
        let mut needs_digital = self.emergency_stop.is_some() || self.reset.is_some();
        let mut axes = A::default();
        for (config, number) in self.axes.iter().zip(0_u8..) {
            let on_axis = |parameter| ServoError {
                axis: Some(number),
                parameter,
            };
            let axis = config.build(period).map_err(on_axis)?;
            used.claim_axis(config).map_err(on_axis)?;
            needs_digital |= axis.limits.needs_digital() || axis.homing_needs_digital();
            axes.extend([axis]);
        }
        Ok(Servo {
            axes,
            emergency_bit: self.emergency_stop.map_or(0, InputChannel::bit),
            reset: self.reset,
            lamp_bit: self.fault_lamp.map_or(0, OutputChannel::bit),
            arm: self.arm,
            rearm: self.rearm,
            needs_digital,
        })
    }
}

impl Servo {
    /// The state before the first cycle.
    pub fn initial(&self) -> ServoState {
        self.initial_over(self.axes.iter().map(Axis::initial).collect())
    }
}

impl<A> Servo<A> {
    /// The same controller with its axes stored by `moved`.
    ///
    /// # Errors
    /// Those of `moved`.
    pub fn with_axes<B, E>(self, moved: impl FnOnce(A) -> Result<B, E>) -> Result<Servo<B>, E> {
        Ok(Servo {
            axes: moved(self.axes)?,
            emergency_bit: self.emergency_bit,
            reset: self.reset,
            lamp_bit: self.lamp_bit,
            arm: self.arm,
            rearm: self.rearm,
            needs_digital: self.needs_digital,
        })
    }

    /// The state before the first cycle, with `axes` the [`Axis::initial`] of each axis.
    pub fn initial_over<S>(&self, axes: S) -> ServoState<S> {
        ServoState {
            axes,
            armed: false,
            arms_at_start: self.arm == Arm::AtStart,
            was_armed: false,
            was_emergency: false,
            fault: None,
            error_max_rad: 0.0,
            stopped: None,
        }
    }
}

impl<A: Deref<Target = [Axis]>> Servo<A> {
    /// The axes, in the order of the configuration.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether power is removed from every axis in this cycle.
    #[inline]
    fn is_emergency(&self, inputs: &Inputs) -> bool {
        match &inputs.digital {
            Ok(digital) => digital.were_active(self.emergency_bit),
            Err(_) => self.needs_digital,
        }
    }

    /// Disarms the axes for an emergency.
    #[cold]
    #[inline(never)]
    fn begin_emergency<S>(state: &mut ServoState<S>, inputs: &Inputs) -> Request {
        state.disarm();
        state.was_emergency = true;
        Request::Trip(match inputs.digital {
            Ok(_) => Fault::EmergencyStop,
            Err(_) => Fault::DigitalInputs,
        })
    }

    /// Arms or disarms the axes for this cycle, which is no emergency. Out of line: an armed
    /// machine without a fault that is not asked to stop stays armed.
    #[cold]
    #[inline(never)]
    fn update_arming<S: DerefMut<Target = [AxisState]>>(
        &self,
        state: &mut ServoState<S>,
        inputs: &Inputs,
        directive: Directive,
    ) -> Request {
        if let Directive::QuickStop(cause) = directive {
            state.stop(cause);
        } else {
            if state.fault.is_some() {
                state.disarm();
            }
            if !state.armed {
                self.arm(state, inputs);
            }
        }
        // An emergency has disarmed the machine, so its end is seen here.
        state.was_emergency = false;
        match state.armed {
            true => Request::Operate,
            false => Request::Stop,
        }
    }

    /// Arms the axes if a condition for it is met.
    fn arm<S: DerefMut<Target = [AxisState]>>(&self, state: &mut ServoState<S>, inputs: &Inputs) {
        let disabled = |axis: &AxisState| axis.state() == State::SwitchOnDisabled;
        if state.arms_at_start && state.axes.iter().all(disabled) {
            state.arm();
            return;
        }
        let pressed = match (self.reset, inputs.digital.as_ref().ok()) {
            // The line must still be active: a latched pulse shorter than a period is not a
            // button press, and after lost edges the latch reports both.
            (Some(channel), Some(digital)) => {
                digital.is_active(channel) && digital.became_active(channel)
            }
            (None, _) | (_, None) => false,
        };
        let by_command = if self.arm == Arm::OnCommand && !state.was_armed {
            self.is_reset_commanded(state, inputs)
        } else {
            self.rearm == Rearm::OnCommand && self.is_reset_commanded(state, inputs)
        };
        let by_itself = self.rearm == Rearm::WhenInTime
            && state.stopped.is_some()
            && state.fault.is_none()
            && state.axes.iter().all(disabled);
        if (pressed || by_itself || by_command) && !state.was_emergency {
            let mut pairs = self.axes.iter().zip(state.axes.iter());
            if pairs.all(|(axis, state)| axis.can_reset(state)) {
                for (axis, state) in self.axes.iter().zip(state.axes.iter_mut()) {
                    axis.reset(state);
                }
                state.arm();
            }
        }
    }

    /// Whether fault reset rises in the controlword of an axis.
    fn is_reset_commanded<S: Deref<Target = [AxisState]>>(
        &self,
        state: &ServoState<S>,
        inputs: &Inputs,
    ) -> bool {
        let mut pairs = self.axes.iter().zip(state.axes.iter());
        pairs.any(|(axis, state)| axis.is_reset_commanded(state, inputs))
    }

    /// One cycle of all axes: see [`Decide::decide`].
    #[inline]
    pub fn step<S: DerefMut<Target = [AxisState]>>(
        &self,
        state: &mut ServoState<S>,
        inputs: &Inputs,
        tick: &Tick,
        outputs: &mut Outputs,
    ) {
        let request = if self.is_emergency(inputs) {
            Self::begin_emergency(state, inputs)
        } else if state.armed && state.fault.is_none() && tick.directive == Directive::Run {
            Request::Operate
        } else {
            self.update_arming(state, inputs, tick.directive)
        };
        let mut faulted = false;
        let mut error_max_rad = 0.0;
        // Not `zip`, which would multiply an index by two sizes for each axis.
        let mut axes = self.axes.iter();
        for state in state.axes.iter_mut() {
            let Some(axis) = axes.next() else { break };
            axis.step(state, request, inputs, tick, outputs);
            faulted |= state.fault().is_some();
            // Not `f64::max`, which tests for NaN; these values are finite.
            if state.tracking_error_max_rad() > error_max_rad {
                error_max_rad = state.tracking_error_max_rad();
            }
        }
        state.error_max_rad = error_max_rad;
        state.fault = if faulted { state.first_fault() } else { None };
        let is_lit = faulted || state.stopped.is_some();
        outputs.set_bits(self.lamp_bit, is_lit);
    }
}

impl<A: DerefMut<Target = [Axis]>> Servo<A> {
    /// Takes over `axes`, built from other values of the
    /// [parameters](super::parameters::PARAMETERS): [`Axis::take_over`] of each.
    pub fn take_over<S: DerefMut<Target = [AxisState]>>(
        &mut self,
        state: &mut ServoState<S>,
        axes: &[Axis],
    ) {
        let pairs = self.axes.iter_mut().zip(state.axes.iter_mut());
        for ((axis, state), to) in pairs.zip(axes) {
            axis.take_over(state, to);
        }
    }
}

impl Decide for Servo {
    type Config = Self;
    type State = ServoState;

    const TRACE: &'static [&'static str] = &[
        "tracking_error_rad",
        "position_rad",
        "setpoint_rad",
        "velocity_rad_s",
        "command_volts",
        "state",
        "tracking_error_max_rad",
        "armed",
    ];

    #[inline]
    fn decide(
        config: &Self,
        state: &mut ServoState,
        inputs: &Inputs,
        tick: &Tick,
        outputs: &mut Outputs,
    ) {
        config.step(state, inputs, tick, outputs);
    }

    fn at_rest(_: &Self, state: &ServoState) -> bool {
        state.is_at_rest()
    }

    fn fault(_: &Self, state: &ServoState) -> Option<FaultNumber> {
        state.fault_number()
    }

    fn stopped(_: &Self, state: &ServoState) -> Option<StopCause> {
        state.stopped
    }

    #[inline]
    fn trace(_: &Self, state: &ServoState) -> Trace {
        state.trace()
    }
}
