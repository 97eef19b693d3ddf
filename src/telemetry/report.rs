//! What a run leaves behind.

use serde::Serialize;

use crate::cycle::histogram::Summary;
use crate::cycle::timing::Timing;
use crate::device::watchdog;
use crate::realtime::contract::Contract;

/// Which clock paced a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// The real one.
    Real,
    /// A virtual one that never waits.
    Free,
}

/// Counts of slots and cycles. `run + skipped` is the time in periods.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlackBoxReport {
    /// Black boxes that were saved: first that of the run before, if it did not
    /// end in order.
    pub saved: Vec<String>,
    /// What could not be kept, and why.
    pub failed: Vec<String>,
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// 0 done, 1 failed while running, 3 contract refused, 4 ended by a fault.
    pub code: u8,
    /// In words.
    pub reason: String,
}

/// Everything that is known of a run when it is over.
#[derive(Clone, Debug, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub black_box: Option<BlackBoxReport>,
    /// What did not work beside the loop, a line each.
    pub warnings: Vec<String>,
    /// How the process ends.
    pub exit: Exit,
    /// The distributions in full, for the text report.
    #[serde(skip)]
    pub timing: Box<Timing>,
}

impl Report {
    /// The report as one JSON document, ended by a newline.
    ///
    /// # Panics
    /// Never: a report holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a report is plain data");
        json.push('\n');
        json
    }
}
