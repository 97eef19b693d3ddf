//! The audit on this process and on a simulated `/proc`.

use std::fs;
use std::path::PathBuf;

use super::poll::{Auditor, Granted};
use super::*;
use crate::realtime::memory::{Essential, Range};
use crate::realtime::scheduler::{self, CpuSet, Policy};
use crate::{emulation, sys};

/// A simulated `/proc` of one thread, removed when dropped.
struct Root {
    folder: PathBuf,
    /// The root, with a slash at its end.
    path: &'static str,
}

const THREAD: i32 = 77;

impl Root {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("audit-{name}-{}", std::process::id()));
        let path = format!("{}/", folder.display()).leak();
        let root = Self { folder, path };
        root.write("self/status", "VmSize:\t9 kB\nVmRSS:\t8 kB\nVmLck:\t7 kB\n");
        root.stat(5, 0);
        root.write("sys/kernel/sched_rt_runtime_us", "950000\n");
        root.write("sys/kernel/sched_rt_period_us", "1000000\n");
        root.write("sys/vm/compact_unevictable_allowed", "0\n");
        root.smaps(true);
        root.own_cpu(40, 0);
        root
    }

    /// `interrupts` of a device on CPU 1, and `preemptions` of the loop's thread.
    fn own_cpu(&self, interrupts: u32, preemptions: u32) {
        let text = format!("  CPU0 CPU1\n 32: 900 {interrupts} GICv3 58 Level serial\n");
        self.write("interrupts", &text);
        let text = format!("Name:\tloop\nnonvoluntary_ctxt_switches:\t{preemptions}\n");
        self.write(&format!("self/task/{THREAD}/status"), &text);
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join("proc").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.folder.join("proc").join(file)).unwrap();
    }

    fn stat(&self, minor: u32, major: u32) {
        let line = format!("{THREAD} (loop) S 1 1 1 0 -1 0 {minor} 0 {major} 0 0 0\n");
        self.write(&format!("self/task/{THREAD}/stat"), &line);
    }

    fn smaps(&self, heap_locked: bool) {
        let flag = if heap_locked { " lo" } else { "" };
        let text = format!(
            "1000-2000 r-xp 0 00:00 0 /x\nVmFlags: rd ex lo\n2000-3000 rw-p 0 00:00 0 [heap]\nVmFlags: rd wr{flag}\n"
        );
        self.write("self/smaps", &text);
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn essential() -> Essential {
    let mut essential = Essential::default();
    for (address, what) in [(0x1000, "code"), (0x2000, "the heap")] {
        let range = Range {
            address,
            length: 0x1000,
        };
        essential.add(what, range).unwrap();
    }
    essential
}

/// `promises` on the files below `root`, with a loop that was granted `realtime`.
fn baseline(root: &Root, promises: &[Promise], realtime: Granted) -> Baseline {
    Baseline {
        root: root.path,
        promises: promises.iter().copied().collect(),
        reaction: Reaction::Report,
        realtime,
        guard: None,
        own_cpu: Some(1),
        vm_lck_kb: 7,
        essential: essential(),
    }
}

/// A running audit of `baseline`.
fn begun(baseline: Baseline) -> Audit {
    let audit = Audit::new();
    audit.compare_with(baseline);
    let faults = Faults { minor: 5, major: 0 };
    audit.begin(Monotonic.now(), faults);
    audit
}

/// A running audit of `promises`, on the files below `root`.
fn audit(root: &Root, promises: &[Promise]) -> Audit {
    let realtime = Granted {
        thread: THREAD,
        policy: Policy::Fifo { priority: 80 },
        cpus: CpuSet::EMPTY,
    };
    begun(baseline(root, promises, realtime))
}

fn auditor(audit: &Audit) -> Auditor<'_> {
    Auditor::new(audit, audit.baseline.get().unwrap(), || false)
}

const OF_FILES: [Promise; 5] = [
    Promise::LockedMemory,
    Promise::PageFaults,
    Promise::Throttling,
    Promise::Compaction,
    Promise::OwnCpu,
];

#[test]
fn unchanged_files_break_no_promise() {
    let root = Root::new("same");
    let audit = audit(&root, &OF_FILES);
    let mut auditor = auditor(&audit);
    for _ in 0..10 {
        auditor.poll();
    }
    assert!(audit.broken().is_empty(), "{:?}", audit.breaches());
}

#[test]
fn findings_after_the_outputs_are_latched_safe_break_no_promise() {
    let root = Root::new("latched");
    let audit = audit(&root, &OF_FILES);
    root.stat(8, 0);
    let baseline = audit.baseline.get().unwrap();
    Auditor::new(&audit, baseline, || true).poll();
    let latched = audit.broken();
    Auditor::new(&audit, baseline, || false).poll();
    assert!(latched.is_empty(), "caused by the stall guard");
    assert!(!audit.broken().is_empty());
}

