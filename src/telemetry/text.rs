//! The report and the contract as plain text for people: the worst first, without figures that
//! were not measured. For the end of a run: it allocates, except [`write_contract`] and
//! [`write_rows`].

use std::fmt::{self, Write};

use super::report::{Memory, Pace, QuickStopReport, Report, WakeReport, WatchdogReport};
use crate::cycle::force::Ended;
use crate::cycle::histogram::{Histogram, Summary};
use crate::cycle::timing::Timing;
use crate::cycle::wake::Wakes;
use crate::realtime::contract::{Contract, Row, Verdict};
use crate::time::Duration;

/// Width of the longest bar of a histogram, characters.
const BAR: usize = 12;
/// Width of the first column, characters.
const SUBJECT: usize = 18;

/// Writes `report` as text for people. The exit code and its reason come last, and also first
/// if the code is not 0.
///
/// # Errors
/// The error of `out`.
pub fn write_report(out: &mut impl Write, report: &Report) -> fmt::Result {
    let exit = |out: &mut _| write_line(out, "exit", &report.exit.code, &report.exit.reason);
    if report.exit.code != 0 {
        exit(out)?;
    }
    match report.pace {
        Pace::Real => write_contract(out, &report.contract)?,
        Pace::Free => writeln!(
            out,
            "VIRTUAL CLOCK: nothing is promised, and nothing measured of this machine."
        )?,
    }
    writeln!(
        out,
        "\n{:SUBJECT$}{}, steadfast {}",
        "board", report.board, report.version
    )?;
    if report.cycles.run == 0 {
        writeln!(out, "{:SUBJECT$}none, nothing was run", "cycles")?;
    } else {
        write_cycles(out, report)?;
    }
    write_quick_stops(out, &report.quick_stops)?;
    for section in &report.sections {
        for entry in &section.entries {
            write_line(out, section.label, &entry.name, &entry.text)?;
        }
    }
    for law in &report.laws {
        let state = match (&law.fault, law.at_rest) {
            (Some(fault), _) => fault.as_str(),
            (None, true) => "at rest",
            (None, false) => "not at rest",
        };
        writeln!(out, "{:SUBJECT$}{}: {state}", "law", law.name)?;
    }
    write_memory(out, &report.memory)?;
    if let Some(watchdog) = &report.watchdog {
        write_watchdog(out, watchdog)?;
    }
    if let Some(saved) = report.saved_parameters.filter(|saved| *saved > 0) {
        writeln!(out, "{:SUBJECT$}{saved} saved ones in force", "parameters")?;
    }
    if let Some(black_box) = &report.black_box {
        for path in &black_box.saved {
            writeln!(out, "{:SUBJECT$}{path}", "black box")?;
        }
        for reason in &black_box.failed {
            writeln!(out, "{:SUBJECT$}NOT KEPT: {reason}", "black box")?;
        }
    }
    for forced in &report.forces.1 {
        let why = forced.ended.map_or(Ended::Run, |(why, _)| why);
        writeln!(out, "{:SUBJECT$}{forced}; ended: {why}", "forced")?;
    }
    if let Some(more) =
        (report.forces.0.checked_sub(report.forces.1.len() as u64)).filter(|more| *more > 0)
    {
        writeln!(out, "{:SUBJECT$}{more} more before these", "forced")?;
    }
    for warning in &report.warnings {
        writeln!(out, "{:SUBJECT$}{warning}", "warning")?;
    }
    exit(out)
}

/// Writes the contract: the verdict, the promises that broke while running, then the rows.
/// Allocates nothing.
///
/// # Errors
/// The error of `out`.
pub fn write_contract(out: &mut impl Write, contract: &Contract) -> fmt::Result {
    let breaches = contract.breaches();
    if contract.kept() {
        writeln!(out, "REAL-TIME: the contract is kept.")?;
    } else if contract.broken().next().is_none() && !breaches.is_empty() {
        writeln!(
            out,
            "NOT REAL-TIME: kept at the start, {} of {} promises broken while running.",
            breaches.len(),
            contract.rows().len()
        )?;
    } else {
        writeln!(
            out,
            "NOT REAL-TIME: {} of {} promises broken.",
            contract.broken().count(),
            contract.rows().len()
        )?;
    }
    for breach in breaches {
        writeln!(out, "  BROKEN {} after the start: {breach}", breach.at)?;
    }
    write_rows(out, contract.rows())
}

