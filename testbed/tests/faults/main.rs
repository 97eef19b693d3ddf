//! The fault campaign: a catalogue of faults, each injected in every axis state in which
//! it can occur, some also in an own machine, on an emulated board with a real
//! PREEMPT_RT kernel.
//!
//! ```text
//! tests/run faults                          sets everything up, runs with --some
//! tests/run faults --all                    sets everything up, runs all cases
//! cargo test -p testbed --test faults       runs all, compares docs/faults.md
//! cargo test -p testbed --test faults -- [FILTER]...
//!                                           runs the cases whose name contains a
//!                                           FILTER, and compares their rows
//!     --accept      writes docs/faults.md, or the rows of the chosen cases
//!     --some        of each fault one axis state for each of its outcomes, of every second one
//!                   more: all faults and all states, but not all combinations; and
//!                   the busy machine for 5 s, because the soak tier runs it for 20 s
//!     --skip WORDS  leaves out the cases whose name contains WORDS
//!     --list        names the cases
//!     --jobs N      boards at a time (default: the number of CPUs, at most 4)
//!     --soak N      runs only the busy machine, for N seconds instead of 20
//!     --show        prints each boot's console, not only a failed one's
//! ```
//!
//! Environment: as for the board tier (testbed/tests/board).
//!
//! Each boot runs a script of many cases. Guest time is a count of instructions. A case
//! is judged by the board's pins and its console. Two runs of a boot are identical at
//! first and later differ by microseconds, sooner on a busy host, for an unknown reason.
//! Figures are therefore checked against bounds, not against another run.

mod boot;
mod catalogue;
mod guest;
mod judge;
mod own;
mod power_cut;
mod state;
mod table;
mod watch;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use catalogue::{Fault, GROUPS, Outcome, SOAK};
use guest::Case;
use judge::Row;
use state::State;
use testbed::arguments::Arguments;
use testbed::context::Context;
use testbed::failure::{Failure, require};
use testbed::host::{Host, Kernel, Package};
use testbed::machine::lock;

/// Cases per boot; booting takes as long as about four cases. With `--some` this number
/// gives no more boots than cases that reset the board, each of which ends a boot.
const CASES: usize = 44;

/// Duration of the busy machine with `--some`, ms; a second of it takes as long as about
/// four cases.
const SHORT_SOAK_MS: u32 = 5_000;

/// Result of the boot with this number.
type OfBoot = (usize, Result<Vec<Row>, Failure>);

/// Options of this tier alone.
#[derive(Default)]
struct Own {
    accept: bool,
    some: bool,
    soak_s: Option<u32>,
}

impl Own {
    fn take(&mut self, word: &str, words: &mut env::Args) -> Result<bool, Failure> {
        match word {
            "--accept" => self.accept = true,
            "--some" => self.some = true,
            "--soak" => {
                self.soak_s = words.next().and_then(|number| number.parse().ok());
                if self.soak_s.is_none_or(|seconds| seconds > 3_600) {
                    return Err(Failure::new(
                        "--soak expects a number of seconds up to 3600",
                    ));
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

/// The cases that the arguments select.
fn chosen(arguments: &Arguments, some: bool) -> Vec<Case> {
    let faults = GROUPS.iter().flat_map(|(_, faults)| *faults);
    let cases = faults.enumerate().flat_map(|(turn, fault)| {
        let states = match some {
            true => some_states(fault, turn),
            false => fault.states.to_vec(),
        };
        states.into_iter().map(move |state| Case {
            fault,
            state,
            watch_ms: match some && fault.name == SOAK {
                true => SHORT_SOAK_MS,
                false => fault.watch_ms,
            },
        })
    });
    cases.filter(|case| arguments.choose(&name(case))).collect()
}

/// A selection of the states of a fault: moving, if it is one of them, one state for each
/// other outcome, and of every second fault one more. `turn` rotates the choice, so that all
/// faults together cover all states. Of the own machine: all states if there are no others, else running.
fn some_states(fault: &Fault, turn: usize) -> Vec<State> {
    let (own, mut states): (Vec<State>, Vec<State>) =
        fault.states.iter().partition(|state| state.is_own());
    if states.is_empty() {
        return own;
    }
    let first = turn % states.len();
    states.rotate_left(first);
    if let Some(place) = states.iter().position(|state| *state == State::Moving) {
        states.swap(0, place);
    }
    let (mut chosen, mut further): (Vec<State>, Option<State>) = Default::default();
    for state in states {
        let outcome = (fault.outcome)(state);
        if !chosen
            .iter()
            .any(|other| (fault.outcome)(*other) == outcome)
        {
            chosen.push(state);
        } else if further.is_none() {
            further = Some(state);
        }
    }
    chosen.extend(further.filter(|_| turn.is_multiple_of(2)));
    chosen.extend(own.into_iter().find(|state| *state == State::OwnRunning));
    chosen.sort();
    chosen
}

/// Requires that `cases` contain every fault and every state.
fn require_representative(cases: &[Case]) -> Result<(), Failure> {
    for fault in GROUPS.iter().flat_map(|(_, faults)| *faults) {
        require(
            cases.iter().any(|case| case.fault.name == fault.name),
            || format!("--some leaves out '{}'", fault.name),
        )?;
    }
    for state in State::EVERY {
        require(cases.iter().any(|case| case.state == *state), || {
            format!("--some leaves out '{}'", state.name())
        })?;
    }
    Ok(())
}

pub(crate) fn name(case: &Case) -> String {
    format!("{}: {}", case.fault.name, case.state.name())
}

/// Divides the cases into boots. A case that resets the board is the last of its boot.
/// Cases injected from outside have a boot of their own, because they shift the time of
/// all cases after them.
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
    let mut cases = chosen(&arguments, own.some);
    if own.some && arguments.filters.is_empty() && arguments.skipped.is_empty() {
        require_representative(&cases)?;
    }
    if let Some(seconds) = own.soak_s {
        cases
            .iter_mut()
            .for_each(|case| case.watch_ms = seconds * 1_000);
    }
    if cases.is_empty() {
        return Err(Failure::new("no case has a name that contains the filter"));
    }
    if arguments.list {
        cases.iter().for_each(|case| println!("{}", name(case)));
        return Ok(true);
    }
    let host = Host::find(&[Package::Kernel(Kernel::Realtime), Package::Tools])?;
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
    let kept = rows.iter().filter(|row| row.wrong.is_empty()).count();
    let broken = rows.len() - kept + lost;
    println!("faults: {kept} kept, {broken} broken");
    let whole =
        arguments.filters.is_empty() && arguments.skipped.is_empty() && !own.some && lost == 0;
    let found = table::document(&in_order(rows));
    let same = compare(&host, &found, whole, own.accept)?;
    Ok(broken == 0 && same)
}

/// In the order of the catalogue.
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

/// Whether the document has the rows that were found; with `accept` they are written to
/// it.
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
        "FAIL  docs/faults.md differs from the results ({}): check the difference, \
         then accept it with `cargo test -p testbed --test faults -- --accept`",
        other.display()
    );
    for row in differing {
        println!("      {row}");
    }
    Ok(false)
}
