//! The report of a run, and its JSON document. The keys and units are those of the fields here;
//! an absent figure is `null`. Allocates: it is made after the loop has ended.

use super::forced::Forced;
use super::json::Json;
pub use super::section::{Field, Section, SectionEntry};
pub use super::wake::WakeReport;
use crate::cycle::histogram::Summary;
use crate::cycle::stop::QuickStop;
use crate::cycle::timing::Timing;
use crate::realtime::audit::Breach;
use crate::realtime::contract::{Contract, Row, Verdict};
use crate::time::Duration;

/// The clock of a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The real clock.
    Real,
    /// A virtual clock that never waits.
    Free,
}

/// Counts of slots and cycles. `run + skipped` is the length of the run in periods.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycles {
    /// Cycles run.
    pub run: u64,
    /// Slots skipped because the loop was late.
    pub skipped: u64,
    /// Cycles whose outputs left after the deadline.
    pub overruns: u64,
    /// Cycles that the loop needed to come to rest at the end; not counted in `run`.
    pub rest: u64,
    /// The highest level of the overrun bucket.
    pub bucket_fullest: u32,
    /// Records dropped because the reporter did not read them in time.
    pub records_dropped: u64,
}

/// Quick stops after which the run went on.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct QuickStopReport {
    /// Their count.
    pub count: u64,
    /// The last one, and when the loop requested it, since the first release.
    pub last: Option<(QuickStop, Duration)>,
    /// Whether everything was armed again after the last one; `true` without a quick stop.
    pub armed_again: bool,
}

/// Memory of the process and of the real-time thread. `None` (in JSON `null`) where a figure
/// was not measured: a run on the virtual clock has no real-time thread.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Locked memory (VmLck) while the loop ran, kB.
    pub vm_lck_kb: Option<u64>,
    /// Resident memory (VmRSS) while the loop ran, kB.
    pub vm_rss_kb: Option<u64>,
    /// Minor page faults of the real-time thread since the rehearsal.
    pub minor_faults: Option<u64>,
    /// Major page faults of the real-time thread since the rehearsal.
    pub major_faults: Option<u64>,
    /// Allocations of all threads since the seal; `None` without the sealed allocator.
    pub allocations: Option<u64>,
    /// Size of the real-time thread's stack, bytes.
    pub stack_bytes: Option<usize>,
    /// The most of it that was ever used, bytes.
    pub stack_high_water_bytes: Option<usize>,
}

/// The state of all control laws, described for the report.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The lists of parts.
    pub sections: Vec<Section>,
    /// The laws of the board file, in their order.
    pub laws: Vec<LawReport>,
    /// The first fault and its remedy, if a law has a fault.
    pub fault: Option<String>,
}

/// One control law of the board file at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LawReport {
    /// Its name in the board file.
    pub name: String,
    /// Whether everything that it drives was at rest.
    pub at_rest: bool,
    /// Its fault and the remedy, if it has a fault.
    pub fault: Option<String>,
}

/// The hardware watchdog of the run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct WatchdogReport {
    /// Its timeout, s: it resets the board this long after the last feed.
    pub timeout_s: u32,
    /// Whether it caused the board's last reset; `None` if its driver does not report that.
    pub caused_last_reset: Option<bool>,
    /// Feeds that the driver refused. The board is about to be reset then.
    pub feeds_refused: u64,
}

/// The black boxes of the run, where the board file has `[black_box]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlackBoxReport {
    /// Paths of the black boxes saved: first that of the last run, if it did not end in order.
    pub saved: Vec<String>,
    /// Why a black box could not be saved, one line each.
    pub failed: Vec<String>,
}

/// The end of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code: 0 done, 1 failed while running, 3 contract refused, 4 ended by a fault, 5
    /// ended while an axis was off after a quick stop of the loop.
    pub code: u8,
    /// The reason, one line.
    pub reason: String,
}

