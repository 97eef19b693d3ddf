//! `[loop]` and `[overrun]`: how the loop runs, and what late cycles lead to.

use super::error::ConfigError;
use super::reader::Table;
use crate::cycle::overrun::LadderConfig;
use crate::time::Duration;

/// Shortest and longest period, microseconds.
const PERIOD_US: (u64, u64) = (50, 1_000_000);
/// Smallest and largest real-time stack, kB.
const STACK_KB: (u64, u64) = (32, 1024);

/// Which CPU the loop runs on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// The highest in `/sys/devices/system/cpu/isolated`; without isolated CPUs,
    /// wherever the kernel puts it, and the contract says so.
    Isolated,
    /// This one.
    Number(u32),
    /// Wherever the kernel puts it.
    Any,
}

/// How the kernel schedules the loop (sched(7)).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// SCHED_FIFO at this priority, 1 to 98 (99 is the kernel's own threads').
    Fifo {
        /// The priority.
        priority: u8,
    },
    /// SCHED_DEADLINE with the loop's period and deadline and this budget.
    Deadline {
        /// CPU time granted in each period.
        runtime: Duration,
    },
}

/// What is locked into memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Everything, now and later: `mlockall(MCL_CURRENT | MCL_FUTURE)`.
    All,
    /// Only what the loop touches, for boards whose RLIMIT_MEMLOCK cannot be
    /// raised. Chosen, never fallen back to.
    Selective,
}

/// `[loop]`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LoopConfig {
    /// Time between releases.
    pub period: Duration,
    /// The outputs must have left this long after the release.
    pub deadline: Duration,
    /// Which CPU the loop runs on.
    pub cpu: Cpu,
    /// How the kernel schedules the loop.
    pub scheduler: Scheduler,
    /// Size of the real-time thread's stack, bytes.
    pub stack_bytes: usize,
    /// What is locked into memory.
    pub lock: Lock,
    /// More locked memory than this breaks the contract, kB.
    pub max_locked_kb: u64,
    /// Cycles rehearsed with safe outputs before the contract is judged.
    pub warm_up_cycles: u64,
    /// Time that coming to rest may take at the end of a run.
    pub stop_time: Duration,
    /// Cycles in a row whose outputs could not be written until it is a fault.
    pub output_failures: u32,
}

impl LoopConfig {
    pub(super) fn read(mut table: Table<'_>) -> Result<Self, ConfigError> {
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
            let runtime = Duration::from_micros(table.integer("runtime_us", 1..=deadline_us)?);
            Scheduler::Deadline { runtime }
        };
        let config = Self {
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

    /// Whole periods in `time`, at least one.
    #[must_use]
    pub fn slots(&self, time: Duration) -> u64 {
        time.as_nanos().div_ceil(self.period.as_nanos()).max(1)
    }
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
    let (fill, drain) = (level_or("fill", default.fill)?, level_or("drain", default.drain)?);
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
