//! The contract: what was wanted of the machine, what the kernel granted, and
//! how to get the rest.
//!
//! Every row is judged from what was read back from the kernel, not from what a
//! call answered. Judging is pure and allocates nothing, so that it can run on
//! the locked process, and on made-up facts in tests.

use core::fmt::{self, Write as _};

use serde::{Serialize, Serializer};

use super::facts::{Facts, Policy};
use super::wanted::{Cpu, Lock, LoopConfig, Scheduler};

/// A short text in fixed memory. What does not fit is cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(heapless::String<192>);

impl Text {
    /// The formatted text, as far as it fits.
    #[must_use]
    pub fn of(args: fmt::Arguments<'_>) -> Self {
        let mut text = Self::default();
        // The writer below never fails: it cuts off.
        let _ = text.write_fmt(args);
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for c in part.chars() {
            if self.0.push(c).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How a row came out.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Granted as wanted.
    Kept,
    /// Not granted.
    Broken,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is about.
    pub name: &'static str,
    /// What the board file wants.
    pub wanted: Text,
    /// What the kernel granted, read back.
    pub granted: Text,
    /// Whether that is enough.
    pub verdict: Verdict,
    /// How to get what is missing; empty when nothing is.
    pub fix: Text,
}

/// Number of rows that a contract can have.
pub const MAX_ROWS: usize = 16;

/// All promises of one start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    rows: heapless::Vec<Row, MAX_ROWS>,
}

impl Serialize for Contract {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut object = serializer.serialize_struct("Contract", 2)?;
        object.serialize_field("kept", &self.kept())?;
        object.serialize_field("rows", self.rows.as_slice())?;
        object.end()
    }
}

impl Contract {
    /// The rows, in the order in which they were judged.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether there are rows and none is broken. A contract that was never
    /// judged is not kept.
    #[must_use]
    pub fn kept(&self) -> bool {
        !self.rows.is_empty() && self.broken().next().is_none()
    }

    /// The rows that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict == Verdict::Broken)
    }

    /// Judges `facts` by what `config` wants.
    #[must_use]
    pub fn judge(config: &LoopConfig, facts: &Facts) -> Self {
        let mut contract = Self::default();
        kernel(&mut contract, facts);
        memory(&mut contract, config, facts);
        stack(&mut contract, config, facts);
        scheduler(&mut contract, config, facts);
        cpu(&mut contract, config, facts);
        machine(&mut contract, config, facts);
        if let Some(loop_facts) = &facts.rehearsal {
            contract.row(
                "allocator",
                format_args!("sealed, 0 allocations"),
                match (loop_facts.sealed, loop_facts.allocations) {
                    (false, _) => Text::of(format_args!("not installed")),
                    (true, n) => Text::of(format_args!("sealed, {n} allocations")),
                },
                loop_facts.sealed && loop_facts.allocations == 0,
                format_args!(
                    "make steadfast's SealedAllocator the #[global_allocator], and allocate nothing in the control law"
                ),
            );
            contract.row(
                "page faults",
                format_args!("0 minor, 0 major in the rehearsal"),
                Text::of(format_args!(
                    "{} minor, {} major in {} cycles",
                    loop_facts.minor_faults, loop_facts.major_faults, loop_facts.cycles
                )),
                loop_facts.minor_faults == 0 && loop_facts.major_faults == 0,
                format_args!("lock all memory; touch in start-up what the control law touches"),
            );
        }
        contract
    }

    fn row(
        &mut self,
        name: &'static str,
        wanted: fmt::Arguments<'_>,
        granted: Text,
        kept: bool,
        fix: fmt::Arguments<'_>,
    ) {
        let row = Row {
            name,
            wanted: Text::of(wanted),
            granted,
            verdict: if kept { Verdict::Kept } else { Verdict::Broken },
            fix: if kept { Text::default() } else { Text::of(fix) },
        };
        let full = self.rows.push(row).is_err();
        debug_assert!(!full, "a contract has at most {MAX_ROWS} rows");
    }
}

