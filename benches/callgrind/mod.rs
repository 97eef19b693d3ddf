//! Counts instructions with Callgrind, and parses its output.
//!
//! Valgrind emulates the processor and counts instructions of user space, so the count is
//! independent of the load. The program runs once for N cycles and once for 2 N; the
//! difference at each address is that of N cycles.
//!
//! The format is described in Callgrind's manual, section "Callgrind Format Specification";
//! it is used without name and position compression. Valgrind removes the vDSO (vdso(7)),
//! so a clock costs a system call here; [`stepping`](crate::stepping) counts its cost in
//! user space.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// The reason for a failed count.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is no `valgrind` on this machine.
    Missing,
    /// It could not be started, or its output could not be read.
    Io(std::io::Error),
    /// The program or Valgrind ended with this status.
    Failed(std::process::ExitStatus),
    /// This line of its output does not match the manual.
    Format(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "valgrind is not installed, and instructions are counted with it (Debian: apt-get install valgrind)",
            ),
            Self::Io(error) => write!(f, "valgrind: {error}"),
            Self::Failed(status) => write!(f, "valgrind: {status}"),
            Self::Format(line) => write!(f, "callgrind's output is not understood: {line}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

/// An instruction in the program's file or in that of a library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file that holds it.
    pub(crate) object: String,
    /// Its address, as in that file.
    pub(crate) address: u64,
    /// The compiled function; others may be inlined into it.
    pub(crate) function: String,
}

/// Instructions by address.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Number of executions of each address.
    pub(crate) places: BTreeMap<Place, u64>,
}

impl Counts {
    /// The difference of `self` and `less`.
    pub(crate) fn beyond(mut self, less: &Self) -> Self {
        for (place, count) in &mut self.places {
            *count -= less.places.get(place).copied().unwrap_or(0).min(*count);
        }
        self
    }
}

/// Runs this program with `arguments` under Callgrind and counts while it is in
/// a function whose name contains `measured`.
pub(crate) fn count(arguments: &[String], measured: &str, folder: &Path) -> Result<Counts, Error> {
    let file = folder.join(format!("{}.callgrind", arguments.join("-")));
    let finished = Command::new("valgrind")
        .args([
            "--quiet",
            "--tool=callgrind",
            "--dump-instr=yes",
            "--dump-line=no",
        ])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--toggle-collect=*{measured}*"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(arguments)
        .status()?;
    if !finished.success() {
        return Err(Error::Failed(finished));
    }
    parse(&std::fs::read_to_string(&file)?)
}

fn parse(text: &str) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let (mut object, mut function) = ("", "");
    let mut called = false;
    for line in text.lines() {
        if line.starts_with("0x") {
            let (address, cost) = cost_line(line).ok_or_else(|| Error::Format(line.to_owned()))?;
            // The line after a call has the cost of the callee, which is also counted at
            // the callee's addresses.
            if !std::mem::take(&mut called) {
                let place = Place {
                    object: object.to_owned(),
                    address,
                    function: function.to_owned(),
                };
                *counts.places.entry(place).or_default() += cost;
            }
        } else {
            match line.split_once('=') {
                Some(("ob", name)) => object = name,
                Some(("fn", name)) => function = name,
                Some(("calls", _)) => called = true,
                Some(_) | None => {}
            }
        }
    }
    Ok(counts)
}

/// `0xaddress cost`.
fn cost_line(line: &str) -> Option<(u64, u64)> {
    let (address, cost) = line.strip_prefix("0x")?.split_once(' ')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    Some((address, cost.trim().parse().ok()?))
}
