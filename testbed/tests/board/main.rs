//! The board tier: the shipped binary on emulated boards, with a real
//! PREEMPT_RT kernel and its drivers.
//!
//! ```text
//! tests/run board                         sets everything up, runs all
//! cargo test -p testbed --test board -- [FILTER]...
//!                                         runs the tests whose name contains a FILTER
//!     --skip FILTER leaves out the tests whose name contains FILTER
//!     --list        names the tests
//!     --jobs N      boards at a time (default: the number of CPUs, at most 4)
//!     --show        prints each board's console, not only a failed one's
//! ```
//!
//! A plain `cargo test` leaves it out, because it needs the emulator, the kernel package
//! and binaries for the guest. Environment:
//!
//! - `STEADFAST_KERNEL`, `STEADFAST_PLAIN_KERNEL`, `STEADFAST_NEXT_KERNEL`, `STEADFAST_ARM_KERNEL`,
//!   `STEADFAST_UIO`, `STEADFAST_TOOLS`, `STEADFAST_PYTHON`: folders that `tests/setup/kernel rt plain next
//!   arm uio tools python` printed. Without them the script is run.
//! - `STEADFAST_GUEST`, `STEADFAST_ARM_GUEST`: folders of static binaries for arm64 and 32-bit ARM. Default:
//!   the folders of `tests/run`.

mod audited;
mod can;
mod can_faults;
mod chips;
mod firmware;
mod granted;
mod guest;
mod homing;
mod killed;
mod memory;
mod moves;
mod next_kernel;
mod others;
mod python;
mod recorded;
mod refused;
mod registers;
mod sabrelite;
mod servo;
mod smoke;
mod soak;
mod stalled;
mod stops;
mod vanished;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use testbed::arguments::Arguments;
use testbed::context::Context;
use testbed::failure::{Failure, require};
use testbed::host::{Host, Kernel, Package};

/// One test; its name states what must hold.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Context<'_>) -> Result<(), Failure>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("board tier: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let arguments = Arguments::read(|_, _| Ok(false))?;
    let chosen: Vec<&Test> = [
        smoke::TESTS,
        servo::TESTS,
        memory::TESTS,
        firmware::TESTS,
        killed::TESTS,
        refused::TESTS,
        granted::TESTS,
        stalled::TESTS,
        audited::TESTS,
        recorded::TESTS,
        stops::TESTS,
        moves::TESTS,
        next_kernel::TESTS,
        sabrelite::TESTS,
        others::TESTS,
        registers::TESTS,
        vanished::TESTS,
        chips::TESTS,
        can::TESTS,
        can_faults::TESTS,
        homing::TESTS,
        python::TESTS,
        soak::TESTS,
    ]
    .into_iter()
    .flatten()
    .filter(|test| arguments.choose(test.name))
    .collect();
    require(!chosen.is_empty(), || {
        "no test has a name that contains the filter".to_owned()
    })?;
    if arguments.list {
        chosen.iter().for_each(|test| println!("{}", test.name));
        return Ok(true);
    }
    let host = Host::find(&[
        Package::Kernel(Kernel::Realtime),
        Package::Kernel(Kernel::Plain),
    ])?;
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.min(chosen.len()) {
            scope.spawn(|| {
                while let Some(test) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !run_one(&host, test, arguments.show) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("board: {} passed, {failed} failed", chosen.len() - failed);
    Ok(failed == 0)
}

fn run_one(host: &Host, test: &Test, show: bool) -> bool {
    let context = Context::new(host);
    let start = Instant::now();
    let outcome = (test.run)(&context);
    let seconds = start.elapsed().as_secs_f64();
    let transcripts = context.transcripts();
    let mut report = match &outcome {
        Ok(()) => format!("pass  {} ({seconds:.1} s)\n", test.name),
        Err(failure) => format!("FAIL  {} ({seconds:.1} s)\n      {failure}\n", test.name),
    };
    if outcome.is_err() || show {
        for (index, transcript) in transcripts.iter().enumerate() {
            report += &transcript.describe(
                Path::new(env!("CARGO_TARGET_TMPDIR")),
                &format!("{}-{index}", test.name),
            );
        }
    }
    // In one call, because boards run in parallel.
    print!("{report}");
    outcome.is_ok()
}