fn kernel(contract: &mut Contract, facts: &Facts) {
    contract.row(
        "kernel",
        format_args!("PREEMPT_RT"),
        Text::of(format_args!(
            "{}{}",
            facts.kernel_release,
            if facts.preempt_rt { " PREEMPT_RT" } else { ", not PREEMPT_RT" }
        )),
        facts.preempt_rt,
        format_args!("boot a PREEMPT_RT kernel (Debian: linux-image-rt-arm64; Yocto: linux-yocto-rt)"),
    );
}

fn memory(contract: &mut Contract, config: &LoopConfig, facts: &Facts) {
    let wanted = match config.lock {
        Lock::All => "MCL_CURRENT | MCL_FUTURE",
        Lock::Selective => "stack, statics and buffers",
    };
    match &facts.locked {
        Ok(()) => contract.row(
            "memory lock",
            format_args!("{wanted}"),
            Text::of(format_args!("{wanted}")),
            true,
            format_args!(""),
        ),
        Err(error) => contract.row(
            "memory lock",
            format_args!("{wanted}"),
            Text::of(format_args!("{}", error.refusal())),
            false,
            format_args!("{}", error.fix()),
        ),
    }
    let covered = match config.lock {
        Lock::All => facts.vm_lck_kb + UNLOCKABLE_KB >= facts.vm_rss_kb,
        Lock::Selective => facts.vm_lck_kb > 0,
    };
    let small_enough = facts.vm_lck_kb <= config.max_locked_kb;
    contract.row(
        "locked memory",
        match config.lock {
            Lock::All => format_args!("all that is resident, at most {} kB", config.max_locked_kb),
            Lock::Selective => format_args!("at most {} kB", config.max_locked_kb),
        },
        Text::of(format_args!(
            "VmLck {} kB of VmRSS {} kB",
            facts.vm_lck_kb, facts.vm_rss_kb
        )),
        covered && small_enough,
        if covered {
            format_args!("raise [loop] max_locked_kb, or build with fewer and smaller parts")
        } else {
            format_args!("see the row \"memory lock\"")
        },
    );
}

/// What may be resident and cannot be locked: the vDSO's data page and the
/// counters' lag (the kernel batches VmRSS per CPU, up to 64 pages a task).
const UNLOCKABLE_KB: u64 = 64;

fn stack(contract: &mut Contract, config: &LoopConfig, facts: &Facts) {
    let wanted = config.stack_bytes / 1024;
    let Some(loop_facts) = &facts.rehearsal else {
        return;
    };
    contract.row(
        "stack",
        format_args!("{wanted} kB, guarded, prefaulted"),
        Text::of(format_args!(
            "{} kB, {} B used",
            loop_facts.stack_bytes / 1024,
            loop_facts.stack_used
        )),
        loop_facts.stack_bytes >= config.stack_bytes
            && loop_facts.stack_used * 4 <= loop_facts.stack_bytes * 3,
        format_args!("raise [loop] stack_kb: a quarter of the stack must stay free"),
    );
}

fn scheduler(contract: &mut Contract, config: &LoopConfig, facts: &Facts) {
    let granted = match facts.policy {
        Ok(Policy::Other) => Text::of(format_args!("SCHED_OTHER")),
        Ok(Policy::Fifo(priority)) => Text::of(format_args!("SCHED_FIFO {priority}")),
        Ok(Policy::Deadline) => Text::of(format_args!("SCHED_DEADLINE")),
        Err(errno) => Text::of(format_args!("refused: {errno}")),
    };
    match config.scheduler {
        Scheduler::Fifo { priority } => contract.row(
            "scheduler",
            format_args!("SCHED_FIFO {priority}"),
            granted,
            facts.policy == Ok(Policy::Fifo(priority)),
            format_args!(
                "setcap cap_sys_nice=ep on the binary, or LimitRTPRIO={priority} in the unit, or ulimit -r {priority} (now {})",
                facts.rtprio_limit
            ),
        ),
        Scheduler::Deadline { runtime } => contract.row(
            "scheduler",
            format_args!("SCHED_DEADLINE {runtime} of {}", config.period),
            granted,
            facts.policy == Ok(Policy::Deadline),
            format_args!(
                "setcap cap_sys_nice=ep on the binary; EBUSY: the CPU's deadline bandwidth is taken; EPERM with an affinity: use a cpuset"
            ),
        ),
    }
}

