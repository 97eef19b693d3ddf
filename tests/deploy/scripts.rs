//! The scripts that are installed beside the firmware, run on made-up machines:
//! a folder in the place of /proc and /sys, a program in the place of systemctl.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RECIPES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/yocto/meta-steadfast/recipes-steadfast"
);

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("steadfast-deploy-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, file: &str, content: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn get(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file))
            .unwrap()
            .trim()
            .to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: it is in the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const IRQ_32: &str = "proc/irq/32/smp_affinity_list";
const GOVERNOR_0: &str = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
const GOVERNOR_3: &str = "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor";
const WORK_QUEUES: &str = "sys/devices/virtual/workqueue/cpumask";

/// A machine of four CPUs.
fn machine(name: &str, isolated: &str) -> Folder {
    let folder = Folder::new(name);
    folder.put("sys/devices/system/cpu/online", "0-3\n");
    folder.put("sys/devices/system/cpu/isolated", &format!("{isolated}\n"));
    folder.put("proc/irq/default_smp_affinity", "f\n");
    folder.put(IRQ_32, "0-3\n");
    folder.put(WORK_QUEUES, "f\n");
    folder.put(GOVERNOR_0, "powersave\n");
    folder.put(GOVERNOR_3, "powersave\n");
    folder
}

fn rt_setup(root: &Path) -> Output {
    Command::new(format!("{RECIPES}/rt-setup/files/steadfast-rt-setup"))
        .env("STEADFAST_ROOT", root)
        .output()
        .unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn interrupts_and_work_queues_leave_the_isolated_cpu() {
    let machine = machine("one", "3");
    let output = rt_setup(&machine.0);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(machine.get("proc/irq/default_smp_affinity"), "7");
    assert_eq!(machine.get(IRQ_32), "0,1,2");
    assert_eq!(machine.get(WORK_QUEUES), "7");
    assert_eq!(machine.get(GOVERNOR_3), "performance");
    assert_eq!(machine.get(GOVERNOR_0), "powersave");
}

#[test]
fn a_list_of_isolated_cpus_is_understood() {
    let machine = machine("list", "1,3");
    let output = rt_setup(&machine.0);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(machine.get(IRQ_32), "0,2");
    assert_eq!(machine.get(WORK_QUEUES), "5");
}

#[test]
fn without_an_isolated_cpu_nothing_is_changed_and_the_fix_is_said() {
    let machine = machine("none", "");
    let output = rt_setup(&machine.0);
    assert!(output.status.success());
    assert!(errors(&output).contains("isolcpus="), "{}", errors(&output));
    assert_eq!(machine.get(IRQ_32), "0-3");
}

#[test]
fn all_cpus_isolated_is_refused() {
    let machine = machine("all", "0-3");
    let output = rt_setup(&machine.0);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(machine.get(IRQ_32), "0-3");
}

#[test]
fn an_interrupt_that_cannot_be_moved_is_named_and_the_others_are_moved() {
    let machine = machine("fixed", "3");
    // A folder cannot be written to, by root neither.
    fs::create_dir_all(machine.0.join("proc/irq/11/smp_affinity_list")).unwrap();
    let output = rt_setup(&machine.0);
    assert!(output.status.success());
    assert!(
        errors(&output).contains("cannot be moved: 11"),
        "{}",
        errors(&output)
    );
    assert_eq!(machine.get(IRQ_32), "0,1,2");
}

/// Runs the health check against a systemctl that answers, at its Nth call for
/// each property, the Nth of these lines (the last one from then on).
fn health(name: &str, states: &[&str], texts: &[&str], processes: &[&str]) -> Output {
    let folder = Folder::new(name);
    for (property, answers) in [
        ("ActiveState", states),
        ("StatusText", texts),
        ("MainPID", processes),
    ] {
        folder.put(property, &(answers.join("\n") + "\n"));
    }
    let place = folder.0.display();
    folder.put(
        "systemctl",
        &format!(
            "#!/bin/sh
file={place}/$4
sed -n 1p \"$file\"
[ \"$(wc -l <\"$file\")\" -le 1 ] || sed -i 1d \"$file\"
"
        ),
    );
    let program = folder.0.join("systemctl");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    Command::new(format!("{RECIPES}/health/files/steadfast-health"))
        .env("PATH", format!("{place}:{path}"))
        .env("STEADFAST_HEALTH_SECONDS", "2")
        .env("STEADFAST_HEALTH_PATIENCE", "4")
        .output()
        .unwrap()
}

const KEPT: &str = "real-time: contract kept";

#[test]
fn a_contract_that_is_kept_for_long_enough_is_healthy() {
    let output = health("kept", &["activating", "active"], &["", KEPT], &["7"]);
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn a_restart_in_between_is_not_healthy() {
    let output = health("restart", &["active"], &[KEPT], &["7", "8"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("restarted"), "{}", errors(&output));
}

#[test]
fn a_controller_that_runs_without_its_contract_is_not_healthy() {
    let text = "NOT REAL-TIME: 2 promises broken (steadfast doctor)";
    let output = health("broken", &["active"], &[text], &["7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains(text), "{}", errors(&output));
}

#[test]
fn a_failed_service_is_not_waited_for() {
    let output = health("failed", &["failed"], &[""], &["0"]);
    assert_eq!(output.status.code(), Some(1));
}

/// The words are the firmware's own: the check would wait in vain for others.
#[test]
fn the_health_check_waits_for_what_the_firmware_says() {
    let firmware = include_str!("../../src/telemetry/notify.rs");
    let script = fs::read_to_string(format!("{RECIPES}/health/files/steadfast-health")).unwrap();
    assert!(firmware.contains(&format!("STATUS={KEPT}\"")));
    assert!(script.contains(KEPT));
}
