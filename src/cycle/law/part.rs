//! The part of a record that a law writes.

use crate::cycle::ports::{TRACE_LEN, Trace};

/// The part of a [`Trace`] that belongs to one law.
///
/// Packed into one register: index of the first value, and number of values.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Part(u16);

impl Part {
    /// The whole trace.
    const WHOLE: Self = Self(TRACE_LEN as u16);

    /// `length` values from `first` on, limited to the length of a trace.
    #[must_use]
    pub fn new(first: usize, length: usize) -> Self {
        let first = first.min(TRACE_LEN);
        Self((first << 8 | length.min(TRACE_LEN - first)) as u16)
    }

    const fn first(self) -> usize {
        self.0 as usize >> 8
    }

    /// The index after the last value.
    pub(super) const fn end(self) -> usize {
        self.first() + (self.0 & 0xff) as usize
    }

    /// The values of this part in `trace`.
    #[inline]
    pub fn of(self, trace: &mut Trace) -> &mut [f32] {
        // The usual case; any other part costs two bounds checks.
        if self == Self::WHOLE {
            return trace;
        }
        trace.get_mut(self.first()..self.end()).unwrap_or_default()
    }
}
