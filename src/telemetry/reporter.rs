//! The reporter: an ordinary thread that empties the ring, and on a terminal
//! redraws one line.
//!
//! It allocates nothing, because memory is sealed when it runs.

use core::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::notify::{Judged, Notify};
use super::ring::Reader;
use crate::cycle::record::CycleRecord;
use crate::realtime::signals;
use crate::time::Duration;

/// How often the ring is emptied.
const INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);
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

/// Empties `ring` until `done` is set, and once more then. Returns the number of
/// records that were dropped.
///
/// `live` redraws the line on standard error; `watched` is the name of the first
/// trace value, if the control law has one. A service manager is told through
/// `notify` how it goes.
pub fn run(
    mut ring: Reader<'_>,
    done: &AtomicBool,
    live: bool,
    period: Duration,
    watched: Option<&str>,
    mut notify: Option<Notify>,
    judged: &Judged,
) -> u64 {
    let mut seen = Seen::default();
    let mut turn = 0;
    loop {
        let last = done.load(Ordering::Acquire);
        while let Some(record) = ring.take() {
            seen.add(&record);
            if let Some(notify) = &mut notify {
                notify.add(&record);
            }
        }
        if let Some(notify) = &mut notify {
            if last {
                notify.end(judged);
            } else {
                let stopping = signals::stop_requested().is_some();
                notify.turn(std::time::Instant::now(), judged, stopping);
            }
        }
        if live && seen.cycles > 0 && (last || turn % REDRAW == 0) {
            let end = if last { "\n" } else { "" };
            // A terminal that has gone away must not end the run.
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{}{end}",
                seen.line(period, watched)
            );
        }
        if last {
            return ring.dropped();
        }
        turn = turn.wrapping_add(1);
        thread::sleep(INTERVAL);
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
