//! Moves of the virtual servo on the i.MX 8M Plus EVK: tracking error, and the count of
//! every slot. On one CPU, see [`ONE_CPU`].

use serde_json::Value;

use crate::guest::{
    LIMIT, ONE_CPU, SHOW, arm_and_move, board_file, command, healthy, number, ready, report_of,
    require_kept, require_number, require_still_memory, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_move_of_10000_cycles_misses_no_slot_and_follows_its_profile",
        run: follows,
    },
    Test {
        name: "a_move_with_skipped_slots_counts_each_and_continues",
        run: accounts,
    },
];

/// Maximum tracking error in a move of 12.6 rad at up to 20 rad/s and 400 rad/s², rad. It
/// is the distance of one period at that speed, so it allows for one period of dead time.
/// The following-error window of the board file is 0.5 rad.
const TRACKING_MAX_RAD: f64 = 0.02;
/// Maximum of its root mean square over rest and motion, rad.
const TRACKING_RMS_RAD: f64 = 0.005;

fn start(context: &Context<'_>, script: &str) -> Result<Machine, Failure> {
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU])?;
    ready(context, &IMX8MP_EVK, &text)?
        .cpus(1)
        .start(&healthy(&IMX8MP_EVK), &(servo(&IMX8MP_EVK) + script))
}

fn require_tracking(report: &Value) -> Result<(), Failure> {
    for (path, bound) in [
        ("/axes/0/tracking_error_max_rad", TRACKING_MAX_RAD),
        ("/axes/0/tracking_error_rms_rad", TRACKING_RMS_RAD),
    ] {
        let found = report.pointer(path).and_then(Value::as_f64);
        // Zero would mean that the axis did not move.
        require(found.is_some_and(|rad| 0.0 < rad && rad <= bound), || {
            format!("{path} is {found:?} rad, expected above 0 and at most {bound}")
        })?;
    }
    Ok(())
}

fn follows(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u64 = 10_000;
    let script = command(&format!("--cycles {CYCLES}")) + SHOW;
    let mut machine = start(context, &script)?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    let finished = machine.finish(LIMIT)?;
    let report = report_of(&finished.lines, 0)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", CYCLES)?;
    require_number(&report, "/cycles/skipped", 0)?;
    require_number(&report, "/cycles/overruns", 0)?;
    require_tracking(&report)
}

/// Twice, an encoder transfer takes 2.5 ms: the cycle misses its deadline, two slots are
/// skipped, and the phase is kept.
fn accounts(context: &Context<'_>) -> Result<(), Failure> {
    const SLOTS: u64 = 4_000;
    const DELAYS: u64 = 2;
    let lines = IMX8MP_EVK.lines;
    let script = command("--for 4s")
        + " & firmware=$!
while read order && [ \"$order\" = delay ]; do
echo 'spidev3.0 delay 2500 x1' >/dev/servo-control
echo '@@delayed'
done
wait $firmware"
        + SHOW;
    let mut machine = start(context, &script)?;
    let begin = machine.pins.mark();
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    for _ in 0..DELAYS {
        machine.type_line("delay")?;
        machine.wait_for_line("@@delayed", LIMIT)?;
        // A delay fills the ladder's bucket by 3 x 10; it drains by one per cycle.
        let now = machine.pins.drive(lines.reset, false)?;
        machine
            .pins
            .wait_for_edges(now, lines.heartbeat, 200, LIMIT)?;
    }
    machine.type_line("end")?;
    let finished = machine.finish(LIMIT)?;
    let report = report_of(&finished.lines, 0)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/overruns", DELAYS)?;
    require_number(&report, "/cycles/skipped", 2 * DELAYS)?;
    require_number(&report, "/cycles/run", SLOTS - 2 * DELAYS)?;
    require_still_memory(&report)?;
    // Also on the pin: one edge per cycle, and one more if the last cycle left the line
    // high.
    let cycles = number(&report, "/cycles/run")? + number(&report, "/cycles/rest")?;
    let edges = finished
        .pins
        .count(lines.heartbeat, begin, finished.pins.mark()) as u64;
    require(edges == cycles.next_multiple_of(2), || {
        format!("{edges} edges of the heartbeat in {cycles} cycles")
    })?;
    let enables = finished
        .pins
        .count(lines.enable, begin, finished.pins.mark());
    require(enables == 2, || {
        format!("enable changed {enables} times, expected 2: at the start and at the end")
    })
}
