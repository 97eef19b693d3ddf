//! Arms the watchdog, and feeds it from cycles that met their deadline.
//!
//! Opening a watchdog starts its timeout. So a stopped watchdog is opened last, on the
//! real-time thread, after rehearsal and contract, right before the first cycle that may drive
//! an output. A running one, left by a killed or faulted process, is taken over at once and fed
//! during the start: by a thread while the last black box is saved (at most [`SAVING`], so a
//! hanging start is still reset), then after each step and each cycle of the rehearsal.
//! A cycle costs one comparison, and one ioctl(2) per quarter of the timeout.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;
use std::thread;

use super::error::RunError;
use crate::cycle::ports::{Clock, Tick};
use crate::device::watchdog::{Kernel, Timer, Watchdog, WatchdogError};
use crate::realtime::clock::Monotonic;
use crate::realtime::helper::{self, Barrier};
use crate::realtime::runner::{Feed, StartError};
use crate::sys::{Errno, futex};
use crate::time::{Duration, Instant};

/// Longest time of saving the last black box during which a running watchdog is fed.
const SAVING: Duration = Duration::from_secs(15);

/// Feeds the watchdog from met deadlines, four times within its timeout. `open` opens the
/// watchdog, which starts it.
pub(super) struct Feeder<O, T = Kernel> {
    open: O,
    watchdog: Option<Watchdog<T>>,
    /// A quarter of the timeout.
    quarter: Duration,
    next: Instant,
    /// Feeds that the driver refused.
    pub(super) refused: u64,
    /// Why the watchdog could not be armed.
    failed: Option<WatchdogError>,
}

impl<O, T> Feeder<O, T>
where
    O: FnMut() -> Result<Watchdog<T>, WatchdogError>,
    T: Timer,
{
    /// A feeder for a timeout of `timeout_s`, s: of `running`, a watchdog that was taken over,
    /// or of the one that `open` will open.
    pub(super) fn new(timeout_s: u32, running: Option<Watchdog<T>>, open: O) -> Self {
        Self {
            open,
            watchdog: running,
            quarter: Duration::from_millis(u64::from(timeout_s) * 250),
            next: Instant::from_nanos(0),
            refused: 0,
            failed: None,
        }
    }

    /// Why the watchdog could not be armed; `None` if it was or was not tried.
    pub(super) const fn failed(&self) -> Option<&WatchdogError> {
        self.failed.as_ref()
    }

    /// Feeds a running watchdog after a step of the start.
    pub(super) fn step(&mut self) {
        self.feed(Monotonic.now());
    }

    #[inline]
    fn feed_if_due(&mut self, now: Instant) {
        if now >= self.next {
            self.feed(now);
        }
    }

    #[cold]
    fn feed(&mut self, now: Instant) {
        self.next = now + self.quarter;
        if let Some(watchdog) = &mut self.watchdog {
            // Counted only: a watchdog that cannot be fed resets the board, as it should.
            if watchdog.feed().is_err() {
                self.refused += 1;
            }
        }
    }

    /// Calls `work`, which may wait for a disk, while a thread feeds a running watchdog for at
    /// most [`SAVING`].
    ///
    /// # Errors
    /// The thread could not be started; `work` was not called.
    pub(super) fn while_fed<R>(&mut self, work: impl FnOnce() -> R) -> Result<R, RunError>
    where
        O: Send,
        T: Send,
    {
        if self.watchdog.is_none() {
            return Ok(work());
        }
        let (done, barrier) = (AtomicU32::new(0), Barrier::new());
        barrier.open();
        let feeder = Mutex::new(self);
        thread::scope(|scope| {
            let (done, feeder) = (&done, &feeder);
            let feeds = move || {
                let Ok(mut feeder) = feeder.lock() else {
                    return;
                };
                let end = Monotonic.now() + SAVING;
                while done.load(Ordering::Acquire) == 0 && Monotonic.now() < end {
                    feeder.step();
                    let next = feeder.next.as_nanos();
                    if futex::wait_until(done, 0, next).is_err() {
                        return;
                    }
                }
            };
            helper::spawn(scope, "start", helper::MIN_STACK_BYTES, &barrier, feeds)
                .map_err(|error| RunError::Helper(Errno::from(error).0))?;
            let result = work();
            done.store(1, Ordering::Release);
            futex::wake(done);
            Ok(result)
        })
    }

    /// Stops the watchdog after a regular end with safe outputs.
    pub(super) fn close(&mut self) {
        if let Some(watchdog) = self.watchdog.take() {
            // If it cannot be stopped, it resets a board whose outputs are safe.
            let _ = watchdog.close();
        }
    }
}

