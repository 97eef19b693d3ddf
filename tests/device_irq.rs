//! Finds the interrupt thread of an SPI controller and sets its priority, with copies of the
//! files of a PREEMPT_RT kernel on an i.MX8MP.
#![cfg(feature = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use steadfast::device::spi::irq::{self, IrqError, IrqThread};
use steadfast::sys::Errno;

/// A root directory that is removed with the test.
struct Root(PathBuf);

impl Root {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("steadfast-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let root = Self(path);
        root.put("sys/devices/soc@0/30840000.spi/spi_master/spi2/uevent", "");
        root.put("sys/class/spi_master/spi2/uevent", "");
        symlink(
            root.0.join("sys/devices/soc@0/30840000.spi"),
            root.0.join("sys/class/spi_master/spi2/device"),
        )
        .unwrap();
        root.put("sys/kernel/irq/9/actions", "arch_timer\n");
        root.put("sys/kernel/irq/10/actions", "\n");
        root
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn thread(&self, pid: i32, comm: &str, rt_priority: u8, policy: u8) {
        self.put(&format!("proc/{pid}/comm"), &format!("{comm}\n"));
        // The line of proc_pid_stat(5): fields 4 to 39 do not matter here.
        let between = ["0"; 36].join(" ");
        self.put(
            &format!("proc/{pid}/stat"),
            &format!("{pid} ({comm}) S {between} {rt_priority} {policy} 0 0\n"),
        );
    }

    fn find(&self) -> Result<IrqThread, IrqError> {
        irq::find(&self.0, Path::new("/dev/spidev2.0"))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_interrupt_thread_is_found_although_its_name_is_truncated() {
    let root = Root::new("cut");
    root.put("sys/kernel/irq/41/actions", "30840000.spi\n");
    root.thread(7, "kworker/0:1 (x) y", 0, 0);
    root.thread(80, "irq/4-30840000.spi", 50, 1);
    root.thread(92, "irq/41-30840000", 50, 1);
    let expected = IrqThread {
        irq: 41,
        pid: 92,
        priority: Some(50),
    };
    assert_eq!(root.find(), Ok(expected));
}

#[test]
fn of_a_shared_interrupt_only_the_thread_of_the_controller_is_found() {
    let root = Root::new("shared");
    root.put("sys/kernel/irq/36/actions", "fe204600.spi,30840000.spi\n");
    root.thread(60, "irq/36-fe204600.spi", 50, 1);
    root.thread(61, "irq/36-30840000.spi", 85, 1);
    assert_eq!(root.find().map(|thread| thread.pid), Ok(61));
}

#[test]
fn a_thread_of_the_default_policy_has_no_priority() {
    let root = Root::new("ordinary");
    root.put("sys/kernel/irq/41/actions", "30840000.spi\n");
    root.thread(92, "irq/41-30840000.spi", 0, 0);
    assert_eq!(root.find().map(|thread| thread.priority), Ok(None));
}

#[test]
fn each_reason_for_a_missing_interrupt_thread_is_reported() {
    let root = Root::new("none");
    let find = |device: &str| irq::find(&root.0, Path::new(device));
    assert_eq!(find("/dev/spi"), Err(IrqError::NotSpidev));
    assert_eq!(find("/dev/spidev9.0"), Err(IrqError::NoBus { bus: 9 }));
    assert_eq!(root.find(), Err(IrqError::NoInterrupt { bus: 2 }));
    root.put("sys/kernel/irq/41/actions", "30840000.spi\n");
    assert_eq!(root.find(), Err(IrqError::Hidden));
    root.put("proc/2/comm", "kthreadd\n");
    assert_eq!(root.find(), Err(IrqError::NoThread { irq: 41 }));
    root.put("proc/92/comm", "irq/41-30840000.spi\n");
    assert_eq!(root.find(), Err(IrqError::Unreadable { pid: 92 }));
}

/// In the shipped unit only `steadfast setup` has CAP_SYS_NICE, not the firmware.
#[test]
fn without_the_privilege_to_set_it_the_priority_is_verified() {
    let root = Root::new("verify");
    root.put("sys/kernel/irq/41/actions", "30840000.spi\n");
    let ensure = || {
        let refuse = |_, _| Err(Errno(1));
        irq::ensure_priority_with(&root.0, Path::new("/dev/spidev2.0"), 85, refuse)
    };
    root.thread(92, "irq/41-30840000.spi", 85, 1);
    assert_eq!(ensure().map(|thread| thread.pid), Ok(92));
    root.thread(92, "irq/41-30840000.spi", 50, 1);
    let below = IrqError::Below {
        pid: 92,
        asked: 85,
        priority: 50,
    };
    assert_eq!(ensure(), Err(below));
    assert!(below.to_string().contains("; run `steadfast setup"));
}

#[test]
fn setting_a_priority_returns_the_value_read_back() {
    let root = Root::new("set");
    root.put("sys/kernel/irq/41/actions", "30840000.spi\n");
    root.thread(92, "irq/41-30840000.spi", 50, 1);
    let set = |call: &dyn Fn(i32, u8) -> Result<(), Errno>| {
        irq::set_priority_with(&root.0, Path::new("/dev/spidev2.0"), 85, call)
    };
    let done = set(&|pid, priority| {
        root.thread(pid, "irq/41-30840000.spi", priority, 1);
        Ok(())
    });
    assert_eq!(done.map(|thread| thread.priority), Ok(Some(85)));
    let refused = set(&|_, _| Err(Errno(1)));
    let expected = IrqError::Set {
        pid: 92,
        errno: Errno(1),
    };
    assert_eq!(refused, Err(expected));
}
