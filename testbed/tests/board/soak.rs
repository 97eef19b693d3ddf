//! The loop at 1 kHz for a long time, idle and beside hackbench: no slot is missed.
//!
//! On one CPU, with the board's drivers. `STEADFAST_SOAK=IDLE,LOADED` sets the durations,
//! in seconds of guest time.

use std::time::Duration;

use crate::guest::{
    SHOW, command, number, report_of, require_kept, require_number, require_still_memory,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::healthy;
use testbed::emulator::Boot;
use testbed::fixed_encoder::{READY, board, board_file, write_frames};
use testbed::load;
use testbed::work::WorkFolder;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "soak_idle_misses_no_slot",
        run: idle,
    },
    Test {
        name: "soak_beside_hackbench_misses_no_slot",
        run: loaded,
    },
];

/// Guest time, s: idle, and beside hackbench. `tests/run` runs 200 s idle without --all.
const SECONDS: [u64; 2] = [600, 20];
/// Wall time per second of guest time, about ten times the need: idle time is mostly
/// skipped, under load every instruction is emulated.
const LIMITS: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(60)];
/// Wall time for boot and end.
const AROUND: Duration = Duration::from_secs(300);

/// The durations of `STEADFAST_SOAK`, or [`SECONDS`].
fn seconds() -> Result<[u64; 2], Failure> {
    let Ok(text) = std::env::var("STEADFAST_SOAK") else {
        return Ok(SECONDS);
    };
    let seconds = |word: &str| word.parse().ok().filter(|s| (1..=86_400).contains(s));
    text.split_once(',')
        .and_then(|(idle, loaded)| Some([seconds(idle)?, seconds(loaded)?]))
        .ok_or_else(|| {
            Failure::new(format!(
                "STEADFAST_SOAK is '{text}': two numbers of seconds from 1 to 86400, IDLE,LOADED"
            ))
        })
}

fn idle(context: &Context<'_>) -> Result<(), Failure> {
    soak(context, seconds()?[0], LIMITS[0], "")
}

fn loaded(context: &Context<'_>) -> Result<(), Failure> {
    soak(context, seconds()?[1], LIMITS[1], "/load &\n")
}

fn soak(context: &Context<'_>, seconds: u64, limit: Duration, before: &str) -> Result<(), Failure> {
    let folder = WorkFolder::new()?;
    let board = board(&write_frames(&folder.path)?);
    let shipped = context.host.read_source("board/imx8mp-evk/board.toml")?;
    let text = board_file(&String::from_utf8_lossy(&shipped))?;
    let script = READY.to_owned() + before + &command(&format!("--for {seconds}s")) + SHOW;
    let boot = Boot::new(context, board)
        .cpus(1)
        .program("steadfast")?
        .file("/board.toml", 0o644, text.as_bytes());
    let report = load::put(boot, context.host)?
        .start(&healthy(board), &script)?
        .finish(AROUND + limit * u32::try_from(seconds).unwrap_or(u32::MAX))?;
    let report = report_of(&report.lines, 0)?;
    require_kept(&report)?;
    // 1 kHz: every slot is run, none is skipped or late.
    require_number(&report, "/cycles/run", seconds * 1_000)?;
    require_number(&report, "/cycles/skipped", 0)?;
    require_number(&report, "/cycles/overruns", 0)?;
    require_number(&report, "/cycles/records_dropped", 0)?;
    require_still_memory(&report)?;
    let late = number(&report, "/release_lateness_ns/max")?;
    require(late < 1_000_000, || format!("a release was {late} ns late"))?;
    println!(
        "soak  {seconds} s: latest release {late} ns, longest execution {} ns, fullest bucket {}",
        number(&report, "/execution_ns/max")?,
        number(&report, "/cycles/bucket_fullest")?
    );
    Ok(())
}
