//! Measures the firmware on its board and kernel, compared with a minimal loop.
//!
//! ```text
//! cargo bench -p testbed --bench board                    the table, with a verdict for each goal
//! cargo bench -p testbed --bench board -- --check         fails when a goal is missed, or a ratio is
//!                                                         more than 5.5 % above the accepted one
//!                                                         (testbed/benches/board/baseline.json), maxima apart
//! cargo bench -p testbed --bench board -- --twice         boots twice, and once more where they
//!                                                         differ; fails when no two agree
//! cargo bench -p testbed --bench board -- --accept        writes the results as the baseline
//! cargo bench -p testbed --bench board -- --rates         the shortest period without a missed slot
//! cargo bench -p testbed --bench board -- --rates-registers
//!                                                         the same with SPI and inputs by registers
//! cargo bench -p testbed --bench board -- --rates-both    the same, and the clock is watched
//!     --fast                                              more cycles of the runs that watch the
//!                                                         clock or go by registers: 10,000 idle and 3,000
//!                                                         beside the load, in place of 2,000 and 300
//!     --cycles IDLE,LOADED                                cycles of each run
//!     --from FILE                                         judges the console of an earlier run
//! ```
//!
//! Method and results are described in `benches/BOARD.md`. Results also go to
//! `target/bench/board.json`, `board.svg` and `board.console`.

mod chart;
mod distribution;
mod fast;
mod guest;
mod host;
mod longest;
mod measure;
mod pi;
mod rates;
mod trace;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use guest::{Cycles, Ready};
use host::Prepared;
use rates::Access;
use steadfast::realtime::scheduler;
use testbed::context::Context;
use testbed::failure::Failure;
use testbed::{baseline, machine};

/// Relative increase of a ratio that is still accepted. Two boots of one build agree, but a
/// comment in the board file moved a p50 by one histogram bucket (3.1 %) and one tick of the
/// clock (125 ns of some 5 us, 2.4 %).
const TOLERANCE: f64 = 0.055;

/// The command line.
struct Arguments {
    check: bool,
    accept: bool,
    twice: bool,
    rates: Option<Access>,
    longest: bool,
    cycles: Cycles,
    fast: Cycles,
    from: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut found = Arguments {
        check: false,
        accept: false,
        twice: false,
        rates: None,
        longest: false,
        cycles: Cycles {
            idle: 3_000,
            loaded: 1_000,
        },
        fast: guest::FAST,
        from: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Passed by `cargo bench` to every bench.
            "--bench" => {}
            "--check" => found.check = true,
            "--accept" => found.accept = true,
            "--twice" => found.twice = true,
            "--rates" => found.rates = Some(Access::Kernel),
            "--rates-registers" => found.rates = Some(Access::Registers),
            "--rates-both" => found.rates = Some(Access::Both),
            "--fast" => found.fast = guest::FAST_LONG,
            "--longest" => found.longest = true,
            "--from" => {
                let file = words.next().map(PathBuf::from);
                found.from = Some(file.ok_or_else(|| Failure::new("--from expects a file"))?);
            }
            "--cycles" => {
                let both = words.next().unwrap_or_default();
                let number = |text: &str| text.parse().ok().filter(|n| (1..=20_000).contains(n));
                let pair = both.split_once(',');
                let pair = pair.and_then(|(a, b)| Some((number(a)?, number(b)?)));
                let (idle, loaded) = pair.ok_or_else(|| {
                    Failure::new("--cycles expects two numbers from 1 to 20000: IDLE,LOADED")
                })?;
                found.cycles = Cycles { idle, loaded };
            }
            other => return Err(Failure::new(format!("unknown argument {other}"))),
        }
    }
    Ok(found)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("bench board: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let arguments = arguments()?;
    let host = Prepared::find()?;
    let ready = Ready::make(&host)?;
    if let Some(access) = arguments.rates {
        return rates(&host, &ready, access);
    }
    if arguments.longest {
        return longest(&host, &ready);
    }
    let lines = match &arguments.from {
        Some(file) => kept(file)?,
        None => boot(&host, &ready, &arguments)?,
    };
    let all = measure::figures(&ready, &lines)?;
    let (mut goals, mut ratios) = verdict::judge(&all)?;
    let fast = fast::figures(&lines)?;
    let (fast_goals, fast_ratios) = fast::judge(&fast, &all)?;
    goals.extend(fast_goals);
    ratios.extend(fast_ratios);
    let pi = pi::figures(&lines)?;
    let (pi_goals, pi_ratios) = pi::judge(&pi)?;
    goals.extend(pi_goals);
    ratios.extend(pi_ratios);

    let programs: serde_json::Map<String, serde_json::Value> = all
        .iter()
        .map(|figures| (figures.program.key().to_owned(), figures.to_json()))
        .collect();
    let json = serde_json::json!({
        "cycles": { "idle": arguments.cycles.idle, "loaded": arguments.cycles.loaded },
        "programs": programs,
        "fast": fast::json(&fast),
        "raspberrypi4": pi::json(&pi),
        "ratios": ratios,
        "goals": goals,
    });
    fs::write(host.output.join("board.json"), format!("{json:#}\n"))?;
    fs::write(host.output.join("board.svg"), chart::draw(&all))?;

    println!(
        "i.MX 8M Plus EVK (emulated, 1 CPU), PREEMPT_RT; 1 instruction = 1 ns; {} cycles idle, {} beside hackbench\n",
        arguments.cycles.idle, arguments.cycles.loaded
    );
    println!("{}", verdict::table(&all));
    println!("{}", fast::table(&fast, arguments.fast));
    println!("{}", pi::table(&pi));
    println!("{}", verdict::goals_text(&goals));
    let accepted = host.host.source.join("testbed/benches/board/baseline.json");
    if arguments.accept {
        baseline::accept(&accepted, &ratios)?;
    }
    if !arguments.check {
        return Ok(true);
    }
    let worse = baseline::regressions(&accepted, &ratios, TOLERANCE)?;
    for line in &worse {
        println!("regressed: {line}");
    }
    let missed = goals.iter().any(|goal| goal.is_checked && !goal.met);
    Ok(worse.is_empty() && !missed)
}

