//! Words that are made where nothing may be allocated.

use core::fmt::{self, Write as _};

/// The formatted text, as far as it fits.
#[must_use]
pub(crate) fn cut<const N: usize>(args: fmt::Arguments<'_>) -> heapless::String<N> {
    let mut cut = Cut(heapless::String::new());
    // What does not fit is cut off.
    let _ = cut.write_fmt(args);
    cut.0
}

struct Cut<const N: usize>(heapless::String<N>);

impl<const N: usize> fmt::Write for Cut<N> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        part.chars()
            .try_for_each(|c| self.0.push(c))
            .map_err(|_| fmt::Error)
    }
}

/// A short text in fixed memory. What does not fit is cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(heapless::String<256>);

impl Text {
    /// The formatted text, as far as it fits.
    #[must_use]
    pub fn of(args: fmt::Arguments<'_>) -> Self {
        Self(cut(args))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
