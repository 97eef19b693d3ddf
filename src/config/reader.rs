//! Tables of a board file, with the position of each key and value for errors.
//!
//! A [`Table`] remembers the keys that its reader accesses, and [`Table::finish`] refuses every
//! other one. Values are read in [`value`](super::value). All of it allocates, and is for
//! start-up.

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::accesses::{Expected, MAX_TEXT, Record, Target};
use super::error::{ConfigError, Source, is_unprintable, quoted};
use crate::sys::sort::sort_by_key;

pub(crate) type Result<T> = std::result::Result<T, ConfigError>;

/// A value and its position in the text.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of a board file, for its reader.
pub struct Table<'t> {
    source: Source<'t>,
    /// As in the file's headers: `axis.x.gains`; empty for the file itself.
    name: String,
    span: Range<usize>,
    pub(super) entries: &'t DeTable<'t>,
    pub(super) accessed: Vec<&'static str>,
    /// Where accesses are recorded; `None` in an ordinary start.
    pub(super) record: Option<Record<'t>>,
}

impl<'t> Table<'t> {
    pub(super) fn root(source: Source<'t>, document: &'t Spanned<DeTable<'t>>) -> Self {
        Self::new(source, String::new(), 0..0, document.get_ref(), None)
    }

    fn new(
        source: Source<'t>,
        name: String,
        span: Range<usize>,
        entries: &'t DeTable<'t>,
        record: Option<Record<'t>>,
    ) -> Self {
        Self {
            source,
            name,
            span,
            entries,
            accessed: Vec::new(),
            record,
        }
    }

