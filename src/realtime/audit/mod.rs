//! The audit: whether the contract still holds while the loop runs.
//!
//! A contract that was kept at the start can break later: somebody runs chrt(1) or
//! taskset(1) on the loop's thread, a service manager changes a cpuset, a library
//! unlocks memory, a descriptor is closed. The loop cannot see that without system
//! calls. So an ordinary thread, the reporter, polls every promise that the contract found
//! kept ([`Promise`]) once a second, from the kernel's own files and calls.
//!
//! A promise that no longer holds is noted once, with the time since the loop's first
//! release and what was found. From there it goes to standard error (one line each,
//! never blocking), to the journal as an event, to the service manager and to the
//! report, where the contract is no longer kept. Where the board file says
//! `on_broken = "quick-stop"` the loop is asked to come to rest
//! ([`promise_broken`]); the run then ends as by a fault.
//!
//! A reading that fails is no proof of anything, and is not hidden either: after
//! [`TRIES`] failures in a row the promise [`Promise::Audit`] is broken.
//!
//! Cost: for the loop one load of a byte in each cycle; for the machine a dozen system
//! calls in each second. Allocates nothing: memory is sealed when it runs. The files
//! are opened at the first poll, after which only their contents are read.
//!
//! What it cannot see: what begins and ends between two polls, except for page faults
//! and allocations, which are counted. The kernel shows in no file for ordinary
//! processes that it throttled a real-time thread; the slots that are lost by it are
//! seen by the overrun ladder.

mod poll;
mod promise;

pub use poll::{Baseline, Poller};
pub use promise::{Breach, Breaches, FOUND_BYTES, Promise, Promises, Reaction};

use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::clock::Monotonic;
use super::faults::Faults;
use super::scheduler::DmaLatency;
use crate::cycle::ports::Clock;
use crate::time::{Duration, Instant};

/// Time between two polls.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Readings that fail in a row until that is a broken promise itself.
pub const TRIES: u8 = 3;

/// Whether the loop is to come to rest because of a broken promise.
static QUICK_STOP: AtomicBool = AtomicBool::new(false);

/// Whether a promise broke that the loop must not outlive. One atomic load: for
/// every cycle.
#[inline]
#[must_use]
pub fn promise_broken() -> bool {
    QUICK_STOP.load(Ordering::Relaxed)
}

/// Forgets it, before another run in the same process.
pub fn clear() {
    QUICK_STOP.store(false, Ordering::Relaxed);
}

/// What auditor, loop, reporter and report know of each other; one for each run.
#[derive(Debug, Default)]
pub struct Audit {
    baseline: OnceLock<Baseline>,
    latency: OnceLock<Arc<DmaLatency>>,
    /// The loop's first release, ns; 0 while there is nothing to be audited.
    from_ns: AtomicU64,
    /// Page faults of the loop's thread at the start of the loop.
    minor: AtomicU64,
    major: AtomicU64,
    noted: [Noted; Promise::ALL.len()],
}

/// What is noted of one promise: written once.
#[derive(Debug, Default)]
struct Noted {
    state: AtomicU8,
    at_ns: AtomicU64,
    found: [AtomicU64; FOUND_BYTES / 8],
}

const KEPT: u8 = 0;
const WRITING: u8 = 1;
const BROKEN: u8 = 2;

impl Audit {
    /// Nothing is audited.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands over the request for a wake-up latency. Before [`Audit::begin`].
    pub fn hold(&self, latency: Arc<DmaLatency>) {
        // A second one would be of another run, which has an audit of its own.
        let _ = self.latency.set(latency);
    }

    /// Hands over what is to be compared with. Before [`Audit::begin`].
    pub fn compare_with(&self, baseline: Baseline) {
        let _ = self.baseline.set(baseline);
    }

    /// The loop begins: its first release is at `epoch`, and its thread has had
    /// `faults`.
    pub fn begin(&self, epoch: Instant, faults: Faults) {
        self.minor.store(faults.minor, Ordering::Relaxed);
        self.major.store(faults.major, Ordering::Relaxed);
        self.from_ns.store(epoch.as_nanos(), Ordering::Release);
    }

    /// The promises that broke.
    #[must_use]
    pub fn broken(&self) -> Promises {
        let broken = |promise: &Promise| {
            self.noted[*promise as usize].state.load(Ordering::Acquire) == BROKEN
        };
        Promise::ALL.into_iter().filter(broken).collect()
    }

    /// What broke, the first one first.
    #[must_use]
    pub fn breaches(&self) -> Breaches {
        let mut breaches = Breaches::new();
        for breach in self.broken().iter().map(|it| self.breach(it)) {
            // A handful: sorting as they come. There is room for one of each promise.
            let place = breaches.iter().take_while(|other| other.at <= breach.at);
            let place = place.count();
            let _ = breaches.insert(place, breach);
        }
        breaches
    }

    fn breach(&self, promise: Promise) -> Breach {
        let noted = &self.noted[promise as usize];
        let mut bytes = heapless::Vec::<u8, FOUND_BYTES>::new();
        for word in &noted.found {
            // Both hold as many bytes.
            let _ = bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes.truncate(end.unwrap_or(bytes.len()));
        Breach {
            promise,
            at: Duration::from_nanos(noted.at_ns.load(Ordering::Relaxed)),
            // Written from a text, cut at a character.
            found: heapless::String::from_utf8(bytes).unwrap_or_default(),
        }
    }

    /// Notes that the machine was suspended for `length`, which needs no row of the
    /// contract: nobody grants it. Whether that was noted, as the loop runs.
    pub fn suspended(&self, length: Duration) -> bool {
        let (Some(from), Some(baseline)) = (self.watched_from(), self.baseline.get()) else {
            return false;
        };
        let mut found = heapless::String::<FOUND_BYTES>::new();
        // Longer than any span.
        let _ = write!(found, "the machine was suspended for {length}");
        self.note(Promise::Awake, from, &found, baseline.reaction);
        true
    }

    /// When the loop was released first, while it runs.
    fn watched_from(&self) -> Option<Instant> {
        match self.from_ns.load(Ordering::Acquire) {
            0 => None,
            ns => Some(Instant::from_nanos(ns)),
        }
    }

    /// Notes that `promise` is broken, unless it is noted already, and asks for the
    /// reaction.
    pub(crate) fn note(&self, promise: Promise, from: Instant, found: &str, reaction: Reaction) {
        let noted = &self.noted[promise as usize];
        let first =
            noted
                .state
                .compare_exchange(KEPT, WRITING, Ordering::Acquire, Ordering::Relaxed);
        if first.is_err() {
            return;
        }
        let at = Monotonic.now().since(from);
        noted.at_ns.store(at.as_nanos(), Ordering::Relaxed);
        for (word, bytes) in noted.found.iter().zip(found.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        noted.state.store(BROKEN, Ordering::Release);
        if reaction == Reaction::QuickStop {
            QUICK_STOP.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
