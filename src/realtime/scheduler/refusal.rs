//! Determines why a real-time priority was refused.
//!
//! sched_setattr(2) gives `EPERM` for two different reasons. Either the caller has no right to
//! the priority: it is above `RLIMIT_RTPRIO`, and there is no `CAP_SYS_NICE`. Or the kernel has
//! CONFIG_RT_GROUP_SCHED, and the caller's control group has a real-time budget of 0, which
//! applies to root as well (Documentation/scheduler/sched-rt-group.rst). The kernel does not say
//! which. It checks the right first, so with the right it is the budget.
//!
//! Does not allocate, because the caller is about to become real-time.

use core::fmt::Write as _;
use std::path::Path;

use super::ScheduleError;
use crate::sys::procfs::{ProcFile, for_each_line, word};

/// The bit of `CAP_SYS_NICE` (capabilities(7)).
const CAP_SYS_NICE: u32 = 23;

/// Longest path that is read, bytes.
const PATH: usize = 320;

/// Why `priority` was refused with `EPERM` under a soft `RLIMIT_RTPRIO` of `limit` (`None`: no
/// limit). `root` is the folder of `proc` and `sys`, with a slash at its end.
#[cold]
#[inline(never)]
pub(super) fn of_priority(priority: u8, limit: Option<u64>, root: &str) -> ScheduleError {
    match limit {
        Some(limit) if limit < u64::from(priority) && !has_capability(root) => {
            ScheduleError::PriorityTooHigh { priority, limit }
        }
        _ if has_no_budget(root) => ScheduleError::NoGroupBudget,
        _ => ScheduleError::Forbidden,
    }
}

/// Whether `CAP_SYS_NICE` is effective. The kernel requires it in the initial user namespace,
/// whose `/proc/self/uid_map` maps all user numbers; in another namespace it has no effect.
fn has_capability(root: &str) -> bool {
    let mut effective = false;
    lines(root, "proc/self/status", &mut |line| {
        if let Some(mask) = line.strip_prefix(b"CapEff:") {
            let mask = core::str::from_utf8(mask).unwrap_or_default().trim();
            let mask = u64::from_str_radix(mask, 16).unwrap_or(0);
            effective = mask & 1 << CAP_SYS_NICE != 0;
        }
    });
    let mut first_namespace = false;
    lines(root, "proc/self/uid_map", &mut |line| {
        let numbers = [0, 1, 2].map(|index| word(line, index));
        first_namespace = numbers == [Some(0), Some(0), Some(i64::from(u32::MAX))];
    });
    effective && first_namespace
}

/// Whether the control group's real-time budget is 0. Only version 1 of control groups shows it
/// (cgroups(7)).
fn has_no_budget(root: &str) -> bool {
    let mut none = false;
    lines(root, "proc/self/cgroup", &mut |line| {
        // hierarchy:controllers:path
        let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            return;
        };
        let is_cpu = controllers
            .split(|byte| *byte == b',')
            .any(|name| name == b"cpu");
        if let (true, Ok(path)) = (is_cpu, core::str::from_utf8(path)) {
            for hierarchy in ["cpu", "cpu,cpuacct"] {
                none |= budget(root, hierarchy, path) == Some(0);
            }
        }
    });
    none
}

fn budget(root: &str, hierarchy: &str, path: &str) -> Option<i64> {
    let mut file = heapless::String::<PATH>::new();
    write!(
        file,
        "{root}sys/fs/cgroup/{hierarchy}{path}/cpu.rt_runtime_us"
    )
    .ok()?;
    let mut file = ProcFile::<32>::open(Path::new(file.as_str())).ok()?;
    word(file.read().ok()?, 0)
}

/// Calls `visit` with each line of a file, which may be missing.
fn lines(root: &str, file: &str, visit: &mut dyn FnMut(&[u8])) {
    let mut path = heapless::String::<PATH>::new();
    if write!(path, "{root}{file}").is_ok() {
        // A missing file gives no information.
        let _ = for_each_line(Path::new(path.as_str()), visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ROOT_CAPS: &str = "Name:\tx\nCapEff:\t000001ffffffffff\n";
    const NO_CAPS: &str = "Name:\tx\nCapEff:\t0000000000000000\n";
    const FIRST: &str = "         0          0 4294967295\n";
    const NESTED: &str = "         0       1000          1\n";
    const GROUP: &str = "5:memory:/a\n4:cpu,cpuacct:/system.slice/x.service\n0::/b\n";

    fn refusal(
        name: &str,
        limit: Option<u64>,
        status: &str,
        map: &str,
        budget: Option<&str>,
    ) -> ScheduleError {
        let root = std::env::temp_dir().join(format!("refusal-{name}-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/status", status);
        write("proc/self/uid_map", map);
        write("proc/self/cgroup", GROUP);
        if let Some(budget) = budget {
            let group = "sys/fs/cgroup/cpu,cpuacct/system.slice/x.service";
            write(&format!("{group}/cpu.rt_runtime_us"), budget);
        }
        let refusal = of_priority(80, limit, &format!("{}/", root.display()));
        fs::remove_dir_all(&root).unwrap();
        refusal
    }

    #[test]
    fn the_limit_is_named_only_for_processes_bound_by_it() {
        let limited = ScheduleError::PriorityTooHigh {
            priority: 80,
            limit: 0,
        };
        let user = refusal("user", Some(0), NO_CAPS, FIRST, Some("0\n"));
        assert_eq!(user, limited);
        // Root of another namespace has no right outside of it.
        let nested = refusal("nested", Some(0), ROOT_CAPS, NESTED, Some("0\n"));
        assert_eq!(nested, limited);
    }

    #[test]
    fn processes_not_bound_by_the_limit_are_pointed_to_the_budget_of_their_group() {
        let none = Some("0\n");
        let root = refusal("root", Some(0), ROOT_CAPS, FIRST, none);
        assert_eq!(root, ScheduleError::NoGroupBudget);
        let limit = refusal("limit", Some(95), NO_CAPS, FIRST, none);
        assert_eq!(limit, ScheduleError::NoGroupBudget);
        let unlimited = refusal("unlimited", None, NO_CAPS, FIRST, none);
        assert_eq!(unlimited, ScheduleError::NoGroupBudget);
    }

    #[test]
    fn without_evidence_of_an_empty_budget_no_cause_is_claimed() {
        for (name, budget) in [("unseen", None), ("seen", Some("950000\n"))] {
            let refusal = refusal(name, Some(0), ROOT_CAPS, FIRST, budget);
            assert_eq!(refusal, ScheduleError::Forbidden, "{name}");
            let words = refusal.to_string();
            assert!(words.contains("CONFIG_RT_GROUP_SCHED") && words.contains("seccomp"));
            assert!(words.len() <= 256, "it fits a row of the contract");
        }
        let words = ScheduleError::NoGroupBudget.to_string();
        assert!(words.contains("cpu.rt_runtime_us") && words.len() <= 256);
    }
}
