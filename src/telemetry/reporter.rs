//! The reporter: an ordinary thread that empties the ring, and on a terminal
//! redraws one line.
//!
//! It allocates nothing, because memory is sealed when it runs.

use core::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::journal::Journal;
use super::notify::{Judged, Notify};
use super::ring::Reader;
use crate::cycle::record::CycleRecord;
use crate::realtime::{helper, signals};
use crate::time::Duration;

/// How often the ring is emptied.
const INTERVAL: Duration = Duration::from_millis(20);
/// The line is redrawn every so many intervals.
const REDRAW: u32 = 5;

/// What the reporter knows of the run so far.
#[derive(Copy, Clone, Debug, Default)]
pub struct Seen {
    cycles: u64,
    worst_lateness_ns: u32,
    last: CycleRecord,
}

impl Seen {
    /// Takes note of one record.
    pub fn add(&mut self, record: &CycleRecord) {
        self.cycles += 1;
        self.worst_lateness_ns = self.worst_lateness_ns.max(record.lateness_ns);
        self.last = *record;
    }

    /// The live line: elapsed time, cycles, worst lateness, and the first value
    /// that the control law puts on record.
    fn line(&self, period: Duration, watched: Option<&str>) -> heapless::String<160> {
        let mut line = heapless::String::new();
        let elapsed = (period * (self.last.slot + 1)).as_secs_f64();
        let worst = Duration::from_nanos(u64::from(self.worst_lateness_ns));
        // What does not fit the line is left away.
        let _ = write!(
            line,
            "{elapsed:8.1} s  {} cycles  worst lateness {worst}",
            self.cycles
        );
        if let Some(name) = watched {
            let _ = write!(line, "  {name} {:+.5}", self.last.trace[0]);
        }
        line
    }
}

/// Whom the reporter tells what.
pub struct Listeners<'a, F> {
    /// Redraw the line on standard error.
    pub live: bool,
    /// Name of the first trace value, if the control law has one.
    pub watched: Option<&'a str>,
    /// What it keeps outlives the process.
    pub journal: Journal<'a>,
    /// Called when the control law becomes faulted.
    pub faulted: F,
    /// The service manager, where one asked to be told.
    pub notify: Option<Notify>,
    /// The contract, once it was judged.
    pub judged: &'a Judged,
}

/// Empties `ring` until `done` is set, and once more then. Returns the number of
/// records that were dropped.
pub fn run<F: Fn(u16)>(
    mut ring: Reader<'_>,
    done: &AtomicBool,
    period: Duration,
    mut to: Listeners<'_, F>,
) -> u64 {
    let mut seen = Seen::default();
    let mut turn = 0;
    loop {
        let last = done.load(Ordering::Acquire);
        while let Some(record) = ring.take() {
            if record.fault != 0 && record.fault != seen.last.fault {
                (to.faulted)(record.fault);
            }
            seen.add(&record);
            to.journal.add(&record);
            if let Some(notify) = &mut to.notify {
                notify.add(&record);
            }
        }
        if let Some(notify) = &mut to.notify {
            if last {
                notify.end(to.judged);
            } else {
                let stopping = signals::stop_requested().is_some();
                notify.turn(std::time::Instant::now(), to.judged, stopping);
            }
        }
        to.journal.turn(ring.dropped());
        if to.live && seen.cycles > 0 && (last || turn % REDRAW == 0) {
            let end = if last { "\n" } else { "" };
            // A terminal that has gone away must not end the run.
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{}{end}",
                seen.line(period, to.watched)
            );
        }
        if last {
            return ring.dropped();
        }
        turn = turn.wrapping_add(1);
        helper::pause(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_time_cycles_worst_lateness_and_the_watched_value() {
        let mut seen = Seen::default();
        for (slot, lateness_ns) in [(0, 90_000), (1, 20_000), (4_999, 30_000)] {
            let mut record = CycleRecord {
                slot,
                lateness_ns,
                ..CycleRecord::default()
            };
            record.trace[0] = -0.00125;
            seen.add(&record);
        }
        let line = seen.line(Duration::from_millis(1), Some("tracking_error_rad"));
        assert_eq!(
            line.as_str(),
            "     5.0 s  3 cycles  worst lateness 90.0 us  tracking_error_rad -0.00125"
        );
    }
}
