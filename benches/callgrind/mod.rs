//! Counting instructions with Callgrind, and reading what it wrote.
//!
//! Valgrind runs a program on a processor of its own making and counts what is
//! executed in user space, so the same program gives the same count on any day
//! and under any load. It is run once for N cycles and once for 2 N; the
//! difference, place by place, is N cycles and nothing else.
//!
//! The format is that of Callgrind's manual, section "Callgrind Format
//! Specification", without name and position compression. Valgrind takes the
//! vDSO away from a program (vdso(7)), so a clock costs a system call here: what
//! it costs in user space is counted by [`stepping`](crate::stepping).

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// Why nothing could be counted.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is no `valgrind` on this machine.
    Missing,
    /// It could not be started, or what it wrote could not be read.
    Io(std::io::Error),
    /// The program under it, or it itself, ended with this.
    Failed(std::process::ExitStatus),
    /// This line of its output is not as the manual says.
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
    /// The function that the compiler made; others may be inlined into it.
    pub(crate) function: String,
}

/// Instructions by place.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// How often each place was executed.
    pub(crate) places: BTreeMap<Place, u64>,
}

impl Counts {
    /// What `self` has more than `less`.
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
            // The line after a call is what the callee cost, which stands at the
            // callee's own places too.
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
