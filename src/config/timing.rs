//! Reads `[loop]`, `[overrun]` and `[watchdog]`: timing of the loop and the reactions to late
//! cycles, and the limits between these times and the longest hold of each output.

use super::error::Position;
use super::io::MAX_SHUTDOWN;
use super::reader::{Result, Table};
use super::value::NumberOrText;
use crate::cycle::overrun::LadderConfig;
use crate::cycle::wake::Wake;
use crate::realtime::required::{Cpu, Lock, LoopConfig, Scheduler};
use crate::time::Duration;

/// `[watchdog]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// The device node, `/dev/watchdogN`.
    pub device: String,
    /// Its position in the file.
    pub position: Position,
    /// Timeout of the hardware, s: 1 to 3,600. The board resets so long after the last feed.
    pub timeout_s: u32,
}

/// Shortest and longest period, microseconds.
const PERIOD_US: (u64, u64) = (20, 1_000_000);
/// Shortest and longest time for which the clock is watched before a release, microseconds. A
/// machine whose wakes take longer needs another remedy.
const SPIN_US: (u64, u64) = (1, 1_000);
/// Smallest and largest real-time stack, kB.
const STACK_KB: (u64, u64) = (32, 1024);

/// Reads `[loop]`. The caller calls [`Table::finish`].
pub(super) fn read_loop(table: &mut Table<'_>) -> Result<LoopConfig> {
    let period_us = table.integer("period_us", PERIOD_US.0..=PERIOD_US.1)?;
    let deadline_us = table.integer_or("deadline_us", 1..=PERIOD_US.1, period_us)?;
    if deadline_us > period_us {
        let what = format!("`deadline_us` is {deadline_us}, longer than `period_us` = {period_us}");
        let fix =
            "make it at most the period: outputs must be written before the next cycle starts";
        return Err(table.error_at("deadline_us", what, fix));
    }
    let cpu = read_cpu(table)?;
    let fifo = table.choice_or("scheduler", &[("fifo", true), ("deadline", false)], true)?;
    let scheduler = if fifo {
        table.without("runtime_us", "it needs scheduler = \"deadline\"")?;
        let priority = table.integer_or("priority", 1..=98, 80)? as u8;
        Scheduler::Fifo { priority }
    } else {
        table.without("priority", "it needs scheduler = \"fifo\"")?;
        if cpu != Cpu::Any {
            let what = "scheduler = \"deadline\" with a CPU of its own";
            let fix = "set cpu = \"any\" and give the unit an exclusive cpuset: \
                       the kernel does not pin deadline threads (sched(7))";
            return Err(table.error_at("scheduler", what, fix));
        }
        let runtime = Duration::from_micros(table.integer("runtime_us", 1..=deadline_us)?);
        Scheduler::Deadline { runtime }
    };
    let wake = read_wake(table, period_us, scheduler)?;
    let locks = [("all", Lock::All), ("selective", Lock::Selective)];
    let config = LoopConfig {
        // Set by read_overrun, which needs the longest hold of all outputs.
        stall: None,
        period: Duration::from_micros(period_us),
        deadline: Duration::from_micros(deadline_us),
        wake,
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

/// Reads `wake` and `spin_us`.
fn read_wake(table: &mut Table<'_>, period_us: u64, scheduler: Scheduler) -> Result<Wake> {
    let none = Duration::ZERO;
    let modes = [Wake::Sleep, Wake::Spin(none), Wake::Adaptive(none)].map(|it| (it.name(), it));
    let mode = table.choice_or("wake", &modes, Wake::Sleep)?;
    if mode == Wake::Sleep {
        table.without("spin_us", "it needs wake = \"spin\" or \"adaptive\"")?;
        return Ok(Wake::Sleep);
    }
    if let Scheduler::Deadline { .. } = scheduler {
        let what = "`wake` watches the clock with scheduler = \"deadline\"";
        let fix = "use scheduler = \"fifo\", or wake = \"sleep\": the kernel counts the watching as \
                   run time, and stops the loop when `runtime_us` is used up";
        return Err(table.error_at("wake", what, fix));
    }
    let spin_us = table.integer("spin_us", SPIN_US.0..=SPIN_US.1)?;
    if spin_us * 2 > period_us {
        let what = format!("`spin_us` is {spin_us}, more than half of `period_us` = {period_us}");
        let fix = format!(
            "make it at most {}: twice the longest wake that steadfast doctor measures is enough",
            period_us / 2
        );
        return Err(table.error_at("spin_us", what, fix));
    }
    let most = Duration::from_micros(spin_us);
    Ok(match mode {
        Wake::Adaptive(_) => Wake::Adaptive(most),
        _ => Wake::Spin(most),
    })
}

/// Refuses `output_failures` that would let outputs keep their values for longer than
/// `max_hold`: an output keeps its value in each cycle in which it cannot be written.
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
        "`output_failures` is {failures}: outputs that cannot be written would keep their values for {held}"
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

/// Shortest and longest time without a finished cycle before the stall guard acts, in
/// periods. One skipped slot is not a stall.
const STALL_PERIODS: (u64, u64) = (3, 10_000);

/// The stall guard's time on a board without outputs, in periods.
const STALL_WITHOUT_OUTPUTS: u64 = 20;

/// The longest hold of the output of `table`. It must not be shorter than the shortest time
/// of the stall guard, which would act too late for it.
pub(super) fn max_hold(table: &mut Table<'_>, period: Duration) -> Result<Duration> {
    if !table.has("max_hold_ms") {
        let what = "the output has no `max_hold_ms`";
        let fix = "add `max_hold_ms = 20` or another limit: the longest time that it may keep \
                   its value without a new decision";
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

/// The step of the shutdown order in which the output of `table` becomes safe.
pub(super) fn shutdown(table: &mut Table<'_>) -> Result<u8> {
    if !table.has("shutdown") {
        let what = "the output has no `shutdown`";
        let fix = "add `shutdown = 1` or a later step: outputs with 1 become safe first, \
                   outputs of one step together";
        return Err(table.error(what, fix));
    }
    let place = table.integer("shutdown", 1..=u64::from(MAX_SHUTDOWN))?;
    Ok(place as u8)
}

/// Reads `[watchdog]` of a loop that runs as `run`.
///
/// A feed follows the first deadline met after a quarter of the timeout, so up to one period
/// later than that. Then the loop may finish no cycle until the stall guard acts. So a quarter
/// of the timeout, a period and the guard's time must not exceed the timeout.
pub(super) fn read_watchdog(mut table: Table<'_>, run: &LoopConfig) -> Result<WatchdogConfig> {
    let position = table.source().position(table.span());
    let device = table.text_or("device", "/dev/watchdog")?.to_owned();
    let timeout_s = table.integer("timeout_s", 1..=3600)? as u32;
    let silent = run.period + run.stall.unwrap_or(run.period);
    if silent * 4 > Duration::from_secs(u64::from(timeout_s) * 3) {
        let what = match run.stall {
            Some(gap) => format!(
                "the stall guard acts only after {gap} without a finished cycle, at a period of {}",
                run.period
            ),
            None => format!("a cycle may be late by a whole period, {}", run.period),
        };
        let what = format!("`timeout_s` is {timeout_s}: {what}");
        let least = (silent.as_nanos() * 4).div_ceil(3 * 1_000_000_000);
        let fix = format!(
            "make it at least {least}, or shorten `period_us`, `stall_periods` or `max_hold_ms`: feeds are a quarter of it apart at best"
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

/// The stall guard's time in periods, for outputs that may be held for `max_hold`.
fn stall_periods(period: Duration, max_hold: Duration) -> u64 {
    if max_hold == Duration::from_nanos(u64::MAX) {
        return STALL_WITHOUT_OUTPUTS;
    }
    (max_hold / period).clamp(STALL_PERIODS.0, STALL_PERIODS.1)
}

/// Reads `[overrun]`, or gives the defaults for 1 kHz without it: the ladder, and the time
/// after which the stall guard acts. That is `None` with `action = "count"`.
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
        // The error points at a key that is in the file; the other may be a default.
        let key = if table.has("fault") {
            "fault"
        } else {
            "quick_stop"
        };
        let what = format!("`fault` is {fault}, not above `quick_stop` = {quick_stop}");
        return Err(table.error_at(
            key,
            what,
            "make `fault` the greater of the two: the quick stop precedes the fault",
        ));
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
