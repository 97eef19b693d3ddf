//! The contract: what the board file requires of the machine, what the kernel granted, and how
//! to get what is missing.
//!
//! Each row is judged from values read back from the kernel, not from the results of calls.
//! Judging is pure and does not allocate, so it can run in the locked process, and in tests on
//! invented values.

use super::audit::{Breach, Breaches, Promise, Promises};
use super::guard::policy_above;
use super::observed::{Observed, Placement, Rehearsal};
pub use super::text::Text;
pub(super) use share::leaves_enough;

use super::required::{Cpu, Lock, LoopConfig, Scheduler};
use super::scheduler::{CPU_DMA_LATENCY, Policy, RunawayLimit, ScheduleError};
use crate::sys::{Errno, arena};

/// The verdict on a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As required.
    Kept,
    /// Not granted.
    Broken,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its subject.
    pub name: &'static str,
    /// What the board file requires.
    pub required: Text,
    /// What is read back from the kernel.
    pub observed: Text,
    /// Whether that is enough.
    pub verdict: Verdict,
    /// The remedy for a broken row; empty for a kept one.
    pub fix: Text,
}

/// Most rows of a contract.
pub const MAX_ROWS: usize = 19;

/// All promises of one start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    rows: heapless::Vec<Row, MAX_ROWS>,
    breaches: Breaches,
}

impl Contract {
    /// The rows, in the order in which they were judged.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether the contract was judged, and no row was broken then or later.
    #[must_use]
    pub fn kept(&self) -> bool {
        !self.rows.is_empty() && self.broken().next().is_none() && self.breaches.is_empty()
    }

    /// The breaches while the loop ran, in order of time.
    #[must_use]
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// The promises that broke while the loop ran.
    #[must_use]
    pub fn broken_while_running(&self) -> Promises {
        self.breaches.iter().map(|breach| breach.promise).collect()
    }

    /// Sets the breaches that the audit found.
    pub fn broke(&mut self, breaches: Breaches) {
        self.breaches = breaches;
    }

    /// The kept promises that can be audited.
    ///
    /// Page faults are included only if memory is locked: otherwise the rehearsal does not show
    /// what happens later.
    #[must_use]
    pub fn audited(&self) -> Promises {
        let kept = |name| {
            let mut rows = self.rows.iter();
            rows.any(|row| row.name == name && row.verdict == Verdict::Kept)
        };
        let locked = kept("memory lock") && kept("locked memory");
        Promise::ALL
            .into_iter()
            .filter(|promise| kept(promise.name()))
            .filter(|promise| *promise != Promise::PageFaults || locked)
            .collect()
    }

    /// The broken rows.
    pub fn broken(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| row.verdict == Verdict::Broken)
    }

    /// Judges `observed` by the requirements of `config`. In place, because a contract has 14 kB.
    pub fn judge(&mut self, config: &LoopConfig, observed: &Observed) {
        self.rows.clear();
        self.breaches.clear();
        kernel(self, observed);
        memory(self, config, observed);
        if let Some(placement) = &observed.placement {
            placed(self, placement);
        }
        scheduler(self, config, observed);
        guard(self, config, observed);
        cpu(self, config, observed);
        if let Some(disturbances) = observed.disturbances {
            self.judged("own cpu", share::own_cpu(disturbances));
        }
        if let Some(judged) = share::wake(config, observed) {
            self.judged("wake", judged);
        }
        machine(self, observed);
        self.judged("throttling", share::throttling(config, observed));
        runaway(self, config, observed);
        if let Some(rehearsal) = &observed.rehearsal {
            rehearsed(self, config, rehearsal);
        }
    }

    fn judged(&mut self, name: &'static str, judged: share::Judged) {
        let share::Judged {
            required,
            observed,
            kept,
            fix,
        } = judged;
        self.row(name, required, observed, kept, fix);
    }

    fn row(&mut self, name: &'static str, required: Text, observed: Text, kept: bool, fix: Text) {
        let row = Row {
            name,
            required,
            observed,
            verdict: if kept { Verdict::Kept } else { Verdict::Broken },
            fix: if kept { Text::default() } else { fix },
        };
        let full = self.rows.push(row).is_err();
        debug_assert!(!full, "a contract has at most {MAX_ROWS} rows");
    }
}

