//! `steadctl blackbox`: shows a black box.

use std::fmt::{self, Write};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use steadfast::telemetry::blackbox::{BlackBox, NotBlackBox, parse};
use steadfast::telemetry::escaped;

use crate::cycles::{Names, csv, event, table, trace_names};
use crate::{BAD_INPUT, DAMAGED, FAILED, Failure, print, shown_lines};

/// Maximum size of a file, bytes: more than a controller writes.
const MAX_FILE: u64 = 80 * 1024 * 1024;
/// Maximum number of events that are shown.
const MAX_EVENTS: usize = 40;

pub(crate) fn main(path: &Path, as_csv: bool, last: usize) -> Result<u8, Failure> {
    let named = |code, what: String| Failure(code, format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let fix = "name a readable file that ends in .blackbox";
            named(FAILED, format!("cannot be read: {error}; {fix}"))
        })?;
    if bytes.len() as u64 > MAX_FILE {
        let what = format!(
            "exceeds {MAX_FILE} bytes, the limit of a black box; name a file that ends in .blackbox"
        );
        return Err(named(BAD_INPUT, what));
    }
    let found = parse(&bytes).map_err(|error| {
        named(
            BAD_INPUT,
            match error {
                NotBlackBox::Nothing => {
                    "is not a black box; name a file that ends in .blackbox".into()
                }
                NotBlackBox::Newer(version) => {
                    format!("has format version {version}; read it with a newer steadctl")
                }
            },
        )
    })?;
    drop(bytes);
    let trace = BlackBox::value(&found.facts, "trace").unwrap_or_default();
    let trace = trace_names(trace);
    let mut text = String::new();
    let written = if as_csv {
        csv(&mut text, &found.cycles, &trace)
    } else {
        report(&mut text, &found, &trace, last)
    };
    written.map_err(|error| named(FAILED, error.to_string()))?;
    print(&text)?;
    let Some(at) = found.damaged_at else {
        return Ok(0);
    };
    if as_csv {
        let path = escaped(&path.display().to_string());
        eprintln!("steadctl: {path}: damaged at byte {at}; some cycles may be missing");
    }
    Ok(DAMAGED)
}

fn report(out: &mut String, found: &BlackBox, trace: &[String], last: usize) -> fmt::Result {
    if let Some(at) = found.damaged_at {
        writeln!(out, "DAMAGED at byte {at}: this is what can be read")?;
        writeln!(out)?;
    }
    out.push_str(&shown_lines(&found.cause));
    let facts = found
        .facts
        .lines()
        .filter(|line| !line.starts_with("places = "));
    for line in facts {
        out.push_str(&shown_lines(line));
    }
    writeln!(out)?;
    if found.contract.is_empty() {
        writeln!(out, "The contract was not judged.")?;
    }
    out.push_str(&shown_lines(&found.contract));
    writeln!(out, "\nevents, by slot: {}", found.events.len())?;
    let earlier = found.events.len().saturating_sub(MAX_EVENTS);
    let names = Names::of(&found.facts);
    for record in &found.events[earlier..] {
        writeln!(out, "{}", event(record, &names))?;
    }
    let cycles = &found.cycles;
    writeln!(
        out,
        "\ncycles: {}, {} missing in between; the last {}",
        cycles.len(),
        found.gaps(),
        last.min(cycles.len())
    )?;
    table(out, &cycles[cycles.len().saturating_sub(last)..], trace)
}