#[test]
fn each_changed_file_breaks_its_promise_with_the_value_found() {
    type Change = fn(&Root);
    let cases: [(&str, Promise, Change, &str); 7] = [
        (
            "unlocked",
            Promise::LockedMemory,
            |root| {
                root.write("self/status", "VmSize: 9 kB\nVmRSS: 8 kB\nVmLck: 3 kB\n");
                root.smaps(false);
            },
            "the heap not locked any more, VmLck 3 kB of 7 kB",
        ),
        (
            "minor",
            Promise::PageFaults,
            |root| root.stat(8, 0),
            "3 minor, 0 major",
        ),
        (
            "major",
            Promise::PageFaults,
            |root| root.stat(5, 2),
            "0 minor, 2 major",
        ),
        (
            "throttled",
            Promise::Throttling,
            |root| root.write("sys/kernel/sched_rt_runtime_us", "500000\n"),
            "500000 us of each period (sched_rt_runtime_us)",
        ),
        (
            "compacted",
            Promise::Compaction,
            |root| root.write("sys/vm/compact_unevictable_allowed", "1\n"),
            "vm.compact_unevictable_allowed is 1",
        ),
        (
            "interrupted",
            Promise::OwnCpu,
            |root| root.own_cpu(43, 0),
            "3 interrupts of devices, 0 times another thread in 1 s",
        ),
        (
            "preempted",
            Promise::OwnCpu,
            |root| root.own_cpu(41, 5),
            "1 interrupts of devices, 5 times another thread in 1 s",
        ),
    ];
    for (name, promise, change, found) in cases {
        let root = Root::new(name);
        let audit = audit(&root, &OF_FILES);
        let mut auditor = auditor(&audit);
        auditor.poll();
        assert!(audit.broken().is_empty(), "{name}");
        change(&root);
        auditor.poll();
        auditor.poll();
        let breaches = audit.breaches();
        assert_eq!(breaches.len(), 1, "{name}: {breaches:?}");
        assert_eq!(breaches[0].promise, promise, "{name}");
        assert_eq!(breaches[0].found, found, "{name}");
        assert!(!promise_broken(), "{name}: only reported");
    }
}

#[test]
fn a_helper_that_ends_and_frees_its_locked_stack_breaks_no_promise() {
    let root = Root::new("helper");
    let audit = audit(&root, &OF_FILES);
    root.write("self/status", "VmSize: 9 kB\nVmRSS: 8 kB\nVmLck: 3 kB\n");
    auditor(&audit).poll();
    assert!(audit.broken().is_empty(), "{:?}", audit.breaches());
}

#[test]
fn few_disturbances_of_the_own_cpu_in_each_second_break_no_promise() {
    let root = Root::new("few");
    let audit = audit(&root, &[Promise::OwnCpu]);
    let mut auditor = auditor(&audit);
    for count in 0..9 {
        root.own_cpu(40 + 2 * count, 2 * count);
        auditor.poll();
    }
    assert!(audit.broken().is_empty(), "{:?}", audit.breaches());
}

#[test]
fn a_disturbed_own_cpu_is_only_reported() {
    let root = Root::new("reported");
    let realtime = Granted {
        thread: THREAD,
        policy: Policy::Fifo { priority: 80 },
        cpus: CpuSet::EMPTY,
    };
    let audit = begun(Baseline {
        reaction: Reaction::QuickStop,
        ..baseline(&root, &[Promise::OwnCpu], realtime)
    });
    let mut auditor = auditor(&audit);
    auditor.poll();
    root.own_cpu(90, 9);
    auditor.poll();
    assert_eq!(audit.breaches()[0].promise, Promise::OwnCpu);
    assert!(!promise_broken());
}

#[test]
fn a_promise_that_is_not_audited_is_not_checked() {
    let root = Root::new("alone");
    let audit = audit(&root, &[Promise::Throttling]);
    root.stat(9, 9);
    root.write("sys/vm/compact_unevictable_allowed", "1\n");
    auditor(&audit).poll();
    assert!(audit.broken().is_empty());
}

#[test]
fn three_failed_readings_in_a_row_are_reported_and_fewer_are_not() {
    let root = Root::new("unread");
    let audit = audit(&root, &[Promise::Compaction]);
    let mut auditor = auditor(&audit);
    let file = "sys/vm/compact_unevictable_allowed";
    for _ in 0..3 {
        for _ in 1..TRIES {
            root.write(file, "nonsense\n");
            auditor.poll();
        }
        root.write(file, "0\n");
        auditor.poll();
    }
    assert!(audit.broken().is_empty(), "{:?}", audit.breaches());
    root.write(file, "");
    for _ in 0..TRIES {
        auditor.poll();
    }
    let breaches = audit.breaches();
    assert_eq!(breaches.len(), 1);
    assert_eq!(breaches[0].promise, Promise::Audit);
    let found = breaches[0].found.as_str();
    assert!(found.starts_with("vm.compact_unevictable_allowed could not be read 3 times"));
}

#[test]
fn a_missing_file_counts_as_a_failed_reading() {
    let root = Root::new("gone");
    let audit = audit(&root, &[Promise::PageFaults]);
    root.remove(&format!("self/task/{THREAD}/stat"));
    let mut auditor = auditor(&audit);
    for _ in 0..TRIES {
        auditor.poll();
    }
    assert_eq!(audit.breaches()[0].promise, Promise::Audit);
}

