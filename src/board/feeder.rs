//! Feeds the watchdog, and knows from what.

use super::run::RunError;
use crate::cycle::ports::Tick;
use crate::device::watchdog::{Kernel, Timer, Watchdog};
use crate::realtime::runner::StartError;
use crate::time::Duration;

/// Feeds the watchdog from completed deadlines, four times within its timeout.
pub(super) struct Feeder<T = Kernel> {
    pub(super) watchdog: Watchdog<T>,
    slots: u64,
    next_slot: u64,
    /// Feedings that the driver refused.
    pub(super) refused: u64,
}

impl<T: Timer> Feeder<T> {
    pub(super) fn new(watchdog: Watchdog<T>, period: Duration) -> Self {
        let quarter = Duration::from_millis(u64::from(watchdog.facts().timeout_s) * 250);
        Self {
            watchdog,
            slots: (quarter / period).max(1),
            next_slot: 0,
            refused: 0,
        }
    }

    #[inline]
    pub(super) fn deadline_met(&mut self, tick: &Tick) {
        if tick.slot >= self.next_slot {
            self.next_slot = tick.slot + self.slots;
            // A watchdog that cannot be fed does what it is there for.
            if self.watchdog.feed().is_err() {
                self.refused += 1;
            }
        }
    }

    /// Stops the watchdog of a start that came to nothing: nothing was energised,
    /// and a supervisor that tries again must not have the board reset under it.
    /// Only an error of `/proc` can come after a run; then the watchdog stays armed.
    pub(super) fn stand_down(feeder: Option<Self>, error: RunError) -> RunError {
        let before_the_run = !matches!(error, RunError::Start(StartError::Proc(_)));
        if let (Some(feeder), true) = (feeder, before_the_run) {
            // One that cannot be stopped resets a board whose outputs are safe.
            let _ = feeder.watchdog.close();
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Errno;
    use crate::sys::watchdog::{Info, MAGIC_CLOSE};
    use crate::telemetry::flight::FlightError;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    /// A watchdog that can be fed only once.
    #[derive(Default)]
    struct Stub {
        fed: Rc<Cell<u32>>,
        written: Rc<RefCell<Vec<u8>>>,
    }

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
            self.fed.set(self.fed.get() + 1);
            if self.fed.get() == 1 {
                Ok(())
            } else {
                Err(Errno(libc::EIO))
            }
        }
        fn write(&mut self, byte: u8) -> Result<(), Errno> {
            self.written.borrow_mut().push(byte);
            Ok(())
        }
    }

    fn feeder(stub: Stub) -> Feeder<Stub> {
        let watchdog = Watchdog::with(stub, 2).expect("it grants all");
        Feeder::new(watchdog, Duration::from_millis(1))
    }

    #[test]
    fn a_start_that_comes_to_nothing_stops_the_watchdog_and_a_run_that_fails_does_not() {
        for (error, bytes) in [
            (RunError::Flight(FlightError::Busy), &b"V"[..]),
            (RunError::Helper(libc::EAGAIN), b"V"),
            (RunError::Busy, b"V"),
            (RunError::Start(StartError::Proc(Errno(libc::EIO))), b""),
        ] {
            let written = Rc::<RefCell<Vec<u8>>>::default();
            let stub = Stub {
                written: Rc::clone(&written),
                ..Stub::default()
            };
            let error = Feeder::stand_down(Some(feeder(stub)), error);
            assert_eq!(written.borrow().as_slice(), bytes, "{error}");
        }
    }

    #[test]
    fn it_is_fed_four_times_within_its_timeout_and_what_is_refused_is_counted() {
        let fed = Rc::<Cell<u32>>::default();
        let stub = Stub {
            fed: Rc::clone(&fed),
            ..Stub::default()
        };
        let mut feeder = feeder(stub);
        for slot in 0..2_000 {
            let tick = Tick {
                slot,
                ..Tick::default()
            };
            feeder.deadline_met(&tick);
        }
        assert_eq!((fed.get(), feeder.refused), (4, 3));
    }
}
