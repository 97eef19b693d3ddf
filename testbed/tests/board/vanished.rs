//! The SPI controller is removed while the loop runs with the kernel's driver: encoder and
//! DAC disappear together.

use crate::Test;
use crate::guest::{HOLD, LIMIT, NO_WATCHDOG, SHOW, SHOWN, command, energising, let_go, report_of};
use crate::{Context, Failure, require};
use testbed::boards::{IMX8MP_EVK, healthy};
use testbed::emulator::Boot;
use testbed::fixed_encoder::{READY, board, board_file, write_frames};
use testbed::work::WorkFolder;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "removing_the_spi_controller_ends_the_run_with_safe_lines",
    run: vanished,
}];

/// Shell lines that unbind the driver of the controller of bus 3.
const UNBIND: &str = "
controller=$(readlink -f /sys/class/spi_master/spi3/device)
echo ${controller##*/} >$controller/driver/unbind
";

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
        + HOLD;
    let mut machine = Boot::new(context, board)
        .cpus(1)
        .program("steadfast")?
        .file("/board.toml", 0o644, text.as_bytes())
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
    let_go(machine)
}
