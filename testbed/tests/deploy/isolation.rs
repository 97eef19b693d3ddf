//! The isolated CPU runs the loop alone: judged by its activity, not by masks.

use std::collections::BTreeMap;

use crate::service::threads;
use crate::target::Target;
use crate::{Case, Failure, require};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "no_device_interrupts_the_isolated_cpu",
        run: interrupts,
    },
    Case {
        name: "no_other_process_runs_on_the_isolated_cpu",
        run: processes,
    },
    Case {
        name: "a_slice_with_allowed_cpus_becomes_a_partition_without_a_reboot",
        run: partition,
    },
];

/// The commands of docs/isolation.md.
fn make_a_partition(cpus: &str) -> String {
    format!(
        "mkdir -p /run/systemd/system/steadfast.slice.d && \
         printf '[Slice]\\nAllowedCPUs={cpus}\\n' >/run/systemd/system/steadfast.slice.d/cpus.conf && \
         systemctl daemon-reload && \
         systemctl restart steadfast.slice steadfast-rt-setup steadfast"
    )
}

const REMOVE_IT: &str = "rm -r /run/systemd/system/steadfast.slice.d && \
    systemctl daemon-reload && \
    systemctl restart steadfast.slice steadfast-rt-setup steadfast";

/// Number of interrupts on CPU 3, by their line in /proc/interrupts.
fn counts(lines: &[String]) -> BTreeMap<String, u64> {
    let rows = lines.iter().filter_map(|line| {
        let (name, rest) = line.trim_start().split_once(':')?;
        let mut words = rest.split_whitespace();
        let count = words.nth(3)?.parse().ok()?;
        Some((
            format!("{name}: {}", words.collect::<Vec<_>>().join(" ")),
            count,
        ))
    });
    rows.collect()
}

fn interrupts(target: &mut Target) -> Result<(), Failure> {
    // Disk, console and timers at work.
    let (_, before) = target.run("cat /proc/interrupts")?;
    target.ask("dd if=/dev/vda3 of=/dev/null bs=1M count=16 status=none; ls -lR /usr/lib/systemd >/dev/null; sleep 2")?;
    let (_, after) = target.run("cat /proc/interrupts")?;
    let (before, after) = (counts(&before), counts(&after));
    require(after.len() > 10, || format!("no interrupts in {after:?}"))?;
    // Interrupts of devices have numbers; letters are interrupts between CPUs. The timer
    // of each CPU is excluded by name.
    let devices = after.iter().filter(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_digit()) && !name.contains("arch_timer")
    });
    let moved: Vec<&String> = devices
        .filter(|(name, count)| before.get(*name) != Some(*count))
        .map(|(name, _)| name)
        .collect();
    require(moved.is_empty(), || {
        format!("CPU 3 was interrupted by {moved:?}")
    })
}

fn processes(target: &mut Target) -> Result<(), Failure> {
    // More runnable processes than CPUs, but for a short time: the emulator runs the four
    // CPUs in turns, and a long load on all of them would make the loop late.
    target.ask("for n in 1 2 3 4 5 6; do ls -R /usr/lib/systemd >/dev/null & done; wait")?;
    target.until_active()?;
    let pid = target.unit("MainPID")?;
    let (_, lines) = target.run("cat /proc/[0-9]*/task/[0-9]*/stat 2>/dev/null; true")?;
    let own = threads(target)?;
    let mut found = 0;
    for line in &lines {
        let Some((head, rest)) = line.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields 9 and 39 of proc_pid_stat(5), where fields[0] is field 3.
        let (Some(flags), Some(cpu)) = (fields.get(6), fields.get(36)) else {
            continue;
        };
        const PF_KTHREAD: u64 = 0x0020_0000;
        let kernel = flags
            .parse::<u64>()
            .is_ok_and(|flags| flags & PF_KTHREAD != 0);
        if kernel || *cpu != "3" {
            continue;
        }
        found += 1;
        let name = head.split_once('(').map_or("", |(_, name)| name);
        require(own.len() >= 2 && line_of(target, &pid, head)?, || {
            format!("{name} was on CPU 3: {line}")
        })?;
    }
    require(found > 0, || {
        "no thread runs on CPU 3, not even the loop".to_owned()
    })
}

/// Whether the line of a stat file belongs to a thread of the process.
fn line_of(target: &mut Target, pid: &str, head: &str) -> Result<bool, Failure> {
    let thread = head.split_whitespace().next().unwrap_or_default();
    let (status, _) = target.run(&format!("[ -e /proc/{pid}/task/{thread} ]"))?;
    Ok(status == 0)
}

/// The loop is on CPU 2, all other threads of the firmware on CPU 1, under a kept contract.
/// Afterwards it is on CPU 3 again, which the kernel's command line isolates.
fn partition(target: &mut Target) -> Result<(), Failure> {
    // `isolcpus=` has CPU 3.
    let (status, _) = target.run(&make_a_partition("2-3"))?;
    let said = target.ask("journalctl --no-pager -o cat -u steadfast-rt-setup -n 8")?;
    require(
        status != 0 && said.contains("take them out of isolcpus="),
        || format!("a CPU of isolcpus= in the slice ends with {status}: {said}"),
    )?;
    target.ask(&make_a_partition("1-2"))?;
    target.until_active()?;
    let state = target.ask("cat /sys/fs/cgroup/steadfast.slice/cpuset.cpus.partition")?;
    require(state == "isolated", || {
        format!("the slice is no isolated partition: '{state}'")
    })?;
    let text = target.unit("StatusText")?;
    require(text.starts_with("real-time: contract kept"), || {
        format!("the contract is not kept in the partition: '{text}'")
    })?;
    let pid = target.unit("MainPID")?;
    let cpus = target.ask(&format!(
        "grep -h Cpus_allowed_list: /proc/{pid}/task/*/status"
    ))?;
    let on = |cpu: &str| cpus.lines().filter(|line| line.ends_with(cpu)).count();
    require(
        on("\t2") == 1 && on("\t1") > 3 && on("\t2") + on("\t1") == cpus.lines().count(),
        || format!("expected the loop alone on CPU 2 and the other threads on CPU 1: {cpus}"),
    )?;
    // The command of docs/isolation.md, without a terminal.
    let doctor = target.ask(
        "systemd-run --quiet --pipe --wait --slice=steadfast.slice steadfast doctor | grep isolated",
    )?;
    require(doctor.contains("CPU 1, 2, a partition"), || {
        format!("doctor in the slice does not see the partition: {doctor}")
    })?;
    target.ask(REMOVE_IT)?;
    target.until_active()?;
    let pid = target.unit("MainPID")?;
    let cpus = target.ask(&format!(
        "grep -h Cpus_allowed_list: /proc/{pid}/task/*/status"
    ))?;
    let alone = cpus.lines().filter(|line| line.ends_with("\t3")).count();
    require(alone == 1, || {
        format!("expected the loop alone on CPU 3 again: {cpus}")
    })
}
