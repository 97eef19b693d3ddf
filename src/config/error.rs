//! What is wrong with a board file: one line that says where, what, and how to
//! put it right.

use std::fmt;
use std::ops::Range;

/// A place in a board file, 1-based as editors count.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of byte `offset` in `text`; its end if beyond.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }
}

/// One thing wrong with a board file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named by whoever asked for it.
    pub file: String,
    /// Where in it; `None` when the file as a whole is meant.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// How to put it right.
    pub fix: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.what, self.fix)
    }
}

impl std::error::Error for ConfigError {}

/// The text of a board file and its name, from which errors are made.
#[derive(Copy, Clone, Debug)]
pub(super) struct Source<'t> {
    pub(super) file: &'t str,
    pub(super) text: &'t str,
}

impl Source<'_> {
    /// The error that `what` is wrong at `span`, to be put right by `fix`.
    pub(super) fn error(
        &self,
        span: &Range<usize>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            place: Some(Place::of(self.text, span.start)),
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// Where `span` starts.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        Place::of(self.text, span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "a = 1\nµ = 2\n";
        let column_of = |needle: &str| Place::of(text, text.find(needle).unwrap());
        assert_eq!(column_of("a"), Place { line: 1, column: 1 });
        assert_eq!(column_of("= 2"), Place { line: 2, column: 3 });
        assert_eq!(Place::of(text, 999), Place { line: 3, column: 1 });
        assert_eq!(
            Place::of(text, 7),
            Place { line: 2, column: 1 },
            "inside a character"
        );
    }
}
