//! Runs a board file with its own control laws.

use super::error::RunError;
use super::options::Options;
use super::run::run_traced;
use crate::config::{AnyLaw, Config};
use crate::cycle::law::{Entry, Every, LawSet, Laws};
use crate::sys::arena::Placed;
use crate::telemetry::report::{Description, LawReport, Report};

/// The control laws of a board file as one law for the loop.
pub type MachineLaws = Laws<Placed<dyn AnyLaw>>;

type Set = LawSet<Placed<dyn AnyLaw>>;

/// Runs the board and the control laws of `config`, and makes the report.
///
/// # Errors
/// As [`run`](super::run()); the laws do not fit into static memory.
pub fn run_machine(config: &Config, options: &Options) -> Result<Report, RunError> {
    let laws = laws(config)?;
    let trace = config.machine.laws.iter().flat_map(|law| &law.trace);
    let trace: Vec<&str> = trace.map(String::as_str).collect();
    let describe = |laws: &Set| describe(config, laws);
    run_traced::<MachineLaws>(config, &(), laws, options, &trace, describe)
}

/// The control laws of `config` in their initial states.
///
/// # Errors
/// They do not fit into static memory.
pub fn laws(config: &Config) -> Result<Set, RunError> {
    let mut laws = LawSet::new(config.run.period);
    for law in &config.machine.laws {
        // The reader limits the number of laws.
        let _ = laws.push(Entry {
            law: law.law.start().map_err(RunError::Full)?,
            every: Every::slots(law.every),
            drives: law.drives,
            traced: law.trace.len(),
            statuses: law.law.statuses().len(),
        });
    }
    Ok(laws)
}

/// Descriptions of all laws at the end of a run, and the first fault.
fn describe(config: &Config, laws: &Set) -> Description {
    let names = config.machine.laws.iter().map(|law| &law.name);
    let mut all = Description::default();
    for ((law, fault), name) in laws.iter().zip(laws.faults()).zip(names) {
        let description = law.description();
        all.sections.extend(description.sections);
        let fault = fault.map(|fault| match name {
            // The text of a law at the root names the table itself.
            None => law.explain(fault),
            Some(name) => format!("law {name}: {}", law.explain(fault)),
        });
        if let Some(name) = name {
            all.laws.push(LawReport {
                name: name.clone(),
                at_rest: law.at_rest(),
                fault: fault.clone(),
            });
        }
        all.fault = all.fault.or(fault);
    }
    all
}
