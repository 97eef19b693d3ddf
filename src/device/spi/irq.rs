//! The interrupt thread of an SPI controller.
//!
//! On a PREEMPT_RT kernel a thread serves the controller's interrupt, by default at FIFO 50
//! (kernel/irq/manage.c, `irq_thread` calls `sched_set_fifo`). A loop with a higher priority
//! waits inside its transfer for that thread, which any thread between the two priorities
//! can delay. So the interrupt thread needs a priority above the loop's:
//! `[spi.X] irq_priority` sets it.
//!
//! Each path is taken below a root directory, `/` on a running system. All functions
//! allocate and read files: call them at start-up only.

use crate::device::node;
use crate::realtime::scheduler;
use crate::sys::Errno;
use crate::sys::sort::sort_by_key;
use core::fmt;
use std::fs;
use std::path::Path;

/// The interrupt thread of an SPI controller.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct IrqThread {
    /// Number of the interrupt.
    pub irq: u32,
    /// The thread.
    pub pid: i32,
    /// Its real-time priority, 1 to 99; `None` if its policy is neither `SCHED_FIFO` nor
    /// `SCHED_RR`.
    pub priority: Option<u8>,
}

/// Why an interrupt thread was not found, or its priority not set.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// The kernel's name for the device is not `spidevB.C`, so its bus is unknown.
    NotSpidev,
    /// There is no SPI bus with this number.
    NoBus {
        /// The bus.
        bus: u32,
    },
    /// No interrupt has the name of the bus's controller. Some drivers poll, or use
    /// another name.
    NoInterrupt {
        /// The bus.
        bus: u32,
    },
    /// The interrupt has no thread: the kernel is not PREEMPT_RT and was not
    /// started with `threadirqs`.
    NoThread {
        /// The interrupt.
        irq: u32,
    },
    /// `/proc/PID/stat` of the thread cannot be read, or is not in the format of
    /// proc_pid_stat(5).
    Unreadable {
        /// The thread.
        pid: i32,
    },
    /// The kernel's threads are hidden from this process (`hidepid`).
    Hidden,
    /// The priority is lower than requested, and this process may not set it.
    Below {
        /// The thread.
        pid: i32,
        /// The requested priority.
        asked: u8,
        /// Its priority; 0 for an ordinary thread.
        priority: u8,
    },
    /// The priority could not be set.
    Set {
        /// The thread.
        pid: i32,
        /// `EPERM` without `CAP_SYS_NICE`.
        errno: Errno,
    },
}

impl fmt::Display for IrqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSpidev => f.write_str("not an SPI device; name one such as /dev/spidev0.0"),
            Self::NoBus { bus } => write!(
                f,
                "there is no SPI bus {bus}; enable its controller in the device tree"
            ),
            Self::NoInterrupt { bus } => write!(
                f,
                "the interrupt of the controller of SPI bus {bus} was not found; leave \
                 `irq_priority` out if its driver polls"
            ),
            Self::NoThread { irq } => write!(
                f,
                "interrupt {irq} has no thread; use a PREEMPT_RT kernel, or boot this one \
                 with threadirqs"
            ),
            Self::Unreadable { pid } => write!(
                f,
                "the priority of interrupt thread {pid} cannot be read from /proc/{pid}/stat; \
                 mount /proc without hidepid, or run as root"
            ),
            Self::Hidden => f.write_str(
                "the kernel's threads are hidden from this process (hidepid, ProtectProc=); \
                 run `steadfast setup --board FILE` as root to set the priority",
            ),
            Self::Below {
                pid,
                asked,
                priority,
            } => write!(
                f,
                "interrupt thread {pid} is at FIFO {priority}, not {asked}, and setting it needs \
                 CAP_SYS_NICE; run `steadfast setup --board FILE` as root first (ExecStartPre=+ \
                 of the unit), or run as root"
            ),
            Self::Set { pid, errno } => write!(
                f,
                "the priority of interrupt thread {pid} cannot be set ({errno}); run as root or \
                 with CAP_SYS_NICE (setcap cap_sys_nice+ep)"
            ),
        }
    }
}

impl std::error::Error for IrqError {}

/// Finds the interrupt thread of the controller of the SPI device at `device`
/// (`/dev/spidev0.0`) and reads its priority.
///
/// The kernel's name of the device, `spidev2.0`, gives the bus, 2. The controller is the
/// device of `/sys/class/spi_master/spi2`. Its interrupt is the one whose
/// `/sys/kernel/irq/NN/actions` has the controller's name, and the thread is named `irq/NN-`
/// plus that name, possibly truncated.
///
/// # Errors
/// [`IrqError`] except `Below` and `Set`.
pub fn find(root: &Path, device: &Path) -> Result<IrqThread, IrqError> {
    let name = node::kernel_name(root, device).ok_or(IrqError::NotSpidev)?;
    let bus = bus_number(&name).ok_or(IrqError::NotSpidev)?;
    let controller = controller(root, bus).ok_or(IrqError::NoBus { bus })?;
    let mut interrupts = interrupts(root, &controller).peekable();
    let first = *interrupts.peek().ok_or(IrqError::NoInterrupt { bus })?;
    // A controller can have several interrupts: use the first one with a thread.
    let (irq, pid) = interrupts
        .find_map(|irq| thread(root, irq, &controller).map(|pid| (irq, pid)))
        .ok_or_else(|| {
            if sees_kernel_threads(root) {
                IrqError::NoThread { irq: first }
            } else {
                IrqError::Hidden
            }
        })?;
    let priority = priority(root, pid).ok_or(IrqError::Unreadable { pid })?;
    Ok(IrqThread { irq, pid, priority })
}