    pub(crate) fn source(&self) -> Source<'t> {
        self.source
    }

    /// The header of the table, `[device.fan]`, or `the board file` for the root.
    pub fn title(&self) -> String {
        title(&self.name)
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The entry of `registered` that `key` names; errors call such an entry a `kind`.
    pub(super) fn known<T: Copy>(
        &mut self,
        key: &'static str,
        registered: &[(&'static str, T)],
        kind: &str,
    ) -> Result<T> {
        let at = self.text(key)?;
        let found = registered.iter().find(|(name, _)| *name == at.value);
        let names: Vec<_> = registered.iter().map(|(name, _)| *name).collect();
        if let Some((name, found)) = found {
            if self.record.is_some() {
                let names = names.iter().map(|name| (*name).to_owned()).collect();
                self.note_key(key, Some(&Expected::Word(names)), None);
            }
            if let Some(record) = &mut self.record {
                record.choose(key, name);
            }
            return Ok(*found);
        }
        let fix = match nearest(&names, at.value) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names.is_empty() => {
                format!("register a {kind} (see `Firmware`): this firmware has none")
            }
            None => format!("this firmware has: {}", names.join(", ")),
        };
        let what = format!("there is no {kind} \"{}\"", at.value);
        Err(self.source.error(&at.span, what, fix))
    }

    /// The position of `key`, and its value.
    pub(super) fn find(
        &mut self,
        key: &'static str,
    ) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        self.accessed.push(key);
        let found = self.entries.get_key_value(self.written(key));
        found.map(|(name, value)| (name.span(), value))
    }

    /// The name of the entry that is read for `key`: see [`Record::written`].
    fn written(&self, key: &'static str) -> &'t str {
        (self.record.as_ref()).map_or(key, |record| record.written(key))
    }

    /// Whether the table has `key`.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.note_key(key, None, None);
        self.find(key).is_some()
    }

    /// Refuses `key`, which has no effect here because of another key: `why`, for the error.
    ///
    /// # Errors
    /// The table has `key`.
    pub fn without(&mut self, key: &'static str, why: &str) -> Result<()> {
        self.note(|| Target::NoEffect {
            key,
            why: why.to_owned(),
        });
        match self.entries.get_key_value(key) {
            None => Ok(()),
            Some((name, _)) => Err(self.source.error(
                &name.span(),
                format!("`{key}` of {} has no effect: {why}", self.title()),
                "remove it",
            )),
        }
    }

    /// The inner table `[key]`.
    ///
    /// # Errors
    /// The key is missing, or its value is not a table.
    pub fn table(&mut self, key: &'static str) -> Result<Table<'t>> {
        self.note_key(key, Some(&Expected::Table), None);
        let name = self.child_name(key);
        let record = self.child_record(key, None);
        match self.find(key) {
            Some((span, value)) => self.as_table(name, span, value, record),
            None => Err(self.source.error(
                &self.span,
                format!("{} has no [{name}]", self.title()),
                format!("add a table [{name}]"),
            )),
        }
    }

    /// The inner table `[key]`, or `None` without the key.
    ///
    /// # Errors
    /// The value is not a table.
    pub fn table_if(&mut self, key: &'static str) -> Result<Option<Table<'t>>> {
        if self.has(key) {
            self.table(key).map(Some)
        } else {
            Ok(None)
        }
    }

    /// All tables `[key.NAME]` in the order of the file. More than `most` are an error.
    pub(crate) fn tables(
        &mut self,
        key: &'static str,
        most: usize,
    ) -> Result<Vec<(&'t str, Table<'t>)>> {
        self.note_key(key, Some(&Expected::Tables(most)), None);
        let header = self.child_name(key);
        self.accessed.push(key);
        let misspelt = Some(self.written(key)).filter(|written| *written != key);
        let mut named: Vec<_> = Vec::new();
        for name in [Some(key), misspelt].into_iter().flatten() {
            let Some(value) = self.entries.get(name) else {
                continue;
            };
            let DeValue::Table(entries) = value.get_ref() else {
                return Err(self.wrong_type(key, value, &format_args!("tables [{header}.NAME]")));
            };
            named.extend(entries.iter());
        }
        sort_by_key(&mut named, |(name, _)| name.span().start);
        if let Some((first, _)) = named.get(most) {
            return Err(self.source.error(
                &first.span(),
                format!("there are {} tables [{header}.NAME]", named.len()),
                format!("remove some, at most {most} are supported"),
            ));
        }
        let tables = named.into_iter().map(|(name, value)| {
            let text: &'t str = name.get_ref();
            self.check_text(&format!("a name in [{header}.NAME]"), text, &name.span())?;
            let child = format!("{header}.{text}");
            let record = self.child_record(key, Some(text));
            Ok((text, self.as_table(child, name.span(), value, record)?))
        });
        tables.collect()
    }

    fn child_record(&self, key: &str, name: Option<&str>) -> Option<Record<'t>> {
        (self.record.as_ref()).map(|record| record.child(key, name))
    }

    fn child_name(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    fn as_table(
        &self,
        name: String,
        span: Range<usize>,
        value: &'t Spanned<DeValue<'t>>,
        record: Option<Record<'t>>,
    ) -> Result<Table<'t>> {
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Self::new(self.source, name, span, entries, record)),
            _ => Err(self.wrong_type(&name, value, &format_args!("a table [{name}]"))),
        }
    }

    /// Refuses a `text` that is empty, longer than [`MAX_TEXT`] or not printable; the error
    /// calls it `what`.
    pub(super) fn check_text(&self, what: &str, text: &str, span: &Range<usize>) -> Result<()> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(self.source.error(
                span,
                format!("{what} is {} bytes long", text.len()),
                format!("it must be 1 to {MAX_TEXT} bytes long"),
            ));
        }
        if let Some(c) = text.chars().find(|c| is_unprintable(*c)) {
            return Err(self.source.error(
                span,
                format!("{what} contains the character {}", c.escape_unicode()),
                "use printable characters only",
            ));
        }
        Ok(())
    }

    /// An error of the whole table: `what` is wrong, and `fix`, what to do. Displayed:
    /// `FILE:LINE:COLUMN: [TABLE]: what; fix`.
    pub fn error(&self, what: impl Display, fix: impl Into<String>) -> ConfigError {
        self.source
            .error(&self.span, format!("{}: {what}", self.title()), fix)
    }

    /// An error at `span`, which may be another table: `what` is wrong, and `fix`, what to do.
    pub(super) fn error_in(
        &self,
        span: &Range<usize>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> ConfigError {
        self.source.error(span, what, fix)
    }

    /// An error at the value of `key`, or at the table without that key: `what` is wrong, and
    /// `fix`, what to do.
    pub fn error_at(
        &mut self,
        key: &'static str,
        what: impl Display,
        fix: impl Into<String>,
    ) -> ConfigError {
        let span = self
            .find(key)
            .map_or_else(|| self.span.clone(), |(_, value)| value.span());
        self.source.error(&span, what.to_string(), fix)
    }

    /// Every key of this table and of its inner tables, and the position of its value. The first
    /// entry is the table itself.
    pub(crate) fn places(&self) -> Vec<(String, Range<usize>)> {
        fn collect(entries: &DeTable<'_>, places: &mut Vec<(String, Range<usize>)>) {
            for (key, value) in entries {
                let span = match value.get_ref() {
                    DeValue::Table(_) => key.span(),
                    _ => value.span(),
                };
                places.push((key.get_ref().to_string(), span));
                if let DeValue::Table(inner) = value.get_ref() {
                    collect(inner, places);
                }
            }
        }
        let mut places = vec![(self.name.clone(), self.span.clone())];
        collect(self.entries, &mut places);
        places
    }

    /// Whether the value of `key` is a text, such as the name of a signal.
    pub fn is_text(&mut self, key: &'static str) -> bool {
        self.note_key(key, Some(&Expected::Text), None);
        let found = self.find(key);
        found.is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::String(_)))
    }

    /// Refuses the first key that the reader has not accessed.
    pub(crate) fn finish(self) -> Result<()> {
        let is_accessed = |name: &str| {
            let mut known = self.accessed.iter();
            known.any(|key| *key == name || self.written(key) == name)
        };
        let unused = self
            .entries
            .keys()
            .filter(|key| !is_accessed(key.get_ref()))
            .min_by_key(|key| key.span().start);
        match unused {
            None => Ok(()),
            Some(key) => Err(unknown(&self.source, key, &self.title(), &self.accessed)),
        }
    }
}

