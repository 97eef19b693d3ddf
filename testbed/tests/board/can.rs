//! A CANopen node on the kernel's CAN drivers: two controllers of the emulated board are on one
//! bus; one has the node, the other a master.

use std::time::Duration;

use crate::{Context, Failure, Test};
use testbed::boards::{Board, Module, QEMUARM64};
use testbed::emulator::Boot;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_can_master_configures_and_moves_an_axis_and_its_silence_stops_it",
    run: master,
}];

const LIMIT: Duration = Duration::from_secs(300);

const WITH_CAN: Board = Board {
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
        Module::plain("can"),
        Module::plain("can-raw"),
        Module::plain("can-dev"),
        Module::plain("sja1000"),
        Module::plain("kvaser_pci"),
    ],
    ..QEMUARM64
};

fn master(context: &Context<'_>) -> Result<(), Failure> {
    static BOARD: Board = WITH_CAN;
    let script = "\
/canopen_node 1 can0; echo \"@@node $?\"
/can_bus up can0 1000000; /can_bus up can1 500000
/can_bus master can1 1000000; echo \"@@rate $?\"
/can_bus up can1 1000000
/canopen_node 1 can0 &
/can_bus master can1 1000000; echo \"@@master $?\"
";
    let boot = Boot::new(context, &BOARD)
        .cpus(1)
        .program("examples/canopen_node")?
        .program("examples/can_bus")?;
    let mut machine = boot.start(&crate::guest::healthy(&BOARD), script)?;
    machine.wait_for_line("the CAN interface is down", LIMIT)?;
    machine.wait_for_line("@@node 1", LIMIT)?;
    machine.wait_for_line("500000 bit/s, and the board file 1000000 bit/s", LIMIT)?;
    machine.wait_for_line("@@rate 1", LIMIT)?;
    machine.wait_for_line("@@moved 1000000 in 1000 cycles, SYNC missed 0", LIMIT)?;
    machine.wait_for_line("@@stopped after the loss of SYNC", LIMIT)?;
    machine.wait_for_line("@@master 0", LIMIT)?;
    Ok(())
}
