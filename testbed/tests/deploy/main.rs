//! The deploy tier: the card of `image/build`, booted by its own boot loader on an emulated board:
//! two slots with the PREEMPT_RT kernel, systemd, RAUC and the units, udev rules and scripts of the
//! Yocto layer.
//!
//! ```text
//! tests/run deploy                         sets everything up, runs all
//! cargo test -p testbed --test deploy -- [FILTER]...
//!                                          runs the boots with a case whose name
//!                                          contains a FILTER
//!     --list        names the cases
//!     --jobs N      boards at a time (default: the number of CPUs, at most 4)
//!     --show        prints each board's console, not only a failed one's
//! ```
//!
//! Environment:
//!
//! - `STEADFAST_DISKS`: the folder made by `tests/deploy/image` for `qemuarm64`;
//! - `STEADFAST_PI_DISKS`: for `raspberrypi4-64`, which one boot needs.
//!
//! Boots are slow and cases are fast, so cases share boots; each leaves the target in
//! order for the next. After a failed case the following ones may fail too.
//!
//! Guest time is a count of instructions. Idle time is skipped, including waits for the
//! disk, and the emulator runs the four CPUs in turns. Therefore states and orders are
//! judged here, not latencies.

mod card;
mod crashes;
mod data;
mod first_boot;
mod isolation;
mod loader;
mod raspberry;
mod report;
mod service;
mod target;
mod updates;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use target::Target;
use testbed::arguments::Arguments;
use testbed::boards::{Board, QEMUARM64};
use testbed::failure::{Failure, require};
use testbed::machine::Transcript;

/// The resources of the tests on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The card, its boot loader and the updates.
    pub(crate) disks: PathBuf,
    /// The board that they are for.
    pub(crate) board: &'static Board,
}

impl Host {
    fn find(board: &'static Board, variable: &str) -> Result<Self, Failure> {
        let folder = std::env::var_os(variable).map(PathBuf::from);
        let disks = folder
            .ok_or_else(|| Failure::new(format!("{variable} is not set: tests/run deploy")))?;
        Ok(Self { disks, board })
    }
}

/// One test; its name states what must hold.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Target) -> Result<(), Failure>,
}

/// A boot, and the cases that share it.
pub(crate) struct Boot {
    pub(crate) name: &'static str,
    /// The board, and the variable with the folder of its card.
    pub(crate) host: (&'static Board, &'static str),
    pub(crate) start: fn(&Host, Arc<Transcript>) -> Result<Target, Failure>,
    pub(crate) cases: &'static [&'static [Case]],
}

/// The host of the cases that boot the generic machine.
pub(crate) const GENERIC: (&Board, &str) = (&QEMUARM64, "STEADFAST_DISKS");

// The longest first.
const BOOTS: &[&Boot] = &[
    &raspberry::BOOT,
    &updates::BOOT,
    &service::BOOT,
    &updates::BOTH_BAD,
    &loader::BOOT,
    &data::BOOT,
];

impl Boot {
    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        self.cases.iter().copied().flatten()
    }

    /// Runs the cases; returns how many passed.
    fn run(&self, show: bool) -> usize {
        let transcript = Arc::<Transcript>::default();
        let mut passed = 0;
        let start = Instant::now();
        let (board, variable) = self.host;
        let mut booted = Host::find(board, variable)
            .and_then(|host| (self.start)(&host, Arc::clone(&transcript)));
        for case in self.cases() {
            let mut said = String::new();
            let outcome = match &mut booted {
                Ok(target) => {
                    let outcome = (case.run)(target);
                    said = target.said();
                    outcome
                }
                Err(failure) => Err(Failure::new(format!("not reached: {failure}"))),
            };
            let seconds = start.elapsed().as_secs_f64();
            // At once, because a boot takes minutes.
            match outcome {
                Ok(()) => {
                    passed += 1;
                    print!("pass  {} (at {seconds:.1} s)\n{said}", case.name);
                }
                Err(failure) => {
                    print!(
                        "FAIL  {} (at {seconds:.1} s)\n      {failure}\n{said}",
                        case.name
                    );
                    // The next cases run if the target still answers.
                    if let Ok(target) = &mut booted
                        && target.run("true").is_err()
                    {
                        booted = Err(Failure::new(format!("{} failed before", case.name)));
                    }
                }
            }
        }
        drop(booted);
        let console = transcript.describe(
            Path::new(env!("CARGO_TARGET_TMPDIR")),
            &format!("deploy-{}", self.name),
        );
        if show || passed < self.cases().count() {
            // In one call, because boards run in parallel.
            print!("{console}");
        }
        passed
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("deploy tier: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let arguments = Arguments::read(|_, _| Ok(false))?;
    let chosen: Vec<&Boot> = BOOTS
        .iter()
        .copied()
        .filter(|boot| boot.cases().any(|case| arguments.choose(case.name)))
        .collect();
    require(!chosen.is_empty(), || {
        "no case has a name that contains the filter".to_owned()
    })?;
    let cases: Vec<&Case> = chosen.iter().flat_map(|boot| boot.cases()).collect();
    if arguments.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(true);
    }
    let (next, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.min(chosen.len()) {
            scope.spawn(|| {
                while let Some(boot) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    passed.fetch_add(boot.run(arguments.show), Ordering::Relaxed);
                }
            });
        }
    });
    let passed = passed.into_inner();
    println!("deploy: {passed} passed, {} failed", cases.len() - passed);
    Ok(passed == cases.len())
}
