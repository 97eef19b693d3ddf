//! A promise that breaks while the loop runs: a cpuset of a service manager excludes the
//! loop's CPU, and the axis stops. Other promises are tested in the fault campaign, whose
//! board has one CPU.

use serde_json::Value;

use crate::guest::{
    HOLD, LIMIT, NO_WATCHDOG, SHOW, SHOWN, arm_and_move, board_file, command, healthy, let_go,
    ready, report_of, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "moving_the_loop_to_another_cpuset_stops_the_axis",
    run: other_cpus,
}];

/// A control group with the first two CPUs, as of `AllowedCPUs=0-1`.
const GROUP: &str = "mkdir /tmp/groups
mount -t cgroup2 none /tmp/groups || exit 1
echo +cpuset >/tmp/groups/cgroup.subtree_control || exit 1
mkdir /tmp/groups/other
echo 0-1 >/tmp/groups/other/cpuset.cpus || exit 1
";

fn other_cpus(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let text = board_file(context, &IMX8MP_EVK, &[NO_WATCHDOG])?;
    let script = servo(&IMX8MP_EVK)
        + GROUP
        + &command("--cycles 1000000")
        + " & firmware=$!
read order
echo $firmware >/tmp/groups/other/cgroup.procs
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
    require(cpu == Some(Value::from("CPU 0-1 instead of CPU 3")), || {
        format!("the report has the CPU {cpu:?} instead of 0-1 for 3")
    })?;
    require(report["contract"]["kept"] == false, || {
        "the report shows a kept contract, expected a broken one".to_owned()
    })?;
    let_go(machine)
}
