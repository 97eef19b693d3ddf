//! What a run leaves behind.

use super::json::Json;
use crate::cycle::histogram::Summary;
use crate::cycle::timing::Timing;
use crate::device::watchdog;
use crate::realtime::contract::{Contract, Row, Verdict};

/// Which clock paced a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The real one.
    Real,
    /// A virtual one that never waits.
    Free,
}

/// Counts of slots and cycles. `run + skipped` is the time in periods.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycles {
    /// Cycles run.
    pub run: u64,
    /// Slots skipped because the loop was late.
    pub skipped: u64,
    /// Cycles whose outputs left after the deadline.
    pub overruns: u64,
    /// Cycles that coming to rest took at the end, not counted in `run`.
    pub rest: u64,
    /// How full the overrun bucket ever was.
    pub bucket_fullest: u32,
    /// Records that the reporter did not read in time.
    pub records_dropped: u64,
}

/// The memory of the process and of the real-time thread. A figure that was not
/// taken (a run on the virtual clock has no real-time thread) is `null`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Locked, while the loop ran, kB.
    pub vm_lck_kb: Option<u64>,
    /// Resident, while the loop ran, kB.
    pub vm_rss_kb: Option<u64>,
    /// Minor page faults of the real-time thread since the rehearsal.
    pub minor_faults: Option<u64>,
    /// Major page faults of the real-time thread since the rehearsal.
    pub major_faults: Option<u64>,
    /// Allocations on any thread since the seal; `null` without the sealed
    /// allocator.
    pub allocations: Option<u64>,
    /// The real-time thread's stack.
    pub stack_bytes: Option<usize>,
    /// How much of it was ever used.
    pub stack_high_water_bytes: Option<usize>,
}

/// One axis at the end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisReport {
    /// Its name in the board file.
    pub name: String,
    /// Its CiA 402 state, or its fault.
    pub state: String,
    /// Greatest distance between setpoint and feedback while enabled, rad.
    pub tracking_error_max_rad: f64,
    /// Root mean square of the same, rad.
    pub tracking_error_rms_rad: f64,
}

/// The hardware watchdog that was fed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct WatchdogReport {
    /// The board is reset this long after the last cycle in time, s.
    pub timeout_s: u32,
    /// Whether the board's last reset was its doing; `null` where the driver
    /// cannot tell.
    pub caused_last_reset: Option<bool>,
    /// Feedings that the driver refused: the board is about to be reset.
    pub feeds_refused: u64,
}

impl From<&watchdog::Facts> for WatchdogReport {
    fn from(facts: &watchdog::Facts) -> Self {
        Self {
            timeout_s: facts.timeout_s,
            caused_last_reset: facts.caused_last_reset,
            feeds_refused: 0,
        }
    }
}

/// What was kept of faults, where the board file has `[black_box]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlackBoxReport {
    /// Black boxes that were saved: first that of the run before, if it did not
    /// end in order.
    pub saved: Vec<String>,
    /// What could not be kept, and why.
    pub failed: Vec<String>,
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 0 done, 1 failed while running, 3 contract refused, 4 ended by a fault.
    pub code: u8,
    /// In words.
    pub reason: String,
}

/// Everything that is known of a run when it is over.
#[derive(Clone, Debug)]
pub struct Report {
    /// This program's version.
    pub version: &'static str,
    /// The board's name.
    pub board: String,
    /// Which clock paced the run.
    pub pace: Pace,
    /// What was promised; no rows when nothing was (virtual clock).
    pub contract: Box<Contract>,
    /// Counts of slots and cycles.
    pub cycles: Cycles,
    /// From release to beginning.
    pub release_lateness_ns: Summary,
    /// From beginning to the outputs.
    pub execution_ns: Summary,
    /// From release to the outputs.
    pub response_ns: Summary,
    /// The process's memory.
    pub memory: Memory,
    /// The axes, where the control law has some.
    pub axes: Vec<AxisReport>,
    /// The watchdog, where one was fed.
    pub watchdog: Option<WatchdogReport>,
    /// The black boxes, where some are to be kept.
    pub black_box: Option<BlackBoxReport>,
    /// What did not work beside the loop, a line each.
    pub warnings: Vec<String>,
    /// How the process ends.
    pub exit: Exit,
    /// The distributions in full, for the text report.
    pub timing: Box<Timing>,
}

impl Report {
    /// The report as one JSON document, ended by a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Taken apart in full, here and below: a new field cannot be forgotten.
        let Self {
            version,
            board,
            pace,
            contract,
            cycles,
            release_lateness_ns,
            execution_ns,
            response_ns,
            memory,
            axes,
            watchdog,
            black_box,
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
            summary_json(json.key("release_lateness_ns"), release_lateness_ns);
            summary_json(json.key("execution_ns"), execution_ns);
            summary_json(json.key("response_ns"), response_ns);
            memory.json(json.key("memory"));
            json.key("axes").array(axes, |json, axis| axis.json(json));
            json.key("watchdog");
            match watchdog {
                Some(watchdog) => watchdog.json(json),
                None => json.null(),
            }
            if let Some(black_box) = black_box {
                black_box.json(json.key("black_box"));
            }
            json.key("warnings")
                .array(warnings, |json, line| json.string(line));
            exit.json(json.key("exit"));
        });
        json.finish()
    }
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

impl AxisReport {
    fn json(&self, json: &mut Json) {
        let Self {
            name,
            state,
            tracking_error_max_rad,
            tracking_error_rms_rad,
        } = self;
        json.object(|json| {
            json.key("name").string(name);
            json.key("state").string(state);
            json.key("tracking_error_max_rad")
                .float(*tracking_error_max_rad);
            json.key("tracking_error_rms_rad")
                .float(*tracking_error_rms_rad);
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
        json.key("rows").array(contract.rows(), row_json);
    });
}

fn row_json(json: &mut Json, row: &Row) {
    let Row {
        name,
        wanted,
        granted,
        verdict,
        fix,
    } = row;
    json.object(|json| {
        json.key("name").string(name);
        json.key("wanted").string(wanted.as_str());
        json.key("granted").string(granted.as_str());
        json.key("verdict").string(match verdict {
            Verdict::Kept => "kept",
            Verdict::Broken => "broken",
        });
        json.key("fix").string(fix.as_str());
    });
}

fn summary_json(json: &mut Json, summary: &Summary) {
    let Summary {
        min,
        p50,
        p99,
        p999,
        max,
    } = *summary;
    let figures = [
        ("min", min),
        ("p50", p50),
        ("p99", p99),
        ("p999", p999),
        ("max", max),
    ];
    integers(json, &figures.map(|(name, ns)| (name, Some(u64::from(ns)))));
}

fn integers(json: &mut Json, figures: &[(&str, Option<u64>)]) {
    json.object(|json| {
        for &(name, figure) in figures {
            json.key(name).integer_if(figure);
        }
    });
}
