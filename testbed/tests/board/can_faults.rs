//! Faults of the CAN bus while its master moves the axis: all in one boot, one after the other, each
//! with a firmware of its own.

use std::time::Duration;

use crate::can::{BOARD, COMMANDED, LATE_NS, LINK};
use crate::guest::{
    HOLD, ONE_CPU, SHOW, board_file, command, healthy, let_go, number, report_of, require_kept,
    require_number, require_still_memory, servo,
};
use crate::{Context, Failure, Test, require};
use testbed::emulator::Boot;
use testbed::machine::Machine;
use testbed::pins::{Edge, Mark};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_disturbed_can_bus_stops_the_axis_in_time_or_not_at_all_and_delays_no_cycle",
    run,
}];

const LIMIT: Duration = Duration::from_secs(300);

/// Armed at the start, without the reset input.
pub(crate) const ARMED: (&str, &str) = ("arm = \"on-reset\"", "arm = \"at-start\"");

/// The free line of the chip.
const MARK: u8 = 2;

/// A fault of the bus.
struct Case {
    /// The first column of the table in docs/canopen.md.
    name: &'static str,
    /// Its name for `can_bus disturb`.
    word: &'static str,
    /// Programs beside the master.
    others: &'static str,
    /// Least number of frames on the bus.
    frames: u32,
    outcome: Outcome,
    /// Codes that the master gets, and within how many ms.
    emcy: &'static [(&'static str, u64)],
    /// A line of the log.
    log: &'static str,
}

enum Outcome {
    GoesOn,
    Stops {
        /// Within so many periods the fault lamp is lit.
        within: usize,
        /// Why the master no longer commands, in log and black box.
        why: &'static str,
    },
}
use Outcome::{GoesOn, Stops};

/// The most periods from the lamp to the end of power: the ramp from 0.5 rad/s, and the brake, which
/// engages for 30 ms.
const STOPPING: usize = 40;

/// The node answers after this time, us; a master that asks earlier waits for a second.
const STARTING_US: u32 = 150_000;

const CASES: &[Case] = &[
    Case {
        name: "the interface of the controller is set down, and up again after 300 ms",
        word: "down",
        outcome: Stops {
            within: 15,
            why: "the bus is off",
        },
        emcy: &[("8140", 310), ("8130", 310)],
        log: "the CAN interface is down; it is used again when it is up",
        ..NONE
    },
    Case {
        name: "the cable of the master is pulled",
        word: "cable",
        outcome: Stops {
            within: 37,
            why: "SYNC did not come",
        },
        emcy: &[("8700", 37), ("8130", 45)],
        ..NONE
    },
    Case {
        name: "SYNC ends, PDOs and heartbeat go on",
        word: "sync",
        outcome: Stops {
            within: 37,
            why: "SYNC did not come",
        },
        emcy: &[("8700", 37), ("8130", 45)],
        ..NONE
    },
    Case {
        name: "the heartbeat of the master (1016h: 100 ms) ends, PDOs and SYNC go on",
        word: "heartbeat",
        outcome: Stops {
            within: 102,
            why: "its heartbeat did not come",
        },
        emcy: &[("8130", 102)],
        ..NONE
    },
    Case {
        name: "RPDO 1 with an event timer of 50 ms ends, SYNC and heartbeat go on",
        word: "pdo",
        outcome: Stops {
            within: 52,
            why: "a PDO did not come in time",
        },
        emcy: &[("8250", 52), ("8130", 60)],
        ..NONE
    },
    Case {
        name: "a stranger stops the node by NMT",
        word: "stop",
        outcome: Stops {
            within: 3,
            why: "it stopped or reset this node",
        },
        ..NONE
    },
    Case {
        name: "another node with the same id: boot-up, heartbeats, EMCY, SDO answers",
        word: "twin",
        emcy: &[("FF02", 5)],
        log: "another node on the CAN bus has the `node_id` of this one",
        ..NONE
    },
    Case {
        name: "malformed frames beside the good ones: NMT, SDO, heartbeat, SYNC and RPDO of a wrong \
               length, remote frames, 29-bit identifiers",
        word: "malformed",
        emcy: &[("8240", 5), ("8210", 15)],
        ..NONE
    },
    Case {
        name: "half of the bus is SDO requests and their answers, half frames of strangers",
        others: "chrt -f 10 /can_bus flood can1 1000000 291 50 1500 &
chrt -f 10 /can_bus flood can1 1000000 1537 25 1500 &
",
        frames: 10_000,
        ..NONE
    },
    Case {
        name: "all of the bus is frames of strangers",
        others: "chrt -f 10 /can_bus flood can1 1000000 291 100 1500 &\n",
        frames: 13_000,
        ..NONE
    },
];

