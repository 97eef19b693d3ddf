//! The fault campaign: a catalogue of faults, each in every axis state in which
//! it makes sense, on an emulated board with a real PREEMPT_RT kernel.
//!
//! ```text
//! tests/run faults                          sets everything up, runs all
//! cargo test --test faults                  runs all, compares docs/faults.md
//! cargo test --test faults -- [FILTER]...   runs what is named like a FILTER, and
//!                                           compares its rows
//!     --accept      writes docs/faults.md, or these rows of it
//!     --skip WORDS  leaves out what is named like that
//!     --list        names the cases
//!     --jobs N      boards at a time (default: the number of CPUs, at most 4)
//!     --soak N      runs the busy machine alone, for N seconds instead of 20
//!     --show        prints each boot's console, not only a failed one's
//! ```
//!
//! Environment: as for the board tier (tests/board).
//!
//! Each boot runs a script of many cases without anybody from outside, in guest
//! time that is a count of instructions. What came of a case is read off the
//! board's pins and off its console. Two runs of a boot agree to the instruction
//! for a while and then differ by microseconds, on a busy host sooner; why is not
//! known. So every figure is held against a bound, and none against another run.

#[path = "../board/arguments.rs"]
mod arguments;
#[path = "../board/boards.rs"]
#[expect(
    dead_code,
    reason = "the board tier's module; one of its boards is booted here"
)]
mod boards;
mod boot;
mod catalogue;
#[path = "../board/control.rs"]
mod control;
#[path = "../board/cpio.rs"]
mod cpio;
#[path = "../board/emulator.rs"]
#[expect(
    dead_code,
    reason = "the board tier's module; its other boots are not needed here"
)]
mod emulator;
#[path = "../board/failure.rs"]
mod failure;
mod guest;
mod host;
#[path = "../board/image.rs"]
mod image;
mod judge;
#[path = "../board/load.rs"]
mod load;
#[path = "../board/machine.rs"]
#[expect(
    dead_code,
    reason = "the board tier's module; a boot is begun and ended here, and left alone in between"
)]
mod machine;
#[path = "../board/pins.rs"]
#[expect(
    dead_code,
    reason = "the board tier's module; edges are read here when all is over"
)]
mod pins;
mod power_cut;
mod state;
mod table;
mod watch;
#[path = "../board/work.rs"]
mod work;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use arguments::Arguments;
use catalogue::{GROUPS, Outcome, SOAK};
use guest::Case;
use judge::{Row, Verdict};
use machine::lock;
// Where the board tier's modules look for them.
pub(crate) use failure::Failure;
pub(crate) use host::{Context, Host, Kernel};

/// Cases in a boot: a boot takes as long as some four of them.
const CASES: usize = 36;

/// What came of the boot with this number.
type OfBoot = (usize, Result<Vec<Row>, Failure>);

/// Options that no other tier has.
#[derive(Default)]
struct Own {
    accept: bool,
    soak_s: Option<u32>,
}

