//! The link thread: waits for all links, and hands their commands to the loop.
//!
//! An ordinary thread, below the loop: what a client sends, however much, takes time from other
//! ordinary threads only. It allocates nothing.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::local::{Event, Local, MAX_CLIENTS, MAX_WAITED};
use super::owner::Owners;
use crate::cycle::ports::Clock;
use crate::realtime::clock::Monotonic;
use crate::sys::local_socket::{readable, wait_any};
use crate::telemetry::say;
use crate::time::{Duration, Instant};

/// How often the thread looks whether the run has ended, ms.
const LOOK_MS: u16 = 100;
/// How often it looks whether a status has changed that a CAN master waits for, and what has
/// become of a force, ms.
const STATUS_MS: u16 = 5;
/// How often it looks whether the loop has taken a controlword, ms.
const TAKEN_MS: u16 = 1;

/// In the number of readers: parameters were changed, and the loop has not taken them over yet.
pub const CHANGED: u32 = 1 << 31;
/// In the number of readers: a signal is forced, or is to be.
pub const FORCING: u32 = 1 << 30;

/// A link beside the local one.
pub trait Link: Send {
    /// What becomes readable when there is something to serve.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// How long nothing has to be served, ms.
    fn timeout_ms(&self, now: Instant) -> u16;

    /// Serves it. It must not wait, and not allocate.
    fn serve(&mut self, owners: &mut Owners<'_>, now: Instant);
}

/// The links of a run.
pub struct Server<'l> {
    /// `[link.local]`.
    pub local: Option<Local<'l>>,
    /// `[link.can]`. Not named by its type, so that a firmware without it does not have its code.
    pub can: Option<Box<dyn Link + 'l>>,
    /// Who commands what.
    pub owners: Owners<'l>,
}

impl Server<'_> {
    /// Serves the links until `done` is set. `watched` is the number of clients that read
    /// signals, and [`CHANGED`] and [`FORCING`].
    pub fn run(&mut self, done: &AtomicBool, watched: &AtomicU32) {
        let mut entries: heapless::Vec<_, MAX_WAITED> = heapless::Vec::new();
        let mut log = Log::default();
        while !done.load(Ordering::Acquire) {
            entries.clear();
            let mut timeout = LOOK_MS;
            if let Some(local) = &mut self.local {
                local.wait_for(&mut entries);
                if local.is_forcing() {
                    timeout = STATUS_MS;
                }
                if local.is_awaiting() {
                    timeout = TAKEN_MS;
                }
            }
            if self.owners.is_keeping() {
                timeout = STATUS_MS;
            }
            if let Some(can) = &self.can {
                // There is room for it.
                let _ = entries.push(readable(can.as_fd()));
                timeout = timeout.min(can.timeout_ms(Monotonic.now()).min(STATUS_MS));
            }
            if let Err(errno) = wait_any(&mut entries, timeout) {
                say(format_args!(
                    "steadfast: the links are closed: poll failed ({errno}); restart the controller"
                ));
                break;
            }
            let mut readers = 0;
            self.owners.look_kept();
            if let Some(local) = &mut self.local {
                let now = Monotonic.now();
                local.serve(&entries, &mut self.owners, now, |event| log.add(event, now));
                log.report_unlogged(now);
                readers += local.clients() as u32;
                if local.is_forcing() {
                    readers |= FORCING;
                }
            }
            if let Some(can) = &mut self.can {
                can.serve(&mut self.owners, Monotonic.now());
                readers += 1;
            }
            if self.owners.parameters.is_pending() {
                readers |= CHANGED;
            }
            watched.store(readers, Ordering::Relaxed);
            // After it: a command that follows a change finds it made.
            self.owners.send();
        }
        watched.store(0, Ordering::Relaxed);
    }
}

/// The log of clients: at most one line in [`LOG_INTERVAL`], so that a client which connects
/// again and again does not fill the journal.
#[derive(Debug, Default)]
struct Log {
    last: Option<Instant>,
    unlogged: u32,
}

/// See [`Log`].
const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl Log {
    /// Logs `event`, or counts it if the last line is too young.
    fn add(&mut self, event: Event, now: Instant) {
        if !self.is_due(now) {
            self.unlogged = self.unlogged.saturating_add(1);
            return;
        }
        match event {
            Event::Lost(client, groups) => say(format_args!(
                "steadfast: {client} is gone while it commanded {groups} groups; they stop"
            )),
            Event::NotReading(client) => say(format_args!(
                "steadfast: {client} did not read its answers and was disconnected"
            )),
            Event::Full => say(format_args!(
                "steadfast: a client was refused: there are {MAX_CLIENTS} already"
            )),
            Event::NotAccepted(errno) => say(format_args!(
                "steadfast: a client could not connect ({errno}); raise LimitNOFILE in the unit, or end clients"
            )),
        }
    }

    /// Reports how many events were not logged, when the last line is old enough.
    fn report_unlogged(&mut self, now: Instant) {
        if self.unlogged > 0 && self.is_due(now) {
            let unlogged = core::mem::take(&mut self.unlogged);
            say(format_args!(
                "steadfast: {unlogged} more events of clients were not logged"
            ));
        }
    }

    /// Whether a line may be written at `now`; if so, it is the last one.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.since(last) >= LOG_INTERVAL);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_cannot_fill_the_log() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut log = Log::default();
        log.add(Event::Full, at(5000));
        for ms in 5001..5900 {
            log.add(Event::Full, at(ms));
            log.report_unlogged(at(ms));
        }
        assert_eq!((log.last, log.unlogged), (Some(at(5000)), 899));
        log.report_unlogged(at(6000));
        assert_eq!((log.last, log.unlogged), (Some(at(6000)), 0));
    }
}
