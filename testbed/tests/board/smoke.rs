//! The preconditions of the other tests, without the firmware: the boards boot, their pins
//! can be driven and recorded from outside, their SPI bus works, their watchdog resets.

use std::time::Duration;

use crate::{Context, Failure, Test, require};
use testbed::boards::{Board, Controller, IMX8MP_EVK, QEMUARM64, RASPBERRYPI4_64};
use testbed::emulator::Boot;
use testbed::host::Package;
use testbed::machine::Finished;
use testbed::pins::Edge;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "smoke_imx8mp_boots_a_realtime_kernel_and_has_its_pins_and_its_spi_bus",
        run: imx8mp,
    },
    Test {
        name: "smoke_imx8mp_two_boots_give_identical_output",
        run: imx8mp_repeats,
    },
    Test {
        name: "smoke_imx8mp_an_unfed_watchdog_resets_the_board",
        run: imx8mp_watchdog,
    },
    Test {
        name: "smoke_raspberrypi4_boots_a_realtime_kernel_and_has_its_pins_and_its_spi_bus",
        run: raspberrypi4,
    },
    Test {
        name: "smoke_qemuarm64_boots_a_realtime_kernel_and_has_its_pins",
        run: qemuarm64,
    },
];

const LIMIT: Duration = Duration::from_secs(240);

/// Prints the kind of the kernel, its GPIO chips and SPI devices.
const INVENTORY: &str = "
case $(uname -v) in *PREEMPT_RT*) echo '@@realtime' ;; esac
for chip in /sys/class/gpio/gpiochip*; do echo \"@@gpio $(cat $chip/label)\"; done
for node in /dev/spidev*; do [ -e $node ] && echo \"@@spi $node\"; done
[ -e /dev/watchdog ] && echo '@@watchdog'
[ -e /dev/cuse ] && echo '@@cuse'
true
";

fn has(finished: &Finished, line: &str) -> Result<(), Failure> {
    require(finished.lines.iter().any(|found| found == line), || {
        format!("the board did not print '{line}'")
    })
}

/// Requires the real-time kernel and the devices of the board.
fn inventory(finished: &Finished, board: &Board, nodes: &[&str]) -> Result<(), Failure> {
    has(finished, "@@realtime")?;
    has(finished, &format!("@@gpio {}", board.gpio_label))?;
    has(finished, "@@cuse")?;
    for node in nodes.iter().copied().chain(board.flash) {
        has(finished, &format!("@@spi {node}"))?;
    }
    if board.has_watchdog {
        has(finished, "@@watchdog")?;
    }
    Ok(())
}

/// Reads the JEDEC ID of the flash chip on the board's bus (w25q80 datasheet, instruction
/// 9Fh): manufacturer EFh, then two bytes of the device. Twice, because the first read must
/// not affect the bus.
fn read_flash(board: &Board) -> String {
    let Some(node) = board.flash else {
        return String::new();
    };
    format!("/spi_client {node} 9f,3 9f,3\n")
}

/// The same transactions through the kernel and by registers, where the flash chip's controller
/// can be driven so. The kernel does not map a region that a driver has claimed.
fn both_paths(board: &Board) -> String {
    let (Some(node), Some(controller)) = (board.flash, board.controller) else {
        return String::new();
    };
    let Controller {
        kind,
        driver,
        address,
        clock_hz,
    } = controller;
    format!(
        "echo @@kernel; /spi_paths {node}
echo @@claimed; /spi_paths {kind} {address} {clock_hz} /dev/mem 2>&1
echo {address}.spi >/sys/bus/platform/drivers/{driver}/unbind
echo @@registers; /spi_paths {kind} {address} {clock_hz} /dev/mem
"
    )
}

/// The same by UIO: the device is found by its address, and by its number it is accepted only if
/// that has the address.
const BY_UIO: &str = "insmod /uio.ko
insmod /uio_pdrv_genirq.ko of_id=generic-uio
echo @@uio; /spi_paths ecspi 30840000 80000000 uio
echo @@other; /spi_paths ecspi 30830000 80000000 /dev/uio0 2>&1
";

