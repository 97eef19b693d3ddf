//! Reads the properties of this machine that `doctor` and the contract judge.
//!
//! All paths are below a root directory: `/`, or an invented tree in tests. Reading changes
//! nothing, needs only the permissions of the files, and allocates; not for the loop. A property
//! that the kernel does not have, such as a governor without frequency scaling, is `None`, not
//! an error.

use std::fs;
use std::path::{Path, PathBuf};

use super::scheduler::{CpuSet, Partition, parse_cpu_list, partitioned};
use crate::sys::sort::sort_by_key;

/// The readings of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The properties that the contract judges as well.
    pub kernel: Kernel,
    /// CPUs without a tick while one task runs: `nohz_full` in
    /// `/sys/devices/system/cpu` (kernel parameter of this name).
    pub nohz_full: Option<CpuSet>,
    /// CPUs of isolated partitions, of this process and of others.
    pub partitioned: CpuSet,
    /// Frequency governor and idle states of every online CPU.
    pub cpus: Vec<Cpu>,
    /// Interrupt threads and their real-time priorities.
    pub irq_threads: Vec<IrqThread>,
    /// Memory that ordinary allocations leave free, kB; real-time threads may use half of it:
    /// `/proc/sys/vm/min_free_kbytes`.
    pub reserve_kb: Option<u64>,
    /// The hardware random number generator that the kernel reads:
    /// `/sys/class/misc/hw_random/rng_current`.
    pub random: Option<String>,
    /// The power management of PCI Express links (`/sys/module/pcie_aspm/parameters/policy`) on a
    /// machine with a GPIO chip behind one, as the Raspberry Pi 5 has it.
    pub gpio_link: Option<String>,
}

/// The properties of the kernel that every start reads, from seven small files and, with several
/// CPUs, those of the control group. The rest of a
/// [`Platform`] needs a search of all processes, which only `doctor` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Release and version: `/proc/sys/kernel/{osrelease,version}`, as
    /// `uname -r -v` prints them.
    pub name: Option<String>,
    /// Whether it is a PREEMPT_RT kernel: `/sys/kernel/realtime` is 1, or, without that file
    /// (since 6.12), the version contains `PREEMPT_RT`.
    pub preempt_rt: bool,
    /// Online CPUs: `/sys/devices/system/cpu/online`.
    pub online: Option<CpuSet>,
    /// Isolated CPUs: `isolated` in that folder (kernel parameter `isolcpus=`).
    pub isolated: Option<CpuSet>,
    /// The isolated partition of this process; not read with one CPU, which no partition can take
    /// away.
    pub partition: Partition,
    /// `/proc/sys/kernel/sched_rt_runtime_us`.
    pub throttling: Option<Throttling>,
    /// Whether kcompactd may move locked pages: `/proc/sys/vm/compact_unevictable_allowed`. A
    /// thread that accesses such a page meanwhile has to wait. `None`: a kernel without
    /// compaction. The default is 0 with PREEMPT_RT, otherwise 1.
    pub moves_locked_pages: Option<bool>,
}

/// The CPU time that real-time threads may use (sched(7)).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Throttling {
    /// No limit: -1, or as much as the period.
    Off,
    /// This many microseconds of each period, which is 1 s by default. Real-time threads that
    /// need more are stopped for the rest of the period.
    MicrosPerPeriod(u64),
}

impl Throttling {
    /// The throttling for values of `sched_rt_runtime_us` and `sched_rt_period_us`.
    #[must_use]
    pub const fn of(runtime_us: i64, period_us: i64) -> Self {
        if runtime_us >= 0 && runtime_us < period_us {
            Self::MicrosPerPeriod(runtime_us as u64)
        } else {
            Self::Off
        }
    }
}

/// One CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: usize,
    /// `cpufreq/scaling_governor`; `performance` never changes the frequency.
    pub governor: Option<String>,
    /// `cpuidle/state*`, shallowest first.
    pub idle_states: Vec<IdleState>,
}

/// One idle state of a CPU (Documentation/admin-guide/pm/cpuidle.rst).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleState {
    /// The driver's name for it.
    pub name: String,
    /// Time to leave it, us.
    pub latency_us: u64,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// An interrupt thread. On PREEMPT_RT its priority limits the response time of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrqThread {
    /// Its process number, for chrt(1).
    pub pid: i32,
    /// `irq/NUMBER-DEVICE`, cut by the kernel to 15 bytes.
    pub name: String,
    /// Real-time priority, 1 to 99, or 0 without one; the kernel's default is 50.
    pub priority: u32,
}

/// The kernel's folder of CPUs.
const CPUS: &str = "sys/devices/system/cpu";

impl Platform {
    /// Reads the machine below `root`.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let kernel = Kernel::read(root);
        let cpus = kernel.online.iter().flat_map(CpuSet::iter);
        Self {
            nohz_full: cpu_set(root, "nohz_full"),
            partitioned: partitioned(root),
            cpus: cpus
                .map(|number| Cpu::read(&root.join(CPUS), number))
                .collect(),
            irq_threads: irq_threads(&root.join("proc")),
            reserve_kb: line(&root.join("proc/sys/vm/min_free_kbytes"))
                .and_then(|text| text.parse().ok()),
            random: line(&root.join("sys/class/misc/hw_random/rng_current"))
                .filter(|name| !name.is_empty() && name != "none"),
            gpio_link: gpio_behind_pcie(root).then(|| link_policy(root)).flatten(),
            kernel,
        }
    }
}