/// Writes rows as a table, the broken ones first, each with its fix on the next line. Allocates
/// nothing.
///
/// # Errors
/// The error of `out`.
pub fn write_rows(out: &mut impl Write, rows: &[Row]) -> fmt::Result {
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max();
    let name = width(|row| row.name).unwrap_or(0);
    let required = width(|row| row.required.as_str())
        .unwrap_or(0)
        .max("required".len());
    writeln!(
        out,
        "  {:6} {:name$}  {:required$}  observed",
        "", "", "required"
    )?;
    for verdict in [Verdict::Broken, Verdict::Kept] {
        for row in rows.iter().filter(|row| row.verdict == verdict) {
            let shown = match row.verdict {
                Verdict::Kept => "kept",
                Verdict::Broken => "BROKEN",
            };
            writeln!(
                out,
                "  {shown:6} {:name$}  {:required$}  {}",
                row.name, row.required, row.observed
            )?;
            if row.verdict == Verdict::Broken {
                writeln!(out, "  {:6} {:>name$}  {}", "", "fix:", row.fix)?;
            }
        }
    }
    Ok(())
}

/// Writes one line: a subject and its text.
fn write_line(
    out: &mut impl Write,
    subject: &str,
    number: &impl fmt::Display,
    text: &str,
) -> fmt::Result {
    let subject = format!("{subject} {number}");
    writeln!(out, "{subject:SUBJECT$}{text}")
}

fn write_cycles(out: &mut impl Write, report: &Report) -> fmt::Result {
    let cycles = &report.cycles;
    writeln!(
        out,
        "{:SUBJECT$}{} run, {} slots skipped, {} overruns (bucket at most {})",
        "cycles", cycles.run, cycles.skipped, cycles.overruns, cycles.bucket_fullest
    )?;
    if let Some(wakes) = report.wake.wakes {
        write_wakes(out, &report.wake, &wakes)?;
    }
    if cycles.records_dropped > 0 {
        writeln!(
            out,
            "{:SUBJECT$}{} dropped, the reporter was too slow; leave CPU time to ordinary threads",
            "records", cycles.records_dropped
        )?;
    }
    writeln!(
        out,
        "\n{:SUBJECT$}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "min", "p50", "p99", "p99.9", "max"
    )?;
    write_summary(out, "release lateness", &report.release_lateness_ns)?;
    write_summary(out, "execution", &report.execution_ns)?;
    write_summary(out, "response", &report.response_ns)?;
    writeln!(out)?;
    write_histograms(out, &report.timing)?;
    writeln!(out)
}

fn write_wakes(out: &mut impl Write, report: &WakeReport, wakes: &Wakes) -> fmt::Result {
    write!(
        out,
        "{:SUBJECT$}{}, {} before the release, at most {} % of one CPU; longest {}, {} after the release",
        "wakes",
        report.wake.name(),
        wakes.margin,
        report.percent,
        wakes.longest,
        wakes.late
    )?;
    if wakes.late > 0 {
        write!(out, "; raise [loop] spin_us")?;
    }
    if wakes.crowded > 0 {
        let count = wakes.crowded;
        write!(
            out,
            "; {count} not watched, the cycle before ended too late"
        )?;
    }
    writeln!(out)
}

fn write_summary(out: &mut impl Write, name: &str, summary: &Summary) -> fmt::Result {
    write!(out, "{name:SUBJECT$}")?;
    for (_, ns) in summary.figures() {
        write!(out, "{:>10}", shown(ns))?;
    }
    writeln!(out)
}

