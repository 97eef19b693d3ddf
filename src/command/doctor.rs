//! `steadfast doctor`: shows what this machine grants for real time, and how to get the rest.

use std::path::Path;

use super::failure::{FAILED, Failure, print};
use super::known::Known;
use crate::board::{self, Machine};
use crate::config::{Config, WatchdogConfig};
use crate::device::spi::irq;
use crate::device::watchdog;
use crate::realtime::contention::{self, Contention, PROBED};
use crate::realtime::contract::{Row, Text, Verdict};
use crate::realtime::platform::{Platform, Throttling};
use crate::realtime::required::{Cpu, LoopConfig, Scheduler};
use crate::realtime::runner;
use crate::realtime::scheduler::{self, CpuSet, Partition};
use crate::telemetry::text;
use crate::time::Duration;

/// Acceptable exit latency of an idle state, us.
const SHALLOW_US: u64 = 10;

/// Memory that the kernel should keep free, kB (docs/memory.md, "When memory runs out").
const RESERVE_KB: u64 = 16_384;

// Not inlined, so that `run`, whose stack is locked, has a small stack frame.
#[inline(never)]
pub(super) fn main(known: &Known, board: Option<&Path>, memory: bool) -> Result<u8, Failure> {
    let config = board.map(|board| known.load(board)).transpose()?;
    let required = config
        .as_ref()
        .map_or_else(LoopConfig::default, |config| config.run);
    // Before memory is locked, because reading the machine allocates.
    let platform = Platform::read(Path::new("/"));
    let mut rows = platform_rows(&platform, &required);
    if let Some(config) = &config {
        rows.extend(
            config
                .io
                .spi
                .iter()
                .filter(|spi| spi.registers.is_none())
                .map(|spi| spi_row(&spi.path, spi.irq_priority, &required)),
        );
        rows.extend(bus_rows(config));
        rows.extend(config.watchdog.iter().map(watchdog_row));
    }
    let found = runner::examine(&required).map_err(|error| Failure::new(FAILED, &error))?;
    rows.push(wake_row(&required, found.longest_wake, found.sleeps));
    // Last, because its threads and their heaps would be locked.
    if memory {
        rows.extend(memory_row(&platform, &required));
    }
    let mut shown = String::new();
    text::write_contract(&mut shown, &found.contract)
        .and_then(|()| {
            shown.push_str("\nThe machine:\n");
            text::write_rows(&mut shown, &rows)
        })
        .map_err(|error| Failure::new(FAILED, &error))?;
    print(&shown)
}

