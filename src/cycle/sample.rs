//! A sample: the value of an input, or why it is missing, and its time.

use crate::time::Instant;

/// Why a reading has no value.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum InputError {
    /// The channel has not been read yet, or does not exist.
    NotRead,
    /// The transfer failed: the kernel or the controller refused it.
    Bus,
    /// The parity of the answer was wrong.
    Parity,
    /// The chip reported that the last request was malformed.
    Framing,
    /// The sensor cannot measure: its start-up is not finished, or it has no supply.
    NotReady,
    /// The magnet is too far away.
    FieldWeak,
    /// The magnet is too close.
    FieldStrong,
    /// The value is outside of the range of the sensor.
    OutOfRange,
    /// A command from outside was not refreshed within its timeout: its sender is gone.
    Stale,
}

/// The value of an input, and the instant at which it was true.
///
/// Two samples are rarely exactly one period apart: a cycle begins late, slots are skipped, a
/// transfer is repeated, or a pipelined chip answers with the measurement of the cycle before.
/// A law that differentiates must divide by the distance of the instants, never by the period.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sample<T> {
    /// The value, or why it is missing.
    pub value: Result<T, InputError>,
    /// When the value was true, on the clock of [`Tick::now`](super::ports::Tick), or on the
    /// plant's clock in a simulation whose plant waits for a late loop. A failure has the time
    /// of its cycle.
    pub at: Instant,
}

impl<T> Sample<T> {
    /// The sample of an input that has not been read yet.
    pub const NOT_READ: Self = Self {
        value: Err(InputError::NotRead),
        at: Instant::from_nanos(0),
    };
}
