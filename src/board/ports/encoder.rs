//! Reads an encoder, and determines the time of its sample.
//!
//! # The time of a sample
//!
//! It is the start of the cycle whose frame made the chip measure: the previous cycle for an
//! encoder, which is pipelined, and this cycle for all other inputs. The frame follows the start
//! of the cycle by a delay that is equal in all cycles and so cancels in differences. If it is
//! not equal, because frames failed or a reply of zeros was checked again, the clock is read
//! (82 instructions, only in such a cycle), and the usual delay is subtracted, estimated from
//! the mean time of a call. An error of about one frame remains; the feedback tolerates an
//! eighth of a period.
//!
//! After skipped cycles the pipelined angle is as old as the gap. Its time is known, but a
//! position controller needs the present angle after a gap. So the angle is requested again,
//! with one more frame.

use embedded_hal::spi::SpiDevice;

use super::Devices;
use super::failing::Budget;
use crate::cycle::image::{Angle, Sample};
use crate::cycle::ports::Tick;
use crate::driver::as5047p::{self, Latched};
use crate::time::{Duration, Instant};

/// An encoder on its SPI device.
pub(super) struct Encoder {
    spi: usize,
    driver: as5047p::State,
    /// When the pipelined angle was requested.
    asked_at: Instant,
}

/// The delay relative to a cycle without failures: the time `spent` since the start of the cycle,
/// minus the usual time of the `before` devices that precede it, estimated from the mean time of
/// the `done` calls so far.
pub(super) fn later(spent: Duration, before: usize, done: usize) -> Duration {
    let regular = spent.as_nanos() * before as u64 / done as u64;
    Duration::from_nanos(spent.as_nanos() - regular)
}

impl Encoder {
    /// An encoder without a pipelined request.
    pub(super) const fn new(spi: usize) -> Self {
        Self {
            spi,
            driver: as5047p::State::new(),
            asked_at: Instant::from_nanos(0),
        }
    }

    /// Reads the encoder, which follows `before` other encoders, in a cycle with the sample time
    /// `began`.
    #[inline]
    pub(super) fn read<D: Devices>(
        &mut self,
        devices: &mut D,
        budget: &Budget,
        tick: &Tick,
        began: Instant,
        before: usize,
    ) -> Sample<Angle> {
        if tick.elapsed_slots > 1 {
            self.driver.forget_angle();
        }
        let mut driver = as5047p::As5047p::resume(devices.spi(self.spi), self.driver);
        let (sample, asked_at) = match driver.angle_pipelined() {
            Ok(angle) => {
                let (at, asked_at) = match driver.latched() {
                    Latched::ByPreviousCall => (self.asked_at, began),
                    Latched::InThisCall { after } => {
                        let at = began + delay(after, D::now(tick), tick, before);
                        (at, at)
                    }
                };
                let value = Ok(angle);
                (Sample { value, at }, asked_at)
            }
            Err(error) => read_again::<D, _>(&mut driver, error, budget, tick, began, before),
        };
        self.driver = driver.suspend();
        self.asked_at = asked_at;
        sample
    }
}

/// Number of frames of `before` encoders in the cycle of `tick`, without failures: two each after
/// skipped slots.
const fn frames_of(before: usize, tick: &Tick) -> usize {
    if tick.elapsed_slots > 1 {
        2 * before
    } else {
        before
    }
}

/// The delay of a request relative to other cycles. The call made `after` frames before the
/// request and one after it, and has ended `now`.
#[cold]
fn delay(after: u8, now: Instant, tick: &Tick, before: usize) -> Duration {
    let frames = frames_of(before, tick);
    let more = frames - before + usize::from(after);
    let done = frames + usize::from(after) + 3;
    let spent = now.since(tick.now).as_nanos();
    Duration::from_nanos(spent * more as u64 / done as u64)
}

/// Handles a failed reading: a retry, if there is time. Gives the sample, and when the pipelined
/// angle was requested.
#[cold]
fn read_again<D: Devices, SPI: SpiDevice>(
    driver: &mut as5047p::As5047p<SPI>,
    error: as5047p::Error,
    budget: &Budget,
    tick: &Tick,
    began: Instant,
    before: usize,
) -> (Sample<Angle>, Instant) {
    let failed = |error: as5047p::Error| Sample {
        value: Err(error.into()),
        at: began,
    };
    if !error.is_of_transfer() {
        return (failed(error), began);
    }
    let now = D::now(tick);
    let done = frames_of(before, tick) + 2;
    let again = began + later(now.since(tick.now), before, done);
    // A disturbed reply has still requested the angle. After an error flag the driver reads the
    // error register first, and requests the angle last.
    let asked_at = match error {
        as5047p::Error::Framing(_) => again,
        _ => began,
    };
    if !budget.allows(now, tick, done) {
        return (failed(error), asked_at);
    }
    let sample = match driver.angle_pipelined() {
        Ok(angle) => Sample {
            value: Ok(angle),
            at: match driver.latched() {
                Latched::ByPreviousCall => asked_at,
                Latched::InThisCall { .. } => again,
            },
        },
        Err(error) => failed(error),
    };
    (sample, again)
}
