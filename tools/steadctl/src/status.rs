//! `steadctl status`: shows the status of a controller from its flight file.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use steadfast::cycle::record::flags;
use steadfast::realtime::audit::Promises;
use steadfast::sys::shared;
use steadfast::telemetry::blackbox::{BlackBox, store::file_stem};
use steadfast::telemetry::flight::{ENDED, NotFlight, STATUS_WORDS, Snapshot, layout, word};
use steadfast::telemetry::journal::Status;
use steadfast::telemetry::{escaped, seqlock};
use steadfast::time::Duration;

use crate::cycles::{flag_names, ns, trace_names};
use crate::{BAD_INPUT, DAMAGED, FAILED, Failure, print, shown_lines};

/// The folder of flight files, unless a board file names another one.
pub(crate) const FOLDER: &str = "/run/steadfast";
/// How often a status is read again while the controller writes it.
const TRIES: u32 = 1_000;

/// The flight file of the board `name`.
pub(crate) fn flight_of(name: &str) -> PathBuf {
    PathBuf::from(format!("{FOLDER}/{}.flight", file_stem(name)))
}

pub(crate) fn main(path: Option<PathBuf>) -> Result<u8, Failure> {
    let path = path.map_or_else(only_flight, Ok)?;
    let Described { text, whole } = described(&path)?;
    print(&text)?;
    if !whole {
        eprintln!(
            "steadctl: {}: the last status is incomplete: the controller died while it wrote it",
            path.display()
        );
    }
    Ok(if whole { 0 } else { DAMAGED })
}

/// The status in a flight file.
pub(crate) struct Described {
    pub(crate) text: String,
    /// Whether the controller has written it to its end.
    pub(crate) whole: bool,
}

/// Reads the status from the flight file `path`.
pub(crate) fn described(path: &Path) -> Result<Described, Failure> {
    let named = |code, what: String| Failure(code, format!("{}: {what}", path.display()));
    let refused = |error: io::Error| {
        named(
            FAILED,
            format!("cannot be read: {error}; name a readable file that ends in .flight"),
        )
    };
    let mut bytes = Vec::new();
    // Opening a pipe would block.
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(named(
            BAD_INPUT,
            "is not a file; name a file that ends in .flight".to_owned(),
        ));
    }
    let file = File::open(path).map_err(refused)?;
    let mut first = io::Read::take(&file, layout::MAPPED as u64);
    io::Read::read_to_end(&mut first, &mut bytes).map_err(refused)?;
    let snapshot = Snapshot::of(&bytes).map_err(|error| {
        named(
            BAD_INPUT,
            match error {
                NotFlight::Short { .. } | NotFlight::Magic => {
                    "is not a flight file; name a file that ends in .flight".to_owned()
                }
                NotFlight::Version(version) => {
                    format!(
                        "has format version {version}; read it with the steadctl of its controller"
                    )
                }
            },
        )
    })?;
    let status = seqlock::read(&mut Live(&file), TRIES).map_err(refused)?;
    let alive = shared::is_claimed(file.as_fd()).map_err(|errno| refused(errno.into()))?;
    let mut text = String::new();
    let whole = status.is_some();
    let status = status.map_or_else(|| snapshot.status(), |words| Status::from_words(&words));
    write(&mut text, &snapshot, &status, alive)
        .map_err(|error| named(FAILED, error.to_string()))?;
    Ok(Described { text, whole })
}

/// The only flight file in [`FOLDER`].
fn only_flight() -> Result<PathBuf, Failure> {
    let refused = |error| {
        let fix = "start a controller, or name a FILE";
        Failure(FAILED, format!("{FOLDER}: cannot be read: {error}; {fix}"))
    };
    let entries = fs::read_dir(Path::new(FOLDER)).map_err(refused)?;
    let mut flights = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "flight"));
    match (flights.next(), flights.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Failure(
            FAILED,
            format!("{FOLDER}: there is no flight file; start a controller, or name a FILE"),
        )),
        (Some(_), Some(_)) => Err(Failure(
            BAD_INPUT,
            format!("{FOLDER}: there are several flight files; name a FILE or --board"),
        )),
    }
}

