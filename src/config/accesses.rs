//! A record of the keys that the readers of a board file access.
//!
//! The reference of all tables and keys (docs/board-file.md) is generated from this record, so
//! it agrees with the readers. An ordinary start records nothing.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

/// Type and range of a key's value. Displayed as errors name it: `a whole number from 1 to 9`.
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
    /// A whole number or a text; this is the description of both.
    Either(&'static str),
    /// A list of finite numbers, with its greatest length.
    Numbers(RangeInclusive<f64>, usize),
    /// A list of finite numbers, with its exact length.
    NumbersExactly(RangeInclusive<f64>, usize),
    /// A list of texts, with its exact length.
    Texts(usize),
    /// A list of texts, with its greatest length.
    TextsUpTo(usize),
    /// One of these words.
    Word(Vec<String>),
    /// The table `[key]`.
    Table,
    /// Tables `[key.NAME]`, with their greatest number.
    Tables(usize),
    /// The name of a table `[header.NAME]`.
    Name(String),
    /// The name of a signal.
    Signal(ExpectedSignal),
}

/// The signals that a key names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpectedSignal {
    /// Their type, as [`Type::words`](super::types::Type::describe); empty for any.
    pub(crate) of: &'static str,
    /// The unit of a number; empty, or [`ANY_UNIT`](super::ANY_UNIT).
    pub(crate) unit: String,
    pub(crate) count: Count,
    /// Whether the table sets the signals, or reads them.
    pub(crate) sets: bool,
}

/// How many signals a key names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    /// One, not in a list.
    One,
    /// A list of exactly this length.
    Exactly(usize),
    /// A list of at most this length.
    UpTo(usize),
}

/// The longest text or name in a board file, bytes.
pub(crate) const MAX_TEXT: usize = 64;

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

/// `number` in decimal, with an exponent if it is not from 1e-6 to 1e9.
pub(crate) fn figure(number: f64) -> String {
    if number == 0.0 || (1e-6..1e9).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// The accesses of all readers of one board file, in their order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: RefCell<Vec<Access>>,
    misspelling: Option<Misspelling>,
}

impl Log {
    /// A log of a reading that assumes `misspelling`.
    pub(super) fn with(misspelling: Misspelling) -> Self {
        Self {
            events: RefCell::default(),
            misspelling: Some(misspelling),
        }
    }

    pub(crate) fn into_events(self) -> Vec<Access> {
        self.events.into_inner()
    }
}

/// The assumption that a key is misspelt: the readers get the entry `written` for `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misspelling {
    pub(super) table: String,
    pub(super) key: &'static str,
    pub(super) written: String,
}

/// One access to a table of a board file.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) kind: Kind,
    /// The table itself: `axis.x.gains`.
    pub(crate) table: String,
    pub(crate) target: Target,
}

impl Access {
    /// The key, if the value of one was accessed.
    pub(crate) const fn key(&self) -> Option<&KeyAccess> {
        match &self.target {
            Target::Key(access) => Some(access),
            Target::NoEffect { .. } => None,
        }
    }

    /// The name of the accessed key.
    pub(super) const fn name(&self) -> &'static str {
        let (Target::Key(KeyAccess { key, .. }) | Target::NoEffect { key, .. }) = &self.target;
        key
    }
}

/// A kind of table: all tables of a kind have the same reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    /// Its header, with `NAME` for each name: `axis.NAME.gains`; empty for the root.
    pub(crate) header: String,
    /// The key that chose a registered reader: `driver = "fan"`.
    pub(crate) chosen: Option<String>,
}

/// What a reader accesses.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The value of a key.
    Key(KeyAccess),
    /// `key` has no effect here: the reason.
    NoEffect { key: &'static str, why: String },
}

/// An access to the value of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyAccess {
    pub(crate) key: &'static str,
    /// `None`: the reader checks only whether the key exists.
    pub(crate) expected: Option<Expected>,
    /// The default, if there is one.
    pub(crate) default: Option<String>,
    /// The value in the file, as written.
    pub(crate) value: Option<String>,
}

/// Records the accesses to one table.
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

    /// The record of the inner table `key`, or of `key.name` among several.
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

    /// Notes that `key` has chosen the reader `name`: the next accesses are those of that
    /// reader.
    pub(super) fn choose(&mut self, key: &str, name: &str) {
        self.kind.chosen = Some(format!("{key} = \"{name}\""));
    }

    /// The name of the entry that stands for `key`: `key` itself, or its assumed misspelling.
    pub(super) fn written(&self, key: &'static str) -> &'l str {
        match &self.log.misspelling {
            Some(assumed) if assumed.table == self.table && assumed.key == key => &assumed.written,
            _ => key,
        }
    }

    #[inline(never)]
    pub(super) fn note(&self, target: Target) {
        self.log.events.borrow_mut().push(Access {
            kind: self.kind.clone(),
            table: self.table.clone(),
            target,
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