/// The emulated i.MX 8M Plus EVK with the registers of ECSPI3 as a UIO device.
const WITH_UIO: Board = Board {
    further_overlay: Some("testbed/trees/uio.dtso"),
    ..IMX8MP_EVK
};

/// Both paths give the same bytes, and the claimed region was refused.
fn paths(finished: &Finished, board: &Board) -> Result<(), Failure> {
    if board.controller.is_none() {
        return Ok(());
    }
    let from = |mark: &str| {
        let lines = finished.lines.iter().skip_while(move |line| *line != mark);
        let lines = lines.skip(1).take_while(|line| !is_mark(line));
        lines.map(String::as_str).collect::<Vec<_>>()
    };
    let refusal = from("@@claimed");
    require(
        refusal
            .iter()
            .any(|line| line.contains("does not map address")),
        || format!("a claimed region was not refused: {refusal:?}"),
    )?;
    let (kernel, registers) = (from("@@kernel"), from("@@registers"));
    require(
        kernel.len() == 8 && kernel.contains(&"@@path id ef5014"),
        || format!("through the kernel: {kernel:?}"),
    )?;
    require(kernel == registers, || {
        format!("through the kernel: {kernel:?}, by registers: {registers:?}")
    })?;
    if !has_uio(board) {
        return Ok(());
    }
    let (uio, other) = (from("@@uio"), from("@@other"));
    require(kernel == uio, || {
        format!("through the kernel: {kernel:?}, by UIO: {uio:?}")
    })?;
    let refused = "/dev/uio0: its registers are at 0x30840000";
    require(other.iter().any(|line| line.contains(refused)), || {
        format!("another device's address was not refused: {other:?}")
    })
}

fn has_uio(board: &Board) -> bool {
    board.further_overlay == WITH_UIO.further_overlay
}

/// The first line of a path's output.
fn is_mark(line: &str) -> bool {
    line.starts_with("@@") && !line.starts_with("@@path ")
}

fn flash(finished: &Finished, board: &Board) -> Result<(), Failure> {
    if board.flash.is_none() {
        return Ok(());
    }
    let replies = finished.lines.iter();
    let mut replies = replies.filter_map(|line| line.strip_prefix("@@spi "));
    let found = replies.find(|reply| !reply.starts_with('/'));
    require(found == Some("ef5014"), || {
        format!("expected the flash ID ef5014, got {found:?}")
    })
}

fn imx8mp(context: &Context<'_>) -> Result<(), Failure> {
    let nodes = [
        "/dev/spidev2.0",
        "/dev/spidev2.1",
        "/dev/spidev3.0",
        "/dev/spidev3.1",
    ];
    works(context, &WITH_UIO, &nodes)
}

fn raspberrypi4(context: &Context<'_>) -> Result<(), Failure> {
    works(context, &RASPBERRYPI4_64, &["/dev/spidev0.1"])
}

fn qemuarm64(context: &Context<'_>) -> Result<(), Failure> {
    works(context, &QEMUARM64, &[])
}