/// All results of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// This program's version.
    pub version: &'static str,
    /// The board's name.
    pub board: String,
    /// Which clock paced the run.
    pub pace: Pace,
    /// The contract; no rows on the virtual clock.
    pub contract: Box<Contract>,
    /// Counts of slots and cycles.
    pub cycles: Cycles,
    /// How the loop waited for its releases.
    pub wake: WakeReport,
    /// The quick stops of the overrun ladder.
    pub quick_stops: QuickStopReport,
    /// Time from the planned release to the beginning of a cycle.
    pub release_lateness_ns: Summary,
    /// Time from the beginning of a cycle until its outputs have left.
    pub execution_ns: Summary,
    /// Time from the planned release until the outputs have left.
    pub response_ns: Summary,
    /// Memory of the process.
    pub memory: Memory,
    /// The parts that the control laws report on.
    pub sections: Vec<Section>,
    /// The control laws of the board file, in their order.
    pub laws: Vec<LawReport>,
    /// The watchdog, if one was fed.
    pub watchdog: Option<WatchdogReport>,
    /// How many saved parameters were in force from the start; `None` without `[parameters]`.
    pub saved_parameters: Option<u32>,
    /// The black boxes, if the board file asks for them.
    pub black_box: Option<BlackBoxReport>,
    /// How many signals were forced, and the last of them.
    pub forces: (u64, Vec<Forced>),
    /// Failures that did not end the run, one line each.
    pub warnings: Vec<String>,
    /// The exit code and its reason.
    pub exit: Exit,
    /// The full distributions, for the text report.
    pub timing: Box<Timing>,
}

impl Report {
    /// The report as one JSON document that ends with a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Destructured in full, here and below, so that a new field cannot be forgotten.
        let Self {
            version,
            board,
            pace,
            contract,
            cycles,
            wake,
            quick_stops,
            release_lateness_ns,
            execution_ns,
            response_ns,
            memory,
            sections,
            laws,
            watchdog,
            saved_parameters,
            black_box,
            forces: (forced, forces),
            warnings,
            exit,
            timing: _,
        } = self;
        let mut json = Json::default();
        json.object(|json| {
            json.key("version").string(version);
            json.key("board").string(board);
            json.key("pace").string(match pace {
                Pace::Real => "real",
                Pace::Free => "free",
            });
            contract_json(json.key("contract"), contract);
            cycles.json(json.key("cycles"));
            wake.json(json.key("wake"));
            quick_stops.json(json.key("quick_stops"));
            summary_json(json.key("release_lateness_ns"), release_lateness_ns);
            summary_json(json.key("execution_ns"), execution_ns);
            summary_json(json.key("response_ns"), response_ns);
            memory.json(json.key("memory"));
            for Section { key, entries, .. } in sections {
                json.key(key).array(entries, |json, entry| entry.json(json));
            }
            json.key("laws").array(laws, |json, law| law.json(json));
            json.key("watchdog");
            match watchdog {
                Some(watchdog) => watchdog.json(json),
                None => json.null(),
            }
            if let Some(saved) = saved_parameters {
                json.key("saved_parameters").integer(u64::from(*saved));
            }
            if let Some(black_box) = black_box {
                black_box.json(json.key("black_box"));
            }
            // A run without forces has the report that it had before there were any.
            if *forced > 0 {
                json.key("forced").integer(*forced);
                json.key("forces").array(forces, forced_json);
            }
            json.key("warnings")
                .array(warnings, |json, line| json.string(line));
            exit.json(json.key("exit"));
        });
        json.finish()
    }
}

fn forced_json(json: &mut Json, forced: &Forced) {
    let Forced {
        name,
        place: _,
        client,
        value,
        ms,
        slot,
        ended,
    } = forced;
    json.object(|json| {
        json.key("signal").string(name);
        json.key("value").float(*value);
        json.key("client").integer((*client).into());
        json.key("ms").integer((*ms).into());
        json.key("slot").integer(*slot);
        json.key("ended");
        match ended {
            None => json.null(),
            Some((why, slot)) => json.object(|json| {
                json.key("slot").integer(*slot);
                json.key("reason").string(why.name());
            }),
        }
    });
}

impl Cycles {
    fn json(&self, json: &mut Json) {
        let Self {
            run,
            skipped,
            overruns,
            rest,
            bucket_fullest,
            records_dropped,
        } = *self;
        let counts = [
            ("run", run),
            ("skipped", skipped),
            ("overruns", overruns),
            ("rest", rest),
            ("bucket_fullest", u64::from(bucket_fullest)),
            ("records_dropped", records_dropped),
        ];
        integers(json, &counts.map(|(name, count)| (name, Some(count))));
    }
}

