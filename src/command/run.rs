//! `steadfast run`: the controller.

use std::io::IsTerminal;

use super::args::{RunArgs, RunLimit};
use super::{BAD_INPUT, FAILED, Failure, print};
use crate::axis::Servo;
use crate::board::{self, Options, RunError};
use crate::config::{self, Config};
use crate::cycle::run::Limit;
use crate::telemetry::report::Report;
use crate::telemetry::text;
use crate::time::Duration;

/// How long the simulated board runs when nothing else is asked for.
const DEMONSTRATION: Duration = Duration::from_secs(10);

pub(super) fn main(args: &RunArgs) -> Result<u8, Failure> {
    let config = match &args.board {
        Some(path) => Config::load(path).map_err(|error| Failure::new(BAD_INPUT, &error))?,
        None => Config::simulated(),
    };
    let Some(servo) = &config.servo else {
        let line = format!(
            "{}: there are no axes ([axis.X]); this firmware controls axes, for another control law see examples/",
            config.file
        );
        return Err(Failure::new(BAD_INPUT, &line));
    };
    let report = control(args, &config, servo)?;
    publish(args, &report)
}

// Kept apart: what stands on the stack while the loop runs is locked.
#[inline(never)]
fn control(args: &RunArgs, config: &Config, servo: &config::Servo) -> Result<Report, Failure> {
    // Checked when the board file was read.
    let law = servo.config.build(config.run.period);
    let law = law.map_err(|error| Failure::new(BAD_INPUT, &error))?;
    let limit = match (args.limit, &args.board) {
        (Some(limit), _) => limit.in_slots(config.run.period),
        (None, None) => RunLimit::For(DEMONSTRATION).in_slots(config.run.period),
        (None, Some(_)) => Limit::None,
    };
    let options = Options {
        limit,
        pace: args.pace,
        live: !args.quiet && std::io::stderr().is_terminal(),
    };
    let state = law.initial();
    let describe = |state: &_| board::describe_servo(servo, state);
    board::run::<Servo>(config, &law, state, &options, describe).map_err(|error| {
        let code = match error {
            RunError::FreeOnRealBoard => BAD_INPUT,
            _ => FAILED,
        };
        Failure::new(code, &error)
    })
}

/// Writes the report where it was asked for, and prints it.
#[inline(never)]
fn publish(args: &RunArgs, report: &Report) -> Result<u8, Failure> {
    if let Some(path) = &args.json {
        std::fs::write(path, report.to_json())
            .map_err(|error| Failure::new(FAILED, &format!("{}: {error}", path.display())))?;
    }
    if !args.quiet {
        let mut shown = String::new();
        text::write_report(&mut shown, report).map_err(|error| Failure::new(FAILED, &error))?;
        print(&shown)?;
    } else if report.exit.code != 0 {
        eprintln!("steadfast: {}", report.exit.reason);
    }
    Ok(report.exit.code)
}
