//! Passes the observed values from the real-time thread to the thread that judges the contract,
//! and the verdict back.
//!
//! Judging formats a dozen rows of text. An ordinary thread does it, because it may be slow and
//! may cause page faults. It is done before any output is driven.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The stages of the exchange.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The real-time thread collects the value.
    Working,
    /// The value is complete.
    Known,
    /// The real-time thread has ended before the value was complete.
    Gone,
    /// The contract was judged: whether the loop may run.
    Judged(bool),
}

/// The state shared by both threads: the value, and the stage.
#[derive(Debug)]
pub(super) struct Handshake<F> {
    value: Mutex<F>,
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl<F> Handshake<F> {
    pub(super) fn new(value: F) -> Self {
        Self {
            value: Mutex::new(value),
            stage: Mutex::new(Stage::Working),
            changed: Condvar::new(),
        }
    }

    /// The value. Never blocks: a thread unlocks it before it changes the stage.
    pub(super) fn value(&self) -> MutexGuard<'_, F> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(Stage) -> bool) -> Stage {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        while !until(*stage) {
            stage = self
                .changed
                .wait(stage)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *stage
    }

    /// Called by the real-time thread when the value is complete. Waits for the verdict.
    pub(super) fn ask(&self) -> bool {
        self.set(Stage::Known);
        self.wait(|stage| matches!(stage, Stage::Judged(_))) == Stage::Judged(true)
    }

    /// Called by the other thread: waits until the value is complete, and gives the verdict of
    /// `judge`. `None` if the real-time thread ended before.
    pub(super) fn answer<T>(&self, judge: impl FnOnce(&F) -> (bool, T)) -> Option<T> {
        if self.wait(|stage| stage != Stage::Working) != Stage::Known {
            return None;
        }
        let (allowed, judged) = judge(&self.value());
        self.set(Stage::Judged(allowed));
        Some(judged)
    }

    /// Called by the real-time thread, which keeps the result while it may still ask.
    pub(super) fn guard(&self) -> AbandonGuard<'_, F> {
        AbandonGuard(self)
    }
}

/// Wakes the waiting thread if the real-time thread ends without asking.
pub(super) struct AbandonGuard<'h, F>(&'h Handshake<F>);

impl<F> Drop for AbandonGuard<'_, F> {
    fn drop(&mut self) {
        let mut stage = self.0.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Working {
            *stage = Stage::Gone;
            drop(stage);
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_uses_the_facts_at_the_time_of_the_request() {
        let handshake = Handshake::new(1);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let _guard = handshake.guard();
                *handshake.value() = 7;
                handshake.ask()
            });
            assert_eq!(handshake.answer(|value| (*value == 7, *value)), Some(7));
            assert!(asking.join().unwrap());
        });
    }

    #[test]
    fn a_thread_that_ends_without_a_request_is_not_waited_for() {
        let handshake = Handshake::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(handshake.guard()));
            assert_eq!(handshake.answer(|_| (true, ())), None);
        });
    }
}
