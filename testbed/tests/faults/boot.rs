//! One boot: runs its cases, records its pins, and judges each case.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::catalogue::{Outcome, SOAK};
use crate::guest::{self, Case};
use crate::judge::Row;
use crate::{Context, Failure, Host, name, own, power_cut, state, watch};
use testbed::boards::{Board, IMX8MP_EVK, Module, healthy};
use testbed::emulator::Boot;
use testbed::failure::require;
use testbed::fixed_encoder::SHARED;
use testbed::image::BOOTED;
use testbed::load;
use testbed::machine::{ENDED, Machine};
use testbed::pins::{Edge, Mark};
use testbed::work::WorkFolder;

/// Wall time for a boot, and for each second of observation in it.
const LIMIT: Duration = Duration::from_secs(500);
const LIMIT_A_SECOND: u32 = 40;

/// Boots a board for these cases, and judges each.
pub(crate) fn run(
    host: &Host,
    number: usize,
    cases: &[Case],
    show: bool,
) -> Result<Vec<Row>, Failure> {
    if let [case] = cases
        && (case.fault.outcome)(case.state) == Outcome::PowerCut
    {
        let (row, console) = power_cut::run(host, *case, show)?;
        print!("{}", console.join("\n") + &describe(&row));
        return Ok(vec![row]);
    }
    let start = Instant::now();
    let context = Context::new(host);
    let outcome = edges_of(&context, cases);
    let console = context.console();
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
    let mut reports = watch::reports(&console).into_iter();
    let mut observed = watch::cases(&edges).into_iter();
    let mut rows = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let words = reports.next().filter(|(number, _)| *number == index);
        let (Some((_, reported)), Some(observed)) = (words, observed.next()) else {
            return Err(Failure::new(format!(
                "'{}' was not run or has no mark; the console is {}",
                name(case),
                file.display()
            )));
        };
        let row = Row::new(*case, observed, reported);
        report += &describe(&row);
        rows.push(row);
    }
    // In one piece, because boards run side by side.
    print!("{report}");
    Ok(rows)
}

/// The i.MX 8M Plus EVK with an SD card and a removable GPIO chip.
pub(crate) const BOARD: Board = Board {
    further_overlay: Some("testbed/trees/removable.dtso"),
    modules: &[
        Module::plain("spi-imx"),
        Module::plain("imx2_wdt"),
        Module::plain("cuse"),
        Module::plain("sdhci"),
        Module::plain("sdhci-pltfm"),
        Module::plain("cqhci"),
        Module::plain("sdhci-esdhc-imx"),
        Module::plain("crc16"),
        Module::plain("crc32c_generic"),
        Module::plain("libcrc32c"),
        Module::plain("mbcache"),
        Module::plain("jbd2"),
        Module::plain("ext4"),
    ],
    ..IMX8MP_EVK
};

/// Prepares a boot with all programs and board files of the campaign.
pub(crate) fn equipped<'c>(context: &'c Context<'c>) -> Result<Boot<'c>, Failure> {
    let mut boot = Boot::new(context, &BOARD).cpus(1).parameters(SHARED);
    for program in guest::PROGRAMS {
        boot = boot.program(program)?;
    }
    let axis = state::board_files(&context.host.board_file(&IMX8MP_EVK)?)?;
    for (path, text) in axis.into_iter().chain(own::board_files()) {
        boot = boot.file(path, 0o644, text.as_bytes());
    }
    Ok(boot)
}

/// Creates a disk image with an empty file system in `folder`.
pub(crate) fn new_disk(folder: &Path) -> Result<PathBuf, Failure> {
    const BYTES: u64 = 16 << 20;
    let path = folder.join("disk");
    fs::File::create(&path)?.set_len(BYTES)?;
    let made = Command::new("mkfs.ext4").arg("-q").arg(&path).output();
    let made = made.map_err(|error| Failure::new(format!("mkfs.ext4: {error}")))?;
    require(made.status.success(), || {
        format!("mkfs.ext4: {}", String::from_utf8_lossy(&made.stderr))
    })?;
    Ok(path)
}

fn edges_of(context: &Context<'_>, cases: &[Case]) -> Result<Vec<Edge>, Failure> {
    let mut boot = equipped(context)?;
    let work = WorkFolder::new()?;
    let resets = cases.iter().any(Case::resets);
    if resets {
        boot = boot.disk(&new_disk(&work.path)?).resets();
    }
    boot = load::put(boot, context.host)?;
    let mut machine = boot.start(&healthy(&BOARD), &guest::script(cases))?;
    let start = machine.pins.mark();
    let watched_s: u32 = cases.iter().map(|case| case.watch_ms / 1_000).sum();
    let limit = LIMIT + Duration::from_secs(u64::from(watched_s * LIMIT_A_SECOND));
    let (presses, end) = drive_inputs(&mut machine, start, resets, limit)?;
    let mut edges = machine.pins.between(start, end).to_vec();
    for place in presses {
        // The next mark is the script's own, at the end of the observation. It moves up to
        // the press; no position after it changes.
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

/// Drives inputs on request of the script until it has ended. Of each two requests the
/// first is an injection, the second reverts it. Gives the positions of the injections, in
/// edges after `start`, and the mark at the end of the last case, which comes before any
/// reset.
fn drive_inputs(
    machine: &mut Machine,
    start: Mark,
    resets: bool,
    limit: Duration,
) -> Result<(Vec<usize>, Mark), Failure> {
    let mut injections = Vec::new();
    let (mut back, mut end) = (false, None);
    loop {
        let line = machine.wait_for_line("@@", limit)?;
        if line == BOOTED {
            end = end.or(Some(machine.pins.all()?));
            // The reset also reset the levels of the inputs.
            for (line, level) in healthy(&BOARD) {
                machine.pins.drive(line, level)?;
            }
            machine.type_line("go on")?;
        } else if line.starts_with(ENDED) && resets {
            // A board that was not reset boots again at the end of the script.
            if let Some(end) = end {
                return Ok((injections, end));
            }
        } else if line.starts_with(ENDED) {
            machine.wait_for_end(limit)?;
            machine.pins.drain();
            return Ok((injections, machine.pins.mark()));
        } else if let Some(press) = line.strip_prefix(guest::PRESS) {
            let words = press.split_whitespace();
            let numbers: Vec<u8> = words.filter_map(|word| word.parse().ok()).collect();
            let [line, level] = numbers[..] else {
                return Err(Failure::new(format!(
                    "expected a line and a level, got '{press}'"
                )));
            };
            let pressed = machine.pins.drive(line, level != 0)?;
            if !back {
                injections.push(machine.pins.between(start, pressed).len());
            }
            back = !back;
            machine.type_line("go on")?;
        }
    }
}

/// One line per case, followed by its deviations.
fn describe(row: &Row) -> String {
    let word = if row.wrong.is_empty() { "pass" } else { "FAIL" };
    let observed = &row.observed;
    let mut text = format!(
        "{word}  {} (noticed {:?}, safe {:?} {:?}, exit {:?})\n",
        name(&row.case),
        observed.lamp,
        observed.safe(row.case.fault.loses),
        observed.low,
        row.reported.status
    );
    if let (SOAK, Some(report)) = (row.case.fault.name, &row.reported.report) {
        text += &format!(
            "      watched {} periods: cycles {}\n      release lateness {}\n",
            observed.watched, report["cycles"], report["release_lateness_ns"]
        );
    }
    for line in &row.wrong {
        text += &format!("      {line}\n");
    }
    text
}
