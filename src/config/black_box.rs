//! Reads `[black_box]`: where the cycles before a fault are kept, how many, and the space that
//! they take.

use super::reader::{Result, Table};
use crate::telemetry::blackbox::BlackBoxConfig;
use crate::telemetry::flight::MAX_RECORDS;
use crate::telemetry::ring::RECORD_BYTES;
use crate::time::Duration;

/// Default folder of the flight file: a file system in memory.
const MEMORY: &str = "/run/steadfast";
/// Largest size of a black box without its cycles and their checksums, kB.
const OVERHEAD_KB: u64 = 32;

pub(super) fn read(mut table: Table<'_>, period: Duration) -> Result<BlackBoxConfig> {
    let position = table.source().position(table.span());
    let directory = table.string("directory")?;
    let directory = folder(&mut table, "directory", directory)?;
    let memory = table.text_or("memory", MEMORY)?;
    let memory = folder(&mut table, "memory", memory)?;
    let seconds = table.integer_or("seconds", 1..=3600, 10)?;
    let records = records(seconds, period);
    if records > MAX_RECORDS {
        let what = format!("`seconds` is {seconds}, which is {records} cycles");
        let fix = format!("make it smaller: a black box keeps at most {MAX_RECORDS} cycles");
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
        let what = format!("`size_limit_kb` is {size_limit_kb}, too small for one black box");
        let fix =
            format!("make it at least {least_kb}, the size of {seconds} s, or reduce `seconds`");
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

/// Number of cycles in `seconds`, at least 1.
fn records(seconds: u64, period: Duration) -> u64 {
    (Duration::from_secs(seconds) / period).max(1)
}

/// Largest size of a black box of `seconds`, bytes.
fn expected_bytes(seconds: u64, period: Duration) -> u64 {
    // Section headers, one for every 64 records and one for each second, take less than an
    // eighth of the records.
    let cycles = records(seconds, period) * RECORD_BYTES as u64;
    cycles + cycles / 8 + OVERHEAD_KB * 1024
}

/// Number of cycles that a black box keeps, and its largest size, bytes.
pub(super) fn kept(config: &BlackBoxConfig, period: Duration) -> (u64, u64) {
    let seconds = u64::from(config.seconds);
    (records(seconds, period), expected_bytes(seconds, period))
}

/// Refuses a relative `path`, the value of `key`: it would depend on the working directory.
fn folder(table: &mut Table<'_>, key: &'static str, path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let what = format!("`{key}` is \"{path}\", a relative path");
    Err(table.error_at(key, what, "use an absolute path, \"/...\""))
}