fn cpu(contract: &mut Contract, config: &LoopConfig, facts: &Facts) {
    let granted = match facts.cpu {
        Ok(Some(cpu)) => Text::of(format_args!("CPU {cpu}")),
        Ok(None) => Text::of(format_args!("any CPU")),
        Err(errno) => Text::of(format_args!("refused: {errno}")),
    };
    match config.cpu {
        Cpu::Any => contract.row("cpu", format_args!("any"), granted, facts.cpu.is_ok(), format_args!("")),
        Cpu::Number(wanted) => contract.row(
            "cpu",
            format_args!("CPU {wanted}"),
            granted,
            facts.cpu == Ok(Some(wanted)),
            format_args!(
                "set [loop] cpu to a CPU that this machine has and this process may use ({} online)",
                facts.cpus_online
            ),
        ),
        Cpu::Isolated => contract.row(
            "cpu",
            match facts.isolated_cpu {
                Some(cpu) => format_args!("isolated CPU {cpu}"),
                None => format_args!("an isolated CPU"),
            },
            granted,
            facts.isolated_cpu.is_some() && facts.cpu == Ok(facts.isolated_cpu),
            match facts.isolated_cpu {
                Some(_) => format_args!("let the process use the isolated CPU (CPUAffinity= in the unit, cpusets)"),
                None => format_args!(
                    "boot with isolcpus=managed_irq,domain,N (see doctor), or set [loop] cpu to a number or \"any\""
                ),
            },
        ),
    }
}

fn machine(contract: &mut Contract, config: &LoopConfig, facts: &Facts) {
    contract.row(
        "cpu latency",
        format_args!("/dev/cpu_dma_latency held at 0 us"),
        match facts.dma_latency {
            Ok(us) => Text::of(format_args!("held at {us} us")),
            Err(errno) => Text::of(format_args!("refused: {errno}")),
        },
        facts.dma_latency == Ok(0),
        match facts.dma_latency {
            Err(errno) if errno.0 == libc::ENOENT => {
                format_args!("build the kernel with CONFIG_CPU_IDLE, or create the device node (mdev, udev)")
            }
            _ => format_args!("let the process open it: udev rule with GROUP= and MODE=\"0660\", or run as root"),
        },
    );
    contract.row(
        "timer",
        format_args!("resolution of 1 ns"),
        Text::of(format_args!("{} ns", facts.timer_resolution_ns)),
        facts.timer_resolution_ns == 1,
        format_args!("build the kernel with CONFIG_HIGH_RES_TIMERS=y, boot without highres=off"),
    );
    let period_us = config.period.as_nanos() / 1000;
    let (granted, kept) = match facts.rt_throttling {
        None => (Text::of(format_args!("off")), true),
        Some((runtime, period)) => (
            Text::of(format_args!("{runtime} of {period} us")),
            // A loop that uses a whole period in each period is the most there can be.
            runtime * 100 >= period * 90,
        ),
    };
    contract.row(
        "throttling",
        format_args!("off, or at least 90 % for real-time"),
        granted,
        kept,
        format_args!("sysctl kernel.sched_rt_runtime_us=-1 (the loop may use {period_us} us of each {period_us} us)"),
    );
}

#[cfg(test)]
mod tests;
