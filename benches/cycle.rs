//! The cost of one cycle in instructions, which is repeatable, and the rate of the
//! simulated board. See `benches/README.md`.
//!
//! ```text
//! cargo bench --bench cycle                 the table
//! cargo bench --bench cycle -- --check      fails when the goal is missed, or a count is
//!                                           more than 2 % above the accepted one
//! cargo bench --bench cycle -- --accept     writes the counts as the accepted ones
//! cargo bench --bench cycle -- --of WHAT    where one cycle goes, by function: WHAT is a number
//!                                           of axes, "empty", or a mode of the table ("csp, links")
//! ```
//!
//! The program runs itself under Valgrind, once for [`CYCLES`] cycles and once for twice as
//! many. Without Valgrind it fails.

mod callgrind;
mod profile;
mod report;
mod rig;
mod stepping;

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use steadfast::axis::Mode;
use steadfast::board::{self, Options};
use steadfast::cycle::ports::Clock;
use steadfast::cycle::run::Limit;
use steadfast::realtime::allocator::SealedAllocator;
use steadfast::realtime::clock::Monotonic;
use steadfast::telemetry::report::Pace;

use report::{Line, Results};
use rig::Links;
use testbed::baseline;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// Cycles that are counted.
const CYCLES: u64 = 10_000;
/// Numbers of axes that are measured.
const AXES: [usize; 4] = [1, 2, 4, 8];
/// Modes of one commanded axis that are measured.
const MODES: [&str; 4] = ["csp", "csp, links", "pp", "pv"];
/// Cycles of the run on the wall clock.
const FREE_CYCLES: u64 = 3_000_000;
/// The first argument of a run under Valgrind.
const COUNTED: &str = "counted";
/// The first argument of a run that is single-stepped.
const STEPPED: &str = "stepped";
/// The call that reads the clock.
const READING: &str = "reading";
/// The call that sleeps, until a time that is past, and reads the clock.
const WAITING: &str = "waiting";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = |word: &str| arguments.iter().any(|argument| argument == word);
    // Other arguments of cargo (`--bench`, a filter) have no effect.
    let done = match arguments.as_slice() {
        [first, what, cycles] if first == COUNTED => counted(what, cycles),
        [first, what] if first == STEPPED => stepped(what),
        [first, what, ..] if first == "--of" => one(what),
        _ => measure(asked("--check"), asked("--accept")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cycle: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The run under Valgrind: `what` is a number of axes, `empty`, or the mode of one commanded
/// axis.
fn counted(what: &str, cycles: &str) -> Result<(), Box<dyn std::error::Error>> {
    let cycles = cycles.parse()?;
    let commanded = |mode, links| rig::servo(1, Some(mode), links, cycles, 2 * CYCLES);
    match what {
        "empty" => rig::empty(cycles),
        "csp" => commanded(Mode::SyncPosition, Links::None),
        "csp, links" => commanded(Mode::SyncPosition, Links::Active),
        "pp" => commanded(Mode::ProfilePosition, Links::None),
        "pv" => commanded(Mode::ProfileVelocity, Links::None),
        axes => rig::servo(axes.parse()?, None, Links::None, cycles, 2 * CYCLES),
    }
    Ok(())
}

/// The single-stepped run: a call of the firmware's clock, or none.
fn stepped(what: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut clock = Monotonic;
    let past = steadfast::time::Instant::from_nanos(1);
    match what {
        READING => stepping::be_stepped(|| {
            black_box(clock.now());
        })?,
        WAITING => stepping::be_stepped(|| {
            black_box(clock.wait_until(past));
        })?,
        _ => stepping::be_stepped(|| ())?,
    }
    Ok(())
}

/// Prints where one cycle of `what` goes.
fn one(what: &str) -> Result<(), Box<dyn std::error::Error>> {
    let functions = by_function(what, &folder()?)?;
    print!("{}", report::functions(&functions));
    println!("{:10.1}  in all", total(&functions));
    Ok(())
}

fn measure(check: bool, accept: bool) -> Result<(), Box<dyn std::error::Error>> {
    let folder = folder()?;
    let mut lines = Vec::new();
    let mut profile = Vec::new();
    for axes in AXES {
        let functions = by_function(&axes.to_string(), &folder)?;
        lines.push(Line {
            axes,
            instructions: total(&functions),
        });
        if axes == 1 {
            profile = functions;
        }
    }
    let mut modes = Vec::new();
    for mode in MODES {
        modes.push((mode, total(&by_function(mode, &folder)?)));
    }
    let results = Results {
        lines,
        modes,
        empty: total(&by_function("empty", &folder)?),
        clock: clock()?,
        profile,
        free_cycles_per_second: free()?,
    };
    print!("{}", results.table());
    fs::write(folder.join("cycle.json"), results.json())?;
    let compiler = compiler()?;
    let accepted = accepted(&compiler);
    if accept {
        baseline::accept(&accepted, &results.figures())?;
    }
    if check {
        judge(&results, &accepted, &compiler)?;
    }
    Ok(())
}

/// Relative increase of a count that is still accepted: changes that only move code.
const TOLERANCE: f64 = 0.02;

/// Most instructions of a cycle without axes, including its readings of the clock.
const EMPTY_GOAL: f64 = 320.0;
/// Most instructions of a cycle with one axis.
const AXIS_GOAL: f64 = 560.0;

fn judge(
    results: &Results,
    accepted: &Path,
    compiler: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let one = results.lines.iter().filter(|line| line.axes == 1);
    let one = one.map(|line| ("one axis", line.instructions, AXIS_GOAL));
    let empty = ("no axes", results.with_readings(), EMPTY_GOAL);
    for (what, found, goal) in one.chain([empty]) {
        if found > goal {
            return Err(format!("a cycle with {what}: {found:.1}, at most {goal}").into());
        }
    }
    if !accepted.exists() {
        println!("rustc {compiler} has no accepted counts: not compared (--accept writes them)");
        return Ok(());
    }
    match baseline::regressions(accepted, &results.figures(), TOLERANCE)?.as_slice() {
        [] => Ok(()),
        worse => Err(format!("regressed: {}", worse.join("; ")).into()),
    }
}

/// The file of accepted counts, which depend on the compiler.
fn accepted(compiler: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/baseline")
        .join(format!("cycle-rustc-{compiler}.json"))
}

/// Major and minor version of the compiler.
fn compiler() -> Result<String, Box<dyn std::error::Error>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => Err(format!("rustc says its version is '{text}'").into()),
    }
}