const NONE: Case = Case {
    name: "",
    word: "others",
    others: "",
    frames: 0,
    outcome: GoesOn,
    emcy: &[],
    log: "",
};

impl Case {
    /// Its row of docs/canopen.md.
    fn row(&self) -> String {
        let (reaction, within) = match self.outcome {
            GoesOn => ("goes on".to_owned(), "–".to_owned()),
            Stops { within, why } => (format!("stops: \"{why}\""), within.to_string()),
        };
        let emcy: Vec<String> = self
            .emcy
            .iter()
            .map(|(code, within)| format!("{code} ({within})"))
            .collect();
        let emcy = match emcy.is_empty() {
            true => "–".to_owned(),
            false => emcy.join(", "),
        };
        format!("| {} | {reaction} | {within} | {emcy} |\n", self.name)
    }

    fn script(&self) -> String {
        let Self { word, others, .. } = self;
        format!(
            "echo; echo '@@case {word}'
rm -rf /tmp/report.json /run/steadfast/* /data/steadfast/black-box/*
before=$(counted)
{} & firmware=$!
usleep {STARTING_US}
{others}/can_bus disturb can1 1000000 {word} /pin-mark; echo \"@@disturbed $?\"
echo \"@@frames $(($(counted) - before))\"
kill -TERM $firmware
wait $firmware{SHOW}for box in /data/steadfast/black-box/*; do
[ ! -e $box ] || /steadctl blackbox $box 2>&1 | sed -n -e '/^cause/s/^/@@box /p' -e '/no longer/s/^ */@@box /p'
done
echo '@@over'
",
            command("--for 1h")
        )
    }
}

fn run(context: &Context<'_>) -> Result<(), Failure> {
    let text = board_file(context, &BOARD, &[ONE_CPU, ARMED, COMMANDED])? + LINK;
    let script = servo(&BOARD)
        + &BOARD.pin_script("mark", MARK)
        + "/can_bus up can0 1000000; /can_bus up can1 1000000
counted() { echo $(($(cat /sys/class/net/can[01]/statistics/rx_packets | tr '\\n' '+')0)); }
" + &CASES.iter().map(Case::script).collect::<String>()
        + HOLD;
    let mut machine = Boot::new(context, &BOARD)
        .cpus(1)
        .program("steadfast")?
        .program("steadctl")?
        .program("examples/virtual_servo")?
        .program("examples/can_bus")?
        .file("/board.toml", 0o644, text.as_bytes())
        .start(&healthy(&BOARD), &script)?;
    let mut wrong = Vec::new();
    let mut figures = String::new();
    let mut from = machine.pins.mark();
    for case in CASES {
        match judge(case, &mut machine, &mut from) {
            Ok(found) => figures += &format!("      {}: {found}\n", case.name),
            Err(failure) => wrong.push(format!("{}: {failure}", case.name)),
        }
    }
    // In one call, because boards run in parallel.
    print!("{figures}");
    require(wrong.is_empty(), || wrong.join("; "))?;
    let manual = context.host.read_source("docs/canopen.md")?;
    let manual = String::from_utf8_lossy(&manual);
    let rows: String = CASES.iter().map(Case::row).collect();
    require(manual.contains(&rows), || {
        format!("docs/canopen.md does not have these rows:\n{rows}")
    })?;
    let_go(machine)
}