/// The present status in the file.
struct Live<'f>(&'f File);

impl seqlock::Source<STATUS_WORDS> for Live<'_> {
    type Error = io::Error;

    fn sequence(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, layout::STATUS as u64)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn words(&mut self) -> io::Result<[u64; STATUS_WORDS]> {
        let mut bytes = [0; STATUS_WORDS * 8];
        self.0
            .read_exact_at(&mut bytes, layout::STATUS as u64 + 8)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(core::array::from_fn(|at| u64::from_le_bytes(words[at])))
    }
}

fn write(out: &mut String, snapshot: &Snapshot<'_>, status: &Status, alive: bool) -> fmt::Result {
    let state = match (alive, snapshot.header(word::STATE)) {
        (true, _) => "running",
        (false, ENDED) => "ended in order",
        (false, _) => "DEAD: no orderly end; the next start saves its black box",
    };
    writeln!(out, "process {:<8} {state}", snapshot.header(word::PID))?;
    let facts = snapshot.facts();
    out.push_str(&shown_lines(&facts));
    let contract = match snapshot.header(word::CONTRACT) {
        1 => "kept",
        2 => "BROKEN",
        _ => "not judged yet",
    };
    write!(out, "contract         {contract}")?;
    match Promises::from_bits(snapshot.header(word::BROKEN) as u16) {
        broken if broken.is_empty() => writeln!(out)?,
        broken => writeln!(out, " while running: {broken}")?,
    }
    let last = &status.last;
    writeln!(
        out,
        "cycles           {}, last slot {}",
        status.cycles, last.slot
    )?;
    writeln!(out, "skipped          {}", status.skipped)?;
    writeln!(out, "overruns         {}", status.overruns)?;
    writeln!(out, "records dropped  {}", status.dropped)?;
    writeln!(
        out,
        "lateness         {} at most",
        ns(status.lateness_max_ns)
    )?;
    writeln!(
        out,
        "execution        {} at most",
        ns(status.execution_max_ns)
    )?;
    match last.fault {
        0 => writeln!(out, "fault            none")?,
        code => writeln!(out, "fault            {code}")?,
    }
    match flag_names(last.flags) {
        names if names.is_empty() => writeln!(out, "flags            none")?,
        names => writeln!(out, "flags            {names}")?,
    }
    write_quick_stops(out, snapshot, status)?;
    let forced = snapshot.forced();
    if alive && !forced.is_empty() {
        writeln!(out, "FORCED           {}", escaped(&forced))?;
    }
    if status.errno != 0 {
        let error = io::Error::from_raw_os_error(status.errno as i32);
        writeln!(out, "NOT RECORDED     {error}")?;
    }
    let trace = BlackBox::value(&facts, "trace").unwrap_or_default();
    for (name, value) in trace_names(trace).iter().zip(last.trace) {
        writeln!(out, "{name:<16} {value:+.5}")?;
    }
    Ok(())
}

fn write_quick_stops(out: &mut String, snapshot: &Snapshot<'_>, status: &Status) -> fmt::Result {
    let stops = &status.quick_stops;
    let Some(last) = stops.last else {
        return writeln!(out, "quick stops      none");
    };
    let period = Duration::from_nanos(snapshot.header(word::PERIOD_NS));
    let armed = if status.last.flags & flags::STOPPED == 0 {
        "armed again"
    } else {
        "NOT ARMED AGAIN"
    };
    writeln!(
        out,
        "quick stops      {}, the last at {:.3} s (slot {}): {}, {} missed or skipped; {armed}",
        stops.count,
        last.time(period).as_secs_f64(),
        last.slot,
        last.cause,
        last.missed
    )
}
