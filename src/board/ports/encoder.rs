//! Reading an encoder, and when what it gave was true.
//!
//! # The time of a sample
//!
//! It is the beginning of the cycle that made the chip measure: the cycle before for
//! an encoder, which is pipelined, and this one for all else. The frame itself is
//! later by what the cycle does before it, which is the same in each and so is not
//! in the distance between two samples. Where it is not the same, because frames
//! failed or a reply of zeros was looked at again, the clock is read (82
//! instructions, in such a cycle only), and what the cycle did before is taken off
//! it at the mean time of a call. What is left is an error of a frame or so; the
//! feedback allows an eighth of a period.
//!
//! After a gap in the cycles the angle under way is as old as the gap. It could be
//! used as that, since its time is known, but a position loop that has slept acts
//! better on where the shaft is: it is asked for anew, in one frame more.

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
    /// When the angle under way was asked for.
    asked_at: Instant,
}

/// How much later something was done than in a cycle in which nothing fails: the
/// time `spent` since the beginning of the cycle, less what the `before` devices took
/// that come before it in every cycle, at the mean time of the `done` calls so far.
pub(super) fn later(spent: Duration, before: usize, done: usize) -> Duration {
    let regular = spent.as_nanos() * before as u64 / done as u64;
    Duration::from_nanos(spent.as_nanos() - regular)
}

impl Encoder {
    /// One that was not asked for anything yet.
    pub(super) const fn new(spi: usize) -> Self {
        Self {
            spi,
            driver: as5047p::State::new(),
            asked_at: Instant::from_nanos(0),
        }
    }

    /// Reads the encoder, which comes after `before` others, in a cycle that measures
    /// as of `began`.
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

/// Frames of `before` encoders in the cycle of `tick` in which none of them fails:
/// after a gap each is asked anew.
const fn frames_of(before: usize, tick: &Tick) -> usize {
    if tick.elapsed_slots > 1 {
        2 * before
    } else {
        before
    }
}

/// How much later than in other cycles an angle was asked for, in a call of `after`
/// frames before that and one after it, which has ended `now`.
#[cold]
fn delay(after: u8, now: Instant, tick: &Tick, before: usize) -> Duration {
    let frames = frames_of(before, tick);
    let more = frames - before + usize::from(after);
    let done = frames + usize::from(after) + 3;
    let spent = now.since(tick.now).as_nanos();
    Duration::from_nanos(spent * more as u64 / done as u64)
}

/// The encoder was not read: once more, if there is time. Gives the sample, and when
/// the angle that is under way now was asked for.
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
    // A disturbed reply has asked all the same; for the cause of an error flag the
    // chip is asked first, and for the angle last.
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
