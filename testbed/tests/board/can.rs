//! A CANopen node on the kernel's CAN drivers: two controllers of the emulated board are on one
//! bus; one has the node, the other a master.

use std::time::Duration;

use crate::guest::{
    HOLD, ONE_CPU, SHOW, SHOWN, board_file, command, healthy, let_go, number, report_of,
    require_kept, require_number, require_still_memory, servo,
};
use crate::{Context, Failure, Test, require};
use steadfast::stock::SIM_BOARD;
use testbed::boards::{Board, Module, QEMUARM64};
use testbed::emulator::Boot;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_can_master_configures_and_moves_an_axis_and_its_silence_stops_it",
        run: example,
    },
    Test {
        name: "a_can_master_moves_the_firmwares_axis_and_its_silence_stops_it",
        run: firmware,
    },
    Test {
        name: "two_controllers_on_one_can_bus_follow_one_sync",
        run: pair,
    },
];

/// Largest delay of a cycle, on an idle and on a full bus, ns.
pub(crate) const LATE_NS: u64 = 25_000;

const LIMIT: Duration = Duration::from_secs(300);

/// For an axis that is commanded instead of moving through a list.
pub(crate) const COMMANDED: (&str, &str) = (
    "[axis.x.motion]
positions_rad = [6.283185, -6.283185]
dwell_s = 0.25
",
    "[axis.x.command]
timeout_ms = 100
interpolation_ms = 10
",
);

pub(crate) const LINK: &str = "
[link.can]
interface = \"can0\"
node_id = 1
bit_rate = 1_000_000
sync_losses = 3
";

pub(crate) static BOARD: Board = Board {
    machine: &[
        "-M",
        "virt",
        "-cpu",
        "cortex-a57",
        "-m",
        "512M",
        "-nic",
        "none",
        "-object",
        "can-bus,id=bus",
        "-device",
        "kvaser_pci,canbus=bus",
        "-device",
        "kvaser_pci,canbus=bus",
    ],
    modules: &[
        Module::plain("cuse"),
        Module::plain("can"),
        Module::plain("can-raw"),
        Module::plain("can-dev"),
        Module::plain("sja1000"),
        Module::plain("kvaser_pci"),
    ],
    ..QEMUARM64
};

/// The node over drives without dynamics takes all that a master configures.
fn example(context: &Context<'_>) -> Result<(), Failure> {
    let script = "\
/canopen_node 1 can0; echo \"@@node $?\"
/can_bus up can0 1000000; /can_bus up can1 500000
/can_bus master can1 1000000 200 0 parameters; echo \"@@rate $?\"
/can_bus up can1 1000000
/canopen_node 1 can0 &
/can_bus master can1 1000000 200 0 parameters; echo \"@@master $?\"
";
    let boot = Boot::new(context, &BOARD)
        .cpus(1)
        .program("examples/canopen_node")?
        .program("examples/can_bus")?;
    let mut machine = boot.start(&healthy(&BOARD), script)?;
    machine.wait_for_line("the CAN interface is down", LIMIT)?;
    machine.wait_for_line("@@node 1", LIMIT)?;
    machine.wait_for_line("500000 bit/s, and the board file 1000000 bit/s", LIMIT)?;
    machine.wait_for_line("@@rate 1", LIMIT)?;
    machine.wait_for_line("@@moved to 1000000 of 1000000 in 200 cycles", LIMIT)?;
    machine.wait_for_line("@@SYNC missed 0", LIMIT)?;
    machine.wait_for_line("@@stopped after the loss of SYNC", LIMIT)?;
    machine.wait_for_line("@@master 0", LIMIT)?;
    Ok(())
}

/// Largest distance between the set-points of two controllers, 10^-6 rad. Their loops take a target
/// over up to a period of 1 ms apart, and what they show is up to a period old; each moves by 500
/// in a period.
const APART: u32 = 1000;

