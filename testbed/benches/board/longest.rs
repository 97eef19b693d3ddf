//! The kernel's trace of the firmware's longest cycle beside hackbench.
//!
//! Tracing adds about 1 us per line to every cycle; the cause of the longest cycle remains
//! visible. hackbench runs with threads here, which takes the emulator half the time.
//!
//! Source: Linux `Documentation/trace/events.rst` (`stacktrace` trigger).

use std::time::Duration;

use crate::guest::Ready;
use testbed::boards::healthy;
use testbed::context::Context;
use testbed::emulator::Boot;
use testbed::failure::{Failure, require};
use testbed::fixed_encoder::READY;

/// Traced cycles.
const CYCLES: u32 = 16_000;
/// Wall time for the boot.
const LIMIT: Duration = Duration::from_secs(900);
/// Prefix of every line of the result.
const MARK: &str = "@@longest ";

/// Boots, and gives the lines of the trace.
///
/// # Errors
/// The board does not boot, or the trace shows no cycle.
pub(crate) fn measure(context: &Context<'_>, ready: &Ready) -> Result<Vec<String>, Failure> {
    let boot = Boot::new(context, ready.board)
        .cpus(1)
        .file("/steadfast", 0o755, &ready.firmware)
        .file("/board.toml", 0o644, ready.board_file.as_bytes())
        .file("/longest.awk", 0o644, include_bytes!("longest.awk"));
    let finished = ready
        .put_load(boot)
        .start(&healthy(ready.board), &script())?
        .finish(LIMIT)?;
    let found: Vec<String> = finished
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix(MARK))
        .map(str::to_owned)
        .collect();
    require(found.len() > 1, || {
        "the kernel's trace shows no cycle of four calls".to_owned()
    })?;
    Ok(found)
}

/// Records the stack when the loop (FIFO 80, priority 19 inside the kernel) is switched to
/// the load in the middle of a call: it shows the lock that the loop waits for.
fn script() -> String {
    format!(
        r#"set -e
{READY}
/hackbench -T -g 1 -l 100000000 >/dev/null 2>&1 &
load=$!
sleep 1
mount -t tracefs tracefs /sys/kernel/tracing
cd /sys/kernel/tracing
echo mono >trace_clock
echo 80000 >buffer_size_kb
echo 'prev_comm ~ "steadfast*" || next_comm ~ "steadfast*" || next_comm ~ "irq/*"' >events/sched/sched_switch/filter
echo 'stacktrace if prev_prio == 19 && prev_state == 2 && next_comm ~ "hackbench*"' >events/sched/sched_switch/trigger
for event in sched/sched_switch timer/hrtimer_expire_entry irq/irq_handler_entry \
    syscalls/sys_enter_clock_nanosleep syscalls/sys_exit_clock_nanosleep \
    syscalls/sys_enter_ioctl syscalls/sys_exit_ioctl; do
    echo 1 >events/$event/enable
done
/steadfast run --board /board.toml --cycles {CYCLES} --quiet
echo 0 >tracing_on
kill -INT $load
wait $load || :
echo
awk -f /longest.awk trace
"#
    )
}
