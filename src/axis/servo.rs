//! The servo controller: up to eight axes that stop and start as one machine.
//!
//! - The emergency stop takes power from every axis in the cycle that sees it
//!   (stop category 0, IEC 60204-1 section 9.2): 0 V, enable off, brake
//!   engaged. A pulse shorter than a period counts, and digital inputs that
//!   cannot be read count as pressed. Releasing it starts nothing.
//! - Arming again takes a rising edge of the reset input, with every cause
//!   gone; the edge resets the faults and arms. An edge that comes too early is
//!   lost, so a button that is held down or stuck arms nothing; so does a pulse
//!   that is over when the line is read.
//! - A fault of one axis stops the others on their quick stop ramps.
//! - [`Directive::QuickStop`] brings every axis to rest and disarms.
//!
//! Promises: bounded work, no allocation, no clock; outputs start from zero in
//! every cycle. Cost: that of [`Axis::step`] for each axis, and some twenty
//! instructions.

use super::config::AxisConfig;
use super::drive::{Axis, Request};
use super::fault::Fault;
use super::limits::LimitSwitch;
use super::memory::AxisState;
use super::state::State;
use crate::control::param::{self, ParameterError, ParameterErrorKind};
use crate::cycle::image::{DigitalInputs, Inputs, MAX_DIGITAL, Outputs};
use crate::cycle::ports::{Decide, Directive, TRACE_LEN, Tick, Trace};
use crate::time::Duration;
use core::fmt;

/// Most axes of a servo controller.
pub const MAX_AXES: usize = 8;

/// What arms the axes for the first time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Arm {
    /// The start of the program, if the emergency stop is released then.
    AtStart,
    /// A rising edge of the reset input.
    #[default]
    OnReset,
}

/// What makes a [`Servo`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServoConfig {
    /// The axes, at least one.
    pub axes: heapless::Vec<AxisConfig, MAX_AXES>,
    /// Digital input that is active while the emergency stop is pressed. Wire
    /// the contact normally closed and declare the line active-low, so that a
    /// broken wire reads as pressed.
    pub emergency_stop: Option<u8>,
    /// Digital input of the reset button. Without one nothing can be armed
    /// again once it was stopped.
    pub reset: Option<u8>,
    /// Digital output that is active while an axis has a fault.
    pub fault_lamp: Option<u8>,
    /// What arms the axes for the first time.
    pub arm: Arm,
}

/// Why a [`ServoConfig`] was refused.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct ServoError {
    /// The axis that the parameter belongs to, from 0; `None` if it belongs to
    /// the controller.
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

/// A validated servo controller, and its own [`Decide`].
#[derive(Clone, Debug, PartialEq)]
pub struct Servo {
    axes: heapless::Vec<Axis, MAX_AXES>,
    emergency_stop: Option<u8>,
    reset: Option<u8>,
    fault_lamp: Option<u8>,
    arm: Arm,
    needs_digital: bool,
}

/// What a [`Servo`] remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct ServoState {
    axes: heapless::Vec<AxisState, MAX_AXES>,
    armed: bool,
    /// Whether the start of the program has yet to arm the axes.
    arms_at_start: bool,
    /// Whether the last cycle took power from every axis: an edge seen right
    /// after it may have come before.
    was_emergency: bool,
    /// The first axis with a fault after the last cycle. Kept, because it is
    /// asked for three times a cycle and axes change only there.
    fault: Option<(u8, Fault)>,
}

/// Channels that are in use, one bit each.
#[derive(Default)]
struct Used {
    encoders: u32,
    commands: u32,
    inputs: u32,
    outputs: u32,
}

/// Marks `channel` in `used`, unless it is marked already.
fn claim(used: &mut u32, name: &'static str, channel: Option<u8>) -> Result<(), ParameterError> {
    let Some(channel) = channel else {
        return Ok(());
    };
    param::channel(name, channel, MAX_DIGITAL)?;
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
        let channel_of = |switch: Option<LimitSwitch>| switch.map(|s| s.channel);
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
            Some(axis.enable_channel),
        )?;
        claim(&mut self.outputs, "brake_channel", axis.brake_channel)?;
        claim(&mut self.inputs, "negative_switch.channel", negative)?;
        claim(&mut self.inputs, "positive_switch.channel", positive)
    }
}

impl ServoConfig {
    /// Validates everything for cycles every `period`.
    ///
    /// # Errors
    /// The first parameter that cannot be used, with the axis it belongs to:
    /// outside of its range, a channel that does not exist or is used twice, no
    /// axis at all, or `arm` on a reset input that is not there.
    pub fn build(&self, period: Duration) -> Result<Servo, ServoError> {
        let missing = |name| ParameterError {
            name,
            kind: ParameterErrorKind::Missing,
        };
        if self.axes.is_empty() {
            return Err(missing("axes").into());
        }
        if self.arm == Arm::OnReset && self.reset.is_none() {
            return Err(missing("reset").into());
        }
        let mut used = Used::default();
        claim(&mut used.inputs, "emergency_stop", self.emergency_stop)?;
        claim(&mut used.inputs, "reset", self.reset)?;
        claim(&mut used.outputs, "fault_lamp", self.fault_lamp)?;
        let mut needs_digital = self.emergency_stop.is_some() || self.reset.is_some();
        let mut axes = heapless::Vec::new();
        for (config, number) in self.axes.iter().zip(0_u8..) {
            let on_axis = |parameter| ServoError {
                axis: Some(number),
                parameter,
            };
            let axis = config.build(period).map_err(on_axis)?;
            used.claim_axis(config).map_err(on_axis)?;
            needs_digital |= axis.limits.needs_digital();
            // Both vectors have the same capacity.
            let _ = axes.push(axis);
        }
        Ok(Servo {
            axes,
            emergency_stop: self.emergency_stop,
            reset: self.reset,
            fault_lamp: self.fault_lamp,
            arm: self.arm,
            needs_digital,
        })
    }
}

