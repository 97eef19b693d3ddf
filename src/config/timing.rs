//! `[loop]` and `[overrun]`: how the loop runs, and what late cycles lead to.

use super::error::ConfigError;
use super::reader::Table;
use crate::cycle::overrun::LadderConfig;
use crate::realtime::wanted::{Cpu, Lock, LoopConfig, Scheduler};
use crate::time::Duration;

/// Shortest and longest period, microseconds.
const PERIOD_US: (u64, u64) = (50, 1_000_000);
/// Smallest and largest real-time stack, kB.
const STACK_KB: (u64, u64) = (32, 1024);

/// `[loop]`.
pub(super) fn read_loop(mut table: Table<'_>) -> Result<LoopConfig, ConfigError> {
    let period = Duration::from_micros(table.integer("period_us", PERIOD_US.0..=PERIOD_US.1)?);
    let period_us = period.as_nanos() / 1000;
    let deadline_us = table.integer_or("deadline_us", 1..=period_us, period_us)?;
    let cpu = if table.is_integer("cpu") {
        Cpu::Number(table.integer("cpu", 0..=1023)? as u32)
    } else {
        let words = [("isolated", Cpu::Isolated), ("any", Cpu::Any)];
        table.choice_or("cpu", &words, Cpu::Isolated)?
    };
    let fifo = table.choice_or("scheduler", &[("fifo", true), ("deadline", false)], true)?;
    let scheduler = if fifo {
        let priority = table.integer_or("priority", 1..=98, 80)? as u8;
        Scheduler::Fifo { priority }
    } else {
        if cpu != Cpu::Any {
            let what = "scheduler = \"deadline\" with a CPU of its own";
            let fix = "set cpu = \"any\": the kernel does not pin deadline threads (sched(7)), give the unit an exclusive cpuset";
            return Err(table.error_at("scheduler", what, fix));
        }
        let runtime = Duration::from_micros(table.integer("runtime_us", 1..=deadline_us)?);
        Scheduler::Deadline { runtime }
    };
    let config = LoopConfig {
        period,
        deadline: Duration::from_micros(deadline_us),
        cpu,
        scheduler,
        stack_bytes: table.integer_or("stack_kb", STACK_KB.0..=STACK_KB.1, 64)? as usize * 1024,
        lock: table.choice_or(
            "lock",
            &[("all", Lock::All), ("selective", Lock::Selective)],
            Lock::All,
        )?,
        max_locked_kb: table.integer_or("max_locked_kb", 256..=1_048_576, 2048)?,
        warm_up_cycles: table.integer_or("warm_up_cycles", 10..=100_000, 100)?,
        stop_time: Duration::from_millis(table.integer_or("stop_ms", 1..=60_000, 2_000)?),
        output_failures: table.integer_or("output_failures", 1..=1_000, 3)? as u32,
    };
    table.finish()?;
    Ok(config)
}

/// `[overrun]`, or the defaults for 1 kHz where it is not there.
pub(super) fn read_overrun(table: Option<Table<'_>>) -> Result<LadderConfig, ConfigError> {
    let default = LadderConfig::default();
    let Some(mut table) = table else {
        return Ok(default);
    };
    let level = 1..=1_000_000;
    let mut level_or = |key, default| {
        table
            .integer_or(key, level.clone(), u64::from(default))
            .map(|value| value as u32)
    };
    let (fill, drain) = (
        level_or("fill", default.fill)?,
        level_or("drain", default.drain)?,
    );
    let quick_stop = level_or("quick_stop", default.quick_stop)?;
    let fault = level_or("fault", default.fault)?;
    let armed = table.choice_or("action", &[("escalate", true), ("count", false)], true)?;
    if fault <= quick_stop {
        let what = format!("`fault` is {fault}, not above `quick_stop` = {quick_stop}");
        return Err(table.error_at("fault", what, "the quick stop must come before the fault"));
    }
    table.finish()?;
    Ok(LadderConfig {
        armed,
        fill,
        drain,
        quick_stop,
        fault,
    })
}
