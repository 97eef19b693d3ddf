//! The SPI devices of the other tests: the nodes of the virtual servo and each of their
//! faults, as seen by an independent, published client.

use std::time::Duration;

use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::emulator::Boot;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "virtual_servo_appears_as_spi_bus_to_an_independent_client",
    run: servo,
}];

/// A step of the boot; its name states what must hold.
struct Part {
    name: &'static str,
    script: &'static str,
    judge: fn(&[String]) -> Result<(), Failure>,
}

const PARTS: &[Part] = &[
    Part {
        name: "virtual_spi_nodes_work_with_an_independent_client",
        script: ANSWERS,
        judge: answers,
    },
    Part {
        name: "injected_faults_reach_the_client_as_themselves",
        script: FAULTS,
        judge: faults,
    },
    Part {
        name: "the_virtual_plant_follows_guest_time_and_can_freeze_or_jump",
        script: PLANT,
        judge: plant,
    },
    Part {
        name: "the_encoder_turns_when_its_dac_is_driven",
        script: TURNS,
        judge: turns,
    },
    Part {
        name: "a_virtual_spi_node_replaces_that_of_the_kernel",
        script: "/spi_client /dev/spidev3.0 1234 0000\n",
        judge: |lines| expect(lines, &["0000", "1234"]),
    },
];

fn servo(context: &Context<'_>) -> Result<(), Failure> {
    let mut script = "echo spi3.0 >/sys/bus/spi/drivers/spidev/unbind\n".to_owned();
    script += &serve(
        "spidev9.0=echo spidev9.1=stopwatch spidev9.2=as5047p spidev9.3=mcp4922 spidev3.0=echo",
    );
    for part in PARTS {
        script += &format!("echo '@@part {}'\n{}", part.name, part.script);
    }
    let finished = Boot::new(context, &IMX8MP_EVK)
        .program("examples/virtual_servo")?
        .program("examples/spi_client")?
        .start(&[], &script)?
        .finish(LIMIT)?;
    let mut wrong = Vec::new();
    for part in PARTS {
        let begin = format!("@@part {}", part.name);
        let lines: Vec<String> = finished
            .lines
            .iter()
            .skip_while(|line| **line != begin)
            .skip(1)
            .take_while(|line| !line.starts_with("@@part "))
            .cloned()
            .collect();
        if let Err(failure) = (part.judge)(&lines) {
            wrong.push(format!("{}: {failure}", part.name));
        }
    }
    require(wrong.is_empty(), || wrong.join("; "))
}

const LIMIT: Duration = Duration::from_secs(120);

/// Shell lines that serve `nodes` and continue once they exist.
pub(crate) fn serve(nodes: &str) -> String {
    format!(
        "mkfifo /tmp/servo-ready
chrt -f 80 /virtual_servo {nodes} >/tmp/servo-ready &
read ready </tmp/servo-ready
[ \"$ready\" = 'virtual servo: ready' ] || exit 1
"
    )
}

/// The replies that the client printed, in order.
fn replies(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("@@spi "))
        .collect()
}

fn expect(lines: &[String], expected: &[&str]) -> Result<(), Failure> {
    let found = replies(lines);
    require(found == expected, || {
        format!("the client received {found:?}, expected {expected:?}")
    })
}

/// Each reply is the frame before; `5566,3` is one frame of five bytes.
const ANSWERS: &str = "/spi_client /dev/spidev9.0 1234 5678 5566,3 0000000000\n";

fn answers(lines: &[String]) -> Result<(), Failure> {
    expect(lines, &["0000", "1234", "000000", "5566000000"])
}