/// The header of the table `name`, or `the board file` for the root, whose name is empty.
pub(super) fn title(name: &str) -> String {
    match name {
        "" => "the board file".to_owned(),
        name => format!("[{name}]"),
    }
}

/// The error that `key` of the table `title` is none of the `known` ones.
pub(super) fn unknown(
    source: &Source<'_>,
    key: &Spanned<DeString<'_>>,
    title: &str,
    known: &[&str],
) -> ConfigError {
    let name = key.get_ref().as_ref();
    let mut keys: Vec<&str> = Vec::new();
    for key in known {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let fix = match nearest(&keys, name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", keys.join(", ")),
    };
    let what = format!("unknown key `{}` in {title}", quoted(name));
    source.error(&key.span(), what, fix)
}

/// The entry of `known` that `name` is probably a misspelling of.
pub(super) fn nearest<'k>(known: &[&'k str], name: &str) -> Option<&'k str> {
    // A long text is not a misspelt key, and its distance would cost time.
    if name.len() > MAX_TEXT {
        return None;
    }
    known
        .iter()
        .map(|known| (distance(known, name), *known))
        .min()
        .filter(|(distance, known)| *distance <= 2 && *distance < known.chars().count())
        .map(|(_, known)| known)
}

/// Levenshtein distance of two texts in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_are_similar_and_other_keys_are_not() {
        assert_eq!(distance("period_us", "period_us"), 0);
        assert_eq!(distance("period_us", "peroid_us"), 2);
        assert_eq!(distance("kp", ""), 2);
        assert!(distance("priority", "safe") > 2);
    }

    #[test]
    fn a_key_is_suggested_only_if_similar() {
        let known = ["kp", "ki", "derivative_cutoff_hz"];
        assert_eq!(nearest(&known, "derivative_cutof_hz"), Some(known[2]));
        assert_eq!(nearest(&known, "kq"), Some("ki"));
        assert_eq!(nearest(&known, "xy"), None, "nothing of it is right");
        assert_eq!(nearest(&known, &"k".repeat(100_000)), None);
    }
}
