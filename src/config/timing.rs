//! `[loop]` and `[overrun]`: how the loop runs, and what late cycles lead to.

use super::error::Position;
use super::io::MAX_SHUTDOWN;
use super::reader::{Result, Table};
use super::value::NumberOrText;
use crate::cycle::overrun::LadderConfig;
use crate::realtime::required::{Cpu, Lock, LoopConfig, Scheduler};
use crate::time::Duration;

/// `[watchdog]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// The device node.
    pub device: String,
    /// Where it stands in the file.
    pub position: Position,
    /// The board resets this long after the last cycle in time, s.
    pub timeout_s: u32,
}

/// Shortest and longest period, microseconds.
const PERIOD_US: (u64, u64) = (50, 1_000_000);
/// Smallest and largest real-time stack, kB.
const STACK_KB: (u64, u64) = (32, 1024);

/// `[loop]`, which is to be finished by the caller.
pub(super) fn read_loop(table: &mut Table<'_>) -> Result<LoopConfig> {
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
        let fix = "make it at most the period, outputs must be written before the next release";
        return Err(table.error_at("deadline_us", what, fix));
    }
    let cpu = read_cpu(table)?;
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
    Ok(config)
}

/// Whether outputs that cannot be written are given up before they have been held for
/// `max_hold`: in each cycle that fails they keep what they were told before.
pub(super) fn check_output_failures(
    table: &mut Table<'_>,
    run: &LoopConfig,
    max_hold: Duration,
) -> Result<()> {
    let failures = u64::from(run.output_failures);
    let held = run.period * failures;
    if held <= max_hold {
        return Ok(());
    }
    let what = format!(
        "`output_failures` is {failures}: outputs that cannot be written would stay as they are for {held}"
    );
    let most = max_hold / run.period;
    let fix =
        format!("make it at most {most}: the shortest `max_hold_ms` of all outputs is {max_hold}");
    Err(table.error_at("output_failures", what, fix))
}

fn read_cpu(table: &mut Table<'_>) -> Result<Cpu> {
    const WANTED: &str = "a CPU number from 0 to 1023, \"isolated\" or \"any\"";
    match table.integer_or_text("cpu", 0..=1023, WANTED, Some("isolated"))? {
        NumberOrText::Number(number) => Ok(Cpu::Number(number as u32)),
        NumberOrText::Text(word) => {
            let words = [("isolated", Cpu::Isolated), ("any", Cpu::Any)];
            table.chosen("cpu", &word, &words, &WANTED)
        }
    }
}

/// Shortest and longest silence of the loop, in periods, until the stall guard
/// acts. A skipped slot is none yet.
const STALL_PERIODS: (u64, u64) = (3, 10_000);

/// The stall guard's periods where no output has a longest hold.
const STALL_WITHOUT_OUTPUTS: u64 = 20;

/// How long the output of `table` may be held. Not shorter than the stall guard's
/// shortest gap: the guard would act after that all the same, later than the file says.
pub(super) fn max_hold(table: &mut Table<'_>, period: Duration) -> Result<Duration> {
    if !table.has("max_hold_ms") {
        let what = "an output without a longest hold, `max_hold_ms`";
        let fix = "add how long it may stay as it is when the loop stops deciding: \
                   `max_hold_ms = 20`, say";
        return Err(table.error(what, fix));
    }
    let ms = table.integer("max_hold_ms", 1..=60_000)?;
    let least = period * STALL_PERIODS.0;
    if Duration::from_millis(ms) < least {
        let what = format!(
            "`max_hold_ms` is {ms}, shorter than {} periods of {period}, after which the stall guard acts at the earliest",
            STALL_PERIODS.0
        );
        let least_ms = least.as_nanos().div_ceil(1_000_000);
        let fix = format!("make it at least {least_ms}, or `period_us` shorter");
        return Err(table.error_at("max_hold_ms", what, fix));
    }
    Ok(Duration::from_millis(ms))
}

/// The place in the order of shutting down.
pub(super) fn shutdown(table: &mut Table<'_>) -> Result<u8> {
    if !table.has("shutdown") {
        let what = "an output without a place in the order of shutting down, `shutdown`";
        let fix = "add when it goes to its safe value: `shutdown = 1` goes first, outputs of \
                   one place together";
        return Err(table.error(what, fix));
    }
    let place = table.integer("shutdown", 1..=u64::from(MAX_SHUTDOWN))?;
    Ok(place as u8)
}

/// `[watchdog]` of a loop that runs as `run`.
///
/// It is fed from the first deadline met after a quarter of its timeout, so almost a
/// period later than that. From then on the loop may be silent for as long as the stall
/// guard lets it: the guard has to act, and the loop to come to its first feed, before
/// the board is reset.
pub(super) fn read_watchdog(mut table: Table<'_>, run: &LoopConfig) -> Result<WatchdogConfig> {
    table.only(&["device", "timeout_s"])?;
    let position = table.source().position(table.span());
    let device = table.text_or("device", "/dev/watchdog")?.to_owned();
    let timeout_s = table.integer("timeout_s", 1..=3600)? as u32;
    let silent = run.period + run.stall.unwrap_or(run.period);
    if silent * 4 > Duration::from_secs(u64::from(timeout_s) * 3) {
        let what = match run.stall {
            Some(gap) => format!(
                "the loop may finish no cycle for {gap} before the stall guard acts, with a period of {}",
                run.period
            ),
            None => format!("a cycle may be a whole period late, {}", run.period),
        };
        let what = format!("`timeout_s` is {timeout_s}: {what}");
        let least = (silent.as_nanos() * 4).div_ceil(3 * 1_000_000_000);
        let fix = format!(
            "make it at least {least}, or `period_us`, `stall_periods` or `max_hold_ms` shorter; it is fed every quarter of it at best"
        );
        return Err(table.error_at("timeout_s", what, fix));
    }
    table.finish()?;
    Ok(WatchdogConfig {
        device,
        position,
        timeout_s,
    })
}

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
