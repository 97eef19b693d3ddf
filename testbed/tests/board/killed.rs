//! The firmware killed by SIGKILL: its heartbeat stops, and the watchdog resets the board.

use crate::firmware::boot;
use crate::guest::{LIMIT, arm_and_move, command, servo};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "firmware_killed_while_moving_is_reset_by_the_watchdog",
    run: killed,
}];

/// Seconds of guest time from the kill within which the board must be reset: the timeout
/// of 2 s plus the watchdog's resolution of half a second, rounded up.
const GONE_WITHIN: &str = "@@second 4";

fn killed(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let script = servo(&IMX8MP_EVK)
        + &command("--cycles 1000000")
        + " &
firmware=$!
read order
kill -KILL $firmware
wait $firmware
echo '@@killed'
second=0
while [ $second -lt 30 ]; do echo \"@@second $second\"; sleep 1; second=$((second + 1)); done
";
    let mut machine = boot(context, &script)?;
    let moving = arm_and_move(&mut machine, &IMX8MP_EVK)?;
    machine.type_line("kill")?;
    machine.wait_for_line("@@killed", LIMIT)?;
    let killed = machine.pins.mark();
    machine.wait_for_line("@@second 1", LIMIT)?;
    let later = machine.pins.mark();
    let beats = machine.pins.count(lines.heartbeat, killed, later);
    require(beats == 0, || {
        format!("{beats} heartbeats of a firmware that was killed")
    })?;
    // As documented in the board's README and docs/safety.md: this driver keeps the last
    // level of a released line.
    require(machine.pins.count(lines.enable, moving, later) == 0, || {
        "enable changed after the firmware was killed".to_owned()
    })?;
    match machine.wait_for_line(GONE_WITHIN, LIMIT) {
        Ok(_) => Err(Failure::new(
            "the board was not reset after the firmware was killed",
        )),
        Err(_) => machine.wait_for_end(LIMIT),
    }
}