/// Whether a GPIO chip is behind a PCI bus.
fn gpio_behind_pcie(root: &Path) -> bool {
    let chips = fs::read_dir(root.join("sys/bus/gpio/devices"));
    let mut chips = chips.into_iter().flatten().flatten();
    chips.any(|chip| {
        let place = fs::canonicalize(chip.path()).unwrap_or_default();
        // The host bridge is `pciDOMAIN:BUS`.
        let mut parts = place.iter().map(|part| part.to_string_lossy());
        parts.any(|part| part.starts_with("pci") && part.contains(':'))
    })
}

/// The policy in brackets.
fn link_policy(root: &Path) -> Option<String> {
    let all = line(&root.join("sys/module/pcie_aspm/parameters/policy"))?;
    let (_, chosen) = all.split_once('[')?;
    Some(chosen.split_once(']')?.0.to_owned())
}

impl Kernel {
    /// Reads the kernel's properties below `root`.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let release = line(&root.join("proc/sys/kernel/osrelease"));
        let version = line(&root.join("proc/sys/kernel/version"));
        let flag = line(&root.join("sys/kernel/realtime"));
        let named = version
            .as_deref()
            .is_some_and(|text| text.split_whitespace().any(|word| word == "PREEMPT_RT"));
        let online = cpu_set(root, "online");
        let several = online.as_ref().is_some_and(|online| online.len() > 1);
        Self {
            name: release.map(|release| match &version {
                Some(version) => format!("{release} {version}"),
                None => release,
            }),
            preempt_rt: flag.map_or(named, |flag| flag == "1"),
            online,
            isolated: cpu_set(root, "isolated"),
            partition: match several {
                true => Partition::read(root),
                false => Partition::None,
            },
            throttling: throttling(root),
            moves_locked_pages: line(&root.join("proc/sys/vm/compact_unevictable_allowed"))
                .map(|allowed| allowed != "0"),
        }
    }
}

fn cpu_set(root: &Path, name: &str) -> Option<CpuSet> {
    parse_cpu_list(&line(&root.join(CPUS).join(name))?).ok()
}

impl Cpu {
    fn read(system: &Path, number: usize) -> Self {
        let folder = system.join(format!("cpu{number}"));
        Self {
            number,
            governor: line(&folder.join("cpufreq/scaling_governor")),
            idle_states: (0..)
                .map_while(|state| IdleState::read(&folder.join(format!("cpuidle/state{state}"))))
                .collect(),
        }
    }
}

impl IdleState {
    fn read(folder: &Path) -> Option<Self> {
        Some(Self {
            name: line(&folder.join("name"))?,
            latency_us: line(&folder.join("latency"))?.parse().ok()?,
            disabled: line(&folder.join("disable")).is_some_and(|flag| flag == "1"),
        })
    }
}

fn throttling(root: &Path) -> Option<Throttling> {
    let number = |name| {
        line(&root.join("proc/sys/kernel").join(name)).and_then(|text| text.parse::<i64>().ok())
    };
    let runtime = number("sched_rt_runtime_us")?;
    let period = number("sched_rt_period_us").unwrap_or(1_000_000);
    Some(Throttling::of(runtime, period))
}

/// The kernel's interrupt threads, named `irq/...`, with their priorities (field 40 of
/// proc_pid_stat(5)).
fn irq_threads(proc: &Path) -> Vec<IrqThread> {
    let mut found: Vec<IrqThread> = fs::read_dir(proc)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            irq_thread(pid, entry.path())
        })
        .collect();
    sort_by_key(&mut found, |thread| thread.pid);
    found
}

fn irq_thread(pid: i32, folder: PathBuf) -> Option<IrqThread> {
    let name = line(&folder.join("comm")).filter(|name| name.starts_with("irq/"))?;
    let stat = line(&folder.join("stat"))?;
    let (_, rest) = stat.rsplit_once(')')?;
    let priority = rest.split_whitespace().nth(40 - 3)?.parse().ok()?;
    Some(IrqThread {
        pid,
        name,
        priority,
    })
}

