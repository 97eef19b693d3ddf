//! `steadfast doctor`: what this machine grants, and how to get the rest.

use std::path::Path;

use super::{BAD_INPUT, FAILED, Failure, print};
use crate::config::Config;
use crate::device::spi::irq;
use crate::realtime::contract::{Row, Text, Verdict};
use crate::realtime::platform::{Platform, Throttling};
use crate::realtime::runner;
use crate::realtime::scheduler::CpuSet;
use crate::realtime::wanted::{LoopConfig, Scheduler};
use crate::telemetry::text;

/// Longest time to leave an idle state that does not matter, us.
const SHALLOW_US: u64 = 10;

// Kept apart, for the stack of `run` to be small: it is locked.
#[inline(never)]
pub(super) fn main(board: Option<&Path>) -> Result<u8, Failure> {
    let config = board
        .map(Config::load)
        .transpose()
        .map_err(|error| Failure::in_file(BAD_INPUT, &error))?;
    let wanted = config
        .as_ref()
        .map_or_else(LoopConfig::default, |config| config.run);
    // Before the process locks itself: reading the machine allocates.
    let mut rows = platform_rows(&Platform::read(Path::new("/")), &wanted);
    if let Some(config) = &config {
        rows.extend(
            config
                .io
                .spi
                .iter()
                .map(|spi| spi_row(&spi.path, spi.irq_priority, &wanted)),
        );
    }
    let contract = runner::examine(&wanted).map_err(|error| Failure::new(FAILED, &error))?;
    let mut shown = String::new();
    text::write_contract(&mut shown, &contract)
        .and_then(|()| {
            shown.push_str("\nThe machine:\n");
            text::write_rows(&mut shown, &rows)
        })
        .map_err(|error| Failure::new(FAILED, &error))?;
    print(&shown)
}

fn row(name: &'static str, wanted: &str, granted: String, kept: bool, fix: &str) -> Row {
    let of = |text: &str| Text::of(format_args!("{text}"));
    Row {
        name,
        wanted: of(wanted),
        granted: of(&granted),
        verdict: if kept { Verdict::Kept } else { Verdict::Broken },
        fix: if kept { Text::default() } else { of(fix) },
    }
}

fn listed(set: Option<&CpuSet>) -> String {
    let numbers: Vec<_> = set
        .into_iter()
        .flat_map(CpuSet::iter)
        .map(|cpu| cpu.to_string())
        .collect();
    match numbers.as_slice() {
        [] => "none".to_owned(),
        numbers => format!("CPU {}", numbers.join(", ")),
    }
}

/// The machine's own settings, each with its fix.
fn platform_rows(platform: &Platform, wanted: &LoopConfig) -> Vec<Row> {
    let kernel = &platform.kernel;
    let some = |set: &Option<CpuSet>| set.as_ref().is_some_and(|set| !set.is_empty());
    let governors: Vec<_> = platform
        .cpus
        .iter()
        .filter_map(|cpu| cpu.governor.as_deref())
        .collect();
    let slow = governors
        .iter()
        .find(|governor| **governor != "performance");
    let deepest = platform
        .cpus
        .iter()
        .flat_map(|cpu| &cpu.idle_states)
        .filter(|state| !state.disabled)
        .max_by_key(|state| state.latency_us);
    let mut rows = vec![
        row(
            "PREEMPT_RT",
            "yes",
            kernel
                .name
                .clone()
                .unwrap_or_else(|| "unknown kernel".to_owned()),
            kernel.preempt_rt,
            "boot a PREEMPT_RT kernel (Debian: linux-image-rt-arm64; Yocto: linux-yocto-rt)",
        ),
        row(
            "isolated CPUs",
            "at least one",
            listed(kernel.isolated.as_ref()),
            some(&kernel.isolated),
            "boot with isolcpus=managed_irq,domain,N irqaffinity=<the others>, N the highest CPU",
        ),
        row(
            "nohz_full",
            "the isolated CPUs",
            listed(platform.nohz_full.as_ref()),
            some(&platform.nohz_full),
            "boot with nohz_full=N rcu_nocbs=N (needs CONFIG_NO_HZ_FULL)",
        ),
        row(
            "rt throttling",
            "off",
            match kernel.throttling {
                None => "not in this kernel".to_owned(),
                Some(Throttling::Off) => "off".to_owned(),
                Some(Throttling::MicrosPerPeriod(us)) => format!("{us} us of each second"),
            },
            !matches!(kernel.throttling, Some(Throttling::MicrosPerPeriod(_))),
            "sysctl kernel.sched_rt_runtime_us=-1, once the loop has its own CPU",
        ),
        row(
            "governor",
            "performance",
            slow.copied()
                .or(governors.first().copied())
                .unwrap_or("no frequency scaling")
                .to_owned(),
            slow.is_none(),
            "echo performance > /sys/devices/system/cpu/cpuN/cpufreq/scaling_governor, for every N",
        ),
        row(
            "C-states",
            "left within 10 us",
            deepest.map_or_else(
                || "no idle states".to_owned(),
                |state| format!("{} takes {} us", state.name, state.latency_us),
            ),
            deepest.is_none_or(|state| state.latency_us <= SHALLOW_US),
            "run holds /dev/cpu_dma_latency at 0; without it boot with cpuidle.off=1",
        ),
    ];
    let loop_priority = loop_priority(wanted);
    for thread in platform
        .irq_threads
        .iter()
        .filter(|thread| thread.name.contains("spi"))
    {
        rows.push(irq_row(
            &thread.name,
            thread.pid,
            thread.priority,
            loop_priority,
        ));
    }
    rows
}

/// FIFO priority of the loop; a deadline task is above all of them.
const fn loop_priority(wanted: &LoopConfig) -> u32 {
    match wanted.scheduler {
        Scheduler::Fifo { priority } => priority as u32,
        Scheduler::Deadline { .. } => 99,
    }
}

fn irq_row(name: &str, pid: i32, priority: u32, loop_priority: u32) -> Row {
    row(
        "SPI interrupt",
        &format!("above the loop's FIFO {loop_priority}"),
        format!("{name} at FIFO {priority}"),
        priority > loop_priority,
        &format!(
            "the loop waits for it: set [spi.X] irq_priority, or chrt -f -p {} {pid}",
            (loop_priority + 5).min(98)
        ),
    )
}

/// The interrupt thread behind one SPI device of a board file.
fn spi_row(path: &str, asked: Option<u8>, wanted: &LoopConfig) -> Row {
    let wanted_priority = asked.map_or(loop_priority(wanted) + 1, u32::from);
    let shown = format!("{path} at FIFO {wanted_priority} or above");
    match irq::find(Path::new("/"), Path::new(path)) {
        Ok(thread) => {
            let priority = thread.priority.unwrap_or(0);
            let fix = format!(
                "the loop waits for it: chrt -f -p {wanted_priority} {}",
                thread.pid
            );
            let granted = format!("interrupt {} at FIFO {priority}", thread.irq);
            row(
                "SPI interrupt",
                &shown,
                granted,
                u32::from(priority) >= wanted_priority,
                &fix,
            )
        }
        Err(error) => row(
            "SPI interrupt",
            &shown,
            error.to_string(),
            false,
            "nothing to set where the driver polls or there is no thread",
        ),
    }
}