/// Sets the FIFO priority (1 to 99) of the interrupt thread of the SPI device at `device`.
/// Returns the thread as read back.
///
/// # Errors
/// [`IrqError`].
pub fn set_priority(root: &Path, device: &Path, priority: u8) -> Result<IrqThread, IrqError> {
    set_priority_with(root, device, priority, scheduler::set_fifo_of)
}

/// [`set_priority`] with `set` in place of `sched_setattr`; its arguments are the thread and
/// the priority.
///
/// # Errors
/// [`IrqError`].
pub fn set_priority_with(
    root: &Path,
    device: &Path,
    priority: u8,
    set: impl FnOnce(i32, u8) -> Result<(), Errno>,
) -> Result<IrqThread, IrqError> {
    let pid = find(root, device)?.pid;
    set(pid, priority).map_err(|errno| IrqError::Set { pid, errno })?;
    find(root, device)
}

impl IrqThread {
    /// This thread, if its priority is at least `asked`.
    ///
    /// # Errors
    /// [`IrqError::Below`].
    pub fn at_least(self, asked: u8) -> Result<Self, IrqError> {
        let priority = self.priority.unwrap_or(0);
        if priority >= asked {
            return Ok(self);
        }
        Err(IrqError::Below {
            pid: self.pid,
            asked,
            priority,
        })
    }
}

/// Ensures that the interrupt thread of the SPI device at `device` has at least the FIFO
/// priority `priority`: sets it, or, without the permission to set it, checks that it is set
/// already.
///
/// # Errors
/// [`IrqError`]; [`IrqError::Hidden`] if the priority can be neither set nor read.
pub fn ensure_priority(root: &Path, device: &Path, priority: u8) -> Result<IrqThread, IrqError> {
    ensure_priority_with(root, device, priority, scheduler::set_fifo_of)
}

/// [`ensure_priority`] with `set` in place of `sched_setattr`.
///
/// # Errors
/// Those of [`ensure_priority`].
pub fn ensure_priority_with(
    root: &Path,
    device: &Path,
    priority: u8,
    set: impl FnOnce(i32, u8) -> Result<(), Errno>,
) -> Result<IrqThread, IrqError> {
    match set_priority_with(root, device, priority, set) {
        Err(IrqError::Set {
            errno: Errno(libc::EPERM),
            ..
        }) => find(root, device)?.at_least(priority),
        set => set?.at_least(priority),
    }
}

/// Whether the kernel's threads are visible in /proc. The first of them, kthreadd, is
/// always process 2.
fn sees_kernel_threads(root: &Path) -> bool {
    root.join("proc/2/comm").exists()
}

/// The bus of `spidevB.C`.
fn bus_number(name: &str) -> Option<u32> {
    let (bus, chip) = name.strip_prefix("spidev")?.split_once('.')?;
    chip.parse::<u32>().ok()?;
    bus.parse().ok()
}

/// The device name of the controller of `bus`, such as `30840000.spi`.
fn controller(root: &Path, bus: u32) -> Option<String> {
    let link = root.join(format!("sys/class/spi_master/spi{bus}/device"));
    let device = fs::canonicalize(link).ok()?;
    Some(device.file_name()?.to_str()?.to_owned())
}

/// The interrupts that were requested with the name of `device`, in ascending order.
/// `actions` is a comma-separated list, one entry for each driver that shares the interrupt
/// (Documentation/ABI/testing/sysfs-kernel-irq).
fn interrupts(root: &Path, device: &str) -> impl Iterator<Item = u32> {
    let mut found: Vec<u32> = numbered(&root.join("sys/kernel/irq"))
        .filter(|(_, directory)| {
            fs::read_to_string(directory.join("actions"))
                .is_ok_and(|actions| actions.trim().split(',').any(|name| name == device))
        })
        .map(|(irq, _)| irq)
        .collect();
    sort_by_key(&mut found, |irq| *irq);
    found.into_iter()
}

/// The thread that serves `irq` for `device`. Its name is `irq/NN-DEVICE`,
/// which older kernels cut to 15 bytes (`TASK_COMM_LEN`).
fn thread(root: &Path, irq: u32, device: &str) -> Option<i32> {
    let prefix = format!("irq/{irq}-");
    numbered(&root.join("proc")).find_map(|(pid, directory)| {
        let comm = fs::read_to_string(directory.join("comm")).ok()?;
        let rest = comm.trim_end().strip_prefix(&prefix)?;
        let ours = !rest.is_empty() && device.starts_with(rest);
        ours.then(|| i32::try_from(pid).ok()).flatten()
    })
}

/// The real-time priority of `pid`: fields 40 (`rt_priority`) and 41
/// (`policy`) of proc_pid_stat(5). `None` if it cannot be read.
fn priority(root: &Path, pid: i32) -> Option<Option<u8>> {
    let stat = fs::read_to_string(root.join(format!("proc/{pid}/stat"))).ok()?;
    // The name, field 2, is in parentheses and may contain any character.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split_ascii_whitespace().skip(40 - 3);
    let priority: u8 = fields.next()?.parse().ok()?;
    let policy: i32 = fields.next()?.parse().ok()?;
    let real_time = policy == libc::SCHED_FIFO || policy == libc::SCHED_RR;
    Some(real_time.then_some(priority))
}

/// The entries of `directory` whose names are numbers.
fn numbered(directory: &Path) -> impl Iterator<Item = (u32, std::path::PathBuf)> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}