impl Own {
    fn take(&mut self, word: &str, words: &mut env::Args) -> Result<bool, Failure> {
        match word {
            "--accept" => self.accept = true,
            "--soak" => {
                self.soak_s = words.next().and_then(|number| number.parse().ok());
                if self.soak_s.is_none_or(|seconds| seconds > 3_600) {
                    return Err(Failure::new("--soak wants seconds, 3600 at most"));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("faults: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Every case that is asked for.
fn chosen(arguments: &Arguments) -> Vec<Case> {
    let faults = GROUPS.iter().flat_map(|(_, faults)| *faults);
    let cases = faults.flat_map(|fault| {
        let states = fault.states.iter();
        states.map(move |&state| Case {
            fault,
            state,
            watch_ms: fault.watch_ms,
        })
    });
    cases.filter(|case| arguments.choose(&name(case))).collect()
}

pub(crate) fn name(case: &Case) -> String {
    format!("{}: {}", case.fault.name, case.state.name())
}

/// Cuts the cases into boots. One that ends with a reset ends its boot; those
/// that need somebody from outside are kept apart, as they move all after them.
fn boots(cases: Vec<Case>) -> Vec<Vec<Case>> {
    let (resets, others): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(Case::resets);
    let (outside, others): (Vec<Case>, Vec<Case>) =
        others.into_iter().partition(|case| case.fault.from_outside);
    let alone = |case: &Case| {
        case.fault.name == SOAK || (case.fault.outcome)(case.state) == Outcome::PowerCut
    };
    let (alone, others): (Vec<Case>, Vec<Case>) = others.into_iter().partition(alone);
    let mut boots: Vec<Vec<Case>> = others.chunks(CASES).map(<[Case]>::to_vec).collect();
    boots.push(outside);
    boots.retain(|boot| !boot.is_empty());
    if boots.len() < resets.len() {
        boots.resize(resets.len(), Vec::new());
    }
    for (boot, reset) in boots.iter_mut().zip(resets) {
        boot.push(reset);
    }
    // The longest first.
    let alone = alone.into_iter().map(|case| vec![case]);
    alone.chain(boots).collect()
}

fn run() -> Result<bool, Failure> {
    let mut own = Own::default();
    let mut arguments = Arguments::read(|word, words| own.take(word, words))?;
    if own.soak_s.is_some() {
        arguments.filters.push(SOAK.to_owned());
    }
    let mut cases = chosen(&arguments);
    if let Some(seconds) = own.soak_s {
        cases
            .iter_mut()
            .for_each(|case| case.watch_ms = seconds * 1_000);
    }
    if cases.is_empty() {
        return Err(Failure::new("no case is named like that"));
    }
    if arguments.list {
        cases.iter().for_each(|case| println!("{}", name(case)));
        return Ok(true);
    }
    let host = Host::find()?;
    let boots = boots(cases);
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<OfBoot>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.min(boots.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cases) = boots.get(number) else {
                        return;
                    };
                    let rows = boot::run(&host, number, cases, arguments.show);
                    lock(&found).push((number, rows));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(number, _)| *number);
    let (mut rows, mut lost) = (Vec::new(), 0);
    for (number, outcome) in found {
        match outcome {
            Ok(some) => rows.extend(some),
            Err(failure) => {
                lost += boots[number].len();
                println!("FAIL  boot {number}: {failure}");
            }
        }
    }
    let kept = rows.iter().filter(|row| row.verdict == Verdict::Kept);
    let pending = |row: &&Row| matches!(row.verdict, Verdict::Pending(..));
    let (kept, pending) = (kept.count(), rows.iter().filter(pending).count());
    let broken = rows.len() - kept - pending + lost;
    println!("faults: {kept} kept, {pending} pending, {broken} broken");
    let whole = arguments.filters.is_empty() && arguments.skipped.is_none() && lost == 0;
    let found = table::document(&in_order(rows));
    let same = compare(&host, &found, whole, own.accept)?;
    Ok(broken == 0 && same)
}

/// As in the catalogue, whichever boot they were in.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| {
        GROUPS
            .iter()
            .flat_map(|(_, faults)| *faults)
            .position(|fault| fault.name == row.case.fault.name)
            .map(|place| (place, row.case.state))
    });
    rows
}

/// Whether the document says what was found, as far as that was run; with `accept`
/// it is made so.
fn compare(host: &Host, found: &str, whole: bool, accept: bool) -> Result<bool, Failure> {
    let path = host.source.join("docs/faults.md");
    let kept = fs::read_to_string(&path)?;
    if accept {
        let accepted = match whole {
            true => found.to_owned(),
            false => table::merged(&kept, found)?,
        };
        fs::write(&path, accepted)?;
        return Ok(true);
    }
    let differing = table::differing(&kept, found);
    if differing.is_empty() && (!whole || table::comparable(&kept) == table::comparable(found)) {
        return Ok(true);
    }
    let other = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.md");
    fs::write(&other, found)?;
    println!(
        "FAIL  docs/faults.md is not what was found ({}): look at the difference, \
         then accept it with `cargo test --test faults -- --accept`",
        other.display()
    );
    for row in differing {
        println!("      {row}");
    }
    Ok(false)
}
