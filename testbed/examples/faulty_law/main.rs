//! `faulty_law BOARD-FILE FAULT SLOT MARK REPORT`: a firmware whose control law injects a
//! fault in a given slot. The law is the servo controller, or, without axes in the board
//! file, that of the own machine ([`own`]).
//!
//! All else is the library, through [`board::run`](steadfast::board::run) and
//! [`board::run_machine`], as in a user's firmware. `MARK` is the `value` file of a pin that
//! rises just before the injection; the JSON report goes to `REPORT`. Faults are those of
//! [`Kind`].

mod injection;
mod own;

use std::fs;
use std::process::ExitCode;

use steadfast::axis::{Servo, ServoState};
use steadfast::board::{self, Options};
use steadfast::cycle::image::{Inputs, Outputs};
use steadfast::cycle::ports::{Decide, FaultNumber, Tick, Trace};
use steadfast::cycle::run::Limit;
use steadfast::cycle::stop::StopCause;
use steadfast::realtime::allocator::SealedAllocator;
use steadfast::stock::servo::Axes;
use steadfast::telemetry::report::Pace;

use injection::Kind;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

struct FaultyLaw;

struct FaultyConfig {
    servo: Servo,
    torque: usize,
}

impl Decide for FaultyLaw {
    type Config = FaultyConfig;
    type State = ServoState;

    const TRACE: &'static [&'static str] = Servo::TRACE;

    fn decide(
        config: &FaultyConfig,
        state: &mut ServoState,
        inputs: &Inputs,
        tick: &Tick,
        outputs: &mut Outputs,
    ) {
        Servo::decide(&config.servo, state, inputs, tick, outputs);
        if let Some(volts) = injection::at_slot(tick.slot) {
            outputs.analogs[config.torque] = volts;
        }
    }

    fn at_rest(config: &FaultyConfig, state: &ServoState) -> bool {
        Servo::at_rest(&config.servo, state)
    }

    fn fault(config: &FaultyConfig, state: &ServoState) -> Option<FaultNumber> {
        Servo::fault(&config.servo, state)
    }

    fn stopped(config: &FaultyConfig, state: &ServoState) -> Option<StopCause> {
        Servo::stopped(&config.servo, state)
    }

    fn trace(config: &FaultyConfig, state: &ServoState) -> Trace {
        Servo::trace(&config.servo, state)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("faulty_law: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, kind, slot, mark, kept] = &arguments[..] else {
        return Err("faulty_law BOARD-FILE FAULT SLOT MARK REPORT".to_owned());
    };
    let kind = Kind::by_name(kind).ok_or_else(|| format!("there is no fault '{kind}'"))?;
    let slot = slot
        .parse()
        .map_err(|_| format!("'{slot}' is not a slot number"))?;
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let config = own::firmware().read(file, &text);
    let config = config.map_err(|error| error.to_string())?;
    let options = Options {
        limit: Limit::None,
        pace: Pace::Real,
        live: false,
    };
    injection::prepare(kind, slot, mark)?;
    let report = match Axes::of(&config) {
        None => board::run_machine(&config, &options),
        Some(axes) => {
            let law = FaultyConfig {
                servo: axes.law(),
                torque: 0,
            };
            let state = law.servo.initial();
            let describe = |state: &ServoState| axes.names.describe(state);
            board::run::<FaultyLaw>(&config, &law, state, &options, describe)
        }
    };
    let report = report.map_err(|error| error.to_string())?;
    fs::write(kept, report.to_json()).map_err(|error| format!("{kept}: {error}"))?;
    eprintln!("faulty_law: {}", report.exit.reason);
    Ok(ExitCode::from(report.exit.code))
}
