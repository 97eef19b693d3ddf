//! The axes of a board file: their controller and their names.

use std::ops::Deref;
use std::sync::Arc;

use super::tuning::{Exchange, Tuning};
use crate::axis::{Axis, AxisConfig, AxisState, Fault, STATUS, Servo, ServoConfig, ServoState};
use crate::config::{AnyLaw, Config, StartLaw};
use crate::cycle::law::{Part, RunLaw, Status};
use crate::cycle::ports::{FaultNumber, Trace};
use crate::cycle::signal::Io;
use crate::cycle::word::Word;
use crate::link::parameters::{Parameters, Setting};
use crate::sys::arena::{Full, Placed};
use crate::telemetry::report::{Description, Field, Section, SectionEntry};
use crate::time::Duration;

/// The axes of a board file.
#[derive(Clone, Debug)]
pub struct Axes {
    /// The validated configuration of the servo controller.
    pub config: ServoConfig<Vec<AxisConfig>>,
    /// The names of the axes and of their encoders.
    pub names: Arc<Names>,
    /// The configurations of the axes in the board file, where saved parameters are in force.
    pub(super) board: Option<Vec<AxisConfig>>,
    /// Period of the loop.
    pub(super) period: Duration,
    /// Changed parameters on their way to the loop.
    pub(super) exchange: Arc<Exchange>,
}

/// Names of axes and encoders for messages.
#[derive(Clone, Debug)]
pub struct Names {
    /// Names of the axes, in order.
    pub axes: Vec<String>,
    /// Description of the encoder of each axis.
    pub encoders: Vec<String>,
}

impl Axes {
    /// The axes of `config`; `None` if it has none.
    #[must_use]
    pub fn of(config: &Config) -> Option<&Self> {
        config.machine.law()
    }

    /// The controller.
    ///
    /// # Panics
    /// If `config` was changed and [`ServoConfig::build`] now refuses it.
    #[must_use]
    pub fn law(&self) -> Servo {
        self.law_in()
    }

    fn tuning(&self) -> Tuning {
        Tuning::new(
            self.names.axes.clone(),
            &self.config.axes,
            self.board.as_deref().unwrap_or(&self.config.axes),
            self.period,
            Arc::clone(&self.exchange),
        )
    }

    fn law_in<A: Default + Extend<Axis>>(&self) -> Servo<A> {
        let law = self.config.build_in(self.period);
        law.expect("built when the board file was read")
    }
}

impl Names {
    /// The controller's `state` for the report: a line for each axis, and the fault.
    #[must_use]
    pub fn describe<S>(&self, state: &ServoState<S>) -> Description
    where
        S: Deref<Target = [AxisState]>,
    {
        let axes = self.axes.iter().zip(state.axes()).map(|(name, axis)| {
            let state = match axis.fault() {
                Some(fault) => format!("{}: {}", axis.state(), fault.message().name),
                None => axis.state().to_string(),
            };
            let (most, rms) = (axis.tracking_error_max_rad(), axis.tracking_error_rms_rad());
            SectionEntry {
                name: name.clone(),
                text: format!("{state}; tracking error max {most:.6} rad, rms {rms:.6} rad"),
                fields: vec![
                    ("state", Field::Text(state)),
                    ("tracking_error_max_rad", Field::Number(most)),
                    ("tracking_error_rms_rad", Field::Number(rms)),
                ],
            }
        });
        let sections = vec![Section {
            key: "axes",
            label: "axis",
            entries: axes.collect(),
        }];
        let fault = state
            .fault()
            .map(|(number, fault)| self.explain(number, fault));
        Description {
            sections,
            laws: Vec::new(),
            fault,
        }
    }
}

impl Names {
    /// What the fault of axis `number` means and what to do.
    fn explain(&self, number: u8, fault: Fault) -> String {
        let message = fault.message();
        let number = usize::from(number);
        let device = match self.encoders.get(number) {
            Some(encoder) if fault.is_of_encoder() => format!(", {encoder}"),
            _ => String::new(),
        };
        let axis = self.axes.get(number).map_or("", String::as_str);
        format!(
            "axis {axis}: {} (0x{:04X}){device}; {}",
            message.name,
            fault.code(),
            message.remedy
        )
    }
}