impl Servo {
    /// The state before the first cycle.
    pub fn initial(&self) -> ServoState {
        ServoState {
            axes: self.axes.iter().map(Axis::initial).collect(),
            armed: false,
            arms_at_start: self.arm == Arm::AtStart,
            was_emergency: false,
            fault: None,
        }
    }

    /// The axes, in the order of the configuration.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// What takes power from every axis in this cycle.
    fn emergency(&self, inputs: &Inputs) -> Option<Fault> {
        match &inputs.digital {
            Err(_) => self.needs_digital.then_some(Fault::DigitalInputs),
            Ok(digital) => self
                .emergency_stop
                .is_some_and(|channel| digital.was_active(channel))
                .then_some(Fault::EmergencyStop),
        }
    }

    /// Decides whether the axes are armed in this cycle.
    fn update_arming(
        &self,
        state: &mut ServoState,
        digital: Option<&DigitalInputs>,
        directive: Directive,
    ) {
        if directive == Directive::QuickStop || state.fault().is_some() {
            state.disarm();
        }
        if state.arms_at_start
            && state
                .axes
                .iter()
                .all(|axis| axis.state() == State::SwitchOnDisabled)
        {
            state.arms_at_start = false;
            state.armed = true;
        }
        let pressed = match (self.reset, digital) {
            // Still active, too: a latched pulse shorter than a period is no
            // thumb on a button, and after lost edges the latch reports both.
            (Some(channel), Some(digital)) => digital.levels & digital.rose & 1 << channel != 0,
            (None, _) | (_, None) => false,
        };
        if pressed && !state.armed && !state.was_emergency && directive == Directive::Run {
            let mut pairs = self.axes.iter().zip(&state.axes);
            if pairs.all(|(axis, state)| axis.can_reset(state)) {
                for (axis, state) in self.axes.iter().zip(&mut state.axes) {
                    axis.reset(state);
                }
                state.arms_at_start = false;
                state.armed = true;
            }
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

    fn decide(config: &Self, state: &mut ServoState, inputs: &Inputs, tick: &Tick) -> Outputs {
        let mut outputs = Outputs::default();
        let emergency = config.emergency(inputs);
        match emergency {
            Some(_) => state.disarm(),
            None => config.update_arming(state, inputs.digital.as_ref().ok(), tick.directive),
        }
        state.was_emergency = emergency.is_some();
        let request = match emergency {
            Some(fault) => Request::Trip(fault),
            None if state.armed => Request::Operate,
            None => Request::Stop,
        };
        let mut fault = None;
        for ((axis, state), number) in config.axes.iter().zip(&mut state.axes).zip(0_u8..) {
            axis.step(state, request, inputs, tick, &mut outputs);
            if fault.is_none() {
                fault = state.fault().map(|fault| (number, fault));
            }
        }
        state.fault = fault;
        if let Some(lamp) = config.fault_lamp {
            outputs.set(lamp, state.fault().is_some());
        }
        outputs
    }

    fn at_rest(_: &Self, state: &ServoState) -> bool {
        state.axes.iter().all(|axis| !axis.is_powered())
    }

    fn fault(_: &Self, state: &ServoState) -> Option<u16> {
        state.fault().map(|(_, fault)| fault.number())
    }

    fn trace(_: &Self, state: &ServoState) -> Trace {
        let mut trace = [0.0; TRACE_LEN];
        if let Some(first) = state.axes.first() {
            trace = [
                first.tracking_error_rad() as f32,
                first.position_rad() as f32,
                first.setpoint_rad() as f32,
                first.velocity_rad_s() as f32,
                first.command_volts() as f32,
                f32::from(first.state().number()),
                state.tracking_error_max_rad() as f32,
                f32::from(u8::from(state.armed)),
            ];
        }
        trace
    }
}

impl ServoState {
    fn disarm(&mut self) {
        self.armed = false;
        self.arms_at_start = false;
    }

    /// The axes, in the order of the configuration.
    pub fn axes(&self) -> &[AxisState] {
        &self.axes
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
    pub fn tracking_error_max_rad(&self) -> f64 {
        let errors = self.axes.iter().map(AxisState::tracking_error_max_rad);
        // Not `f64::max`, which looks for NaN: there is none.
        errors.fold(0.0, |most, error| if error > most { error } else { most })
    }
}