fn kernel(contract: &mut Contract, observed: &Observed) {
    contract.row(
        "kernel",
        Text::of(format_args!("PREEMPT_RT")),
        observed.kernel.clone(),
        observed.preempt_rt,
        Text::of(format_args!(
            "boot a PREEMPT_RT kernel (Debian: linux-image-rt-arm64; Yocto: linux-yocto-rt)"
        )),
    );
}

fn memory(contract: &mut Contract, config: &LoopConfig, observed: &Observed) {
    let required = match config.lock {
        Lock::All => "MCL_CURRENT | MCL_FUTURE",
        Lock::Selective => "memory of loop, guard and handlers",
    };
    let granted = match &observed.locked {
        Ok(()) => Text::of(format_args!("{required}")),
        Err(_) => Text::of(format_args!("refused")),
    };
    contract.row(
        "memory lock",
        Text::of(format_args!("{required}")),
        granted,
        observed.locked.is_ok(),
        match &observed.locked {
            Ok(()) => Text::default(),
            Err(error) => Text::of(format_args!("{error}")),
        },
    );
    let covered = observed.unlocked == Ok(None)
        && match config.lock {
            Lock::All => observed.vm_lck_kb + UNLOCKABLE_KB >= observed.vm_rss_kb,
            Lock::Selective => observed.vm_lck_kb > 0,
        };
    contract.row(
        "locked memory",
        match config.lock {
            Lock::All => Text::of(format_args!(
                "all that is resident, at most {} kB",
                config.max_locked_kb
            )),
            Lock::Selective => Text::of(format_args!(
                "memory of loop, guard and handlers, at most {} kB",
                config.max_locked_kb
            )),
        },
        {
            let (locked, resident) = (observed.vm_lck_kb, observed.vm_rss_kb);
            let figures = format_args!("VmLck {locked} kB of VmRSS {resident} kB");
            match observed.unlocked {
                Ok(None) => Text::of(figures),
                Ok(Some(what)) => Text::of(format_args!("{figures}, {what} not locked")),
                Err(errno) => Text::of(format_args!("{figures}, areas not readable: {errno}")),
            }
        },
        covered && observed.vm_lck_kb <= config.max_locked_kb,
        if covered {
            Text::of(format_args!(
                "raise [loop] max_locked_kb, or build with fewer and smaller parts"
            ))
        } else if observed.unlocked.is_err() {
            Text::of(format_args!(
                "let the process read /proc/self/maps and smaps (CONFIG_PROC_PAGE_MONITOR=y)"
            ))
        } else {
            Text::of(format_args!("see the row \"memory lock\""))
        },
    );
}

fn placed(contract: &mut Contract, placement: &Placement) {
    let Placement { outside, used } = placement;
    contract.row(
        "static memory",
        Text::of(format_args!("controller, devices, laws: static")),
        match outside {
            None => Text::of(format_args!("all, {used} of {} bytes used", arena::BYTES)),
            Some(what) => Text::of(format_args!("{what} is on a stack or in the heap")),
        },
        outside.is_none(),
        Text::of(format_args!("put it into a static, or into sys::arena")),
    );
}

/// Difference between VmRSS and VmLck that is not a fault, kB: the vDSO with its data cannot be
/// locked, and the kernel updates a task's VmRSS in batches of up to 64 pages.
const UNLOCKABLE_KB: u64 = 64;

