//! A complete two-point temperature control. `cargo run -p two_point` holds a simulated oven at
//! 60 degC for 10 s; with `-- free` for 10 minutes of virtual time, which takes about a second.
use std::{error::Error, process::ExitCode};
use steadfast::board::{self, Description, Options};
use steadfast::config::Config;
use steadfast::cycle::image::{Inputs, OutputChannel, Outputs};
use steadfast::cycle::ports::{Decide, Directive, FaultNumber, Tick};
use steadfast::cycle::run::Limit;
use steadfast::realtime::allocator::SealedAllocator;
use steadfast::telemetry::{report::Pace, report::Report, text};

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// The heater is switched on below the first and off above the second temperature, degC.
pub(crate) const BAND_C: (f64, f64) = (59.0, 61.0);
/// Plausible temperatures, degC. A broken wire reads 0 V, which would be -50 degC.
const CREDIBLE_C: std::ops::RangeInclusive<f64> = -20.0..=150.0;

pub(crate) struct TwoPoint;

/// Its channels, constant during a run.
pub(crate) struct Channels {
    pub(crate) sensor: u8,
    pub(crate) heater: OutputChannel,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) celsius: Option<f64>,
    pub(crate) heating: bool,
}

impl Decide for TwoPoint {
    type Config = Channels;
    type State = State;
    fn decide(at: &Channels, state: &mut State, inputs: &Inputs, tick: &Tick, out: &mut Outputs) {
        let volts = inputs.analogs[usize::from(at.sensor)].value.ok();
        let celsius = volts.map(|volts| (volts - 0.5) / 0.010);
        state.celsius = celsius.filter(|celsius| CREDIBLE_C.contains(celsius));
        state.heating = match (tick.directive, state.celsius) {
            (Directive::QuickStop(_), _) | (Directive::Run, None) => false,
            (Directive::Run, Some(celsius)) if state.heating => celsius <= BAND_C.1,
            (Directive::Run, Some(celsius)) => celsius < BAND_C.0,
        };
        out.set(at.heater, state.heating);
    }
    fn at_rest(_: &Channels, state: &State) -> bool {
        !state.heating
    }
    fn fault(_: &Channels, state: &State) -> Option<FaultNumber> {
        state.celsius.is_none().then_some(FaultNumber::MIN)
    }
}

pub(crate) fn run(pace: Pace, limit: Limit) -> Result<Report, Box<dyn Error>> {
    let config = Config::parse("board.toml", include_str!("../board.toml"))?;
    let (sensor, heater) = (config.analog_input("oven")?, config.output("heater")?);
    let (law, state) = (Channels { sensor, heater }, State::default());
    let live = false;
    let options = Options { pace, limit, live };
    let describe = |_: &State| Description::default();
    let report = board::run::<TwoPoint>(&config, &law, state, &options, describe)?;
    Ok(report)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let report = match std::env::args().nth(1).as_deref() {
        Some("free") => run(Pace::Free, Limit::Slots(600_000))?,
        _ => run(Pace::Real, Limit::Slots(10_000))?,
    };
    let mut shown = String::new();
    text::write_report(&mut shown, &report)?;
    print!("{shown}");
    Ok(ExitCode::from(report.exit.code))
}
