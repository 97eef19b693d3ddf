//! The contract of an unprivileged user on the i.MX 8M Plus EVK, without capabilities:
//! kept under high limits, and kept with `lock = "selective"` under a limit little above
//! the program and its data. A second start on the same lines does not disturb the first.

use crate::guest::{
    AS_USER, LIMIT, ONE_CPU, OPEN_TO_ALL, SHOW, SHOWN, arm_and_move, board_file, healthy, number,
    ready, report_of, require_kept, require_number, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::machine::Machine;
use testbed::pins::Mark;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "an_unprivileged_user_with_limits_keeps_the_contract_and_a_second_start_is_refused",
    run: granted,
}];

/// Limits under which a user keeps the contract.
const ENOUGH: &str = "ulimit -l unlimited; ulimit -r 98";
/// Limits for `lock = "selective"`.
const LITTLE: &str = "ulimit -l 1900; ulimit -r 98";
const LITTLE_KB: u64 = 1900;

fn granted(context: &Context<'_>) -> Result<(), Failure> {
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU])?;
    let lock = ("lock = \"all\"", "lock = \"selective\"");
    let selective = board_file(context, &IMX8MP_EVK, &[ONE_CPU, lock])?;
    // Another board name with the same lines.
    let other = ("name = \"imx8mp-evk\"", "name = \"other\"");
    let other = board_file(context, &IMX8MP_EVK, &[ONE_CPU, other])?;
    let run = "/steadfast run --quiet --json /tmp/report.json";
    let script = servo(&IMX8MP_EVK)
        + OPEN_TO_ALL
        + &format!(
            "( {ENOUGH}; {AS_USER}{run} --board /board.toml --cycles 2000 ) &
first=$!
read order
/steadfast run --board /board.toml --quiet 2>&1
status=$?; echo; echo \"@@second $status\"
/steadfast run --board /other.toml --quiet 2>&1
status=$?; echo; echo \"@@third $status\"
wait $first{SHOW}
( {LITTLE}; {AS_USER}{run} --board /selective.toml --cycles 500 ){SHOW}"
        );
    let mut machine = ready(context, &IMX8MP_EVK, &text)?
        .program("examples/as_user")?
        .file("/selective.toml", 0o644, selective.as_bytes())
        .file("/other.toml", 0o644, other.as_bytes())
        .cpus(1)
        .start(&healthy(&IMX8MP_EVK), &script)?;
    let enabled = arm_and_move(&mut machine, &IMX8MP_EVK)?;
    second_start(&mut machine, enabled)?;

    let report = report_of(&machine.collect_until(SHOWN, LIMIT)?, 0)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", 2000)?;

    let report = report_of(&machine.collect_until(SHOWN, LIMIT)?, 0)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", 500)?;
    require_number(&report, "/memory/major_faults", 0)?;
    require_number(&report, "/memory/minor_faults", 0)?;
    let locked = number(&report, "/memory/vm_lck_kb")?;
    require(0 < locked && locked <= LITTLE_KB, || {
        format!("{locked} kB were locked under a limit of {LITTLE_KB} kB")
    })?;
    machine.finish(LIMIT).map(drop)
}

/// Starts the firmware again as root while the first run drives the axis: with the same
/// board file, and with another board name on the same lines.
fn second_start(machine: &mut Machine, enabled: Mark) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    machine.type_line("go on")?;
    for (end, words) in [
        ("@@second", "another process controls this board"),
        ("@@third", "line 6 is in use by steadfast"),
    ] {
        let said = machine.collect_until(end, LIMIT)?;
        let failed = format!("{end} 1");
        require(said.contains(&failed), || {
            format!("a second start on a busy board does not exit with 1: {said:?}")
        })?;
        require(said.iter().any(|line| line.contains(words)), || {
            format!("the second start does not print '{words}': {said:?}")
        })?;
    }
    // The emulator answers after all earlier edges.
    let now = machine.pins.drive(lines.reset, false)?;
    let later = machine
        .pins
        .wait_for_edges(now, lines.heartbeat, 10, LIMIT)?;
    let changed = [lines.enable, lines.brake_release, lines.fault_lamp]
        .map(|line| machine.pins.count(line, enabled, later));
    require(changed == [0; 3], || {
        format!("enable, brake and lamp of the first run changed {changed:?} times")
    })
}