/// One boot: devices, flash chip, and pins. The guest copies the emergency stop to the
/// enable line until it has been pressed and released, and toggles the heartbeat in each
/// round.
fn works(context: &Context<'_>, board: &'static Board, nodes: &[&str]) -> Result<(), Failure> {
    let lines = board.lines;
    let script = INVENTORY.to_owned()
        + &read_flash(board)
        + &both_paths(board)
        + if has_uio(board) { BY_UIO } else { "" }
        + "echo @@paths\n"
        + &format!(
            "cd /sys/class/gpio
base=$(grep -l {label} gpiochip*/label | head -n1 | sed 's/gpiochip//; s,/.*,,')
for line in {stop} {enable} {heartbeat}; do echo $((base + line)) >export; done
stop=gpio$((base + {stop})) enable=gpio$((base + {enable})) beat=gpio$((base + {heartbeat}))
echo low >$enable/direction
echo low >$beat/direction
rounds=0 level=0
while [ $rounds -lt 3 ]; do
    read now <$stop/value
    if [ $now != $level ]; then level=$now rounds=$((rounds + 1)); echo $now >$enable/value; fi
    echo 1 >$beat/value
    echo 0 >$beat/value
done
",
            label = board.gpio_label,
            stop = lines.emergency_stop,
            enable = lines.enable,
            heartbeat = lines.heartbeat,
        );
    let mut boot = Boot::new(context, board)
        .program("examples/spi_client")?
        .program("examples/spi_paths")?;
    if has_uio(board) {
        for module in ["uio.ko", "uio_pdrv_genirq.ko"] {
            let file = context.host.package(Package::Uio)?.join(module);
            boot = boot.file(&format!("/{module}"), 0o644, &std::fs::read(file)?);
        }
    }
    let mut machine = boot.start(&[(lines.emergency_stop, true)], &script)?;
    let start = machine.pins.mark();
    let enabled = machine.pins.wait_for(start, lines.enable, true, LIMIT)?;
    let flowing = machine
        .pins
        .wait_for_edges(enabled, lines.heartbeat, 20, LIMIT)?;
    require(
        machine.pins.count(lines.enable, enabled, flowing) == 0,
        || "enable changed without a press".to_owned(),
    )?;

    let pressed = machine.pins.drive(lines.emergency_stop, false)?;
    let dropped = machine.pins.wait_for(pressed, lines.enable, false, LIMIT)?;
    let rounds = machine
        .pins
        .count(lines.heartbeat, pressed, dropped)
        .div_ceil(2);
    require(rounds <= 2, || {
        format!("enable fell after {rounds} rounds of the loop, expected at most 2")
    })?;

    let released = machine.pins.drive(lines.emergency_stop, true)?;
    machine.pins.wait_for(released, lines.enable, true, LIMIT)?;
    let finished = machine.finish(LIMIT)?;
    inventory(&finished, board, nodes)?;
    flash(&finished, board)?;
    paths(&finished, board)?;
    let all = finished.pins.between(start, finished.pins.mark());
    let enables: Vec<bool> = all
        .iter()
        .filter(|Edge { line, .. }| *line == lines.enable)
        .map(|edge| edge.level)
        .collect();
    require(enables == [true, false, true], || {
        format!("expected enable to rise, fall and rise, got {enables:?}")
    })
}

/// Compares the kernel's nanosecond clock after the same work in two boots.
fn imx8mp_repeats(context: &Context<'_>) -> Result<(), Failure> {
    let script = "cat /proc/uptime
i=0
while [ $i -lt 50 ]; do cat /proc/interrupts >/dev/null; i=$((i + 1)); done
grep -h exec_runtime /proc/self/sched
cat /proc/uptime /proc/stat /proc/meminfo /proc/timer_list
";
    let first = Boot::new(context, &IMX8MP_EVK)
        .start(&[], script)?
        .finish(LIMIT)?;
    let second = Boot::new(context, &IMX8MP_EVK)
        .start(&[], script)?
        .finish(LIMIT)?;
    require(first.lines.len() > 40, || {
        "the guest printed too little to compare".to_owned()
    })?;
    match first.lines.iter().zip(&second.lines).find(|(a, b)| a != b) {
        Some((a, b)) => Err(Failure::new(format!("'{a}' became '{b}'"))),
        None => require(first.lines.len() == second.lines.len(), || {
            "one boot printed more than the other".to_owned()
        }),
    }
}

fn imx8mp_watchdog(context: &Context<'_>) -> Result<(), Failure> {
    // `watchdog` opens the device, feeds it, and would feed it again after 60 s.
    let script = "watchdog -F -T 2 -t 60 /dev/watchdog &
second=0
while [ $second -lt 30 ]; do echo \"@@second $second\"; sleep 1; second=$((second + 1)); done
";
    let mut machine = Boot::new(context, &IMX8MP_EVK).start(&[], script)?;
    machine.wait_for_line("@@second 1", LIMIT)?;
    match machine.wait_for_line("@@second 4", LIMIT) {
        Ok(_) => Err(Failure::new(
            "the board was not reset within 4 s by a watchdog of 2 s",
        )),
        Err(_) => machine.wait_for_end(LIMIT),
    }
}
