//! Chips on the board's I2C bus, through the kernel's driver: a published driver crate
//! reads a chip without allocating. A firmware with its own drivers sets its output to the
//! safe value when it ends in order, when its law panics (crash handler), when its law
//! hangs (stall guard), and when a chip holds the clock of the bus.

use std::time::{Duration, Instant};

use crate::guest::{HOLD, exit_status, healthy, let_go};
use crate::stalled::silent_ms;
use crate::{Context, Failure, Test, require};
use testbed::boards::{Board, IMX8MP_EVK, Module};
use testbed::emulator::Boot;
use testbed::machine::Machine;
use testbed::pins::Mark;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "chips_on_i2c_are_read_and_own_outputs_go_safe",
        run: i2c,
    },
    Test {
        name: "a_held_i2c_clock_ends_the_run_with_safe_lines_and_names_the_bus",
        run: held_clock,
    },
];

const LIMIT: Duration = Duration::from_secs(120);

/// The i.MX8MP with a TMP105 and an EEPROM on its third I2C bus, which is otherwise empty.
const WITH_CHIPS: Board = Board {
    machine: &[
        "-M",
        "imx8mp-evk",
        "-m",
        "1G",
        "-device",
        "tmp105,id=sensor,bus=i2c-bus.2,address=0x48",
        "-device",
        "at24c-eeprom,bus=i2c-bus.2,address=0x50,rom-size=256",
    ],
    modules: &[Module::plain("i2c-imx"), Module::plain("i2c-dev")],
    flash: None,
    ..IMX8MP_EVK
};

/// Temperature of the sensor, °C, and its property, m°C.
const CELSIUS: (&str, i32) = ("-25.5", -25_500);

/// An own machine with these chips; `END` selects how its law ends.
const OWN: &str = r#"
[board]
name = "own"
realtime = "required"
devices = "linux"
[loop]
period_us = 4000
cpu = 0
max_locked_kb = 4096
[gpio.gpio1]
chip = "30200000.gpio"
[output.enable]
gpio = "gpio1"
line = 6
safe = false
max_hold_ms = 40
shutdown = 1
[i2c.third]
device = "/dev/i2c-2"
timeout_ms = 20
[device.air]
driver = "tmp105"
i2c = "third"
address = 0x48
[device.valve]
driver = "valve"
i2c = "third"
address = 0x50
max_hold_ms = 40
shutdown = 2
[device.valve.safe]
opening = 7.0
[law.open]
kind = "opens"
temperature = "air.temperature"
valve = "valve.opening"
enable = "output.enable"
end = "END"
"#;

fn with_chips<'c>(context: &'c Context<'c>) -> Result<Boot<'c>, Failure> {
    static BOARD: Board = WITH_CHIPS;
    Boot::new(context, &BOARD)
        .cpus(1)
        .program("examples/i2c_chips")?
        .program("examples/own_chips")
}

