//! What the readers of a board file ask for, recorded.
//!
//! The reference of all tables and keys (docs/board-file.md) is made of this record, so that
//! it says what the readers do. An ordinary start records nothing.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

/// What the value of a key has to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expected {
    /// A text of 1 to [`MAX_TEXT`] bytes.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A finite number.
    Number(RangeInclusive<f64>),
    /// A whole number.
    Integer(RangeInclusive<u64>),
    /// A whole number or a text, in words.
    Either(&'static str),
    /// Finite numbers, at most so many.
    Numbers(RangeInclusive<f64>, usize),
    /// Finite numbers, exactly so many.
    NumbersExactly(RangeInclusive<f64>, usize),
    /// Texts, exactly so many.
    Texts(usize),
    /// Texts, at most so many.
    TextsUpTo(usize),
    /// One of these words.
    Word(Vec<String>),
    /// The table `[key]`.
    Table,
    /// Tables `[key.NAME]`, at most so many.
    Tables(usize),
    /// The name of a table `[header.NAME]`.
    Name(String),
    /// The name of a signal.
    Signal(ExpectedSignal),
}

/// What a signal has to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpectedSignal {
    /// Its type, in words.
    pub(crate) of: &'static str,
    /// The unit of a number; may be empty, or any.
    pub(crate) unit: String,
    pub(crate) count: Count,
    /// Whether the table sets the signal; it reads it otherwise.
    pub(crate) sets: bool,
}

/// How many signals a key names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    /// One, not in a list.
    One,
    /// A list of so many.
    Exactly(usize),
    /// A list of at most so many.
    UpTo(usize),
}

/// The longest text or name in a board file, bytes.
pub(crate) const MAX_TEXT: usize = 64;

/// As an error says it.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text | Self::Name(_) | Self::Signal(_) => f.write_str("a text in quotes"),
            Self::Boolean => f.write_str("true or false"),
            Self::Number(range) => {
                let (start, end) = (figure(*range.start()), figure(*range.end()));
                write!(f, "a finite number from {start} to {end}")
            }
            Self::Integer(range) => {
                write!(
                    f,
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            }
            Self::Either(words) => f.write_str(words),
            Self::Numbers(..) | Self::NumbersExactly(..) => {
                f.write_str("a list of numbers, such as [0.0, 1.5]")
            }
            Self::Texts(_) | Self::TextsUpTo(_) => f.write_str("a list of texts in quotes"),
            Self::Word(words) => {
                let mut between = "";
                for word in words {
                    write!(f, "{between}\"{word}\"")?;
                    between = " or ";
                }
                Ok(())
            }
            Self::Table | Self::Tables(_) => f.write_str("a table"),
        }
    }
}

/// `number` as people write it: with an exponent where it would be a row of
/// zeros.
pub(crate) fn figure(number: f64) -> String {
    if number == 0.0 || (1e-6..1e9).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// Everything that the readers of one board file have asked for, in its order.
#[derive(Debug, Default)]
pub(crate) struct Log(RefCell<Vec<Asked>>);

impl Log {
    pub(crate) fn into_events(self) -> Vec<Asked> {
        self.0.into_inner()
    }
}

/// One question to a table of a board file.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    /// The table itself: `axis.x.gains`.
    pub(crate) table: String,
    pub(crate) question: Question,
}

impl Asked {
    /// The key, where the question is for one.
    pub(crate) const fn key(&self) -> Option<&AskedKey> {
        match &self.question {
            Question::Key(asked) => Some(asked),
            Question::Only(_) | Question::NoEffect { .. } => None,
        }
    }
}

/// Which kind of table: all tables of a kind are read by the same reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    /// Its header, with `NAME` for each name: `axis.NAME.gains`; empty for the file itself.
    pub(crate) header: String,
    /// What has chosen the reader, for a table of one's own: `driver = "fan"`.
    pub(crate) chosen: Option<String>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// Which keys there can be.
    Only(Vec<&'static str>),
    /// For the value of a key.
    Key(AskedKey),
    /// `key` must not be there: the reason.
    NoEffect { key: &'static str, why: String },
}

/// A key whose value was asked for.
#[derive(Clone, Debug)]
pub(crate) struct AskedKey {
    pub(crate) key: &'static str,
    /// `None`: only whether it is there.
    pub(crate) expected: Option<Expected>,
    /// What holds where it is not there, if anything does.
    pub(crate) default: Option<String>,
    /// What the file says.
    pub(crate) value: Option<String>,
}

/// Where one table's questions are recorded.
#[derive(Clone)]
pub(super) struct Record<'l> {
    log: &'l Log,
    kind: Kind,
    table: String,
}

impl<'l> Record<'l> {
    pub(super) fn root(log: &'l Log) -> Self {
        Self {
            log,
            kind: Kind::default(),
            table: String::new(),
        }
    }

    /// That of the table `key` inside of this one; `name` is that of one of several.
    #[inline(never)]
    pub(super) fn child(&self, key: &str, name: Option<&str>) -> Self {
        let joined = |parent: &str, child: &str| match parent {
            "" => child.to_owned(),
            parent => format!("{parent}.{child}"),
        };
        let mut child = self.clone();
        child.kind.header = joined(&self.kind.header, key);
        child.table = joined(&self.table, key);
        if let Some(name) = name {
            child.kind.header.push_str(".NAME");
            child.table = format!("{}.{name}", child.table);
        }
        child
    }

    /// From here on the table is that of what `key` has chosen.
    pub(super) fn choose(&mut self, key: &str, name: &str) {
        self.kind.chosen = Some(format!("{key} = \"{name}\""));
    }

    #[inline(never)]
    pub(super) fn note(&self, question: Question) {
        self.log.0.borrow_mut().push(Asked {
            kind: self.kind.clone(),
            table: self.table.clone(),
            question,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_their_shortest_form() {
        let texts = [0.0, -10.0, 0.001, 20000.5, 1e9, 1e-9, f64::MAX].map(figure);
        assert_eq!(
            texts,
            [
                "0",
                "-10",
                "0.001",
                "20000.5",
                "1e9",
                "1e-9",
                "1.7976931348623157e308"
            ]
        );
    }
}
