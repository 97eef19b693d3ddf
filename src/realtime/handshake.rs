//! Where the contract is judged: the real-time thread says what it observed, and
//! waits; the thread that started it judges and answers.
//!
//! Judging formats a dozen rows. That is work for an ordinary thread, which may
//! touch pages of its own and be slow, and it is done before anything is energised.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is known so far.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The real-time thread is still at work.
    Working,
    /// Everything is known that is to be judged.
    Known,
    /// There is nothing to be judged: the real-time thread has gone.
    Gone,
    /// It was judged: whether the loop may run.
    Judged(bool),
}

/// What both threads share: a value, and how far both are.
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

    /// The value. Never waited for: the holder unlocks it before the other is told.
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

    /// The real-time thread's side: everything is known. Waits for the verdict.
    pub(super) fn ask(&self) -> bool {
        self.set(Stage::Known);
        self.wait(|stage| matches!(stage, Stage::Judged(_))) == Stage::Judged(true)
    }

    /// The other side: waits until everything is known, and answers what `judge` says
    /// of it. `None` when the real-time thread went without asking.
    pub(super) fn answer<T>(&self, judge: impl FnOnce(&F) -> (bool, T)) -> Option<T> {
        if self.wait(|stage| stage != Stage::Working) != Stage::Known {
            return None;
        }
        let (allowed, judged) = judge(&self.value());
        self.set(Stage::Judged(allowed));
        Some(judged)
    }

    /// The real-time thread's side: to be held while it may still ask. When it is dropped
    /// before that, the other side stops waiting.
    pub(super) fn guard(&self) -> AbandonGuard<'_, F> {
        AbandonGuard(self)
    }
}

/// Ends the wait of the other side when the real-time thread ends without asking.
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
