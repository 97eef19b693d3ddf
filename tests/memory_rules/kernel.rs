//! Reads locks from the kernel, and drops privileges.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use steadfast::realtime::memory::{
    self, LockError, LockFlags, Range, Status, page_size, raise_locked_memory,
};
use steadfast::sys::limits::{self, Limit, Resource};
use steadfast::sys::process;

use crate::runner::NotRun;

/// An unprivileged user: "nobody" on most systems.
const NOBODY: u32 = 65_534;

/// The figures of `/proc/self/status`.
pub(crate) fn status() -> Status {
    Status::now().expect("/proc/self/status has its figures")
}

/// Locked kB of this process.
pub(crate) fn locked_kb() -> u64 {
    status().vm_lck_kb
}

/// One mapping as `/proc/self/smaps` shows it (proc_pid_smaps(5)).
#[derive(Debug)]
pub(crate) struct Area {
    /// Whether its flags contain `lo`: the mapping is locked. (`Locked:` is this process's
    /// share of the resident pages of such a mapping.)
    pub(crate) is_locked: bool,
    pub(crate) size_kb: u64,
    pub(crate) resident_kb: u64,
}

/// The mapping with the first byte of `range`.
pub(crate) fn area_of(range: Range) -> Area {
    let smaps = fs::read_to_string("/proc/self/smaps").expect("smaps can be read");
    let mut lines = smaps
        .lines()
        .skip_while(|line| !begins_area_with(line, range.address));
    lines.next().expect("the address is mapped");
    let mut area = Area {
        is_locked: false,
        size_kb: 0,
        resident_kb: 0,
    };
    for line in lines {
        let Some((name, rest)) = line.split_once(':') else {
            break;
        };
        let number = || {
            rest.split_whitespace()
                .next()
                .and_then(|word| word.parse().ok())
        };
        match name {
            "Size" => area.size_kb = number().expect("a number"),
            "Rss" => area.resident_kb = number().expect("a number"),
            "VmFlags" => {
                area.is_locked = rest.split_whitespace().any(|flag| flag == "lo");
                return area;
            }
            _ => {}
        }
    }
    panic!("smaps has no VmFlags for {range:?}")
}

fn begins_area_with(line: &str, address: usize) -> bool {
    let hex = |text| usize::from_str_radix(text, 16).ok();
    line.split_once(' ')
        .and_then(|(range, _)| range.split_once('-'))
        .and_then(|(start, end)| Some((hex(start)?, hex(end)?)))
        .is_some_and(|(start, end)| (start..end).contains(&address))
}

/// Whether the page with the first byte of `range` is locked by any process: the
/// flag `MLOCKED`, bit 33 of its word in `/proc/kpageflags`, found by the page
/// frame number in `/proc/self/pagemap` (Documentation/admin-guide/mm/pagemap.rst).
/// `None` where they may not be read: both need `CAP_SYS_ADMIN`.
pub(crate) fn page_is_locked(range: Range) -> Option<bool> {
    let word = |path, index: u64| -> Option<u64> {
        let mut bytes = [0; 8];
        File::open(path)
            .and_then(|file| file.read_exact_at(&mut bytes, index * 8))
            .ok()?;
        Some(u64::from_ne_bytes(bytes))
    };
    let entry = word("/proc/self/pagemap", (range.address / page_size()) as u64)?;
    let frame = entry & ((1 << 55) - 1);
    if entry >> 63 == 0 || frame == 0 {
        return None;
    }
    Some(word("/proc/kpageflags", frame)? >> 33 & 1 == 1)
}

/// kB of locked pages in the whole system (`Mlocked` of proc_meminfo(5)); a page counts
/// once, however many processes lock it.
pub(crate) fn system_locked_kb() -> Option<u64> {
    fs::read_to_string("/proc/meminfo")
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("Mlocked:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Locks all memory, with the limit raised as far as possible.
pub(crate) fn lock_all(flags: LockFlags) -> Result<(), NotRun> {
    raise_locked_memory().expect("limits can be read");
    match memory::lock_all(flags) {
        Err(error @ (LockError::LimitTooSmall { .. } | LockError::NotPermitted { .. })) => {
            Err(NotRun::because(error.to_string()))
        }
        other => {
            other.expect("locking is refused for no other reason");
            Ok(())
        }
    }
}

/// Becomes an unprivileged user, unless it is one already.
pub(crate) fn drop_privilege() -> Result<(), NotRun> {
    if process::effective_user() == 0 {
        process::become_user(NOBODY)
            .map_err(|errno| NotRun::because(format!("cannot become a user: {errno}")))?;
    }
    Ok(())
}

/// Lowers the soft limit of locked memory, which is always allowed.
pub(crate) fn limit_locked_kb(soft_kb: u64) -> Result<(), NotRun> {
    let hard = limits::get(Resource::MemLock)
        .expect("limits can be read")
        .hard;
    let soft = soft_kb * 1024;
    if hard.is_some_and(|hard| hard < soft) {
        return Err(NotRun::because(format!(
            "the hard RLIMIT_MEMLOCK is below the {soft_kb} kB that this needs"
        )));
    }
    let limit = Limit {
        soft: Some(soft),
        hard,
    };
    limits::set(Resource::MemLock, limit).expect("lowering the soft limit is allowed");
    Ok(())
}

/// Not run without root.
pub(crate) fn need_root() -> Result<(), NotRun> {
    if process::effective_user() == 0 {
        Ok(())
    } else {
        Err(NotRun::because("needs root"))
    }
}
