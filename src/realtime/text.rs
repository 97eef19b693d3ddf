//! Words that are made where nothing may be allocated.

use core::fmt::{self, Write as _};

/// A short text in fixed memory. What does not fit is cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(heapless::String<256>);

impl Text {
    /// The formatted text, as far as it fits.
    #[must_use]
    pub fn of(args: fmt::Arguments<'_>) -> Self {
        let mut text = Self::default();
        // The writer below never fails: it cuts off.
        let _ = text.write_fmt(args);
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for c in part.chars() {
            if self.0.push(c).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
