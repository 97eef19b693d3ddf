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
use testbed::boards::{Board, Controller, RASPBERRYPI4_64};
use testbed::fixed_encoder::{SHARED, write_frames};
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

/// The board file by registers. The clock of the chips is the benchmark's: the emulator has no wire.
fn registers_file(text: &str, controller: Controller) -> String {
    let Controller {
        kind,
        address,
        clock_hz,
        ..
    } = controller;
    let mut text = text.replace(
        "chip = \"pinctrl-bcm2711\"\n",
        "chip = \"pinctrl-bcm2711\"\ninputs = \"registers\"\noutputs = \"registers\"\n\
         controller = \"bcm2835-gpio\"\ndevice = \"/dev/mem\"\naddress = 0xfe200000\n",
    );
    for select in 0..2 {
        text = text.replace(
            &format!("device = \"/dev/spidev0.{select}\"\nspeed_hz = 1_000_000\n"),
            &format!(
                "device = \"/dev/mem\"\naddress = 0x{address}\naccess = \"registers\"\n\
                 controller = \"{kind}\"\nchip_select = {select}\nclock_hz = {clock_hz}\n\
                 speed_hz = 10_000_000\n"
            ),
        );
    }
    text
}

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
    let controller = RASPBERRYPI4_64.controller;
    let controller = controller.ok_or_else(|| Failure::new("it has no controller"))?;
    let work = WorkFolder::new()?;
    let flash = write_frames(&work.path)?;
    let drive = format!(
        "if=none,id=encoder,format=raw,read-only=on,file={}",
        flash.display()
    );
    // `Board` has static references; these live as long as the program.
    let machine = ["-M", "raspi4b", "-m", "2G", "-drive", drive.leak()];
    let machine: Vec<&str> = machine
        .into_iter()
        .chain(["-device", "w25q80,drive=encoder"])
        .collect();
    let board: &Board = Box::leak(Box::new(Board {
        machine: machine.leak(),
        ..RASPBERRYPI4_64
    }));
    let text = board_file(
        context,
        board,
        &[
            ("arm = \"on-reset\"", "arm = \"at-start\""),
            (
                "positions_rad = [6.283185, -6.283185]",
                "positions_rad = [0.25, 0.05]",
            ),
        ],
    )?;
    let registers = registers_file(&text, controller);
    let spin = registers.replace("[loop]\n", "[loop]\nwake = \"spin\"\nspin_us = 60\n");
    let run = |file: &str| {
        format!(
            "/steadfast run --board /{file}.toml --cycles 1000 --quiet --json /tmp/report.json{SHOW}"
        )
    };
    // READ DATA from address 0 on. At 10 s the kernel gives up on deferred drivers.
    let script = "printf '\\003\\000\\000\\000' >/dev/spidev0.0\nsleep 13\n".to_owned()
        + &run(FILES[0])
        + &format!(
            "echo {}.spi >/sys/bus/platform/drivers/{}/unbind\n",
            controller.address, controller.driver
        )
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
