//! The board tier: the shipped binary on emulated boards, with a real
//! PREEMPT_RT kernel and its real drivers.
//!
//! ```text
//! tests/run board                         sets everything up, runs all
//! cargo test --test board -- [FILTER]...  runs what is named like a FILTER
//!     --skip FILTER leaves out what is named like it
//!     --list        names the tests
//!     --jobs N      boards at a time (default: the number of CPUs, at most 4)
//!     --show        prints each board's console, not only a failed one's
//! ```
//!
//! It is no part of a plain `cargo test`, because it needs the emulator, the
//! kernel package and binaries for the guest. Environment:
//!
//! - `STEADFAST_KERNEL`, `STEADFAST_PLAIN_KERNEL`, `STEADFAST_TOOLS`: folders that
//!   `tests/setup/kernel rt plain tools` printed. Without them that script is asked.
//! - `STEADFAST_GUEST`: folder of static aarch64 binaries. Without it, where
//!   `tests/run` puts them.

mod arguments;
mod boards;
mod context;
mod control;
mod cpio;
#[expect(
    dead_code,
    reason = "a disk, resets and power cuts are for the fault campaign"
)]
mod emulator;
mod failure;
mod firmware;
mod fixed_encoder;
mod granted;
mod guest;
mod image;
mod killed;
mod load;
mod machine;
mod memory;
mod moves;
mod others;
#[expect(dead_code, reason = "the fault campaign asks for all edges so far")]
mod pins;
mod recorded;
mod refused;
mod servo;
mod smoke;
mod soak;
mod stalled;
mod stops;
mod vanished;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use arguments::Arguments;
pub(crate) use context::Context;
pub(crate) use failure::{Failure, require};

/// What a board boots.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// PREEMPT_RT.
    Realtime,
    /// The same version without it.
    Plain,
}

/// What the tests find on this machine.
#[derive(Debug)]
pub(crate) struct Host {
    /// The package's root folder.
    pub(crate) source: PathBuf,
    /// The unpacked package of the PREEMPT_RT kernel.
    realtime: PathBuf,
    /// The same of Debian's ordinary kernel.
    plain: PathBuf,
    /// Static aarch64 binaries.
    guest: PathBuf,
}

impl Host {
    fn find() -> Result<Self, Failure> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let realtime = folder(&source, "STEADFAST_KERNEL", "rt")?;
        let plain = folder(&source, "STEADFAST_PLAIN_KERNEL", "plain")?;
        let guest = match std::env::var_os("STEADFAST_GUEST") {
            Some(folder) => PathBuf::from(folder),
            None => source.join("target/aarch64-unknown-linux-gnu/release"),
        };
        Ok(Self {
            source,
            realtime,
            plain,
            guest,
        })
    }

    /// Where everything of `kernel` is.
    pub(crate) fn kernel(&self, kernel: Kernel) -> &Path {
        match kernel {
            Kernel::Realtime => &self.realtime,
            Kernel::Plain => &self.plain,
        }
    }

    pub(crate) fn read_kernel_file(&self, kernel: Kernel, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.kernel(kernel).join(path), "run tests/setup/kernel")
    }

    pub(crate) fn read_guest_program(&self, name: &str) -> Result<Vec<u8>, Failure> {
        read(
            &self.guest.join(name),
            "run tests/run board, which builds it",
        )
    }

    /// A file of Debian's rt-tests; `tests/setup/kernel tools` fetches them.
    pub(crate) fn read_tool(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let folder = folder(&self.source, "STEADFAST_TOOLS", "tools")?;
        read(&folder.join(path), "run tests/setup/kernel tools")
    }

    pub(crate) fn read_source(&self, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.source.join(path), "it is part of the repository")
    }
}

fn read(path: &Path, fix: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("{}: {error} ({fix})", path.display())))
}

/// The folder that `variable` names, or the one that `tests/setup/kernel KIND`
/// prints.
fn folder(source: &Path, variable: &str, kind: &str) -> Result<PathBuf, Failure> {
    if let Some(folder) = std::env::var_os(variable) {
        return Ok(PathBuf::from(folder));
    }
    let output = Command::new(source.join("tests/setup/kernel"))
        .arg(kind)
        .stderr(Stdio::inherit())
        .output()?;
    require(output.status.success(), || {
        "tests/setup/kernel failed".to_owned()
    })?;
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

/// One test: its name says what must hold.
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
        recorded::TESTS,
        stops::TESTS,
        moves::TESTS,
        others::TESTS,
        vanished::TESTS,
        soak::TESTS,
    ]
    .into_iter()
    .flatten()
    .filter(|test| arguments.choose(test.name))
    .collect();
    require(!chosen.is_empty(), || {
        "no test is named like that".to_owned()
    })?;
    if arguments.list {
        chosen.iter().for_each(|test| println!("{}", test.name));
        return Ok(true);
    }
    let host = Host::find()?;
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
            report += &transcript.describe(&format!("{}-{index}", test.name));
        }
    }
    // In one piece, because boards run side by side.
    print!("{report}");
    outcome.is_ok()
}