fn i2c(context: &Context<'_>) -> Result<(), Failure> {
    let mut script = "ls /dev/i2c-*
read go
/i2c_chips /dev/i2c-2 1000
/own_chips run --board /never.toml --for 2s >/tmp/out 2>&1 &
sleep 1
/own_chips peek /dev/i2c-2 | sed s/held/driven/
wait $!; echo \"@@never $?\"; cat /tmp/out
/own_chips peek /dev/i2c-2
"
    .to_owned();
    for end in ["panics", "hangs"] {
        script += &format!(
            "/own_chips run --board /{end}.toml >/tmp/out 2>&1; echo \"@@{end} $?\"; cat /tmp/out\n/own_chips peek /dev/i2c-2\n"
        );
    }
    let mut boot = with_chips(context)?;
    for end in ["never", "panics", "hangs"] {
        boot = boot.file(
            &format!("/{end}.toml"),
            0o644,
            OWN.replace("END", end).as_bytes(),
        );
    }
    let mut machine = boot.start(&[], &script)?;
    machine.set_property("/machine/peripheral/sensor", "temperature", CELSIUS.1)?;
    machine.type_line("go")?;
    let lines = machine.finish(LIMIT)?.lines;
    let printed = |what: &str| {
        let start = format!("@@i2c {what} ");
        let line = lines.iter().find_map(|line| line.strip_prefix(&start));
        line.ok_or_else(|| Failure::new(format!("the guest did not print '{start}'")))
    };
    for (what, expected) in [
        ("temperature", CELSIUS.0),
        ("eeprom", "5a"),
        ("allocations", "0"),
    ] {
        let found = printed(what)?;
        require(found == expected, || {
            format!("{what} is '{found}' instead of '{expected}'")
        })?;
    }
    let absent = printed("absent")?;
    require(
        absent.contains("no chip") && !absent.contains("answered"),
        || format!("expected 'no chip' for an absent chip, got '{absent}'"),
    )?;
    let own: Vec<_> = lines
        .iter()
        .filter(|line| {
            ["@@never", "@@panics", "@@hangs", "@@held", "@@driven"]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .map(String::as_str)
        .collect();
    // 134 is SIGABRT, 4 an end by a fault.
    let expected = [
        "@@driven 200",
        "@@never 0",
        "@@held 7",
        "@@panics 134",
        "@@held 7",
        "@@hangs 4",
        "@@held 7",
    ];
    require(own == expected, || {
        format!("{own:?} instead of {expected:?}: {lines:?}")
    })
}

/// The register of the interrupt controller that disables the interrupt of the third I2C
/// controller (Arm IHI 0069, GICD_ICENABLER<n>), and its bit there. Shared peripheral
/// interrupt 37 is number 69 (i.MX 8M Plus reference manual, table 7-1).
const DISABLE: u64 = 0x3880_0188;
const I2C3: u32 = 1 << (69 - 64);
/// Time between two writes to that register.
const AGAIN: Duration = Duration::from_millis(200);

/// A chip holds SCL low, so that no byte completes. The emulator has no chip that stretches
/// the clock; for the driver a controller without its interrupt is the same.
///
/// i2c-imx waits 100 ms for a byte, independent of the adapter's time-out. If outputs may
/// be held for less, the guard ends the run; if for longer, the transfers fail and the
/// device is lost.
fn held_clock(context: &Context<'_>) -> Result<(), Failure> {
    let held = OWN.replace("END", "never");
    let printed = run_with_held_clock(context, &held)?;
    let ms = silent_ms(&printed)?;
    require((30.0..40.0).contains(&ms), || {
        format!("the guard acted after {ms} ms")
    })?;
    require_said(&printed, "blocked on /dev/i2c-2")?;

    // A cycle with two failing transfers skips 50 slots.
    let patient = held.replace("max_hold_ms = 40", "max_hold_ms = 2000")
        + r#"
[overrun]
action = "escalate"
fill = 1
drain = 1
quick_stop = 500
fault = 1000
"#;
    let printed = run_with_held_clock(context, &patient)?;
    require_said(&printed, "[device.valve] could not be written")
}

/// The output of a run on `board_file` in which the clock is held. The run must end by a
/// fault with the line `enable` safe.
fn run_with_held_clock(context: &Context<'_>, board_file: &str) -> Result<Vec<String>, Failure> {
    let enable = IMX8MP_EVK.lines.enable;
    let script = format!(
        "/own_chips run --board /held.toml >/tmp/out 2>&1 & pid=$!
sleep 1
echo '@@running'
{HOLD}wait $pid
status=$?
sed 's/^/@@said /' /tmp/out
/own_chips peek /dev/i2c-2
echo \"@@exit $status\"
{HOLD}"
    );
    let mut machine = with_chips(context)?
        .file("/held.toml", 0o644, board_file.as_bytes())
        .start(&healthy(&IMX8MP_EVK), &script)?;
    let start = machine.pins.mark();
    machine.wait_for_line("@@running", LIMIT)?;
    let driven = machine.pins.all()?;
    require(machine.pins.count(enable, start, driven) == 1, || {
        "enable did not rise exactly once".to_owned()
    })?;
    hold_clock(&mut machine, enable, driven)?;
    machine.type_line("held")?;
    let printed = machine.collect_until("@@exit", LIMIT)?;
    let end = machine.pins.all()?;
    let status = exit_status(&printed)?;
    require(status == 4, || format!("exit status {status}, not 4"))?;
    let changes = machine.pins.between(driven, end).iter();
    let levels: Vec<bool> = changes
        .filter(|edge| edge.line == enable)
        .map(|edge| edge.level)
        .collect();
    require(levels == [false], || {
        format!("enable after the clock was held: {levels:?}")
    })?;
    // Else the end of the run had another cause.
    require_said(&printed, "@@held the I2C transfer timed out")?;
    let_go(machine)?;
    Ok(printed)
}

/// Disables the interrupt until the run has ended, seen by a falling edge of `enable` after
/// `driven`. One write is not enough: on a PREEMPT_RT kernel the interrupt's thread enables
/// the interrupt again when it has handled it, so a write while it runs has no effect.
fn hold_clock(machine: &mut Machine, enable: u8, driven: Mark) -> Result<(), Failure> {
    let deadline = Instant::now() + LIMIT;
    loop {
        machine.pins.write_register(DISABLE, I2C3)?;
        match machine.pins.wait_for(driven, enable, false, AGAIN) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
    }
}

fn require_said(printed: &[String], words: &str) -> Result<(), Failure> {
    require(printed.iter().any(|line| line.contains(words)), || {
        format!("'{words}' was not printed: {printed:?}")
    })
}
