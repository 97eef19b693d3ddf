//! [`Text`]: formatted text without allocation.

use core::fmt::{self, Write as _};

/// The formatted text, cut off after `N` bytes between characters.
#[must_use]
pub(crate) fn cut<const N: usize>(args: fmt::Arguments<'_>) -> heapless::String<N> {
    let mut cut = Cut(heapless::String::new());
    // The error means that the text was cut off.
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

/// A text of at most 256 bytes in fixed memory. Longer text is cut off between characters.
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
