//! Records which keys the readers access, for docs/board-file.md: see
//! [`accesses`](super::accesses).

use std::fmt::Display;

use toml::Spanned;
use toml::de::DeValue;

use super::accesses::{Count, Expected, ExpectedSignal, KeyAccess, Log, Record, Target};
use super::reader::{At, Result, Table};
use super::signals::ANY_UNIT;
use super::types::Named;

impl<'t> Table<'t> {
    /// Records from now on the accesses to this table and to its inner tables.
    pub(super) fn record_to(&mut self, log: &'t Log) {
        self.record = Some(Record::root(log));
    }

    pub(super) fn note(&self, target: impl FnOnce() -> Target) {
        if let Some(record) = &self.record {
            record.note(target());
        }
    }

    /// Notes an access to `key`: its type and range, `expected`, and its `default`.
    pub(super) fn note_key(
        &self,
        key: &'static str,
        expected: Option<&Expected>,
        default: Option<&dyn Display>,
    ) {
        self.note(|| self.access(key, expected, default));
    }

    #[inline(never)]
    fn access(
        &self,
        key: &'static str,
        expected: Option<&Expected>,
        default: Option<&dyn Display>,
    ) -> Target {
        let value = self.entries.get(key);
        let text = |value: &Spanned<DeValue<'_>>| {
            let text = self.source().text.get(value.span()).unwrap_or_default();
            text.to_owned()
        };
        Target::Key(KeyAccess {
            key,
            expected: expected.cloned(),
            default: default.map(|default| default.to_string()),
            value: value.map(text),
        })
    }

    /// Notes that the value `at` has to be the name of a table `[header.NAME]`.
    pub(super) fn note_name(&self, at: &At<&str>, header: &str) {
        let is_it = |key: &&&'static str| {
            (self.entries.get(**key)).is_some_and(|value| value.span() == at.span)
        };
        if self.record.is_some()
            && let Some(key) = self.accessed.iter().find(is_it)
        {
            self.note_key(key, Some(&Expected::Name(header.to_owned())), None);
        }
    }

    /// The name of a signal of type `T`, a number in `unit`. `sets` says whether the table
    /// sets the signal or reads it.
    pub(super) fn signal<T: Named>(
        &mut self,
        key: &'static str,
        unit: &str,
        sets: bool,
    ) -> Result<At<&'t str>> {
        self.note_signal(key, (T::TYPE.describe(), unit), Count::One, sets);
        self.text(key)
    }

    /// The name of a signal of any type, which the table reads.
    pub(super) fn any_signal(&mut self, key: &'static str) -> Result<At<&'t str>> {
        self.note_signal(key, ("", ANY_UNIT), Count::One, false);
        self.text(key)
    }

    /// The names of `N` signals: see [`Table::signal`].
    pub(super) fn signals<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
        sets: bool,
    ) -> Result<[At<&'t str>; N]> {
        self.note_signal(key, (T::TYPE.describe(), unit), Count::Exactly(N), sets);
        self.texts(key)
    }

    /// The names of at most `most` signals: see [`Table::signal`].
    pub(super) fn signals_up_to<T: Named>(
        &mut self,
        key: &'static str,
        unit: &str,
        most: usize,
        sets: bool,
    ) -> Result<Vec<At<&'t str>>> {
        self.note_signal(key, (T::TYPE.describe(), unit), Count::UpTo(most), sets);
        self.texts_up_to(key, most)
    }

    /// The names of at most `most` signals of any type, which the table reads.
    pub(super) fn any_signals(
        &mut self,
        key: &'static str,
        most: usize,
    ) -> Result<Vec<At<&'t str>>> {
        self.note_signal(key, ("", ANY_UNIT), Count::UpTo(most), false);
        self.texts_up_to(key, most)
    }

    fn texts_up_to(&mut self, key: &'static str, most: usize) -> Result<Vec<At<&'t str>>> {
        let (_, names) = self.text_list(key, &Expected::TextsUpTo(most))?;
        if names.len() > most {
            let what = format!("`{key}` has {} entries", names.len());
            let fix = format!("it takes at most {most}");
            return Err(self.error_at(key, what, fix));
        }
        Ok(names)
    }

    /// Notes that `key` has to name `count` signals of the type `of`, empty for any, in `unit`.
    fn note_signal(
        &self,
        key: &'static str,
        (of, unit): (&'static str, &str),
        count: Count,
        sets: bool,
    ) {
        if self.record.is_some() {
            let unit = unit.to_owned();
            let signal = ExpectedSignal {
                of,
                unit,
                count,
                sets,
            };
            self.note_key(key, Some(&Expected::Signal(signal)), None);
        }
    }
}
