//! The reporter: an ordinary thread that empties the ring every 20 ms and passes the records
//! on. On a terminal it redraws one status line every 100 ms.
//!
//! It allocates nothing, because memory is sealed while it runs. It never blocks on a terminal:
//! journal, service manager and the end of the run depend on it, and a terminal under flow
//! control (Ctrl-S) can accept no output for hours.

use core::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::changes::CHANGES;
use super::forced;
use super::journal::Journal;
use super::notify::{Judged, Notify};
use super::ring::Reader;
use super::say;
use crate::cycle::record::{CycleRecord, flags};
use crate::cycle::stop::{QuickStops, StopCause};
use crate::realtime::audit::{Audit, Poller};
use crate::realtime::suspend::{Reading, Suspends};
use crate::realtime::{helper, signals};
use crate::sys::output;
use crate::time::Duration;

/// How often the ring is emptied.
const INTERVAL: Duration = Duration::from_millis(20);
/// The live line is redrawn once in this many intervals.
const REDRAW: u32 = 5;
/// Longest live line, bytes.
const LINE: usize = 496;

/// The run so far, for the live line.
#[derive(Copy, Clone, Debug, Default)]
pub struct Progress {
    cycles: u64,
    worst_lateness_ns: u32,
    last: CycleRecord,
}

impl Progress {
    /// Adds the record of one cycle.
    pub fn add(&mut self, record: &CycleRecord) {
        self.cycles += 1;
        self.worst_lateness_ns = self.worst_lateness_ns.max(record.lateness_ns);
        self.last = *record;
    }

    /// The live line: elapsed time, cycles, worst lateness, the first trace value of the
    /// control law, the quick stops, and the forced signals.
    fn line(
        &self,
        period: Duration,
        watched: Option<&str>,
        stops: &QuickStops,
        forced: &str,
    ) -> heapless::String<LINE> {
        let mut line = heapless::String::new();
        let elapsed = (period * (self.last.slot + 1)).as_secs_f64();
        let worst = Duration::from_nanos(u64::from(self.worst_lateness_ns));
        // What exceeds the line is cut off.
        let _ = write!(
            line,
            "{elapsed:8.1} s  {} cycles  worst lateness {worst}",
            self.cycles
        );
        if let Some(name) = watched {
            let _ = write!(line, "  {name} {:+.5}", self.last.trace[0]);
        }
        let stopped = self.last.flags & flags::STOPPED != 0;
        let _ = match stops.last {
            Some(stop) if stopped => write!(
                line,
                "  QUICK STOP at {:.3} s, not armed again: {}",
                stop.time(period).as_secs_f64(),
                stop.cause
            ),
            Some(_) => write!(line, "  {} quick stops", stops.count),
            None => Ok(()),
        };
        if !forced.is_empty() {
            let _ = write!(line, "  FORCED {forced}");
        }
        line
    }
}

/// A reason to save a black box while the run goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A control law reports a fault.
    Fault {
        /// The number of the law, from 0 in the order of the board file.
        law: u8,
        /// The code of its fault.
        code: u16,
    },
    /// A quick stop of the loop stopped what the control law drives.
    QuickStop(StopCause),
}

/// Where the reporter passes records and events.
pub struct Listeners<'a, F> {
    /// Whether to redraw the live line on standard error.
    pub live: bool,
    /// Name of the first trace value, if the control law has one.
    pub watched: Option<&'a str>,
    /// The journal, which writes the flight file.
    pub journal: Journal<'a>,
    /// Called on the reporter's thread for each [`Incident`]. Must not block or allocate.
    pub incident: F,
    /// The service manager, if the environment names one.
    pub notify: Option<Notify>,
    /// The verdict on the contract.
    pub judged: &'a Judged,
    /// The promises that broke since; the reporter checks them once a second.
    pub audit: &'a Audit,
}

/// What the reporter counted beside the records.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Records dropped because the ring was full.
    pub dropped: u64,
    /// How often the machine was suspended.
    pub suspends: u32,
    /// How long the machine was suspended, in all.
    pub suspended: Duration,
}