/// Writes the three distributions side by side, one row for each octave that contains a cycle.
fn write_histograms(out: &mut impl Write, timing: &Timing) -> fmt::Result {
    let columns = [
        ("release lateness", &timing.release_lateness),
        ("execution", &timing.execution),
        ("response", &timing.response),
    ];
    let columns = columns.map(|(name, histogram)| (name, Octaves::of(histogram)));
    let mut line = format!("{:>9}", "from");
    for (name, _) in &columns {
        let width = BAR + 1;
        write!(line, " {:>9} {name:width$}", "cycles")?;
    }
    writeln!(out, "{}", line.trim_end())?;
    let rows = |octaves: &Octaves| octaves.first..octaves.first + octaves.counts.len() as u32;
    let first = columns.iter().map(|(_, octaves)| rows(octaves).start).min();
    let end = columns.iter().map(|(_, octaves)| rows(octaves).end).max();
    let mut gap = false;
    for octave in first.unwrap_or(0)..end.unwrap_or(0) {
        if columns.iter().all(|(_, octaves)| octaves.at(octave) == 0) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            writeln!(out, "{:>9}", "...")?;
        }
        // The lowest octave contains 0 as well.
        let from = if octave == 0 { 0 } else { 1 << octave };
        let mut line = format!("{:>9}", shown(from));
        for (_, octaves) in &columns {
            match octaves.at(octave) {
                0 => write!(line, " {:>9} {:width$}", "", "", width = BAR + 1)?,
                count => {
                    // Any count has a bar of one character at least: a single spike is what the
                    // reader looks for.
                    let length = (count * BAR as u64).div_ceil(octaves.most.max(1)) as usize;
                    let (bar, width) = ("#".repeat(length), BAR + 1);
                    write!(line, " {count:>9} {bar:width$}")?;
                }
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The counts of a histogram by octave.
struct Octaves {
    /// The lowest octave: times from 2^first ns.
    first: u32,
    counts: Vec<u64>,
    most: u64,
}

impl Octaves {
    fn of(histogram: &Histogram) -> Self {
        let first = histogram.octaves().next();
        let counts: Vec<u64> = histogram.octaves().map(|(_, _, count)| count).collect();
        Self {
            first: first.map_or(0, |(from, _, _)| from.max(1).ilog2()),
            most: counts.iter().copied().max().unwrap_or(0),
            counts,
        }
    }

    fn at(&self, octave: u32) -> u64 {
        let index = octave.checked_sub(self.first);
        index
            .and_then(|index| self.counts.get(index as usize))
            .copied()
            .unwrap_or(0)
    }
}

/// Writes the quick stops, or nothing if there were none.
fn write_quick_stops(out: &mut impl Write, stops: &QuickStopReport) -> fmt::Result {
    let Some((last, time)) = stops.last else {
        return Ok(());
    };
    let armed = if stops.armed_again {
        "armed again"
    } else {
        "NOT ARMED AGAIN"
    };
    writeln!(
        out,
        "{:SUBJECT$}{}, the last at {:.3} s (slot {}): {}, {} missed or skipped; {armed}",
        "quick stops",
        stops.count,
        time.as_secs_f64(),
        last.slot,
        last.cause,
        last.missed
    )
}

fn write_watchdog(out: &mut impl Write, watchdog: &WatchdogReport) -> fmt::Result {
    let last = match watchdog.caused_last_reset {
        None => "its driver does not report the cause of the board's last reset",
        Some(false) => "it did not cause the board's last reset",
        Some(true) => "IT CAUSED the board's last reset",
    };
    let seconds = watchdog.timeout_s;
    write!(out, "{:SUBJECT$}{seconds} s; {last}", "watchdog")?;
    if watchdog.feeds_refused > 0 {
        write!(out, "; {} feeds refused", watchdog.feeds_refused)?;
    }
    writeln!(out)
}

/// Writes the figures that were measured, and one line for allocations that were not counted.
fn write_memory(out: &mut impl Write, memory: &Memory) -> fmt::Result {
    if let Some(count) = memory.allocations {
        writeln!(out, "{:SUBJECT$}{count} since the seal", "allocations")?;
    } else {
        writeln!(
            out,
            "{:SUBJECT$}not counted: this binary has no sealed allocator",
            "allocations"
        )?;
    }
    if let (Some(minor), Some(major)) = (memory.minor_faults, memory.major_faults) {
        writeln!(
            out,
            "{:SUBJECT$}{minor} minor, {major} major, on the real-time thread",
            "page faults"
        )?;
    }
    if let (Some(locked), Some(resident)) = (memory.vm_lck_kb, memory.vm_rss_kb) {
        writeln!(
            out,
            "{:SUBJECT$}{locked} kB locked (VmLck), {resident} kB resident (VmRSS)",
            "memory"
        )?;
    }
    if let (Some(used), Some(size)) = (memory.stack_high_water_bytes, memory.stack_bytes) {
        writeln!(
            out,
            "{:SUBJECT$}{used} of {size} bytes at its high-water mark",
            "stack"
        )?;
    }
    Ok(())
}

fn shown(ns: u32) -> String {
    Duration::from_nanos(u64::from(ns)).to_string()
}

#[cfg(test)]
mod tests;