/// Stops the watchdog of a start that failed before the run: no output was driven, and a reset
/// would disturb the next attempt of a supervisor. After a run the only error is one of
/// `/proc`; then the watchdog stays armed.
pub(super) fn stand_down<O, T>(feeder: Option<Feeder<O, T>>, error: RunError) -> RunError
where
    O: FnMut() -> Result<Watchdog<T>, WatchdogError>,
    T: Timer,
{
    let before_the_run = !matches!(error, RunError::Start(StartError::Proc(_)));
    if let (Some(mut feeder), true) = (feeder, before_the_run) {
        feeder.close();
    }
    error
}

/// The feeder of a board with or without a watchdog.
pub(super) struct Fed<'f, O, T = Kernel>(pub(super) &'f mut Option<Feeder<O, T>>);

impl<O, T> Feed for Fed<'_, O, T>
where
    O: FnMut() -> Result<Watchdog<T>, WatchdogError>,
    T: Timer,
{
    fn rehearsed(&mut self) {
        if let Some(feeder) = self.0 {
            feeder.feed_if_due(Monotonic.now());
        }
    }

    fn arm(&mut self) -> bool {
        let Some(feeder) = self.0 else { return true };
        if feeder.watchdog.is_none() {
            match (feeder.open)() {
                Ok(watchdog) => feeder.watchdog = Some(watchdog),
                Err(error) => {
                    feeder.failed = Some(error);
                    return false;
                }
            }
        }
        // The first cycle gets the whole timeout.
        feeder.step();
        true
    }

    #[inline]
    fn deadline_met(&mut self, tick: &Tick) {
        if let Some(feeder) = self.0 {
            feeder.feed_if_due(tick.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Errno;
    use crate::sys::watchdog::{Info, MAGIC_CLOSE};
    use crate::telemetry::flight::FlightError;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    /// Counts the calls to a watchdog.
    #[derive(Default)]
    struct Calls {
        opened: AtomicU64,
        fed: AtomicU64,
        stopped: AtomicU64,
    }

    impl Calls {
        fn counts(&self) -> (u64, u64, u64) {
            let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
            (count(&self.opened), count(&self.fed), count(&self.stopped))
        }
    }

    struct Stub(Arc<Calls>, Result<(), Errno>);

    impl Timer for Stub {
        fn support(&self) -> Result<Info, Errno> {
            Ok(Info {
                options: MAGIC_CLOSE,
                firmware_version: 0,
                identity: [0; 32],
            })
        }
        fn boot_status(&self) -> Result<u32, Errno> {
            Ok(0)
        }
        fn set_timeout(&self, seconds: u32) -> Result<u32, Errno> {
            Ok(seconds)
        }
        fn keep_alive(&self) -> Result<(), Errno> {
            self.0.fed.fetch_add(1, Ordering::SeqCst);
            self.1
        }
        fn write(&mut self, byte: u8) -> Result<(), Errno> {
            assert_eq!(byte, b'V');
            self.0.stopped.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    fn open(
        calls: &Arc<Calls>,
        feeding: Result<(), Errno>,
    ) -> Result<Watchdog<Stub>, WatchdogError> {
        calls.opened.fetch_add(1, Ordering::SeqCst);
        Watchdog::with(Stub(Arc::clone(calls), feeding), 2)
    }

    type Opened = Result<Watchdog<Stub>, WatchdogError>;

    /// A feeder of a watchdog with a timeout of 2 s that runs already, or does not.
    fn feeder(calls: &Arc<Calls>, running: bool) -> Feeder<impl FnMut() -> Opened + Send, Stub> {
        let now = Arc::clone(calls);
        let taken_over = running.then(|| open(calls, Ok(())).unwrap());
        Feeder::new(2, taken_over, move || open(&now, Ok(())))
    }

    fn at(ms: u64) -> Tick {
        Tick {
            now: Instant::from_nanos(ms * 1_000_000),
            ..Tick::default()
        }
    }

    #[test]
    fn a_stopped_watchdog_is_opened_and_fed_when_armed() {
        let calls = Arc::<Calls>::default();
        let mut feeder = feeder(&calls, false);
        feeder.step();
        assert_eq!(feeder.while_fed(|| 7).ok(), Some(7));
        let mut feeder = Some(feeder);
        let mut fed = Fed(&mut feeder);
        fed.rehearsed();
        assert_eq!(calls.counts(), (0, 0, 0), "nothing slow runs against it");
        assert!(fed.arm());
        assert_eq!(calls.counts(), (1, 1, 0));
        feeder.unwrap().close();
        assert_eq!(calls.counts(), (1, 1, 1));
    }

    #[test]
    fn a_running_watchdog_is_taken_over_and_fed_during_the_start() {
        let calls = Arc::<Calls>::default();
        let mut feeder = feeder(&calls, true);
        let fed = || calls.counts().1;
        let begun = std::time::Instant::now();
        feeder
            .while_fed(|| {
                // The first feed may precede the work.
                while fed() < 2 {
                    assert!(begun.elapsed().as_secs() < 60, "it is not fed");
                    thread::yield_now();
                }
            })
            .unwrap();
        let before = fed();
        feeder.step();
        assert_eq!(fed(), before + 1);
        let mut feeder = Some(feeder);
        let mut rehearsal = Fed(&mut feeder);
        rehearsal.0.as_mut().unwrap().next = Instant::from_nanos(0);
        rehearsal.rehearsed();
        assert_eq!(fed(), before + 2, "it was due");
        rehearsal.rehearsed();
        assert_eq!(fed(), before + 2, "not yet again");
        assert!(rehearsal.arm());
        assert_eq!(calls.counts(), (1, before + 3, 0), "not opened again");
    }

    #[test]
    fn it_is_fed_four_times_within_its_timeout_and_failures_are_counted() {
        let calls = Arc::<Calls>::default();
        let running = open(&calls, Err(Errno(libc::EIO))).unwrap();
        let unused = || unreachable!("it runs");
        let mut feeder = Some(Feeder::new(2, Some(running), unused));
        for ms in 1_000..3_000 {
            Fed(&mut feeder).deadline_met(&at(ms));
        }
        assert_eq!((calls.counts().1, feeder.unwrap().refused), (4, 4));
    }

    #[test]
    fn a_watchdog_that_cannot_be_opened_prevents_the_start() {
        let gone = || Err::<Watchdog<Stub>, _>(WatchdogError::Open(Errno(libc::EBUSY)));
        let mut feeder = Some(Feeder::new(2, None, gone));
        assert!(!Fed(&mut feeder).arm());
        let failed = feeder.as_ref().unwrap().failed();
        assert_eq!(failed, Some(&WatchdogError::Open(Errno(libc::EBUSY))));
        assert!(
            Fed::<fn() -> Opened, Stub>(&mut None).arm(),
            "a board without a watchdog starts"
        );
    }

    #[test]
    fn an_aborted_start_stops_the_watchdog_and_a_failed_run_does_not() {
        for (error, stopped) in [
            (RunError::Flight(FlightError::Busy), 1),
            (RunError::Helper(libc::EAGAIN), 1),
            (RunError::Busy, 1),
            (RunError::Start(StartError::Proc(Errno(libc::EIO))), 0),
        ] {
            let calls = Arc::<Calls>::default();
            let error = stand_down(Some(feeder(&calls, true)), error);
            assert_eq!(calls.counts(), (1, 0, stopped), "{error}");
        }
    }
}