/// Judges the next case of the boot, whose edges are those after `from`, and gives what was measured.
fn judge(case: &Case, machine: &mut Machine, from: &mut Mark) -> Result<String, Failure> {
    let lines = machine.collect_until("@@over", LIMIT)?;
    let pins = &mut machine.pins;
    let begun = pins.wait_for(*from, MARK, true, LIMIT)?;
    let over = pins.wait_for(begun, MARK, false, LIMIT)?;
    let observed = Observed::new(pins.between(*from, begun), pins.between(begun, over));
    *from = over;
    let has = |wanted: &str| lines.iter().any(|line| line.contains(wanted));
    require(has("@@disturbed 0"), || {
        "the master has found an error, see the console".to_owned()
    })?;
    require(has(case.log), || {
        format!("the log does not have '{}'", case.log)
    })?;
    let emcy = emergencies(case, &lines)?;
    require(observed.before == [Some(true), Some(false)], || {
        format!("the axis was not in operation: {observed:?}")
    })?;
    let status = match case.outcome {
        GoesOn => {
            let is_kept = observed.changes.is_empty();
            require(is_kept, || format!("the outputs changed: {observed:?}"))?;
            0
        }
        Stops { within, why } => {
            let (noticed, off) = observed.stop()?;
            require(noticed <= within && off <= noticed + STOPPING, || {
                format!("too late: {observed:?}")
            })?;
            let lost = format!("the CAN master no longer commands x: {why}");
            require(has(&lost), || format!("the log does not have '{lost}'"))?;
            let is_noted = lines
                .iter()
                .any(|line| line.starts_with("@@box") && line.contains(&lost));
            require(is_noted, || format!("the black box does not have '{lost}'"))?;
            let cause = "@@box cause = axis x: commands lost (0x8130)";
            require(has(cause), || format!("there is no '{cause}'"))?;
            4
        }
    };
    let report = report_of(&lines, status)?;
    require_kept(&report)?;
    require_number(&report, "/cycles/skipped", 0)?;
    require_number(&report, "/cycles/overruns", 0)?;
    require_still_memory(&report)?;
    let late = number(&report, "/release_lateness_ns/max")?;
    require(late <= LATE_NS, || {
        format!("a cycle began {late} ns late, more than {LATE_NS}")
    })?;
    let frames = lines.iter().find_map(|line| line.strip_prefix("@@frames "));
    let frames: u32 = frames.and_then(|text| text.parse().ok()).unwrap_or(0);
    require(frames >= case.frames, || {
        format!("{frames} frames on the bus, fewer than {}", case.frames)
    })?;
    Ok(format!(
        "{:?}, EMCY {emcy:?}, {frames} frames, at most {late} ns late",
        observed.changes
    ))
}

/// The EMCY messages with their times, ms.
fn emergencies(case: &Case, lines: &[String]) -> Result<Vec<(String, u64)>, Failure> {
    let all: Vec<(String, u64)> = lines
        .iter()
        .filter_map(|line| {
            let (code, after) = line.strip_prefix("@@emcy ")?.split_once(' ')?;
            Some((code.to_owned(), after.parse().ok()?))
        })
        .collect();
    for (code, within) in case.emcy {
        let came = all
            .iter()
            .any(|(found, after)| found == code && after <= within);
        require(came, || {
            format!("no EMCY {code} within {within} ms, but {all:?}")
        })?;
    }
    Ok(all)
}

/// What the pins showed.
#[derive(Debug)]
struct Observed {
    /// Before the fault: power, and the fault lamp.
    before: [Option<bool>; 2],
    /// While it lasted: the period since its begin, the line, its level.
    changes: Vec<(usize, u8, bool)>,
}

impl Observed {
    fn new(before: &[Edge], during: &[Edge]) -> Self {
        let lines = BOARD.lines;
        let last = |line| before.iter().rfind(|edge| edge.line == line);
        let mut periods = 0;
        let mut changes = Vec::new();
        for edge in during {
            match edge.line {
                line if line == lines.heartbeat => periods += 1,
                MARK => {}
                line => changes.push((periods, line, edge.level)),
            }
        }
        Self {
            before: [lines.enable, lines.fault_lamp].map(|line| Some(last(line)?.level)),
            changes,
        }
    }

    /// The periods until the lamp was lit, and until brake and power were off, both for the rest of
    /// the time. An axis that moves is stopped before the brake engages; one that stands is not.
    fn stop(&self) -> Result<(usize, usize), Failure> {
        let lines = BOARD.lines;
        let only = |line, level| {
            let mut changes = self.changes.iter().filter(|change| change.1 == line);
            match (changes.next(), changes.next()) {
                (Some((period, _, to)), None) if *to == level => Some(*period),
                _ => None,
            }
        };
        let lamp = only(lines.fault_lamp, true);
        let brake = only(lines.brake_release, false);
        let power = only(lines.enable, false);
        match (lamp, brake, power) {
            (Some(noticed), Some(brake), Some(off)) if brake < off => Ok((noticed, off)),
            _ => Err(Failure::new(format!("expected a stop, found {self:?}"))),
        }
    }
}
