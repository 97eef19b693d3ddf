//! The firmware on the emulated Raspberry Pi 4 by the kernel's drivers, by registers (SPI, inputs and
//! outputs), and by registers with a watch of the clock: it keeps its contract, and each step takes time
//! away. By registers the emergency stop and a crash make the lines safe.
//!
//! The encoder is the flash chip of `testbed::fixed_encoder`. The figures are in `benches/BOARD.md`.

use serde_json::Value;

use crate::guest::{
    HOLD, LIMIT, SHOW, SHOWN, board_file, energising, healthy, let_go, number,
    press_emergency_stop, ready, report_of, require_kept, require_still_memory,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::Board;
use testbed::fixed_encoder::{
    RASPBERRYPI4_CHANGES, SHARED, raspberrypi4, raspberrypi4_by_registers, raspberrypi4_unbind,
    write_frames,
};
use testbed::machine::Machine;
use testbed::work::WorkFolder;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "raspberrypi4_by_registers_keeps_its_contract_takes_less_time_and_ends_safe",
    run: by_registers,
}];

/// The board files, in the order of the runs.
const FILES: [&str; 3] = ["board", "registers", "spin"];

/// Lateness p99.9 of a loop that watches the clock, ns: the goal of the benchmark for the maximum.
/// The emulator runs the four CPUs in turns, which shows in the maximum.
const LATEST_NS: u64 = 250;

/// Shell lines: a run by registers that shows its report, and one that is killed by SIGSEGV.
fn safe_ends() -> String {
    let run = "/steadfast run --board /registers.toml --quiet";
    format!(
        "{HOLD}{run} --cycles 1000 --json /tmp/report.json{SHOW}
{HOLD}{run} & firmware=$!
{HOLD}kill -SEGV $firmware
wait $firmware
echo \"@@crashed $?\"
{HOLD}"
    )
}

/// The runs of [`safe_ends`].
fn ends_safe(machine: &mut Machine, board: &Board) -> Result<(), Failure> {
    let lines = board.lines;
    let begin = |machine: &mut Machine| {
        // Beyond all edges of the runs before.
        let start = machine.pins.all()?;
        machine.type_line("go on")?;
        for line in energising(board) {
            machine.pins.wait_for(start, line, true, LIMIT)?;
        }
        // The law drives the lines, and the heartbeat has an edge in each cycle.
        let pins = &mut machine.pins;
        pins.wait_for_edges(start, lines.heartbeat, 100, LIMIT)
    };
    begin(machine)?;
    press_emergency_stop(machine, board)?;
    machine.pins.drive(lines.emergency_stop, true)?;
    let report = report_of(&machine.collect_until(SHOWN, LIMIT)?, 4)?;
    require_kept(&report)?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("emergency stop"), || {
        format!("the report does not name the emergency stop: {reason}")
    })?;

    let armed = begin(machine)?;
    machine.type_line("crash")?;
    let printed = machine.collect_until("@@crashed", LIMIT)?;
    require(printed.iter().any(|line| line == "@@crashed 139"), || {
        format!("expected an end by SIGSEGV: {printed:?}")
    })?;
    let all = machine.pins.all()?;
    for line in energising(board) {
        let edges = machine.pins.between(armed, all).iter();
        let edges: Vec<_> = edges.filter(|edge| edge.line == line).collect();
        require(edges.len() == 1 && !edges[0].level, || {
            format!("line {line} after the crash: {edges:?}, expected to fall once")
        })?;
    }
    // Lit at first, then off while the axis is in operation.
    machine
        .pins
        .wait_for(armed, lines.fault_lamp, true, LIMIT)
        .map(drop)
}

fn by_registers(context: &Context<'_>) -> Result<(), Failure> {
    let work = WorkFolder::new()?;
    let board = raspberrypi4(&write_frames(&work.path)?);
    let text = board_file(context, board, &RASPBERRYPI4_CHANGES)?;
    let registers = raspberrypi4_by_registers(&text)?;
    let spin = registers.replace("[loop]\n", "[loop]\nwake = \"spin\"\nspin_us = 60\n");
    let run = |file: &str| {
        format!(
            "/steadfast run --board /{file}.toml --cycles 1000 --quiet --json /tmp/report.json{SHOW}"
        )
    };
    // READ DATA from address 0 on. At 10 s the kernel gives up on deferred drivers.
    let script = "printf '\\003\\000\\000\\000' >/dev/spidev0.0\nsleep 13\n".to_owned()
        + &run(FILES[0])
        + &raspberrypi4_unbind()?
        + &run(FILES[1])
        + &run(FILES[2])
        + &safe_ends();
    let mut machine = ready(context, board, &text)?
        .parameters(SHARED)
        .file("/registers.toml", 0o644, registers.as_bytes())
        .file("/spin.toml", 0o644, spin.as_bytes())
        .start(&healthy(board), &script)?;
    let reports: Vec<Value> = (FILES.iter())
        .map(|_| report_of(&machine.collect_until(SHOWN, LIMIT)?, 0))
        .collect::<Result<_, _>>()?;
    ends_safe(&mut machine, board)?;
    let_go(machine)?;
    let mut shown = String::new();
    for (file, report) in FILES.iter().zip(&reports) {
        require_kept(report)?;
        require_still_memory(report)?;
        shown += &format!("      {file}:");
        for name in ["release_lateness_ns", "execution_ns", "response_ns"] {
            let of = |figure: &str| number(report, &format!("/{name}/{figure}"));
            let (p50, p999, max) = (of("p50")?, of("p999")?, of("max")?);
            shown += &format!(" {name} {p50} {p999} {max}");
        }
        shown.push('\n');
    }
    print!("{shown}");
    let execution = |at: usize| number(&reports[at], "/execution_ns/p50");
    require(execution(1)? * 10 < execution(0)?, || {
        "execution by registers is not below a tenth".to_owned()
    })?;
    let late = number(&reports[2], "/release_lateness_ns/p999")?;
    require(late <= LATEST_NS, || {
        format!("cycles began {late} ns late (p99.9), at most {LATEST_NS} are expected")
    })
}