/// The text of a file of one line, without its line end.
fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An invented machine, removed when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const CPU: &str = "sys/devices/system/cpu";

    #[test]
    fn every_setting_of_a_tuned_board_is_read() {
        let path = |rest: &str| format!("{CPU}/{rest}");
        let stat = format!("71 (irq/38-spi) x) S {}50 1 0 0\n", "0 ".repeat(36));
        let tree = Tree::new(
            "tuned",
            &[
                ("proc/sys/kernel/osrelease", "6.12.0-rt-arm64\n"),
                ("proc/sys/kernel/version", "#1 SMP PREEMPT_RT Debian\n"),
                ("proc/sys/kernel/sched_rt_runtime_us", "-1\n"),
                ("proc/sys/kernel/sched_rt_period_us", "1000000\n"),
                ("proc/sys/vm/min_free_kbytes", "16384\n"),
                (&path("online"), "0-3\n"),
                (&path("isolated"), "2-3\n"),
                (&path("nohz_full"), "3\n"),
                (&path("cpu3/cpufreq/scaling_governor"), "performance\n"),
                (&path("cpu3/cpuidle/state0/name"), "WFI\n"),
                (&path("cpu3/cpuidle/state0/latency"), "1\n"),
                (&path("cpu3/cpuidle/state0/disable"), "0\n"),
                (&path("cpu3/cpuidle/state1/name"), "cpu-sleep\n"),
                (&path("cpu3/cpuidle/state1/latency"), "1500\n"),
                (&path("cpu3/cpuidle/state1/disable"), "1\n"),
                ("proc/71/comm", "irq/38-spi) x\n"),
                ("proc/71/stat", &stat),
                ("proc/72/comm", "sh\n"),
                ("proc/72/stat", "72 (sh) S 0\n"),
            ],
        );
        let platform = Platform::read(&tree.0);
        assert_eq!(
            platform.kernel.name.as_deref(),
            Some("6.12.0-rt-arm64 #1 SMP PREEMPT_RT Debian")
        );
        assert!(platform.kernel.preempt_rt);
        assert_eq!(platform.kernel.isolated, parse_cpu_list("2-3").ok());
        assert_eq!(platform.nohz_full, parse_cpu_list("3").ok());
        assert_eq!(platform.kernel.throttling, Some(Throttling::Off));
        assert_eq!(platform.reserve_kb, Some(16_384));
        assert_eq!(platform.cpus.len(), 4);
        assert_eq!(platform.cpus[0].governor, None);
        let cpu = &platform.cpus[3];
        assert_eq!(cpu.governor.as_deref(), Some("performance"));
        let states: Vec<_> = cpu
            .idle_states
            .iter()
            .map(|state| (state.name.as_str(), state.latency_us, state.disabled))
            .collect();
        assert_eq!(states, [("WFI", 1, false), ("cpu-sleep", 1500, true)]);
        assert_eq!(
            platform.irq_threads,
            [IrqThread {
                pid: 71,
                name: "irq/38-spi) x".to_owned(),
                priority: 50
            }]
        );
    }

    #[test]
    fn a_gpio_chip_behind_pci_express_and_the_random_generator_are_found() {
        let chip = "sys/devices/platform/axi/pcie@120000/pci0002:00/gpiochip0/label";
        let policy = "sys/module/pcie_aspm/parameters/policy";
        let generator = "sys/class/misc/hw_random/rng_current";
        let files = [
            (chip, "pinctrl-rp1\n"),
            (policy, "default performance [powersave] powersupersave\n"),
            (generator, "optee-rng\n"),
        ];
        let tree = Tree::new("pcie", &files);
        assert_eq!(
            Platform::read(&tree.0).gpio_link,
            None,
            "no chip on the bus"
        );
        let bus = tree.0.join("sys/bus/gpio/devices");
        fs::create_dir_all(&bus).unwrap();
        let place = tree.0.join(chip);
        std::os::unix::fs::symlink(place.parent().unwrap(), bus.join("gpiochip0")).unwrap();
        let platform = Platform::read(&tree.0);
        assert_eq!(platform.gpio_link.as_deref(), Some("powersave"));
        assert_eq!(platform.random.as_deref(), Some("optee-rng"));
        let none = Tree::new("norandom", &[(generator, "none\n")]);
        assert_eq!(Platform::read(&none.0).random, None);
    }

    #[test]
    fn only_the_flag_file_makes_a_kernel_preempt_rt() {
        let dynamic = ("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC @0");
        let tree = Tree::new("dynamic", &[dynamic]);
        assert!(!Kernel::read(&tree.0).preempt_rt);
        let old = Tree::new("old", &[("sys/kernel/realtime", "1\n"), dynamic]);
        assert!(Kernel::read(&old.0).preempt_rt);
    }

    #[test]
    fn disabled_and_unknown_throttling_are_distinguished() {
        let runtime = "proc/sys/kernel/sched_rt_runtime_us";
        let tree = Tree::new("throttled", &[(runtime, "950000\n")]);
        let read = Kernel::read(&tree.0).throttling;
        assert_eq!(read, Some(Throttling::MicrosPerPeriod(950_000)));
    }

    #[test]
    fn kernel_release_and_current_cpu_of_this_machine_are_read() {
        let platform = Platform::read(Path::new("/"));
        assert!(platform.kernel.name.is_some());
        let current = crate::realtime::scheduler::current_cpu().unwrap();
        assert!(platform.cpus.iter().any(|cpu| cpu.number == current));
    }

    #[test]
    fn without_proc_and_sys_every_reading_is_unknown() {
        let tree = Tree::new("empty", &[("proc/readme", "")]);
        let platform = Platform::read(&tree.0);
        assert_eq!(platform.kernel.name, None);
        assert_eq!(platform.kernel.online, None);
        assert!(platform.cpus.is_empty() && platform.irq_threads.is_empty());
    }
}