/// Beside the programs that cargo built, wherever that is.
fn folder() -> io::Result<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    fs::create_dir_all(&folder)?;
    folder.canonicalize()
}

/// Instructions of a cycle by function, without start and end.
fn by_function(
    what: &str,
    folder: &Path,
) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error>> {
    let count = |cycles: u64| {
        let arguments = [COUNTED.to_owned(), what.to_owned(), cycles.to_string()];
        callgrind::count(&arguments, rig::MEASURED, folder)
    };
    let once = count(CYCLES)?;
    let counts = count(2 * CYCLES)?.beyond(&once);
    let functions = profile::by_function(&counts, &rig::OUTSIDE)?;
    let each = |(name, count)| (name, count as f64 / CYCLES as f64);
    Ok(functions.into_iter().map(each).collect())
}

fn total(functions: &[(String, f64)]) -> f64 {
    functions.iter().map(|(_, count)| count).sum()
}

/// Cost of the firmware's clock, instructions.
fn clock() -> Result<report::Clock, stepping::Error> {
    let none = stepping::count(&[STEPPED, "nothing"])?;
    let reading = stepping::count(&[STEPPED, READING])?;
    // The clock is also read at the end of a wait.
    let waiting = stepping::count(&[STEPPED, WAITING])?;
    Ok(report::Clock {
        reading: reading.saturating_sub(none),
        sleeping: waiting.saturating_sub(reading),
    })
}

/// Cycles per second of `run --pace free` on the simulated board, including drivers, chips
/// and motor. The best of three runs, because disturbances only slow a run down.
fn free() -> Result<f64, Box<dyn std::error::Error>> {
    let config = rig::board_of(1);
    let options = Options {
        limit: Limit::Cycles(FREE_CYCLES),
        pace: Pace::Free,
        live: false,
    };
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let started = Instant::now();
        let report = board::run_machine(&config, &options)?;
        let took = started.elapsed().as_secs_f64();
        if report.exit.code != 0 {
            return Err(report.exit.reason.into());
        }
        best = best.max(report.cycles.run as f64 / took);
    }
    Ok(best)
}