#[test]
fn a_loop_that_does_not_run_breaks_no_promise() {
    let root = Root::new("ended");
    let audit = audit(&root, &OF_FILES);
    audit.finish(Faults::default());
    root.stat(9, 9);
    auditor(&audit).poll();
    assert!(audit.broken().is_empty());
}

#[test]
fn the_last_poll_finds_promises_broken_since_the_previous_one() {
    let root = Root::new("last");
    let audit = audit(&root, &OF_FILES);
    root.write("sys/kernel/sched_rt_runtime_us", "10000\n");
    audit.finish(Faults { minor: 1, major: 0 });
    let both = [Promise::PageFaults, Promise::Throttling];
    assert_eq!(audit.broken(), both.into_iter().collect());
}

/// A thread that sleeps until this is dropped.
struct Sleeper {
    _stop: std::sync::mpsc::Sender<()>,
    thread: i32,
}

impl Sleeper {
    fn new() -> Self {
        let (stop, wait) = std::sync::mpsc::channel();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tell.send(scheduler::thread_id()).unwrap();
            let _ = wait.recv();
        });
        Self {
            _stop: stop,
            thread: told.recv().unwrap(),
        }
    }
}

#[test]
fn policy_and_cpus_of_loop_and_guard_are_read_from_the_kernel() {
    let (looped, guard) = (Sleeper::new(), Sleeper::new());
    let Ok(granted) = Granted::now(looped.thread) else {
        assert!(emulation::emulator().is_some());
        return emulation::not_run("this emulator does not know the calls");
    };
    let root = Root::new("kernel");
    let begin = |policy: Policy, cpus: CpuSet| {
        let granted = |thread| Granted {
            thread,
            policy,
            cpus,
        };
        let promises = [Promise::Scheduler, Promise::Cpu, Promise::Guard];
        let audit = begun(Baseline {
            guard: Some(granted(guard.thread)),
            ..baseline(&root, &promises, granted(looped.thread))
        });
        auditor(&audit).poll();
        audit.breaches()
    };
    assert_eq!(begin(granted.policy, granted.cpus), []);
    let broken = begin(Policy::Fifo { priority: 80 }, granted.cpus);
    let found: Vec<_> = broken.iter().map(|it| it.to_string()).collect();
    let both = [
        "scheduler: OTHER instead of FIFO 80",
        "stall guard: OTHER instead of FIFO 80",
    ];
    assert_eq!(found, both);
    let mut other = CpuSet::EMPTY;
    other.insert(1023);
    let broken = begin(granted.policy, other);
    assert_eq!(broken[0].promise, Promise::Cpu);
    assert!(broken[0].found.ends_with("instead of CPU 1023"));
    assert_eq!(broken[1].promise, Promise::Guard);
}

#[test]
fn a_guard_thread_that_ended_breaks_its_promise() {
    let thread = std::thread::spawn(scheduler::thread_id).join().unwrap();
    // The thread can exist in the kernel for a while after join.
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while Granted::now(thread) != Err(sys::Errno(libc::ESRCH)) {
        if emulation::emulator().is_some() {
            return emulation::not_run("this emulator does not know the calls");
        }
        assert!(
            std::time::Instant::now() < patience,
            "the thread is still there"
        );
        std::thread::yield_now();
    }
    let root = Root::new("guard");
    let granted = Granted {
        thread,
        policy: Policy::Fifo { priority: 81 },
        cpus: CpuSet::EMPTY,
    };
    let audit = begun(Baseline {
        guard: Some(granted),
        ..baseline(&root, &[Promise::Guard], granted)
    });
    auditor(&audit).poll();
    assert_eq!(audit.breaches()[0].found, "its thread is gone");
}

#[test]
fn the_first_finding_of_a_promise_is_kept() {
    let audit = Audit::new();
    let from = Monotonic.now();
    audit.note(Promise::Cpu, from, "first", Reaction::Report);
    audit.note(Promise::Cpu, from, "second", Reaction::Report);
    let long = "µ".repeat(FOUND_BYTES / 2);
    audit.note(Promise::Scheduler, from, &long, Reaction::Report);
    let breaches = audit.breaches();
    assert_eq!(breaches[0].found, "first");
    assert_eq!(breaches[1].found.as_str(), long);
    assert!(breaches[0].at <= breaches[1].at);
}

#[test]
fn a_suspend_of_the_machine_breaks_the_promise_awake_while_the_loop_runs() {
    let root = Root::new("suspended");
    let audit = audit(&root, &[]);
    assert!(audit.suspended(Duration::from_millis(1_500)));
    assert_eq!(audit.breaches()[0].promise, Promise::Awake);
    assert_eq!(
        audit.breaches()[0].found,
        "the machine was suspended for 1.50 s"
    );
    audit.finish(Faults::default());
    assert!(!audit.suspended(Duration::from_millis(1)), "nothing runs");
    assert_eq!(audit.breaches().len(), 1);
}