impl StartLaw for Axes {
    fn explain(&self, fault: FaultNumber) -> String {
        match Fault::from_number(fault.get()) {
            Some((axis, fault)) => self.names.explain(axis, fault),
            None => format!("the axes report fault {fault}"),
        }
    }

    fn faults(&self) -> Vec<FaultNumber> {
        let axes = (0..).zip(&self.names.axes);
        axes.flat_map(|(axis, _)| Fault::ALL.map(|fault| fault.number(axis)))
            .collect()
    }

    fn parameters(&self) -> Option<Box<dyn Parameters>> {
        Some(Box::new(self.tuning()))
    }

    fn with_saved(&self, settings: &[Setting]) -> Option<Result<Arc<dyn StartLaw>, String>> {
        let mut tuning = self.tuning();
        if let Err(refusal) = tuning.set(true, settings) {
            return Some(Err(refusal.to_string()));
        }
        let mut saved = self.clone();
        let board = core::mem::replace(&mut saved.config.axes, tuning.present);
        saved.board.get_or_insert(board);
        Some(Ok(Arc::new(saved)))
    }

    fn statuses(&self) -> Vec<(String, &'static str)> {
        let of_axis = |name: &String| STATUS.map(|(value, unit)| (format!("{name}.{value}"), unit));
        self.names.axes.iter().flat_map(of_axis).collect()
    }

    fn start(&self) -> Result<Placed<dyn AnyLaw>, Full> {
        let law = self.law_in::<Vec<Axis>>().with_axes(Placed::slice)?;
        let state = || {
            let axes = law.axes().iter().map(Axis::initial).collect();
            Ok(law.initial_over(Placed::slice(axes)?))
        };
        let started = Started {
            state: state()?,
            saved: state()?,
            law,
            names: Arc::clone(&self.names),
            exchange: Arc::clone(&self.exchange),
        };
        Placed::<dyn AnyLaw>::new(started, |started| started)
    }
}

/// The running axes, in static memory.
struct Started {
    law: Servo<Placed<[Axis]>>,
    state: ServoState<Placed<[AxisState]>>,
    saved: ServoState<Placed<[AxisState]>>,
    names: Arc<Names>,
    exchange: Arc<Exchange>,
}

impl RunLaw for Started {
    fn run(&mut self, io: &mut Io<'_>, trace: &mut Trace, part: Part) -> Status {
        let (inputs, outputs, tick) = io.image();
        self.law.step(&mut self.state, inputs, tick, outputs);
        let values = part.of(trace);
        match <&mut Trace>::try_from(&mut *values) {
            Ok(values) => *values = self.state.trace(),
            Err(_) => trace_some(&self.state, values),
        }
        Status {
            fault: self.state.fault_number(),
            stopped: self.state.stopped(),
        }
    }

    fn at_rest(&self) -> bool {
        self.state.is_at_rest()
    }

    fn status(&self, mut words: &[Word]) {
        for (axis, state) in self.law.axes().iter().zip(self.state.axes()) {
            let Some((own, rest)) = words.split_first_chunk() else {
                return;
            };
            axis.status(state, own);
            words = rest;
        }
    }

    fn change(&mut self) {
        let Self {
            law,
            state,
            exchange,
            ..
        } = self;
        exchange.take(|axes| law.take_over(state, axes));
    }

    fn save(&mut self) {
        self.saved.copy_from(&self.state);
    }

    fn rewind(&mut self) {
        self.state.copy_from(&self.saved);
    }
}

/// Copies as many trace values as the record has room for.
#[cold]
fn trace_some(state: &ServoState<Placed<[AxisState]>>, values: &mut [f32]) {
    let all = state.trace();
    values.iter_mut().zip(all).for_each(|(to, from)| *to = from);
}

impl AnyLaw for Started {
    fn description(&self) -> Description {
        self.names.describe(&self.state)
    }

    fn explain(&self, _: FaultNumber) -> String {
        self.description().fault.unwrap_or_default()
    }
}