/// The result of `measure`; the console of its boot is written to `name`.
fn with_console<T>(
    host: &Prepared,
    name: &str,
    measure: impl FnOnce(&Context<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let context = Context::new(&host.host);
    let found = measure(&context);
    let file = host.output.join(name);
    fs::write(&file, console(&context))?;
    found.map_err(|failure| {
        Failure::new(format!("{failure} (the console is in {})", file.display()))
    })
}

/// The trace of the longest cycle.
fn longest(host: &Prepared, ready: &Ready) -> Result<bool, Failure> {
    let lines = with_console(host, "longest.console", |context| {
        longest::measure(context, ready)
    })?;
    println!("{}", lines.join("\n"));
    Ok(true)
}

/// The highest rates, as a table and as JSON.
fn rates(host: &Prepared, ready: &Ready, access: Access) -> Result<bool, Failure> {
    let rates = with_console(host, "rates.console", |context| {
        rates::measure(host, context, ready, access)
    })?;
    println!("{}", rates::table(&rates));
    let json = serde_json::json!(rates);
    fs::write(host.output.join("rates.json"), format!("{json:#}\n"))?;
    Ok(true)
}

/// The console lines of an earlier run.
fn kept(file: &Path) -> Result<Vec<String>, Failure> {
    let text = testbed::host::read(file, "name the console of an earlier run")?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(str::to_owned).collect())
}

/// Console and emulator's messages of all boots of `context`.
fn console(context: &Context<'_>) -> String {
    let mut text = String::new();
    for transcript in context.transcripts() {
        for line in machine::lock(&transcript.console).iter() {
            text += &format!("{line}\n");
        }
        for line in machine::lock(&transcript.messages).iter() {
            text += &format!("emulator: {line}\n");
        }
    }
    text
}

/// Boots once, or twice in parallel, and compares every line of the guest. If two boots
/// differ, a third boot decides between them.
fn boot(host: &Prepared, ready: &Ready, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let once = |name: &str, cpu: usize| {
        // The emulator inherits the affinity. On one CPU its two threads do not run in
        // parallel, which can change its count of instructions.
        scheduler::pin_to(cpu).map_err(|error| Failure::new(error.to_string()))?;
        with_console(host, name, |context| {
            let mut lines = guest::measure(context, ready, (arguments.cycles, arguments.fast))?;
            lines.extend(pi::measure(host, context, ready, arguments.fast)?);
            Ok(lines)
        })
    };
    let allowed = scheduler::affinity()
        .map_err(|errno| Failure::new(format!("the CPUs of this process: {errno}")))?;
    let first_cpu = allowed.iter().next().unwrap_or(0);
    let last_cpu = allowed.iter().next_back().unwrap_or(first_cpu);
    if !arguments.twice {
        return once("board.console", last_cpu);
    }
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| once("board-again.console", first_cpu));
        let first = once("board.console", last_cpu);
        (first, second.join())
    });
    let second = second.map_err(|_| Failure::new("the second boot panicked"))??;
    let first = first?;
    let Some(parted) = difference(&first, &second) else {
        println!("two boots printed the same {} lines", first.len());
        return Ok(first);
    };
    // See benches/BOARD.md, "Repeatability".
    println!("two boots differ, a third decides: {parted}");
    let third = once("board.console", last_cpu)?;
    if [&first, &second]
        .iter()
        .any(|one| difference(one, &third).is_none())
    {
        println!("two of three boots printed the same {} lines", third.len());
        return Ok(third);
    }
    Err(Failure::new(format!(
        "no two of three boots agree: {parted}"
    )))
}

/// The first difference of two boots; `None` if they printed the same.
fn difference(one: &[String], other: &[String]) -> Option<String> {
    let mut lines = one.iter().zip(other);
    match lines.find(|(one, other)| one != other) {
        Some((one, other)) => Some(format!("'{one}' became '{other}'")),
        None if one.len() != other.len() => Some("one printed more than the other".to_owned()),
        None => None,
    }
}
