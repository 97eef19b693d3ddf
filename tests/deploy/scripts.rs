//! The scripts installed beside the firmware, on simulated machines: a folder replaces /proc
//! and /sys, a script replaces systemctl.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RECIPES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/yocto/meta-steadfast/recipes-steadfast"
);

/// A folder of one test, removed at its end.
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

    /// A script of the health check, with these programs of the folder in its PATH.
    fn script(&self, name: &str, programs: &[&str]) -> Command {
        for program in programs {
            let program = self.0.join(program);
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(format!("{RECIPES}/health/files/{name}"));
        command.env("PATH", format!("{}:{path}", self.0.display()));
        command
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

/// A machine with four CPUs.
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
fn a_list_of_isolated_cpus_is_parsed() {
    let machine = machine("list", "1,3");
    let output = rt_setup(&machine.0);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(machine.get(IRQ_32), "0,2");
    assert_eq!(machine.get(WORK_QUEUES), "5");
}

#[test]
fn without_an_isolated_cpu_no_setting_changes_and_the_fix_is_printed() {
    let machine = machine("none", "");
    let output = rt_setup(&machine.0);
    assert!(output.status.success());
    assert!(errors(&output).contains("isolcpus="), "{}", errors(&output));
    assert_eq!(machine.get(IRQ_32), "0-3");
}

const PARTITION: &str = "sys/fs/cgroup/steadfast.slice/cpuset.cpus.partition";
const OWN_CPUS: &str = "sys/fs/cgroup/steadfast.slice/cpuset.cpus";

#[test]
fn the_cpus_of_the_slice_become_an_isolated_partition() {
    let machine = machine("slice", "");
    machine.put(OWN_CPUS, "2-3\n");
    machine.put(PARTITION, "member\n");
    let output = rt_setup(&machine.0);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(machine.get(PARTITION), "isolated");
    assert_eq!(machine.get(IRQ_32), "0,1");
    assert_eq!(machine.get(WORK_QUEUES), "3");
    assert_eq!(machine.get(GOVERNOR_3), "performance");
}

#[test]
fn a_slice_without_cpus_of_its_own_becomes_no_partition() {
    let machine = machine("plain-slice", "3");
    machine.put(OWN_CPUS, "\n");
    machine.put(PARTITION, "member\n");
    let output = rt_setup(&machine.0);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(machine.get(PARTITION), "member");
    assert_eq!(machine.get(IRQ_32), "0,1,2");
}

#[test]
fn a_partition_that_the_kernel_does_not_make_is_an_error() {
    let machine = machine("no-partition", "");
    machine.put(OWN_CPUS, "2-3\n");
    // Not even root can write to a folder.
    fs::create_dir(machine.0.join(PARTITION)).unwrap();
    let refused = rt_setup(&machine.0);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        errors(&refused).contains("no isolated partition of CPU 2-3"),
        "{}",
        errors(&refused)
    );
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
    // Not even root can write to a folder.
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

/// Runs the health check with a systemctl that gives, at its Nth call for each property, the
/// Nth of these lines (then always the last).
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
    folder
        .script("steadfast-health", &["systemctl"])
        .env("STEADFAST_HEALTH_SECONDS", "2")
        .env("STEADFAST_HEALTH_PATIENCE", "4")
        .output()
        .unwrap()
}

const KEPT: &str = "real-time: contract kept";

#[test]
fn a_contract_kept_for_the_required_time_is_healthy() {
    let output = health("kept", &["activating", "active"], &["", KEPT], &["7"]);
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn a_restart_during_the_health_check_is_not_healthy() {
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
fn the_health_check_fails_at_once_for_a_failed_service() {
    let output = health("failed", &["failed"], &[""], &["0"]);
    assert_eq!(output.status.code(), Some(1));
}

/// If the texts differed, the check would wait in vain.
#[test]
fn the_health_check_waits_for_the_status_text_of_the_firmware() {
    let firmware = include_str!("../../src/telemetry/notify.rs");
    let script = fs::read_to_string(format!("{RECIPES}/health/files/steadfast-health")).unwrap();
    assert!(firmware.contains(&format!("STATUS={KEPT}\"")));
    assert!(script.contains(KEPT));
}

/// A board that runs from slot A with the content `content`; `other` is the boot status of B,
/// `mark_bad` the shell command of `rauc mark-bad`.
fn board(name: &str, content: &str, other: &str, mark_bad: &str) -> Folder {
    let folder = Folder::new(name);
    let place = folder.0.display();
    folder.put(
        "rauc",
        &format!(
            "#!/bin/sh
echo \"rauc $2\" >>{place}/calls
case $2 in
mark-bad) {mark_bad} ;;
--detailed) cat {place}/status ;;
esac
"
        ),
    );
    folder.put(
        "systemctl",
        &format!("#!/bin/sh\n[ $1 != is-system-running ] || {{ echo running; exit; }}\necho \"systemctl $2\" >>{place}/calls\n"),
    );
    folder.put(
        "status",
        &format!(
            "RAUC_SLOT_STATE_1=booted
RAUC_SLOT_DEVICE_1=/dev/a
RAUC_SLOT_BOOTNAME_1=A
RAUC_SLOT_BOOT_STATUS_1=good
RAUC_SLOT_STATUS_INSTALLED_TIMESTAMP_1={content}
RAUC_SLOT_STATE_2=inactive
RAUC_SLOT_DEVICE_2=/dev/b
RAUC_SLOT_BOOTNAME_2=B
RAUC_SLOT_BOOT_STATUS_2={other}
"
        ),
    );
    folder.put("calls", "");
    folder
}

/// The calls of rauc and systemctl by the script.
fn calls(board: &Folder, word: &str, result: &str) -> Vec<String> {
    board.put("calls", "");
    let output = board
        .script("steadfast-slot", &["rauc", "systemctl"])
        .arg(word)
        .env("STEADFAST_ROOT", &board.0)
        .env("SERVICE_RESULT", result)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let calls = board.get("calls");
    let told = calls.lines().filter(|call| *call != "rauc --detailed");
    told.map(str::to_owned).collect()
}

#[test]
fn a_slot_on_trial_is_marked_bad_before_the_board_restarts_into_the_other() {
    let board = board("trial", "monday", "good", "exit 0");
    let told = calls(&board, "ended", "exit-code");
    assert_eq!(told, ["rauc mark-bad", "systemctl reboot"]);
    let log = board.get("data/steadfast/health/log");
    assert!(
        log.contains("slot A does not keep its contract: back to slot B"),
        "{log}"
    );
}

#[test]
fn a_board_does_not_restart_when_the_other_slot_is_bad_too() {
    let board = board("both", "monday", "bad", "exit 0");
    assert!(calls(&board, "ended", "exit-code").is_empty());
}

#[test]
fn a_board_does_not_restart_when_the_slot_cannot_be_marked_bad() {
    let board = board("untold", "monday", "good", "exit 1");
    assert_eq!(calls(&board, "ended", "timeout"), ["rauc mark-bad"]);
}

#[test]
fn a_proven_slot_stays_and_its_update_is_on_trial_again() {
    let board = board("proven", "monday", "good", "exit 0");
    assert!(calls(&board, "kept", "success").is_empty());
    assert_eq!(calls(&board, "ended", "exit-code"), ["rauc mark-good"]);
    let status = board.get("status").replace("monday", "tuesday");
    board.put("status", &status);
    let told = calls(&board, "ended", "exit-code");
    assert_eq!(told, ["rauc mark-bad", "systemctl reboot"]);
}

#[test]
fn an_orderly_end_marks_no_slot() {
    let board = board("orderly", "monday", "good", "exit 0");
    assert!(calls(&board, "ended", "success").is_empty());
}

/// A board whose image has this board file; `steadfast check` refuses files with the word `bad`.
fn card(name: &str, image: &str) -> Folder {
    let folder = Folder::new(name);
    folder.put("etc/steadfast/board.toml", image);
    folder.put(
        "steadfast",
        "#!/bin/sh\n! grep -q bad \"$2\" || { echo \"$2:1:1: bad\"; exit 2; }\n",
    );
    fs::create_dir_all(folder.0.join("data")).unwrap();
    folder
}

const ON_CARD: &str = "mnt/env/steadfast/board.toml";
const REFUSED: &str = "mnt/env/steadfast/board.toml.refused";
const IN_USE: &str = "run/steadfast-card/environment";

/// Runs steadfast-card, as at each start, and gives what the console shows.
fn take_over(folder: &Folder) -> String {
    let program = folder.0.join("steadfast");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(format!("{RECIPES}/card/files/steadfast-card"))
        .env("STEADFAST_ROOT", &folder.0)
        .env("PATH", format!("{}:{path}", folder.0.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_board_file_of_the_image_stays_in_use_also_after_an_update() {
    let folder = card("card-image", "first");
    folder.put(ON_CARD, "first");
    assert_eq!(take_over(&folder), "");
    folder.put("etc/steadfast/board.toml", "second");
    assert_eq!(take_over(&folder), "");
    assert!(!folder.0.join(IN_USE).exists());
}

#[test]
fn a_board_file_of_the_card_stays_in_use_until_the_image_s_is_put_back() {
    let folder = card("card-own", "image");
    folder.put(ON_CARD, "own\r\n");
    assert!(take_over(&folder).contains("is taken over"));
    let kept = "STEADFAST_BOARD=/data/steadfast/card/board.toml";
    assert_eq!(folder.get(IN_USE), kept);
    assert_eq!(folder.get("data/steadfast/card/board.toml"), "own");
    // After an update, and with an empty card.
    folder.put("etc/steadfast/board.toml", "updated");
    fs::remove_file(folder.0.join(ON_CARD)).unwrap();
    assert_eq!(take_over(&folder), "");
    assert_eq!(folder.get(IN_USE), kept);
    folder.put(ON_CARD, "updated");
    assert!(take_over(&folder).contains("of the image is in use again"));
    assert!(!folder.0.join(IN_USE).exists());
}

#[test]
fn a_refused_board_file_leaves_the_old_one_in_use_until_it_is_mended() {
    let folder = card("card-bad", "image");
    folder.put(ON_CARD, "own");
    take_over(&folder);
    folder.put(ON_CARD, "bad");
    let said = take_over(&folder);
    assert!(
        said.contains("refused: board.toml:1:1: bad"),
        "unexpected: {said}"
    );
    assert_eq!(folder.get(REFUSED), "board.toml:1:1: bad");
    assert_eq!(folder.get("data/steadfast/card/board.toml"), "own");
    folder.put(ON_CARD, "own");
    take_over(&folder);
    assert!(!folder.0.join(REFUSED).exists());
}

#[test]
fn a_board_file_that_arms_at_start_is_refused() {
    let folder = card("card-arm", "image");
    folder.put(ON_CARD, "[safety]\narm = \"at-start\"  # at once\n");
    let said = take_over(&folder);
    assert!(said.contains("set arm = \"on-reset\""), "{said}");
    folder.put(
        ON_CARD,
        "[safety]\narm = \"on-reset\"  # not arm = \"at-start\"\n",
    );
    assert!(take_over(&folder).contains("is taken over"));
}

#[test]
fn without_a_data_partition_the_board_file_of_the_card_is_in_use() {
    let folder = card("card-no-data", "image");
    fs::remove_dir(folder.0.join("data")).unwrap();
    folder.put("data", "");
    folder.put(ON_CARD, "bad");
    assert!(take_over(&folder).contains("cannot be written"));
    assert!(!folder.0.join(IN_USE).exists());
    folder.put(ON_CARD, "own");
    take_over(&folder);
    let kept = "STEADFAST_BOARD=/run/steadfast-card/kept/board.toml";
    assert_eq!(folder.get(IN_USE), kept);
}

#[test]
fn keys_are_refused_without_an_ssh_server_and_removed_by_an_empty_file() {
    const KEYS: &str = "mnt/env/steadfast/authorized_keys";
    const LOGIN: &str = "run/steadfast-card/ssh/authorized_keys";
    let folder = card("card-keys", "image");
    folder.put(KEYS, "ssh-ed25519 AAAAC3 me\n");
    assert!(take_over(&folder).contains("no ssh server"));
    assert!(!folder.0.join(LOGIN).exists());
    folder.put("usr/sbin/dropbear", "");
    let server = folder.0.join("usr/sbin/dropbear");
    fs::set_permissions(server, fs::Permissions::from_mode(0o755)).unwrap();
    take_over(&folder);
    assert_eq!(folder.get(LOGIN), "ssh-ed25519 AAAAC3 me");
    folder.put(KEYS, "");
    take_over(&folder);
    assert!(!folder.0.join(LOGIN).exists());
}
