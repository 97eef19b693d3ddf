//! A board of 32 bits: one boot of the SABRE Lite with Debian's PREEMPT_RT kernel for armhf. What does not
//! depend on the size of a word is tested on the boards of 64 bits.

use crate::guest::{
    LIMIT, SHOW, SHOWN, arm_and_move, board_file, command, healthy, number, press_emergency_stop,
    ready, report_of, require_kept, require_still_memory, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::SABRELITE;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_32_bit_board_keeps_its_contract_drops_enable_on_an_emergency_stop_and_is_reset_by_its_watchdog",
    run: one_boot,
}];

/// A time in 2040, s since 1970, beyond a signed count of 32 bits, which ends in 2038.
const BEYOND_2038: u64 = 2_220_000_000;

/// Maximum of locked memory, kB, as on the boards of 64 bits.
const LOCKED_KB: u64 = 2_048;

fn one_boot(context: &Context<'_>) -> Result<(), Failure> {
    const CYCLES: u64 = 2_000;
    let lines = SABRELITE.lines;
    // The second run is killed.
    let script = "echo \"@@machine $(uname -m)\"\n".to_owned()
        // Not before: a kernel of 32 bits protects its memory by stopping all CPUs. Each flush of a TLB
        // would wait for a turn of each CPU, which the emulator gives them one after the other.
        + "for cpu in 1 2 3; do echo 1 >/sys/devices/system/cpu/cpu$cpu/online; done
echo \"@@cpus $(cat /sys/devices/system/cpu/online)\"
"
        + &format!("date -s @{BEYOND_2038} >/dev/null\n")
        + &servo(&SABRELITE)
        + &command(&format!("--cycles {CYCLES}"))
        + SHOW
        + &command("--cycles 1000000")
        + " &
firmware=$!
read order
# The two halves of word 5 of the flight file (docs/blackbox-format.md).
echo \"@@start $(hexdump -s 40 -n 8 -e '2/4 \"%u \"' /run/steadfast/*.flight)\"
kill -KILL $firmware
second=0
while [ $second -lt 30 ]; do echo \"@@second $second\"; sleep 1; second=$((second + 1)); done
";
    let text = board_file(context, &SABRELITE, &[])?;
    let mut machine = ready(context, &SABRELITE, &text)?
        .parameters("maxcpus=1")
        .start(&healthy(&SABRELITE), &script)?;
    arm_and_move(&mut machine, &SABRELITE)?;
    press_emergency_stop(&mut machine, &SABRELITE)?;
    let shown = machine.collect_until(SHOWN, LIMIT)?;
    require(shown.iter().any(|line| line == "@@machine armv7l"), || {
        "not a machine of 32 bits".to_owned()
    })?;
    require(shown.iter().any(|line| line == "@@cpus 0-3"), || {
        "the board does not have its four CPUs".to_owned()
    })?;
    let report = report_of(&shown, 4)?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("emergency stop"), || {
        format!("the report does not name the emergency stop: {reason}")
    })?;
    require_kept(&report)?;
    require_still_memory(&report)?;
    require(number(&report, "/cycles/run")? == CYCLES, || {
        format!("{} cycles", report["cycles"])
    })?;
    let locked = number(&report, "/memory/vm_lck_kb")?;
    require(0 < locked && locked <= LOCKED_KB, || {
        format!("{locked} kB are locked, expected at most {LOCKED_KB}")
    })?;
    // After all edges of the first run.
    let again = machine.pins.drive(lines.reset, false)?;
    machine
        .pins
        .wait_for_edges(again, lines.heartbeat, 50, LIMIT)?;
    machine.type_line("kill")?;
    let start = machine.wait_for_line("@@start ", LIMIT)?;
    let halves = start.trim_start_matches("@@start ").split_whitespace();
    let halves: Vec<u64> = halves.filter_map(|half| half.parse().ok()).collect();
    // An hour is more than the board runs.
    require(
        matches!(halves[..], [low, 0] if (BEYOND_2038..BEYOND_2038 + 3_600).contains(&low)),
        || format!("expected a start soon after {BEYOND_2038}, got '{start}'"),
    )?;
    machine.wait_for_line("@@second 1", LIMIT)?;
    match machine.wait_for_line("@@second 4", LIMIT) {
        Ok(_) => Err(Failure::new(
            "the board was not reset within 4 s by a watchdog of 2 s",
        )),
        Err(_) => machine.wait_for_end(LIMIT),
    }
}
