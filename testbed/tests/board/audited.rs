//! The loop in an isolated partition, which a service manager can make without a reboot, and a
//! promises that break while it runs: an interrupt that is moved to the loop's CPU is reported;
//! another cpuset excludes that CPU, and the axis stops.
//! Other promises are tested in the fault campaign, whose board has one CPU.

use serde_json::Value;

use crate::guest::{
    HOLD, LIMIT, NO_WATCHDOG, SHOW, SHOWN, arm_and_move, board_file, broken_rows, command, healthy,
    let_go, ready, report_of, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_partition_isolates_the_loop_and_moving_it_to_another_cpuset_stops_the_axis",
    run: partition,
}];

/// Control groups: an isolated partition, whose CPUs `isolcpus=` does not have, as that of
/// steadfast-rt-setup for `AllowedCPUs=1-2`, and an ordinary one with the first CPU.
const GROUPS: &str = "groups=/sys/fs/cgroup
mount -t cgroup2 none $groups || exit 1
echo +cpuset >$groups/cgroup.subtree_control || exit 1
mkdir $groups/steadfast.slice $groups/other
echo 1-2 >$groups/steadfast.slice/cpuset.cpus || exit 1
echo isolated >$groups/steadfast.slice/cpuset.cpus.partition || exit 1
echo 0 >$groups/other/cpuset.cpus || exit 1
echo +cpuset >$groups/steadfast.slice/cgroup.subtree_control
mkdir $groups/steadfast.slice/steadfast.service
";

/// A shell line: the CPUs of each thread of the firmware.
const THREADS: &str = "grep Cpus_allowed_list: /proc/$firmware/task/*/status\n";

/// Shell lines: an interrupt of a device, that of the console, which they keep busy, goes to the loop's
/// CPU for some seconds.
const DISTURB: &str = "irq=$(grep 30890000.serial /proc/interrupts | cut -d: -f1)
echo 2 >/proc/irq/$((irq))/smp_affinity_list || exit 1
for line in $(seq 40); do echo \"the console is busy: $line\"; sleep 0.1; done
echo 0 >/proc/irq/$((irq))/smp_affinity_list
";

/// The emulator runs its CPUs in turns: that line delays some cycles.
const LENIENT: [(&str, &str); 2] = [
    ("quick_stop = 50", "quick_stop = 100000"),
    ("fault = 200", "fault = 200000"),
];

fn partition(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let changes = [NO_WATCHDOG, LENIENT[0], LENIENT[1]];
    let text = board_file(context, &IMX8MP_EVK, &changes)?;
    let script = servo(&IMX8MP_EVK)
        + GROUPS
        + "sh -c 'echo $$ >/sys/fs/cgroup/steadfast.slice/steadfast.service/cgroup.procs && exec "
        + &command("--cycles 1000000")
        + "' & firmware=$!
read order
" + THREADS
        + DISTURB
        + "echo $firmware >$groups/other/cgroup.procs
wait $firmware"
        + SHOW
        + HOLD;
    let mut machine = ready(context, &IMX8MP_EVK, &text)?.start(&healthy(&IMX8MP_EVK), &script)?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    machine.type_line("take the CPU")?;
    let moving = machine.pins.mark();
    let brake = machine
        .pins
        .wait_for(moving, lines.brake_release, false, LIMIT)?;
    let printed = machine.collect_until(SHOWN, LIMIT)?;
    let report = report_of(&printed, 4)?;
    require_own_cpus(&printed)?;
    require(broken_rows(&report).is_empty(), || {
        format!("rows are broken at the start: {:?}", broken_rows(&report))
    })?;
    // On its ramp: the brake engages before the power is removed.
    let before = machine.pins.count(lines.enable, moving, brake);
    require(before == 0, || {
        format!("enable changed {before} times before the brake engaged")
    })?;
    machine.pins.wait_for(brake, lines.enable, false, LIMIT)?;
    let found = |promise: &str| {
        let broken = report["contract"]["broken_at"].as_array();
        let mut broken = broken.into_iter().flatten();
        broken
            .find(|breach| breach["promise"] == promise)
            .map(|breach| breach["found"].clone())
    };
    let cpu = found("cpu");
    require(cpu == Some(Value::from("CPU 0 instead of CPU 2")), || {
        format!("the report has the CPU {cpu:?} instead of 0 for 2")
    })?;
    let own = found("own cpu");
    let own = own.as_ref().and_then(Value::as_str).unwrap_or_default();
    require(own.contains(" interrupts of devices, "), || {
        format!("the interrupts of the console on the loop's CPU were not reported: {own:?}")
    })?;
    require(report["contract"]["kept"] == false, || {
        "the report shows a kept contract, expected a broken one".to_owned()
    })?;
    let_go(machine)
}

/// The loop alone has the highest CPU of the partition; all other threads have the other one.
fn require_own_cpus(printed: &[String]) -> Result<(), Failure> {
    let lines = printed
        .iter()
        .filter_map(|line| line.split_once("/status:Cpus_allowed_list:"));
    let threads: Vec<(&str, &str)> = lines.map(|(thread, cpus)| (cpus.trim(), thread)).collect();
    let on = |cpu| threads.iter().filter(move |(cpus, _)| *cpus == cpu).count();
    require(
        on("2") == 1 && on("1") > 3 && on("1") + 1 == threads.len(),
        || format!("expected the loop alone on CPU 2 and the others on CPU 1: {threads:?}"),
    )
}
