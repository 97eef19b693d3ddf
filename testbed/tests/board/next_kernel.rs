//! The newest kernel of Debian's backports: what changed in it is seen before users meet it. Its
//! packages are split, `/sys/kernel/realtime` is gone, and device trees change.

use crate::guest::{
    LIMIT, ONE_CPU, SHOW, arm_and_move, board_file, command, healthy, ready, report_of,
    require_kept, require_number, require_still_memory, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::host::Kernel;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "the_newest_kernel_keeps_the_contract_and_misses_no_slot_of_a_move",
    run: kept,
}];

fn kept(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u64 = 10_000;
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU])?;
    let script = "echo \"@@kernel $(uname -r)\"\n".to_owned()
        + &servo(&IMX8MP_EVK)
        + &command(&format!("--cycles {CYCLES}"))
        + SHOW;
    let mut machine = ready(context, &IMX8MP_EVK, &text)?
        .kernel(Kernel::Next)
        .cpus(1)
        .start(&healthy(&IMX8MP_EVK), &script)?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    let finished = machine.finish(LIMIT)?;
    let version = (finished.lines.iter()).find_map(|line| line.strip_prefix("@@kernel "));
    require(
        version.is_some_and(|version| !version.starts_with("6.")),
        || format!("not a newer kernel: {version:?}"),
    )?;
    let report = report_of(&finished.lines, 0)?;
    require_kept(&report)?;
    require_still_memory(&report)?;
    require_number(&report, "/cycles/run", CYCLES)?;
    require_number(&report, "/cycles/skipped", 0)?;
    require_number(&report, "/cycles/overruns", 0)
}