const FAULTS: &str = "ask() { /spi_client /dev/spidev9.0 \"$@\"; }
order() { echo \"spidev9.0 $*\" >/dev/servo-control || echo '@@spi refused'; }
order eio x2; ask 01 02 03
order etimedout x1; ask 04
order eproto; ask 05 06
order clear; ask a1a2a3a4
order short 1 x1; ask b1b2b3b4
ask 0102
order parity x1; ask 0304
ask 0000
order nonsense
order short
echo 'spidev7.0 eio' >/dev/servo-control || echo '@@spi refused'
";

fn faults(lines: &[String]) -> Result<(), Failure> {
    expect(
        lines,
        &[
            // Two transfers fail before they reach the chip.
            "errno 5",
            "errno 5",
            "00",        // EIO
            "errno 110", // ETIMEDOUT
            "errno 71",
            "errno 71", // EPROTO, until it is cleared
            "03000000", // the frame before the failures
            "a1b2b3b4", // one byte received, the others unchanged
            "b1b2",     // the chip received the whole frame
            "8102",     // the top bit is inverted
            "0304",     // no fault
            "refused",
            "refused",
            "refused",
        ],
    )
}

const PLANT: &str = "ask() { /spi_client /dev/spidev9.1 \"$@\"; }
order() { echo \"spidev9.1 $*\" >/dev/servo-control; }
ask 0000
order delay 500000 x1; ask 0000
sleep 1
ask 0000
order stuck; ask 0000 0000
sleep 1
ask 0000
order jump 4096; ask 0000
order clear; ask 0000
";

fn plant(lines: &[String]) -> Result<(), Failure> {
    let shown: Vec<u16> = replies(lines)
        .iter()
        .filter_map(|text| u16::from_str_radix(text, 16).ok())
        .collect();
    let [
        start,
        delayed,
        later,
        stuck_a,
        stuck_b,
        stuck_c,
        jumped,
        clear,
    ] = shown[..]
    else {
        return Err(Failure::new(format!(
            "expected eight readings, got {shown:?}"
        )));
    };
    // Starting a program takes the shell a few ms of guest time.
    let within = |from: u16, to: u16, least: u16| (least..least + 100).contains(&(to - from));
    require(within(start, delayed, 500), || {
        format!("expected a delay of 500 ms, got {start} to {delayed}")
    })?;
    require(within(delayed, later, 1000), || {
        format!("expected a second, got {delayed} to {later}")
    })?;
    require([stuck_a, stuck_b, stuck_c] == [later; 3], || {
        format!("a stuck reading changed: {shown:?}")
    })?;
    require(within(later, clear, 1000), || {
        format!("time did not advance while the reading was stuck: {shown:?}")
    })?;
    require(jumped > clear + 4000, || {
        format!("the reading did not jump: {shown:?}")
    })
}

/// The angle in a reply of the encoder: bits 13 to 0 (AS5047P datasheet, figure 13).
fn angle(reply: &str) -> Option<u16> {
    Some(u16::from_str_radix(reply, 16).ok()? & 0x3fff)
}

/// FFFF reads ANGLECOM (3FFFh) with its parity; each reply belongs to the
/// command before. 3xxx writes DAC A, unbuffered, gain 1, active
/// (DS22250, register 5-1): 800h is the middle, C00h half of the range.
const TURNS: &str = "angle() { /spi_client /dev/spidev9.2 ffff ffff; }
/spi_client /dev/spidev9.3 3800
angle
sleep 1
angle
/spi_client /dev/spidev9.3 3c00
usleep 20000
angle
echo 'spidev9.2 stuck' >/dev/servo-control
angle
usleep 50000
angle
";

fn turns(lines: &[String]) -> Result<(), Failure> {
    let all = replies(lines);
    let [_, _, start, _, rest, _, _, driven, _, stuck, _, still] = all[..] else {
        return Err(Failure::new(format!(
            "expected twelve replies, got {all:?}"
        )));
    };
    let found = [start, rest, driven, stuck, still].map(angle);
    let [
        Some(start),
        Some(rest),
        Some(driven),
        Some(stuck),
        Some(still),
    ] = found
    else {
        return Err(Failure::new(format!("not all are angles: {all:?}")));
    };
    let apart = |a: u16, b: u16| (a.wrapping_sub(b) & 0x3fff).min(b.wrapping_sub(a) & 0x3fff);
    require(apart(start, rest) <= 4, || {
        format!("the encoder turned without a command: {start} to {rest}")
    })?;
    require(apart(rest, driven) > 100, || {
        format!("the encoder did not turn: {rest} to {driven}")
    })?;
    require(apart(stuck, still) <= 2, || {
        format!("the stuck encoder turned: {stuck} to {still}")
    })
}
