//! `[loop]` and `[overrun]`: how the loop runs, and what late cycles lead to.

use super::reader::{Result, Table};
use super::value::NumberOrText;
use crate::cycle::overrun::LadderConfig;
use crate::realtime::wanted::{Cpu, Lock, LoopConfig, Scheduler};
use crate::time::Duration;

/// Shortest and longest period, microseconds.
const PERIOD_US: (u64, u64) = (50, 1_000_000);
/// Smallest and largest real-time stack, kB.
const STACK_KB: (u64, u64) = (32, 1024);

/// `[loop]`.
pub(super) fn read_loop(mut table: Table<'_>) -> Result<LoopConfig> {
    table.only(&[
        "period_us",
        "deadline_us",
        "cpu",
        "scheduler",
        "priority",
        "runtime_us",
        "stack_kb",
        "lock",
        "max_locked_kb",
        "warm_up_cycles",
        "stop_ms",
        "output_failures",
    ])?;
    let period_us = table.integer("period_us", PERIOD_US.0..=PERIOD_US.1)?;
    let deadline_us = table.integer_or("deadline_us", 1..=PERIOD_US.1, period_us)?;
    if deadline_us > period_us {
        let what = format!("`deadline_us` is {deadline_us}, longer than `period_us` = {period_us}");
        let fix = "outputs must leave before the next release: make it at most the period";
        return Err(table.error_at("deadline_us", what, fix));
    }
    let cpu = read_cpu(&mut table)?;
    let fifo = table.choice_or("scheduler", &[("fifo", true), ("deadline", false)], true)?;
    let scheduler = if fifo {
        table.without("runtime_us", "it goes with scheduler = \"deadline\"")?;
        let priority = table.integer_or("priority", 1..=98, 80)? as u8;
        Scheduler::Fifo { priority }
    } else {
        table.without("priority", "it goes with scheduler = \"fifo\"")?;
        if cpu != Cpu::Any {
            let what = "scheduler = \"deadline\" with a CPU of its own";
            let fix = "set cpu = \"any\" and give the unit an exclusive cpuset: \
                       the kernel does not pin deadline threads (sched(7))";
            return Err(table.error_at("scheduler", what, fix));
        }
        let runtime = Duration::from_micros(table.integer("runtime_us", 1..=deadline_us)?);
        Scheduler::Deadline { runtime }
    };
    let locks = [("all", Lock::All), ("selective", Lock::Selective)];
    let config = LoopConfig {
        // Read with the overrun ladder: it goes by how long outputs may be held.
        stall: None,
        period: Duration::from_micros(period_us),
        deadline: Duration::from_micros(deadline_us),
        cpu,
        scheduler,
        stack_bytes: table.integer_or("stack_kb", STACK_KB.0..=STACK_KB.1, 64)? as usize * 1024,
        lock: table.choice_or("lock", &locks, Lock::All)?,
        max_locked_kb: table.integer_or("max_locked_kb", 256..=1_048_576, 2048)?,
        warm_up_cycles: table.integer_or("warm_up_cycles", 10..=100_000, 100)?,
        stop_time: Duration::from_millis(table.integer_or("stop_ms", 1..=60_000, 2_000)?),
        output_failures: table.integer_or("output_failures", 1..=1_000, 3)? as u32,
    };
    table.finish()?;
    Ok(config)
}

fn read_cpu(table: &mut Table<'_>) -> Result<Cpu> {
    const WANTED: &str = "a CPU number from 0 to 1023, \"isolated\" or \"any\"";
    if !table.has("cpu") {
        return Ok(Cpu::Isolated);
    }
    match table.integer_or_text("cpu", 0..=1023, WANTED)? {
        NumberOrText::Number(number) => Ok(Cpu::Number(number as u32)),
        NumberOrText::Text(word) => {
            let words = [("isolated", Cpu::Isolated), ("any", Cpu::Any)];
            table.chosen("cpu", &word, &words, WANTED)
        }
    }
}

/// Shortest and longest silence of the loop, in periods, until the stall guard
/// acts. A skipped slot is none yet.
const STALL_PERIODS: (u64, u64) = (3, 10_000);

/// The stall guard's periods where no output has a longest hold.
const STALL_WITHOUT_OUTPUTS: u64 = 20;

/// How many periods the loop may be silent when outputs may be held for
/// `max_hold`.
fn stall_periods(period: Duration, max_hold: Duration) -> u64 {
    if max_hold == Duration::from_nanos(u64::MAX) {
        return STALL_WITHOUT_OUTPUTS;
    }
    (max_hold / period).clamp(STALL_PERIODS.0, STALL_PERIODS.1)
}

/// `[overrun]`, or the defaults for 1 kHz where it is not there: the ladder, and
/// the time after which the stall guard acts, if there is one.
pub(super) fn read_overrun(
    table: Option<Table<'_>>,
    period: Duration,
    max_hold: Duration,
) -> Result<(LadderConfig, Option<Duration>)> {
    let default = LadderConfig::default();
    let most = stall_periods(period, max_hold);
    let Some(mut table) = table else {
        return Ok((default, Some(period * most)));
    };
    table.only(&[
        "action",
        "fill",
        "drain",
        "quick_stop",
        "fault",
        "stall_periods",
    ])?;
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
        // Either of them may be the default.
        let key = if table.has("fault") {
            "fault"
        } else {
            "quick_stop"
        };
        let what = format!("`fault` is {fault}, not above `quick_stop` = {quick_stop}");
        return Err(table.error_at(key, what, "the quick stop must come before the fault"));
    }
    let stall = table.integer_or("stall_periods", STALL_PERIODS.0..=STALL_PERIODS.1, most)?;
    if stall > most {
        let what = format!("`stall_periods` is {stall}, longer than outputs may be held");
        let fix = format!("make it at most {most}: the shortest `max_hold_ms` of all outputs");
        return Err(table.error_at("stall_periods", what, &fix));
    }
    table.finish()?;
    let ladder = LadderConfig {
        armed,
        fill,
        drain,
        quick_stop,
        fault,
    };
    Ok((ladder, armed.then_some(period * stall)))
}