fn scheduler(contract: &mut Contract, config: &LoopConfig, observed: &Observed) {
    let granted = match &observed.policy {
        Ok(policy) => Text::of(format_args!("{policy}")),
        Err(_) => Text::of(format_args!("refused")),
    };
    let kept = match (config.scheduler, &observed.policy) {
        (Scheduler::Fifo { priority }, Ok(policy)) => *policy == Policy::Fifo { priority },
        (Scheduler::Deadline { .. }, Ok(policy)) => matches!(policy, Policy::Deadline { .. }),
        (_, Err(_)) => false,
    };
    contract.row(
        "scheduler",
        match config.scheduler {
            Scheduler::Fifo { priority } => Text::of(format_args!("FIFO {priority}")),
            Scheduler::Deadline { runtime } => {
                Text::of(format_args!("DEADLINE {runtime} in {}", config.period))
            }
        },
        granted,
        kept,
        match &observed.policy {
            Ok(_) => Text::of(format_args!(
                "find the program that changes this thread's policy, and stop it"
            )),
            Err(error) => Text::of(format_args!("{error}")),
        },
    );
}

fn guard(contract: &mut Contract, config: &LoopConfig, observed: &Observed) {
    let (Some(gap), Some(granted)) = (config.stall, &observed.guard) else {
        return;
    };
    let required = policy_above(config.scheduler);
    contract.row(
        "stall guard",
        Text::of(format_args!("{required}, acts within {gap}")),
        match granted {
            Ok(policy) => Text::of(format_args!("{policy}")),
            Err(Errno(libc::ETIMEDOUT)) => Text::of(format_args!(
                "not running after {}",
                super::guard::STARTS_WITHIN
            )),
            Err(errno) => Text::of(format_args!("refused: {errno}")),
        },
        *granted == Ok(required),
        match &observed.policy {
            // The same reason has refused both policies.
            Err(error @ (ScheduleError::NoGroupBudget | ScheduleError::Forbidden)) => {
                Text::of(format_args!("{error}"))
            }
            _ => Text::of(format_args!(
                "setcap cap_sys_nice=ep on the binary, or LimitRTPRIO= in the unit at [loop] \
                 priority + 1: the guard runs above the loop"
            )),
        },
    );
}

fn cpu(contract: &mut Contract, config: &LoopConfig, observed: &Observed) {
    let granted = match &observed.cpu {
        Ok(Some(cpu)) => Text::of(format_args!("CPU {cpu}")),
        Ok(None) => Text::of(format_args!("any CPU")),
        Err(_) => Text::of(format_args!("refused")),
    };
    let required = match config.cpu {
        Cpu::Any => None,
        Cpu::Number(cpu) => Some(cpu as usize),
        Cpu::Isolated => observed.isolated_cpu,
    };
    let kept = match config.cpu {
        Cpu::Any => observed.cpu.is_ok(),
        Cpu::Number(_) | Cpu::Isolated => required.is_some() && observed.cpu == Ok(required),
    };
    // The other threads of the process are in the partition as well.
    let crowded = observed.in_partition && observed.isolated.len() == 1;
    contract.row(
        "cpu",
        match (config.cpu, required) {
            (Cpu::Any, _) => Text::of(format_args!("any CPU")),
            (_, Some(cpu)) if crowded => Text::of(format_args!("CPU {cpu}, another for helpers")),
            (_, Some(cpu)) => Text::of(format_args!("CPU {cpu}")),
            (_, None) => Text::of(format_args!("an isolated CPU")),
        },
        granted,
        kept && !crowded,
        match &observed.cpu {
            Err(error) => Text::of(format_args!("{error}")),
            Ok(_) if kept => Text::of(format_args!(
                "add a CPU to the partition (AllowedCPUs= of its slice): helper threads run in it too"
            )),
            Ok(_) => Text::of(format_args!(
                "boot with isolcpus=managed_irq,domain,N, or make the unit's slice an isolated \
                 partition (docs/isolation.md), or set [loop] cpu to a number or \"any\""
            )),
        },
    );
}

