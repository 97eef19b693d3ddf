//! [`ConfigError`]: one line with the position in the board file, what is wrong, and the remedy.

use std::fmt::{self, Write};
use std::ops::Range;

/// A position in a board file, counted from 1 as editors do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of byte `offset` in `text`. An offset beyond the text gives its end; an offset
    /// inside a character gives that character.
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

/// An error of a board file.
///
/// Displayed as one line, `FILE:LINE:COLUMN: what; remedy`, the format that editors and build
/// tools parse. Quoted text of the file is escaped.
///
/// The [`Details`] are boxed to keep `Result` small: the code to move them would add to the
/// locked memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Box<Details>);

/// The content of a [`ConfigError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The file, as the caller named it.
    pub file: String,
    /// The position in the file; `None` for an error of the whole file.
    pub position: Option<Position>,
    /// What is wrong.
    pub what: String,
    /// The remedy.
    pub fix: String,
}

impl From<Details> for ConfigError {
    fn from(details: Details) -> Self {
        Self(Box::new(details))
    }
}

impl core::ops::Deref for ConfigError {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        line.write_str(&self.file)?;
        if let Some(Position { line: row, column }) = self.position {
            write!(line, ":{row}:{column}")?;
        }
        write!(line, ": {}; {}", self.what, self.fix)
    }
}

impl std::error::Error for ConfigError {}

/// Writes text, and escapes the characters of [`is_unprintable`].
struct OneLine<'f, 'a>(&'f mut fmt::Formatter<'a>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for c in part.chars() {
            if is_unprintable(c) {
                write!(self.0, "{}", c.escape_default())?;
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// The content of an error of the whole `file`.
pub(super) fn whole(file: &str, what: String, fix: &str) -> Details {
    Details {
        file: file.to_owned(),
        position: None,
        what,
        fix: fix.to_owned(),
    }
}

/// The error that the device named at `position` of `file` is not usable on this machine.
/// `message` is `what; remedy`; without a remedy, the kernel log is suggested.
pub(super) fn device_error(file: &str, position: Position, message: &str) -> ConfigError {
    let (what, fix) = message
        .split_once("; ")
        .unwrap_or((message, "see the kernel log (dmesg)"));
    ConfigError::from(Details {
        file: file.to_owned(),
        position: Some(position),
        what: what.to_owned(),
        fix: fix.to_owned(),
    })
}

/// Whether `c` would end a line, control a terminal or change the writing direction: Unicode
/// general category Cc, line and paragraph separators, and the bidirectional controls of
/// UAX #9.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// `text` as an error quotes it: cut off after 48 characters.
pub(super) fn quoted(text: &str) -> String {
    const MAX_CHARACTERS: usize = 48;
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The text and the name of a board file, to make errors.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Source<'t> {
    pub(super) file: &'t str,
    pub(super) text: &'t str,
}

impl<'t> Source<'t> {
    /// The error that `what` is wrong at `span`, with the remedy `fix`.
    pub(crate) fn error(
        &self,
        span: &Range<usize>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> ConfigError {
        self.made(span, what.into(), fix.into())
    }

    #[inline(never)]
    fn made(&self, span: &Range<usize>, what: String, fix: String) -> ConfigError {
        ConfigError::from(Details {
            file: self.file.to_owned(),
            position: Some(Position::of(self.text, span.start)),
            what,
            fix,
        })
    }

    /// Where `span` starts.
    pub(crate) fn position(&self, span: &Range<usize>) -> Position {
        Position::of(self.text, span.start)
    }

    /// The text at `span`, as an error quotes it.
    pub(super) fn quote(&self, span: &Range<usize>) -> String {
        quoted(self.text.get(span.clone()).unwrap_or_default().trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_in_lines_and_characters() {
        let text = "a = 1\nµ = 2\n";
        let column_of = |needle: &str| Position::of(text, text.find(needle).unwrap());
        assert_eq!(column_of("a"), Position { line: 1, column: 1 });
        assert_eq!(column_of("= 2"), Position { line: 2, column: 3 });
        assert_eq!(Position::of(text, 999), Position { line: 3, column: 1 });
        assert_eq!(
            Position::of(text, 7),
            Position { line: 2, column: 1 },
            "inside a character"
        );
    }

    #[test]
    fn an_error_is_one_line_whatever_text_it_quotes() {
        let error = ConfigError::from(Details {
            file: "a\nb.toml".to_owned(),
            position: Some(Position { line: 3, column: 4 }),
            what: "\u{1b}[2J\r\u{2028}\u{202e}".to_owned(),
            fix: "µ".to_owned(),
        });
        assert_eq!(
            error.to_string(),
            "a\\nb.toml:3:4: \\u{1b}[2J\\r\\u{2028}\\u{202e}; µ"
        );
    }

    #[test]
    fn a_long_quotation_is_cut_between_characters() {
        assert_eq!(quoted("µ"), "µ");
        assert_eq!(quoted(&"µ".repeat(48)), "µ".repeat(48));
        assert_eq!(quoted(&"µ".repeat(49)), format!("{}...", "µ".repeat(48)));
    }
}
