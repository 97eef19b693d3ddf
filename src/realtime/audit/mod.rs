//! The audit: verifies the contract while the loop runs.
//!
//! A kept contract can break later: chrt(1) or taskset(1) on the loop's thread, a changed
//! cpuset, unlocked memory, a closed descriptor. Once a second the reporter's thread reads each
//! kept [`Promise`] from the kernel. The first breach of each is noted with its time, and goes
//! to standard error, journal, service manager and report. With `on_broken = "quick-stop"` the
//! loop comes to rest and the run ends as after a fault ([`promise_broken`]). Cost: nothing in the
//! loop; the machine makes a dozen system calls per second, without
//! allocation.
//!
//! # Limits
//!
//! A failed reading proves nothing: only [`TRIES`] failures in a row break
//! [`Promise::Audit`]. A breach that begins and ends between two readings is not seen, except
//! for page faults and allocations, which are counted. The kernel does not show to ordinary
//! processes that it throttled a real-time thread; the overrun ladder counts the lost slots.

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
use crate::sys::attention;
use crate::time::{Duration, Instant};

/// Interval of the audit.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Failed readings in a row that break [`Promise::Audit`].
pub const TRIES: u8 = 3;

/// Whether the loop has to come to rest because of a broken promise.
static QUICK_STOP: AtomicBool = AtomicBool::new(false);

/// Whether the loop has to come to rest because of a broken promise. It looks at it once
/// [`attention`] was raised.
#[must_use]
pub fn promise_broken() -> bool {
    QUICK_STOP.load(Ordering::Relaxed)
}

/// Resets [`promise_broken`], before another run in the same process.
pub fn clear() {
    QUICK_STOP.store(false, Ordering::Relaxed);
}

/// The audit's state of one run, shared by auditor, loop, reporter and report.
#[derive(Debug, Default)]
pub struct Audit {
    baseline: OnceLock<Baseline>,
    latency: OnceLock<Arc<DmaLatency>>,
    /// The loop's first release, ns; 0 while the loop does not run.
    from_ns: AtomicU64,
    /// Page faults of the loop's thread at the start of the loop.
    minor: AtomicU64,
    major: AtomicU64,
    noted: [Noted; Promise::ALL.len()],
}

/// The breach of one promise, written once.
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
    /// An audit that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the request for a wake-up latency. Call it before [`Audit::begin`].
    pub fn hold(&self, latency: Arc<DmaLatency>) {
        // Set once: each run has its own audit.
        let _ = self.latency.set(latency);
    }

    /// Sets the values to compare with. Call it before [`Audit::begin`].
    pub fn compare_with(&self, baseline: Baseline) {
        let _ = self.baseline.set(baseline);
    }

    /// Begins the audit of a loop with its first release at `epoch`, whose thread has had
    /// `faults` before.
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

    /// The breaches, in order of time.
    #[must_use]
    pub fn breaches(&self) -> Breaches {
        let mut breaches = Breaches::new();
        for breach in self.broken().iter().map(|it| self.breach(it)) {
            // Insertion sort of a few entries. The capacity is one for each promise.
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
            // The capacities are equal.
            let _ = bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes.truncate(end.unwrap_or(bytes.len()));
        Breach {
            promise,
            at: Duration::from_nanos(noted.at_ns.load(Ordering::Relaxed)),
            // UTF-8, because it was written from a text that was cut at a character.
            found: heapless::String::from_utf8(bytes).unwrap_or_default(),
        }
    }

    /// Notes that the machine was suspended for `length`: a promise without a row of the
    /// contract. Gives whether the loop runs, and so whether it was noted.
    pub fn suspended(&self, length: Duration) -> bool {
        let (Some(from), Some(baseline)) = (self.watched_from(), self.baseline.get()) else {
            return false;
        };
        let mut found = heapless::String::<FOUND_BYTES>::new();
        // The capacity exceeds every text.
        let _ = write!(found, "the machine was suspended for {length}");
        self.note(Promise::Awake, from, &found, baseline.reaction);
        true
    }

    /// The loop's first release; `None` while it does not run.
    fn watched_from(&self) -> Option<Instant> {
        match self.from_ns.load(Ordering::Acquire) {
            0 => None,
            ns => Some(Instant::from_nanos(ns)),
        }
    }

    /// Notes the first breach of `promise`, and requests the reaction.
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
            attention::raise();
        }
    }
}

#[cfg(test)]
mod tests;