fn machine(contract: &mut Contract, observed: &Observed) {
    contract.row(
        "cpu latency",
        Text::of(format_args!("{CPU_DMA_LATENCY} held at 0 us")),
        match observed.dma_latency_us {
            Ok(Some(us)) => Text::of(format_args!("held at {us} us")),
            Ok(None) => Text::of(format_args!("the kernel has no idle states")),
            Err(errno) => Text::of(format_args!("refused: {errno}")),
        },
        matches!(observed.dma_latency_us, Ok(None | Some(0))),
        match observed.dma_latency_us {
            Err(Errno(libc::ENOENT)) => Text::of(format_args!(
                "create the device node (devtmpfs, udev), or use a kernel with CONFIG_CPU_IDLE"
            )),
            _ => Text::of(format_args!(
                "run as root, or add a udev rule \
                 KERNEL==\"cpu_dma_latency\", GROUP=\"realtime\", MODE=\"0660\""
            )),
        },
    );
    contract.row(
        "timer",
        Text::of(format_args!("resolution 1 ns")),
        match observed.timer_resolution_ns {
            Ok(ns) => Text::of(format_args!("resolution {ns} ns")),
            Err(errno) => Text::of(format_args!("unknown: {errno}")),
        },
        observed.timer_resolution_ns == Ok(1),
        Text::of(format_args!(
            "use a kernel with CONFIG_HIGH_RES_TIMERS=y, and boot it without highres=off"
        )),
    );
    contract.row(
        "compaction",
        Text::of(format_args!("locked pages are not moved")),
        match observed.moves_locked_pages {
            None => Text::of(format_args!("not in this kernel")),
            Some(false) => Text::of(format_args!("not moved")),
            Some(true) => Text::of(format_args!("kcompactd may move locked pages")),
        },
        observed.moves_locked_pages != Some(true),
        Text::of(format_args!(
            "sysctl vm.compact_unevictable_allowed=0 (a PREEMPT_RT kernel starts with it)"
        )),
    );
}

fn runaway(contract: &mut Contract, config: &LoopConfig, observed: &Observed) {
    // A lower hard limit may exist already, and is as good, as long as SIGXCPU comes before
    // SIGKILL.
    let longest = RunawayLimit::for_period(config.period).soft;
    contract.row(
        "runaway limit",
        Text::of(format_args!(
            "SIGXCPU after {longest} without a blocking call"
        )),
        match &observed.runaway {
            Ok(limit) => Text::of(format_args!(
                "SIGXCPU after {}, SIGKILL after {}",
                limit.soft, limit.hard
            )),
            Err(errno) => Text::of(format_args!("refused: {errno}")),
        },
        observed
            .runaway
            .is_ok_and(|limit| limit.soft <= longest && limit.soft < limit.hard),
        Text::of(format_args!(
            "permit the process to lower its RLIMIT_RTTIME (LimitRTTIME= in the unit, seccomp)"
        )),
    );
}

fn rehearsed(contract: &mut Contract, config: &LoopConfig, rehearsal: &Rehearsal) {
    contract.row(
        "stack",
        Text::of(format_args!(
            "{} kB, a quarter of it unused",
            config.stack_bytes / 1024
        )),
        Text::of(format_args!(
            "{} of {} B used",
            rehearsal.stack_used, rehearsal.stack_bytes
        )),
        rehearsal.stack_bytes >= config.stack_bytes
            && rehearsal.stack_used * 4 <= rehearsal.stack_bytes * 3,
        Text::of(format_args!("raise [loop] stack_kb")),
    );
    contract.row(
        "allocator",
        Text::of(format_args!("sealed, 0 allocations")),
        match (rehearsal.sealed, rehearsal.allocations) {
            (false, _) => Text::of(format_args!("not installed")),
            (true, count) => Text::of(format_args!("sealed, {count} allocations")),
        },
        rehearsal.sealed && rehearsal.allocations == 0,
        if rehearsal.sealed {
            Text::of(format_args!("allocate nothing in the control law"))
        } else {
            Text::of(format_args!(
                "make SealedAllocator the binary's #[global_allocator]"
            ))
        },
    );
    contract.row(
        "page faults",
        Text::of(format_args!("0 minor, 0 major")),
        Text::of(format_args!(
            "{} minor, {} major in {} cycles",
            rehearsal.minor_faults, rehearsal.major_faults, rehearsal.cycles
        )),
        rehearsal.minor_faults == 0 && rehearsal.major_faults == 0,
        Text::of(format_args!(
            "set lock = \"all\" in [loop], and access all memory of the control law at start-up"
        )),
    );
}

mod share;
#[cfg(test)]
mod tests;
