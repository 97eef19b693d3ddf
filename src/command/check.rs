//! `steadfast check FILE`: is this board file right, and does this machine have
//! what it names?

use std::path::Path;

use super::{BAD_INPUT, FAILED, Failure, escaped, print};
use crate::board::{Linux, RunError, Simulated};
use crate::config::Config;

// Kept apart, for the stack of `run` to be small: it is locked.
#[inline(never)]
pub(super) fn main(file: &Path) -> Result<u8, Failure> {
    let config = Config::load(file).map_err(|error| Failure::in_file(BAD_INPUT, &error))?;
    match &config.simulation {
        Some(simulation) => {
            Simulated::build(simulation, &config.io, config.run.period)
                .map_err(|error| Failure::new(BAD_INPUT, &RunError::Wiring(error)))?;
        }
        None => {
            Linux::probe(&config).map_err(|error| Failure::in_file(FAILED, &error))?;
        }
    }
    let io = &config.io;
    let axes = config.servo.as_ref().map_or(0, |servo| servo.names.len());
    print(&format!(
        "{}: ok, board \"{}\": {axes} axes, {} digital inputs, {} digital outputs, {} encoders, \
         {} analog outputs, {} analog inputs, a period of {}\n",
        escaped(&config.file),
        config.name,
        io.inputs.len(),
        io.outputs.len(),
        io.encoders.len(),
        io.analog_outputs.len(),
        io.analog_inputs.len(),
        config.run.period,
    ))
}
