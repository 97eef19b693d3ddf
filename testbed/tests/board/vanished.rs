//! The SPI controller is removed while the loop runs with the kernel's driver: encoder and
//! DAC disappear together. No driver claims the controller's registers then, and the firmware
//! drives the same chips by them: the contract is kept, and a crash makes the lines safe.

use crate::Test;
use crate::guest::{
    HOLD, LIMIT, NO_WATCHDOG, SHOW, SHOWN, command, energising, let_go, number, report_of,
    require_kept, require_number,
};
use crate::{Context, Failure, require};
use testbed::boards::{IMX8MP_EVK, healthy};
use testbed::emulator::Boot;
use testbed::fixed_encoder::{
    CHIPS, READY, SHARED, UNBIND, board, board_file, by_registers, write_frames,
};
use testbed::machine::Machine;
use testbed::work::WorkFolder;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "removing_the_spi_controller_ends_the_run_and_by_registers_it_is_driven_again",
    run: vanished,
}];

/// Shell lines: a run by registers to its end, and one that is killed by SIGSEGV.
fn again() -> String {
    let run = "/steadfast run --board /registers.toml --quiet";
    format!(
        "
/steadfast check /registers.toml
{run} --cycles 1000 --json /tmp/report.json{SHOW}
{run} & firmware=$!
read order
kill -SEGV $firmware
wait $firmware
echo \"@@crashed $?\"
"
    )
}

/// The runs of [`again`].
fn driven_again(machine: &mut Machine) -> Result<(), Failure> {
    let printed = machine.collect_until(SHOWN, LIMIT)?;
    let clock = "[spi.dac] by registers of ecspi, 1000000 Hz";
    for shown in [clock, "[gpio.gpio1] inputs by registers of imx-gpio"] {
        require(printed.iter().any(|line| line.contains(shown)), || {
            format!("`check` does not print '{shown}': {printed:?}")
        })?;
    }
    let report = report_of(&printed, 0)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/run", 1000)?;
    require_number(&report, "/memory/minor_faults", 0)?;
    let locked = number(&report, "/memory/vm_lck_kb")?;
    require(locked > 0, || "nothing was locked".to_owned())?;

    let start = machine.pins.mark();
    for line in energising(&IMX8MP_EVK) {
        machine.pins.wait_for(start, line, true, LIMIT)?;
    }
    let armed = machine.pins.mark();
    machine.type_line("crash")?;
    let printed = machine.collect_until("@@crashed", LIMIT)?;
    require(printed.iter().any(|line| line == "@@crashed 139"), || {
        format!("expected an end by SIGSEGV: {printed:?}")
    })?;
    for line in energising(&IMX8MP_EVK) {
        machine.pins.wait_for(armed, line, false, LIMIT)?;
    }
    Ok(())
}

fn vanished(context: &Context<'_>) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    let folder = WorkFolder::new()?;
    let board = board(&write_frames(&folder.path)?);
    let shipped = context.host.read_source("board/imx8mp-evk/board.toml")?;
    let text = board_file(&String::from_utf8_lossy(&shipped))?.replace(NO_WATCHDOG.0, "");
    let script = READY.to_owned()
        + &command("")
        + " & firmware=$!\nread order\n"
        + UNBIND
        + "wait $firmware"
        + SHOW
        + &again()
        + HOLD;
    let mut machine = Boot::new(context, board)
        .cpus(1)
        .parameters(SHARED)
        .program("steadfast")?
        .file("/board.toml", 0o644, text.as_bytes())
        .file(
            "/registers.toml",
            0o644,
            by_registers(&text, &CHIPS).as_bytes(),
        )
        .start(&healthy(board), &script)?;
    let start = machine.pins.mark();
    for line in energising(board) {
        machine.pins.wait_for(start, line, true, LIMIT)?;
    }
    let armed = machine.pins.mark();
    machine.type_line("unbind")?;
    let printed = machine.collect_until(SHOWN, LIMIT)?;
    let report = report_of(&printed, 4)?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("/dev/spidev3."), || {
        format!("'{reason}' does not name the removed device")
    })?;
    for line in energising(board) {
        machine.pins.wait_for(armed, line, false, LIMIT)?;
    }
    machine
        .pins
        .wait_for(armed, lines.fault_lamp, true, LIMIT)?;
    let end = machine.pins.mark();
    for line in energising(board) {
        let edges = machine.pins.count(line, armed, end);
        require(edges == 1, || {
            format!("line {line} changed {edges} times after the removal, expected once")
        })?;
    }
    driven_again(&mut machine)?;
    let_go(machine)
}
