//! One boot: its cases run, its pins watched, and what came of each judged.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::boards::IMX8MP_EVK;
use crate::catalogue::SOAK;
use crate::emulator::Boot;
use crate::guest::{self, Case};
use crate::judge::{Row, Verdict};
use crate::machine::{Machine, lock};
use crate::pins::{Edge, Mark};
use crate::{Context, Failure, Host, name, state, watch};

/// Wall time for a boot, and for each second that a case is watched in it.
const LIMIT: Duration = Duration::from_secs(400);
const LIMIT_A_SECOND: u32 = 40;

/// Boots a board for these cases, and judges what came of each.
pub(crate) fn run(
    host: &Host,
    number: usize,
    cases: &[Case],
    show: bool,
) -> Result<Vec<Row>, Failure> {
    let start = Instant::now();
    let context = Context {
        host,
        transcripts: Mutex::default(),
    };
    let outcome = edges_of(&context, cases);
    let console: Vec<String> = lock(&context.transcripts)
        .iter()
        .flat_map(|transcript| lock(&transcript.console).clone())
        .collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{number}.console"));
    fs::write(&file, console.join("\n") + "\n")?;
    let edges = outcome
        .map_err(|failure| Failure::new(format!("{failure}; its console is {}", file.display())))?;
    let pins: Vec<String> = edges
        .iter()
        .map(|edge| format!("{} {}\n", edge.line, u8::from(edge.level)))
        .collect();
    fs::write(file.with_extension("pins"), pins.concat())?;
    let mut report = format!(
        "boot {number}: {} cases in {:.1} s, console in {}\n",
        cases.len(),
        start.elapsed().as_secs_f64(),
        file.display()
    );
    if show {
        report += &(console.join("\n") + "\n");
    }
    let mut said = watch::said(&console).into_iter();
    let mut seen = watch::cases(&edges).into_iter();
    let mut rows = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let words = said.next().filter(|(number, _)| *number == index);
        let (Some((_, said)), Some(seen)) = (words, seen.next()) else {
            return Err(Failure::new(format!(
                "'{}' was not run, or not seen; the console is {}",
                name(case),
                file.display()
            )));
        };
        let row = Row::new(*case, seen, said);
        report += &describe(&row);
        rows.push(row);
    }
    // In one piece, because boards run side by side.
    print!("{report}");
    Ok(rows)
}

fn edges_of(context: &Context<'_>, cases: &[Case]) -> Result<Vec<Edge>, Failure> {
    let mut boot = Boot::new(context, &IMX8MP_EVK).cpus(1);
    for program in guest::PROGRAMS {
        boot = boot.program(program)?;
    }
    for (path, text) in state::board_files(&context.host.board_file()?)? {
        boot = boot.file(path, 0o644, text.as_bytes());
    }
    let tools = [
        ("/hackbench", "usr/bin/hackbench"),
        (
            "/lib/libnuma.so.1",
            "usr/lib/aarch64-linux-gnu/libnuma.so.1",
        ),
    ];
    for (path, tool) in tools {
        boot = boot.file(path, 0o755, &context.host.read_tool(tool)?);
    }
    let lines = IMX8MP_EVK.lines;
    let mut inputs = vec![(lines.emergency_stop, true), (lines.reset, false)];
    if let Some(limits) = lines.limits {
        inputs.extend([(limits.positive, true), (limits.negative, true)]);
    }
    let mut machine = boot.start(&inputs, &guest::script(cases))?;
    let start = machine.pins.mark();
    let watched_s: u32 = cases.iter().map(|case| case.watch_ms / 1_000).sum();
    let limit = LIMIT + Duration::from_secs(u64::from(watched_s * LIMIT_A_SECOND));
    let presses = obey(&mut machine, start, limit)?;
    machine.pins.drain();
    let end = machine.pins.mark();
    let mut edges = machine.pins.between(start, end).to_vec();
    for place in presses {
        // The script's own mark, later, is the end of what is watched. It moves
        // up to the press, so that no place after it changes.
        let own = edges[place..].iter().position(|edge| *edge == PRESSED);
        let own = own.ok_or_else(|| Failure::new("a press was not marked"))?;
        edges[place..=place + own].rotate_right(1);
    }
    Ok(edges)
}

/// Stands for the mark of a case whose injection came from outside.
const PRESSED: Edge = Edge {
    line: watch::line::MARK,
    level: true,
};

/// Drives what the script wants driven, until the board has ended. Gives the
/// places, in edges after `start`, of those that are injections: the first of
/// each two, of which the second takes it back.
fn obey(machine: &mut Machine, start: Mark, limit: Duration) -> Result<Vec<usize>, Failure> {
    let mut injections = Vec::new();
    let mut back = false;
    // It fails where the emulator has ended, and where the time is over.
    while let Ok(line) = machine.wait_for_line(guest::PRESS, limit) {
        let words = line.split_whitespace().skip(1);
        let numbers: Vec<u8> = words.filter_map(|word| word.parse().ok()).collect();
        let [line, level] = numbers[..] else {
            return Err(Failure::new(format!("'{line}' is no press")));
        };
        let pressed = machine.pins.drive(line, level != 0)?;
        if !back {
            injections.push(machine.pins.between(start, pressed).len());
        }
        back = !back;
        machine.type_line("go on")?;
    }
    machine.wait_for_end(Duration::ZERO)?;
    Ok(injections)
}

/// A line for a person; what is wrong below it.
fn describe(row: &Row) -> String {
    let (word, wrong): (_, &[String]) = match &row.verdict {
        Verdict::Kept => ("pass", &[]),
        Verdict::Pending(_, wrong) => ("pend", wrong),
        Verdict::Broken(wrong) => ("FAIL", wrong),
    };
    let seen = &row.seen;
    let mut text = format!(
        "{word}  {} (noticed {:?}, safe {:?} {:?}, exit {:?})\n",
        name(&row.case),
        seen.lamp,
        seen.safe(row.case.fault.loses_dac),
        seen.low,
        row.said.status
    );
    if let Verdict::Pending(needs, _) = row.verdict {
        text += &format!("      pending: needs {needs}\n");
    }
    if let (SOAK, Some(report)) = (row.case.fault.name, &row.said.report) {
        text += &format!(
            "      watched {} periods: cycles {}\n      release lateness {}\n",
            seen.watched, report["cycles"], report["release_lateness_ns"]
        );
    }
    for line in wrong {
        text += &format!("      {line}\n");
    }
    text
}
