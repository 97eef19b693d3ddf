//! A stalled loop: the stall guard makes the outputs safe, measured on the pins, and ends
//! the process.

use crate::guest::{
    HOLD, LIMIT, NO_WATCHDOG, ONE_CPU, arm_and_move, board_file, exit_status, healthy, let_go,
    ready, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::pins::Edge;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_loop_stalled_in_a_transfer_gets_safe_outputs_from_the_guard",
    run: hanging_transfer,
}];

/// The shortest `max_hold_ms` of the board file.
const GAP_MS: f64 = 20.0;

/// The encoder's next transfer takes half a second while the axis moves. The loop waits in
/// the kernel, on the only CPU.
fn hanging_transfer(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU, NO_WATCHDOG])?;
    let script = servo(&IMX8MP_EVK)
        + "/steadfast run --board /board.toml --quiet & firmware=$!
read order
echo 'spidev3.0 delay 500000 x1' >/dev/servo-control
wait $firmware
status=$?
echo; echo \"@@exit $status\"
" + HOLD;
    let mut machine = ready(context, &IMX8MP_EVK, &text)?
        .cpus(1)
        .start(&healthy(&IMX8MP_EVK), &script)?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    machine.type_line("hang")?;
    let moving = machine.pins.mark();
    let lamp = machine
        .pins
        .wait_for(moving, lines.fault_lamp, true, LIMIT)?;
    let printed = machine.collect_until("@@exit", LIMIT)?;
    let status = exit_status(&printed)?;
    require(status == 4, || format!("exit status {status}, not 4"))?;

    // The shutdown order, and no change after it.
    let end = machine.pins.mark();
    let last: Vec<Edge> = machine.pins.between(moving, end).to_vec();
    let changes: Vec<u8> = last
        .iter()
        .filter(|edge| edge.line != lines.heartbeat)
        .map(|edge| edge.line)
        .collect();
    let [first, second, third] = changes[..] else {
        return Err(Failure::new(format!(
            "expected three changes, got {last:?}"
        )));
    };
    let energising = [lines.enable, lines.brake_release];
    require(
        energising.contains(&first) && energising.contains(&second) && third == lines.fault_lamp,
        || format!("the lamp was lit before the power was removed: {last:?}"),
    )?;
    let after = machine.pins.count(lines.heartbeat, lamp, end);
    require(after == 0, || {
        format!("expected no heartbeat of a stalled loop, got {after}")
    })?;

    // The time of the guard's reaction, from its message.
    let said = silent_ms(&printed)?;
    require((GAP_MS * 0.75..GAP_MS).contains(&said), || {
        format!(
            "the guard acted after {said} ms, expected {} to {GAP_MS} ms",
            GAP_MS * 0.75
        )
    })?;
    let_go(machine)
}

/// The time without a finished cycle in the guard's message, ms.
pub(crate) fn silent_ms(printed: &[String]) -> Result<f64, Failure> {
    printed
        .iter()
        .find_map(|line| line.split_once("the loop has finished no cycle for "))
        .and_then(|(_, rest)| rest.split_once(" ms"))
        .and_then(|(ms, _)| ms.parse().ok())
        .ok_or_else(|| Failure::new(format!("the guard printed no message: {printed:?}")))
}