/// Two controllers with simulated devices, each with its own loop; the second has another period, so
/// that their phase goes through all values as that of two boards does. Both show their set-points
/// after each SYNC.
fn pair(context: &Context<'_>) -> Result<(), Failure> {
    let text = |number: u8, period: &str| {
        let (_, command) = COMMANDED;
        let text = SIM_BOARD
            .replace("period_us = 1000", period)
            .replace("name = \"sim\"", &format!("name = \"sim{number}\""))
            .replace(COMMANDED.0, command);
        text + &LINK.replace("node_id = 1", &format!("node_id = {number}"))
    };
    let run = "/steadfast run --for 1h --quiet --board";
    let script = format!(
        "/can_bus up can0 1000000; /can_bus up can1 1000000
{run} /one.toml & {run} /two.toml &
/can_bus pair can1 1000000 200; echo \"@@pair $?\"
"
    );
    let boot = Boot::new(context, &BOARD)
        .cpus(1)
        .program("steadfast")?
        .program("examples/can_bus")?
        .file("/one.toml", 0o644, text(1, "period_us = 1000").as_bytes())
        .file("/two.toml", 0o644, text(2, "period_us = 990").as_bytes());
    let mut machine = boot.start(&healthy(&BOARD), &script)?;
    let line = machine.wait_for_line("@@set-points", LIMIT)?;
    machine.wait_for_line("@@pair 0", LIMIT)?;
    let apart: u32 = line
        .split(' ')
        .find_map(|word| word.parse().ok())
        .unwrap_or(u32::MAX);
    require(apart <= APART, || {
        format!("more than {APART} of 10^-6 rad: {line}")
    })
}

/// The axis of the firmware keeps its contract meanwhile.
fn firmware(context: &Context<'_>) -> Result<(), Failure> {
    let text = board_file(context, &BOARD, &[ONE_CPU, COMMANDED])? + LINK;
    let script = servo(&BOARD)
        + "/can_bus up can0 1000000; /can_bus up can1 1000000\n"
        + &command("--for 1h")
        + " &\nfirmware=$!
read order
/can_bus master can1 1000000 100 5000; echo \"@@master $?\"
kill -TERM $firmware
wait $firmware"
        + SHOW
        + HOLD;
    let boot = Boot::new(context, &BOARD)
        .cpus(1)
        .program("steadfast")?
        .program("examples/virtual_servo")?
        .program("examples/can_bus")?
        .file("/board.toml", 0o644, text.as_bytes());
    let mut machine = boot.start(&healthy(&BOARD), &script)?;
    let lines = BOARD.lines;
    let start = machine.pins.mark();
    let running = machine
        .pins
        .wait_for_edges(start, lines.heartbeat, 50, LIMIT)?;
    let pressed = machine.pins.drive(lines.reset, true)?;
    let armed = machine
        .pins
        .wait_for_edges(pressed, lines.heartbeat, 50, LIMIT)?;
    machine.pins.drive(lines.reset, false)?;
    require(
        machine.pins.count(lines.enable, running, armed) == 0,
        || "the axis had power before the master commanded it".to_owned(),
    )?;
    machine.type_line("command")?;
    machine.wait_for_line("in 100 cycles", LIMIT)?;
    machine.wait_for_line("@@SYNC missed 0", LIMIT)?;
    machine.wait_for_line("@@stopped after the loss of SYNC", LIMIT)?;
    machine.wait_for_line("@@master 0", LIMIT)?;
    let lines = machine.collect_until(SHOWN, LIMIT)?;
    let pins = &mut machine.pins;
    let end = pins.all()?;
    let edges: Vec<bool> = pins
        .between(armed, end)
        .iter()
        .filter(|edge| edge.line == BOARD.lines.enable)
        .map(|edge| edge.level)
        .collect();
    require(edges == [true, false], || {
        format!("the enable line changed to {edges:?}")
    })?;
    let report = report_of(&lines, 4)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/skipped", 0)?;
    require_number(&report, "/cycles/overruns", 0)?;
    require_still_memory(&report)?;
    let reason = report["exit"]["reason"].as_str().unwrap_or_default();
    require(reason.contains("command"), || {
        format!("the report does not name the loss of the commands: {reason}")
    })?;
    let late = number(&report, "/release_lateness_ns/max")?;
    require(late <= LATE_NS, || {
        format!("a cycle began {late} ns late, more than {LATE_NS}")
    })?;
    let_go(machine)
}