/// Empties `ring` every 20 ms until `done` is set, and once more after that. `period` is the
/// loop's period. Runs on its own thread; allocates nothing.
pub fn run<F: Fn(Incident)>(
    mut ring: Reader<'_>,
    done: &AtomicBool,
    period: Duration,
    mut to: Listeners<'_, F>,
) -> Noticed {
    let mut poller = Poller::new(to.audit);
    let mut progress = Progress::default();
    let mut noticed = Noticed::default();
    let mut suspends = Suspends::since(Reading::take());
    let (mut turn, mut stopped) = (0, false);
    loop {
        let last = done.load(Ordering::Acquire);
        while let Some(record) = ring.dequeue() {
            if record.fault != 0 && record.fault != progress.last.fault {
                (to.incident)(Incident::Fault {
                    law: flags::law(record.flags),
                    code: record.fault,
                });
            }
            stopped |= record.flags & !progress.last.flags & flags::STOPPED != 0;
            progress.add(&record);
            to.journal.add(&record);
            if let Some(notify) = &mut to.notify {
                notify.add(&record);
            }
        }
        if let Some(length) = suspends.poll(Reading::take()) {
            noticed.suspends += 1;
            noticed.suspended = noticed.suspended + length;
            to.journal.suspended(length);
            // If the audit notes it, the audit's own message is enough.
            if !to.audit.suspended(length) {
                say(format_args!(
                    "steadfast: the machine was suspended for {length}; disable suspend while a \
                     controller runs"
                ));
            }
        }
        poller.poll();
        to.journal.broken(to.audit, period);
        if let Some(notify) = &mut to.notify {
            notify.broken(to.audit.broken());
            if last {
                notify.end(to.judged);
            } else {
                let stopping = signals::stop_requested().is_some();
                notify.turn(std::time::Instant::now(), to.judged, stopping);
            }
        }
        to.journal.changes(&CHANGES);
        let forced = to.journal.forces(&mut forced::all());
        to.journal.turn(ring.dropped());
        let quick_stops = to.journal.quick_stops();
        if let (Some(stop), true) = (quick_stops.last, stopped) {
            stopped = false;
            (to.incident)(Incident::QuickStop(stop.cause));
        }
        if to.live && progress.cycles > 0 && (last || turn % REDRAW == 0) {
            draw(
                &progress.line(period, to.watched, quick_stops, &forced),
                last,
            );
        }
        if last {
            noticed.dropped = ring.dropped();
            return noticed;
        }
        turn = turn.wrapping_add(1);
        helper::pause(INTERVAL);
    }
}

/// How long the last line may wait for the terminal, ms.
const LAST_MS: u16 = 50;

/// Redraws the live line. If the terminal does not accept it at once, the line is skipped.
fn draw(line: &str, last: bool) {
    let mut drawn = heapless::String::<{ LINE + 16 }>::new();
    let end = if last { "\n" } else { "" };
    // The buffer exceeds the longest line.
    let _ = write!(drawn, "\r\x1b[K{line}{end}");
    let patience_ms = if last { LAST_MS } else { 0 };
    let _ = output::stderr().write_all(drawn.as_bytes(), patience_ms);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::stop::QuickStop;

    #[test]
    fn the_line_shows_time_cycles_worst_lateness_the_watched_value_and_quick_stops() {
        let mut progress = Progress::default();
        for (slot, lateness_ns) in [(0, 90_000), (1, 20_000), (4_999, 30_000)] {
            let mut record = CycleRecord {
                slot,
                lateness_ns,
                ..CycleRecord::default()
            };
            record.trace[0] = -0.00125;
            progress.add(&record);
        }
        let line = |progress: &Progress, stops| {
            let period = Duration::from_millis(1);
            progress.line(period, Some("tracking_error_rad"), stops, "")
        };
        let none = QuickStops::default();
        let begin = "     5.0 s  3 cycles  worst lateness 90.0 us  tracking_error_rad -0.00125";
        assert_eq!(line(&progress, &none).as_str(), begin);

        let forced = "output.lamp = 1 by client 3 for 10 s";
        let shown = progress.line(Duration::from_millis(1), None, &none, forced);
        assert!(shown.ends_with("us  FORCED output.lamp = 1 by client 3 for 10 s"));

        let stops = QuickStops {
            count: 2,
            last: Some(QuickStop {
                cause: StopCause::Overrun,
                slot: 2_301,
                missed: 13,
            }),
        };
        let armed = format!("{begin}  2 quick stops");
        assert_eq!(line(&progress, &stops).as_str(), armed);
        progress.last.flags = flags::STOPPED;
        let stopped = format!(
            "{begin}  QUICK STOP at 2.301 s, not armed again: too many missed deadlines (overrun ladder)"
        );
        assert_eq!(line(&progress, &stops).as_str(), stopped);
    }
}
