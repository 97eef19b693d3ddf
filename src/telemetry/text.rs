//! The report and the contract as people read them.

use std::fmt::{self, Write};

use super::report::{Memory, Pace, Report};
use crate::cycle::histogram::{Histogram, Summary};
use crate::realtime::contract::{Contract, Row, Verdict};
use crate::time::Duration;

/// Width of the longest bar of a histogram, characters.
const BAR: usize = 40;

/// Writes `report` for a person.
///
/// # Errors
/// What `out` answers.
pub fn write_report(out: &mut impl Write, report: &Report) -> fmt::Result {
    match report.pace {
        Pace::Real => write_contract(out, &report.contract)?,
        Pace::Free => writeln!(out, "Virtual clock: nothing is promised of this machine.")?,
    }
    write_timing(out, report)?;
    write_memory(out, &report.memory)?;
    for axis in &report.axes {
        writeln!(
            out,
            "axis {:<10} {}, tracking error max {:.6} rad, rms {:.6} rad",
            axis.name, axis.state, axis.tracking_error_max_rad, axis.tracking_error_rms_rad
        )?;
    }
    writeln!(out, "exit {}: {}", report.exit.code, report.exit.reason)
}

/// Writes the contract's rows as a table, and what to do about the broken ones.
///
/// # Errors
/// What `out` answers.
pub fn write_contract(out: &mut impl Write, contract: &Contract) -> fmt::Result {
    if contract.kept() {
        writeln!(out, "REAL-TIME: the contract is kept.")?;
    } else {
        writeln!(
            out,
            "NOT REAL-TIME: {} of {} promises are not kept.",
            contract.broken().count(),
            contract.rows().len()
        )?;
    }
    write_rows(out, contract.rows())
}

/// Writes rows as a table with a line for each fix.
///
/// # Errors
/// What `out` answers.
pub fn write_rows(out: &mut impl Write, rows: &[Row]) -> fmt::Result {
    let wanted = rows
        .iter()
        .map(|row| row.wanted.as_str().len())
        .max()
        .unwrap_or(0);
    for row in rows {
        let verdict = match row.verdict {
            Verdict::Kept => "kept",
            Verdict::Broken => "BROKEN",
        };
        writeln!(
            out,
            "  {verdict:<6} {:<14} {:<wanted$}  {}",
            row.name, row.wanted, row.granted
        )?;
    }
    for row in rows.iter().filter(|row| row.verdict == Verdict::Broken) {
        writeln!(out, "  fix    {:<14} {}", row.name, row.fix)?;
    }
    Ok(())
}

fn write_timing(out: &mut impl Write, report: &Report) -> fmt::Result {
    let cycles = &report.cycles;
    writeln!(
        out,
        "{} cycles run, {} slots skipped, {} overruns (overrun bucket at most {})",
        cycles.run, cycles.skipped, cycles.overruns, cycles.bucket_fullest
    )?;
    if cycles.records_dropped > 0 {
        writeln!(
            out,
            "{} records were not read in time",
            cycles.records_dropped
        )?;
    }
    writeln!(
        out,
        "{:<18}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "min", "p50", "p99", "p99.9", "max"
    )?;
    write_summary(out, "release lateness", &report.release_lateness_ns)?;
    write_summary(out, "execution", &report.execution_ns)?;
    write_summary(out, "response", &report.response_ns)?;
    write_histogram(out, "release lateness", &report.timing.release_lateness)?;
    write_histogram(out, "execution", &report.timing.execution)?;
    write_histogram(out, "response", &report.timing.response)
}

fn write_summary(out: &mut impl Write, name: &str, summary: &Summary) -> fmt::Result {
    write!(out, "{name:<18}")?;
    let Summary {
        min,
        p50,
        p99,
        p999,
        max,
    } = *summary;
    for ns in [min, p50, p99, p999, max] {
        write!(out, "{:>10}", shown(u64::from(ns)))?;
    }
    writeln!(out)
}

fn write_histogram(out: &mut impl Write, name: &str, histogram: &Histogram) -> fmt::Result {
    writeln!(out, "{name}:")?;
    let most = histogram
        .octaves()
        .map(|(_, _, count)| count)
        .max()
        .unwrap_or(0);
    for (from, below, count) in histogram.octaves() {
        // A bar is never empty where something was counted: a single spike is
        // what one looks for.
        let length = (count * BAR as u64).div_ceil(most.max(1)) as usize;
        writeln!(
            out,
            "  {:>8} to {:>8} {:<BAR$} {count}",
            shown(u64::from(from)),
            shown(below),
            "#".repeat(length)
        )?;
    }
    Ok(())
}

fn write_memory(out: &mut impl Write, memory: &Memory) -> fmt::Result {
    let figure =
        |value: Option<u64>| value.map_or_else(|| "not taken".to_owned(), |v| v.to_string());
    writeln!(
        out,
        "memory: VmLck {} kB, VmRSS {} kB; page faults {} minor, {} major; allocations {}; stack {} of {} B used",
        figure(memory.vm_lck_kb),
        figure(memory.vm_rss_kb),
        figure(memory.minor_faults),
        figure(memory.major_faults),
        figure(memory.allocations),
        figure(memory.stack_high_water_bytes.map(|b| b as u64)),
        figure(memory.stack_bytes.map(|b| b as u64)),
    )
}

fn shown(ns: u64) -> String {
    Duration::from_nanos(ns).to_string()
}
