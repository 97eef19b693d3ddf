//! `[black_box]`: where the last seconds before a fault are kept.

use super::reader::{Result, Table};
use crate::telemetry::blackbox::BlackBoxConfig;
use crate::telemetry::flight::MAX_RECORDS;
use crate::telemetry::ring::RECORD_BYTES;
use crate::time::Duration;

/// Where the flight file is when nothing is said.
const MEMORY: &str = "/run/steadfast";
/// What a black box holds beside its cycles, and their checksums, at most: kB.
const OVERHEAD_KB: u64 = 32;

pub(super) fn read(mut table: Table<'_>, period: Duration) -> Result<BlackBoxConfig> {
    let position = table.source().position(table.span());
    table.only(&["directory", "size_limit_kb", "seconds", "memory"])?;
    let directory = table.string("directory")?;
    let directory = folder(&mut table, "directory", directory)?;
    let memory = table.text_or("memory", MEMORY)?;
    let memory = folder(&mut table, "memory", memory)?;
    let seconds = table.integer_or("seconds", 1..=3600, 10)?;
    let records = records(seconds, period);
    if records > MAX_RECORDS {
        let what = format!("`seconds` is {seconds}, {records} cycles");
        let fix = format!("make it shorter, at most {MAX_RECORDS} cycles can be kept");
        return Err(table.error_at("seconds", what, fix));
    }
    let size_limit_kb = table.integer_or("size_limit_kb", 1..=16_777_216, 16_384)?;
    let least_kb = expected_bytes(seconds, period).div_ceil(1024);
    if size_limit_kb < least_kb {
        let key = if table.has("size_limit_kb") {
            "size_limit_kb"
        } else {
            "seconds"
        };
        let what = format!("`size_limit_kb` is {size_limit_kb}, less than one black box");
        let fix =
            format!("make it at least {least_kb}, the size of {seconds} s, or `seconds` smaller");
        return Err(table.error_at(key, what, fix));
    }
    table.finish()?;
    Ok(BlackBoxConfig {
        position: (position.line, position.column),
        directory,
        size_limit: size_limit_kb * 1024,
        seconds: seconds as u32,
        memory,
    })
}

/// Cycles of `seconds`.
fn records(seconds: u64, period: Duration) -> u64 {
    (Duration::from_secs(seconds) / period).max(1)
}

/// The longest a black box of `seconds` gets, bytes.
fn expected_bytes(seconds: u64, period: Duration) -> u64 {
    // A section's head for every 64 records, and as many as there are seconds
    // of short ones, are less than an eighth.
    let cycles = records(seconds, period) * RECORD_BYTES as u64;
    cycles + cycles / 8 + OVERHEAD_KB * 1024
}

/// Cycles that a black box keeps, and how long a file of them gets, bytes.
pub(super) fn kept(config: &BlackBoxConfig, period: Duration) -> (u64, u64) {
    let seconds = u64::from(config.seconds);
    (records(seconds, period), expected_bytes(seconds, period))
}

/// The value `path` of `key`, which has to be the same wherever the process is started.
fn folder(table: &mut Table<'_>, key: &'static str, path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let what = format!("`{key}` is \"{path}\", which depends on where the process is started");
    Err(table.error_at(key, what, "make it a path from the root: \"/...\""))
}