fn row(name: &'static str, required: &str, observed: String, kept: bool, fix: &str) -> Row {
    let of = |text: &str| Text::of(format_args!("{text}"));
    Row {
        name,
        required: of(required),
        observed: of(&observed),
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

/// The settings of the machine, each with its fix.
fn platform_rows(platform: &Platform, required: &LoopConfig) -> Vec<Row> {
    let kernel = &platform.kernel;
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
        isolated_row(platform),
        tick_row(platform, required),
        row(
            "rt throttling",
            "off",
            match kernel.throttling {
                None => "not in this kernel".to_owned(),
                Some(Throttling::Off) => "off".to_owned(),
                Some(Throttling::MicrosPerPeriod(us)) => format!("{us} us per second"),
            },
            !matches!(kernel.throttling, Some(Throttling::MicrosPerPeriod(_))),
            "run sysctl kernel.sched_rt_runtime_us=-1, if the loop has a CPU of its own",
        ),
        row(
            "governor",
            "performance",
            slow.copied()
                .or(governors.first().copied())
                .unwrap_or("no frequency scaling")
                .to_owned(),
            slow.is_none(),
            "write performance to /sys/devices/system/cpu/cpuN/cpufreq/scaling_governor for each CPU N",
        ),
        row(
            "C-states",
            "exit within 10 us",
            deepest.map_or_else(
                || "no idle states".to_owned(),
                |state| format!("{}: exit within {} us", state.name, state.latency_us),
            ),
            deepest.is_none_or(|state| state.latency_us <= SHALLOW_US),
            "none if `steadfast run` can open /dev/cpu_dma_latency; else boot with cpuidle.off=1",
        ),
        row(
            "memory reserve",
            "at least 16384 kB",
            platform
                .reserve_kb
                .map_or_else(|| "unknown".to_owned(), |reserve| format!("{reserve} kB")),
            platform
                .reserve_kb
                .is_some_and(|reserve| reserve >= RESERVE_KB),
            "run sysctl vm.min_free_kbytes=16384, for the loop's transfers when memory runs out",
        ),
    ];
    rows.extend(random_row(platform));
    rows.extend(link_row(platform));
    let loop_priority = loop_priority(required);
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

/// Generators that are read by a call of the secure world: the CPU that makes it does nothing else
/// until it returns, and the kernel reads one at intervals (docs/timing.md has a measurement).
const SECURE_WORLD: [&str; 2] = ["optee-rng", "smccc_trng"];

fn random_row(platform: &Platform) -> Option<Row> {
    let generator = platform.random.as_deref()?;
    Some(row(
        "random generator",
        "none of the secure world",
        generator.to_owned(),
        !SECURE_WORLD.contains(&generator),
        "boot with modprobe.blacklist=optee_rng,arm_smccc_trng, or a kernel without these drivers",
    ))
}

/// The link to a GPIO chip behind PCI Express: a read waits until it has left its power-saving state.
fn link_row(platform: &Platform) -> Option<Row> {
    let policy = platform.gpio_link.as_deref()?;
    Some(row(
        "PCIe link to GPIO",
        "performance",
        policy.to_owned(),
        policy == "performance",
        "boot with pcie_aspm.policy=performance: the link to the GPIO chip then stays awake",
    ))
}

/// The isolated CPUs that the loop can use: those of a partition, or of `isolcpus=`.
fn isolated_row(platform: &Platform) -> Row {
    let of_others = &platform.partitioned;
    let (found, kept) = match (&platform.kernel.partition, &platform.kernel.isolated) {
        (Partition::Isolated(cpus), _) => (format!("{}, a partition", listed(Some(cpus))), true),
        (Partition::Invalid(reason), _) => (format!("an invalid partition {reason}"), false),
        (Partition::None, Some(cpus)) if !cpus.is_empty() => (listed(Some(cpus)), true),
        (Partition::None, _) if !of_others.is_empty() => {
            let cpus = listed(Some(of_others));
            (
                format!("{cpus}, the partition of another control group"),
                false,
            )
        }
        (Partition::None, _) => ("none".to_owned(), false),
    };
    let fix = if of_others.is_empty() {
        "boot with isolcpus=managed_irq,domain,N irqaffinity=OTHERS (N: highest CPU; OTHERS: the \
         rest), or, without a reboot, give steadfast.slice AllowedCPUs=M,N and restart \
         steadfast-rt-setup (docs/isolation.md)"
    } else {
        "start it in that group: Slice=steadfast.slice in the unit, or systemd-run --pty \
         --slice=steadfast.slice steadfast doctor"
    };
    row("isolated CPUs", "at least one", found, kept, fix)
}

/// The CPU that the loop would take; `None` if it would take any, or if no CPU is isolated.
fn cpu_of_loop(platform: &Platform, required: &LoopConfig) -> Option<usize> {
    let isolated = match &platform.kernel.partition {
        Partition::Isolated(cpus) => Some(*cpus),
        Partition::None | Partition::Invalid(_) => platform.kernel.isolated,
    };
    match required.cpu {
        Cpu::Number(cpu) => Some(cpu as usize),
        Cpu::Isolated => {
            isolated.and_then(|cpus| scheduler::default_cpu(&cpus, &platform.kernel.online?))
        }
        Cpu::Any => None,
    }
}

/// Whether the tick is off on the CPU that the loop would take.
fn tick_row(platform: &Platform, required: &LoopConfig) -> Row {
    let without = platform.nohz_full.unwrap_or(CpuSet::EMPTY);
    let (wanted, kept) = match cpu_of_loop(platform, required) {
        Some(cpu) => (format!("CPU {cpu}"), without.contains(cpu)),
        None => ("the loop's CPU".to_owned(), !without.is_empty()),
    };
    row(
        "nohz_full",
        &wanted,
        listed(Some(&without)),
        kept,
        "boot with nohz_full=N rcu_nocbs=N for the loop's CPU (needs CONFIG_NO_HZ_FULL), or accept \
         the tick's microseconds",
    )
}

/// What other CPUs take from a cycle in the memory; `None` if that could not be measured.
fn memory_row(platform: &Platform, required: &LoopConfig) -> Option<Row> {
    let online = platform.kernel.online?;
    let found = contention::measure(cpu_of_loop(platform, required), &online)?;
    Some(contention_row(found, required.period))
}

fn contention_row(found: Contention, period: Duration) -> Row {
    let Contention {
        alone,
        beside,
        streams,
    } = found;
    let most = Duration::from_nanos(period.as_nanos() / 10);
    row(
        "memory contention",
        &format!("{} kB from memory within {most}", PROBED * 64 / 1024),
        match streams {
            0 => format!("{alone} alone; no other CPU may be used"),
            streams => format!("{alone} alone, {beside} while {streams} CPUs copy memory"),
        },
        beside <= most,
        "let fewer threads copy much memory beside the loop (CPUQuota=, AllowedCPUs= of their units), \
         divide cache and bandwidth (resctrl, MPAM) where the chip can, or lengthen [loop] period_us",
    )
}

/// The watch of the clock that suits a machine whose longest wake took `longest`, us: twice that,
/// rounded up to 5 us. A measurement sees neither each load nor each interrupt.
fn recommended_us(longest: Duration) -> u64 {
    (longest.as_nanos() * 2).div_ceil(5_000).max(1) * 5
}

/// The longest of the wakes that were measured, against `spin_us`.
fn wake_row(required: &LoopConfig, longest: Duration, sleeps: u64) -> Row {
    let us = recommended_us(longest);
    let most = required.wake.most();
    row(
        "longest wake",
        &match most {
            Duration::ZERO => "any, with wake = \"sleep\"".to_owned(),
            most => format!("shorter than spin_us, {most}"),
        },
        format!(
            "{longest} in {sleeps} wakes under the present load; for wake = \"spin\": spin_us = {us}"
        ),
        most == Duration::ZERO || longest < most,
        &format!("set [loop] spin_us = {us}, and measure beside the load of the machine"),
    )
}

/// FIFO priority of the loop; 99 for a deadline task, which precedes all FIFO threads.
const fn loop_priority(required: &LoopConfig) -> u32 {
    match required.scheduler {
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
            "set [spi.X] irq_priority, or run chrt -f -p {} {pid}: the loop waits for this thread",
            (loop_priority + 5).min(98)
        ),
    )
}

/// Whether the I2C adapters and PWM channels of a board file are present.
fn bus_rows(config: &Config) -> Vec<Row> {
    let missing = board::missing(config, &Machine::default());
    let adapters = config.io.i2c.iter();
    let adapters = adapters.map(|entry| ("I2C adapter", entry.path.clone(), entry.position));
    let channels = config.io.pwm.iter().map(|entry| {
        let shown = format!("{} channel {}", entry.chip, entry.channel);
        ("PWM channel", shown, entry.position)
    });
    let rows = adapters.chain(channels).map(|(name, required, position)| {
        let error = missing
            .iter()
            .find(|error| error.position == Some(position));
        let observed = error.map_or("present", |error| &error.what).to_owned();
        let fix = error.map_or("", |error| &error.fix);
        row(name, &required, observed, error.is_none(), fix)
    });
    rows.collect()
}

/// Whether the watchdog can be stopped after an orderly end.
fn watchdog_row(watchdog: &WatchdogConfig) -> Row {
    let (root, path) = (Path::new("/"), Path::new(&watchdog.device));
    let warning = watchdog::no_way_out_warning(root, path, watchdog.timeout_s);
    let fix = warning.as_deref().and_then(|line| line.split_once("; "));
    row(
        "watchdog",
        "stops after an orderly end",
        match watchdog::no_way_out(root, path) {
            Some(true) => format!("{} cannot be stopped (nowayout)", watchdog.device),
            Some(false) => format!("{} can be stopped", watchdog.device),
            None => format!("{}: unknown (sysfs has no nowayout)", watchdog.device),
        },
        warning.is_none(),
        fix.map_or("", |(_, fix)| fix),
    )
}

/// The interrupt thread of one SPI device of a board file.
fn spi_row(path: &str, asked: Option<u8>, required: &LoopConfig) -> Row {
    let required_priority = asked.map_or(loop_priority(required) + 1, u32::from);
    let shown = format!("{path} at FIFO {required_priority} or above");
    match irq::find(Path::new("/"), Path::new(path)) {
        Ok(thread) => {
            let priority = thread.priority.unwrap_or(0);
            let fix = format!(
                "set irq_priority and run steadfast setup, or run chrt -f -p {required_priority} {}",
                thread.pid
            );
            let observed = format!("interrupt {} at FIFO {priority}", thread.irq);
            row(
                "SPI interrupt",
                &shown,
                observed,
                u32::from(priority) >= required_priority,
                &fix,
            )
        }
        Err(error) => row(
            "SPI interrupt",
            &shown,
            error.to_string(),
            false,
            "check the SPI device; nothing to set if its driver polls or has no interrupt thread",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::wake::Wake;

    #[test]
    fn a_generator_of_the_secure_world_and_a_sleeping_link_have_a_fix() {
        let mut platform = Platform::read(Path::new("/no/such/machine"));
        assert!(random_row(&platform).is_none() && link_row(&platform).is_none());
        let verdict = |row: Option<Row>| row.map(|row| (row.verdict, row.fix.as_str().is_empty()));
        for (generator, expected) in [
            ("imx-rngc", (Verdict::Kept, true)),
            ("optee-rng", (Verdict::Broken, false)),
            ("smccc_trng", (Verdict::Broken, false)),
        ] {
            platform.random = Some(generator.to_owned());
            assert_eq!(verdict(random_row(&platform)), Some(expected));
        }
        for (policy, expected) in [
            ("performance", (Verdict::Kept, true)),
            ("default", (Verdict::Broken, false)),
        ] {
            platform.gpio_link = Some(policy.to_owned());
            assert_eq!(verdict(link_row(&platform)), Some(expected));
        }
    }

    #[test]
    fn the_tick_is_judged_on_the_cpu_that_the_loop_would_take() {
        let list = |text| scheduler::parse_cpu_list(text).unwrap();
        let mut platform = Platform::read(Path::new("/no/such/machine"));
        platform.kernel.online = Some(list("0-3"));
        platform.kernel.isolated = Some(list("3"));
        platform.nohz_full = Some(list("3"));
        let required = LoopConfig {
            cpu: Cpu::Isolated,
            ..LoopConfig::default()
        };
        assert_eq!(tick_row(&platform, &required).verdict, Verdict::Kept);
        // The partition's CPU has a tick, although another CPU has none.
        platform.kernel.partition = Partition::Isolated(list("1-2"));
        let broken = tick_row(&platform, &required);
        assert_eq!(broken.verdict, Verdict::Broken);
        assert_eq!(broken.required.as_str(), "CPU 2");
        let any = LoopConfig {
            cpu: Cpu::Any,
            ..required
        };
        assert_eq!(tick_row(&platform, &any).verdict, Verdict::Kept);
        platform.nohz_full = None;
        assert_eq!(tick_row(&platform, &any).verdict, Verdict::Broken);
    }

    #[test]
    fn the_recommended_watch_is_twice_the_longest_wake_in_steps_of_5_us() {
        let us = |ns| recommended_us(Duration::from_nanos(ns));
        assert_eq!([0, 1, 2_500, 2_501, 8_500].map(us), [5, 5, 5, 10, 20]);
    }

    #[test]
    fn contention_is_judged_by_the_period() {
        let us = Duration::from_micros;
        let found = Contention {
            alone: us(40),
            beside: us(100),
            streams: 3,
        };
        assert_eq!(contention_row(found, us(1_000)).verdict, Verdict::Kept);
        let broken = contention_row(found, us(999));
        assert_eq!(broken.verdict, Verdict::Broken);
        let observed = broken.observed.as_str();
        assert!(observed.contains("while 3 CPUs copy memory"), "{observed}");
    }

    #[test]
    fn a_watch_that_is_not_longer_than_a_wake_is_not_kept() {
        let us = Duration::from_micros;
        let row = |wake, longest| {
            let required = LoopConfig {
                wake,
                ..LoopConfig::default()
            };
            wake_row(&required, us(longest), 1_000)
        };
        assert_eq!(row(Wake::Sleep, 900).verdict, Verdict::Kept);
        assert_eq!(row(Wake::Spin(us(20)), 19).verdict, Verdict::Kept);
        let short = row(Wake::Adaptive(us(20)), 20);
        assert_eq!(short.verdict, Verdict::Broken);
        assert!(short.fix.as_str().contains("spin_us = 40"), "{}", short.fix);
    }
}