impl QuickStopReport {
    fn json(&self, json: &mut Json) {
        let Self {
            count,
            last,
            armed_again,
        } = *self;
        json.object(|json| {
            json.key("count").integer(count);
            json.key("last");
            match last {
                None => json.null(),
                Some((
                    QuickStop {
                        cause,
                        slot,
                        missed,
                    },
                    time,
                )) => json.object(|json| {
                    json.key("cause").string(cause.name());
                    json.key("slot").integer(slot);
                    json.key("time_s").float(time.as_secs_f64());
                    json.key("missed").integer(missed);
                }),
            }
            json.key("armed_again").bool(armed_again);
        });
    }
}

impl Memory {
    fn json(&self, json: &mut Json) {
        let Self {
            vm_lck_kb,
            vm_rss_kb,
            minor_faults,
            major_faults,
            allocations,
            stack_bytes,
            stack_high_water_bytes,
        } = *self;
        let bytes = |bytes: Option<usize>| bytes.map(|bytes| bytes as u64);
        let figures = [
            ("vm_lck_kb", vm_lck_kb),
            ("vm_rss_kb", vm_rss_kb),
            ("minor_faults", minor_faults),
            ("major_faults", major_faults),
            ("allocations", allocations),
            ("stack_bytes", bytes(stack_bytes)),
            ("stack_high_water_bytes", bytes(stack_high_water_bytes)),
        ];
        integers(json, &figures);
    }
}

impl LawReport {
    fn json(&self, json: &mut Json) {
        let Self {
            name,
            at_rest,
            fault,
        } = self;
        json.object(|json| {
            json.key("name").string(name);
            json.key("at_rest").bool(*at_rest);
            json.key("fault");
            match fault {
                Some(fault) => json.string(fault),
                None => json.null(),
            }
        });
    }
}

impl SectionEntry {
    fn json(&self, json: &mut Json) {
        let Self {
            name,
            text: _,
            fields,
        } = self;
        json.object(|json| {
            json.key("name").string(name);
            for (key, field) in fields {
                match field {
                    Field::Text(text) => json.key(key).string(text),
                    Field::Number(number) => json.key(key).float(*number),
                }
            }
        });
    }
}

impl WatchdogReport {
    fn json(&self, json: &mut Json) {
        let Self {
            timeout_s,
            caused_last_reset,
            feeds_refused,
        } = *self;
        json.object(|json| {
            json.key("timeout_s").integer(u64::from(timeout_s));
            json.key("caused_last_reset");
            match caused_last_reset {
                Some(caused) => json.bool(caused),
                None => json.null(),
            }
            json.key("feeds_refused").integer(feeds_refused);
        });
    }
}

impl BlackBoxReport {
    fn json(&self, json: &mut Json) {
        let Self { saved, failed } = self;
        json.object(|json| {
            json.key("saved")
                .array(saved, |json, name| json.string(name));
            json.key("failed")
                .array(failed, |json, line| json.string(line));
        });
    }
}

impl Exit {
    fn json(&self, json: &mut Json) {
        let Self { code, reason } = self;
        json.object(|json| {
            json.key("code").integer(u64::from(*code));
            json.key("reason").string(reason);
        });
    }
}

fn contract_json(json: &mut Json, contract: &Contract) {
    json.object(|json| {
        json.key("kept").bool(contract.kept());
        json.key("broken_at")
            .array(contract.breaches(), breach_json);
        json.key("rows").array(contract.rows(), row_json);
    });
}

fn breach_json(json: &mut Json, breach: &Breach) {
    let Breach { promise, at, found } = breach;
    json.object(|json| {
        json.key("promise").string(promise.name());
        json.key("at_s").float(at.as_secs_f64());
        json.key("found").string(found);
    });
}

fn row_json(json: &mut Json, row: &Row) {
    let Row {
        name,
        required,
        observed,
        verdict,
        fix,
    } = row;
    json.object(|json| {
        json.key("name").string(name);
        json.key("required").string(required.as_str());
        json.key("observed").string(observed.as_str());
        json.key("verdict").string(match verdict {
            Verdict::Kept => "kept",
            Verdict::Broken => "broken",
        });
        json.key("fix").string(fix.as_str());
    });
}

fn summary_json(json: &mut Json, summary: &Summary) {
    let figures = summary.figures();
    integers(json, &figures.map(|(name, ns)| (name, Some(u64::from(ns)))));
}

fn integers(json: &mut Json, figures: &[(&str, Option<u64>)]) {
    json.object(|json| {
        for &(name, figure) in figures {
            json.key(name).integer_if(figure);
        }
    });
}
