//! What disturbs the loop on a CPU of its own: interrupts of devices there, and threads that
//! the kernel runs in its place. Masks and parameters show what was asked for, these counts what
//! happens.
//!
//! The contract judges the counts of the rehearsal, the audit those of each second after it.
//!
//! Interrupts between CPUs and those of the CPU itself (its timer, its performance counters)
//! are not counted: no setting moves them.

use core::fmt::Write as _;
use std::path::Path;

use crate::sys::procfs::{field, for_each_line, word};
use crate::sys::{self, Errno};

/// Most of each kind that are few, in a rehearsal or in a second: one or two may be the last of a
/// device whose interrupt was just moved away.
pub const FEW: u64 = 2;

/// Counts since the start of the machine and of the calling thread.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Disturbances {
    /// Interrupts of devices on one CPU.
    pub interrupts: u64,
    /// How often another thread ran although the calling thread wanted to.
    pub preemptions: u64,
}

impl Disturbances {
    /// The present counts for the calling thread on `cpu`. `root` is the folder of `proc`. Does
    /// not allocate.
    ///
    /// # Errors
    /// `ENODATA`: `/proc/interrupts` has no such CPU; errors of opening and reading it.
    pub fn on(root: &Path, cpu: usize) -> Result<Self, Errno> {
        Ok(Self {
            interrupts: of_devices(root, cpu)?,
            preemptions: sys::sched::thread_preemptions()?,
        })
    }

    /// The present counts for the thread `thread` of this process on `cpu`. `root` is the folder of
    /// `proc`. Does not allocate.
    ///
    /// # Errors
    /// `ENODATA`: `/proc/interrupts` has no such CPU, or the status of the thread no such count;
    /// `ENOENT`: there is no such thread; errors of opening and reading both files.
    pub fn of(root: &Path, cpu: usize, thread: i32) -> Result<Self, Errno> {
        Ok(Self {
            interrupts: of_devices(root, cpu)?,
            preemptions: preemptions_of(root, thread)?,
        })
    }

    /// The disturbances since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            interrupts: self.interrupts.saturating_sub(earlier.interrupts),
            preemptions: self.preemptions.saturating_sub(earlier.preemptions),
        }
    }
}

/// The path of `file` in `proc` below `root`.
fn in_proc(root: &Path, file: core::fmt::Arguments<'_>) -> Result<heapless::String<192>, Errno> {
    let mut path = heapless::String::new();
    let root = root.to_str().unwrap_or("/");
    write!(path, "{root}/proc/{file}").map_err(|_| Errno(libc::ENAMETOOLONG))?;
    Ok(path)
}

/// How often the kernel has taken the CPU from `thread` (proc_pid_status(5)).
fn preemptions_of(root: &Path, thread: i32) -> Result<u64, Errno> {
    let path = in_proc(root, format_args!("self/task/{thread}/status"))?;
    let mut count = None;
    for_each_line(Path::new(path.as_str()), &mut |line| {
        count = count.or_else(|| field(line, "nonvoluntary_ctxt_switches"));
    })?;
    count.ok_or(Errno(libc::ENODATA))
}

/// The interrupts of devices that `cpu` has handled.
fn of_devices(root: &Path, cpu: usize) -> Result<u64, Errno> {
    let path = in_proc(root, format_args!("interrupts"))?;
    let (mut column, mut first, mut sum) = (None, true, 0);
    for_each_line(Path::new(path.as_str()), &mut |line| {
        if core::mem::take(&mut first) {
            column = column_of(line, cpu);
        } else if let Some(column) = column {
            sum += device_count(line, column).unwrap_or(0);
        }
    })?;
    column.map(|_| sum).ok_or(Errno(libc::ENODATA))
}

/// The index of the counts of `cpu`, from the heading `CPU0  CPU1`. CPUs that are offline have no
/// column.
fn column_of(heading: &[u8], cpu: usize) -> Option<usize> {
    let mut name = heapless::String::<16>::new();
    write!(name, "CPU{cpu}").ok()?;
    let mut names = heading
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    names.position(|word| word == name.as_bytes())
}

/// The count of a line such as ` 32:  0  7  GICv3  58 Level  30890000.serial`; `None` if it is not
/// the line of a device.
fn device_count(line: &[u8], column: usize) -> Option<u64> {
    let text = core::str::from_utf8(line).ok()?.trim_start();
    let (label, rest) = text.split_once(':')?;
    let of_cpu = ["timer", "twd", "pmu"];
    let is_device = label.bytes().all(|byte| byte.is_ascii_digit())
        && !of_cpu.iter().any(|name| rest.contains(name))
        // The line of a machine with many CPUs is cut off, and its name is unknown.
        && rest.bytes().any(|byte| byte.is_ascii_alphabetic());
    word(rest.as_bytes(), column)
        .filter(|_| is_device)?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TEXT: &str = "           CPU0       CPU1       CPU3
 11:       4120       3100       2200     GICv3  27 Level     arch_timer
 14:          1          2          3     GICv3  23 Level     arm-pmu
 32:         70          0          5     GICv3  58 Level     30890000.serial
 33:          9          0          2  gpio-mxc   3 Edge      button
IPI0:       120        140        900       Rescheduling interrupts
Err:          0
";

    fn machine(name: &str) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::write(root.join("proc/interrupts"), TEXT).unwrap();
        root
    }

    #[test]
    fn the_interrupts_of_devices_are_counted_in_the_column_of_the_cpu() {
        let root = machine("interrupts");
        assert_eq!(of_devices(&root, 3), Ok(7));
        assert_eq!(of_devices(&root, 0), Ok(79));
        assert_eq!(of_devices(&root, 1), Ok(0));
        assert_eq!(of_devices(&root, 2), Err(Errno(libc::ENODATA)), "offline");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_thread_of_this_process_is_counted_as_by_itself() {
        let thread = crate::realtime::scheduler::thread_id();
        let before = sys::sched::thread_preemptions().unwrap();
        let counted = preemptions_of(Path::new("/"), thread).unwrap();
        let after = sys::sched::thread_preemptions().unwrap();
        assert!(
            (before..=after).contains(&counted),
            "{before} {counted} {after}"
        );
    }

    #[test]
    fn a_line_that_is_cut_off_before_its_name_is_not_counted() {
        assert_eq!(device_count(b" 32:  1  2  3", 1), None);
        assert_eq!(device_count(b" 32:  1  2  3 GICv3", 1), Some(2));
    }
}
