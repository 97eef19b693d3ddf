//! Tables of a board file, found by name and with their places.
//!
//! Whoever reads a [`Table`] first says which keys there can be
//! ([`Table::only`]): a misspelt key is then an error by its own name, and not a
//! default, nor the complaint that the right one is missing. What was allowed
//! and not asked for in the end is refused by [`Table::finish`]. Values are read
//! in [`value`](super::value).

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Source, is_unprintable, quoted};

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

/// A value with the place that it stands at.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of a board file.
pub(super) struct Table<'t> {
    source: Source<'t>,
    /// As in the file's headers: `axis.x.gains`; empty for the file itself.
    name: String,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
    keys: &'static [&'static str],
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn root(source: Source<'t>, document: &'t Spanned<DeTable<'t>>) -> Self {
        Self::new(source, String::new(), 0..0, document.get_ref())
    }

    fn new(source: Source<'t>, name: String, span: Range<usize>, entries: &'t DeTable<'t>) -> Self {
        Self {
            source,
            name,
            span,
            entries,
            keys: &[],
            asked: Vec::new(),
        }
    }

    pub(super) fn source(&self) -> Source<'t> {
        self.source
    }

    /// The name as in the file's headers, in brackets.
    pub(super) fn title(&self) -> String {
        match self.name.as_str() {
            "" => "the board file".to_owned(),
            name => format!("[{name}]"),
        }
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// Says which keys there can be, and refuses the first one that is none of
    /// them.
    pub(super) fn only(&mut self, keys: &'static [&'static str]) -> Result<()> {
        self.keys = keys;
        let unknown = self
            .entries
            .keys()
            .filter(|key| !keys.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let Some(key) = unknown else {
            return Ok(());
        };
        let name = key.get_ref().as_ref();
        let fix = match nearest(keys, name) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", keys.join(", ")),
        };
        let what = format!("unknown key `{}` in {}", quoted(name), self.title());
        Err(self.source.error(&key.span(), what, fix))
    }

    /// The place of `key` and its value.
    pub(super) fn find(
        &mut self,
        key: &'static str,
    ) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        debug_assert!(self.keys.contains(&key), "{key} in {}", self.title());
        self.asked.push(key);
        self.entries
            .get_key_value(key)
            .map(|(name, value)| (name.span(), value))
    }

    /// Whether `key` is there at all.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// Refuses `key`, which has no effect because of what else stands in the
    /// file: `why`.
    pub(super) fn without(&mut self, key: &'static str, why: &str) -> Result<()> {
        match self.find(key) {
            None => Ok(()),
            Some((span, _)) => Err(self.source.error(
                &span,
                format!("`{key}` of {} has no effect: {why}", self.title()),
                "remove it",
            )),
        }
    }

    /// The table `[key]`.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Table<'t>> {
        let name = self.child_name(key);
        match self.find(key) {
            Some((span, value)) => self.as_table(name, span, value),
            None => Err(self.source.error(
                &self.span,
                format!("{} has no [{name}]", self.title()),
                format!("add a table [{name}]"),
            )),
        }
    }

    /// The table `[key]`, where it is there.
    pub(super) fn table_if(&mut self, key: &'static str) -> Result<Option<Table<'t>>> {
        if self.has(key) {
            self.table(key).map(Some)
        } else {
            Ok(None)
        }
    }

    /// All tables `[key.NAME]` in the order of the file, at most `most`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        most: usize,
    ) -> Result<Vec<(&'t str, Table<'t>)>> {
        let header = self.child_name(key);
        let Some((_, value)) = self.find(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(self.wrong_type(key, value, &format!("tables [{header}.NAME]")));
        };
        let mut named: Vec<_> = entries.iter().collect();
        named.sort_unstable_by_key(|(name, _)| name.span().start);
        if let Some((first, _)) = named.get(most) {
            return Err(self.source.error(
                &first.span(),
                format!("there are {} tables [{header}.NAME]", named.len()),
                format!("at most {most} are supported"),
            ));
        }
        let tables = named.into_iter().map(|(name, value)| {
            let text: &'t str = name.get_ref();
            self.check_text(&format!("a name in [{header}.NAME]"), text, &name.span())?;
            let child = format!("{header}.{text}");
            Ok((text, self.as_table(child, name.span(), value)?))
        });
        tables.collect()
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
    ) -> Result<Table<'t>> {
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Self::new(self.source, name, span, entries)),
            _ => Err(self.wrong_type(&name, value, &format!("a table [{name}]"))),
        }
    }

    /// Refuses `text`, which is `what`, where it cannot be shown in one line.
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
                format!("{what} holds the character {}", c.escape_unicode()),
                "use printable characters only",
            ));
        }
        Ok(())
    }

    /// The error that `what` is wrong with this table as a whole.
    pub(super) fn error(&self, what: impl Display, fix: impl Into<String>) -> ConfigError {
        self.source
            .error(&self.span, format!("{}: {what}", self.title()), fix)
    }

    /// The error that `what` is wrong with the value of `key`.
    pub(super) fn error_at(
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

    /// Every key of this table and of those inside of it with the place of its
    /// value, the table itself first.
    pub(super) fn places(&self) -> Vec<(String, Range<usize>)> {
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

    /// Refuses every key that nobody has asked for.
    pub(super) fn finish(self) -> Result<()> {
        let unused = self
            .entries
            .keys()
            .filter(|key| !self.asked.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        match unused {
            None => Ok(()),
            Some(key) => Err(self.source.error(
                &key.span(),
                format!("`{}` of {} has no effect", key.get_ref(), self.title()),
                "remove it, or add what it belongs to",
            )),
        }
    }
}

/// The longest text or name in a board file, bytes.
pub(super) const MAX_TEXT: usize = 64;

/// The one of `known` that `name` was probably meant to be.
pub(super) fn nearest<'k>(known: &[&'k str], name: &str) -> Option<&'k str> {
    // Nobody misspells a key by more than a few letters, and the distance to a
    // text of any length takes its time.
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

/// Levenshtein's distance, to guess what a misspelt key was meant to be.
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
    fn misspelt_keys_are_near_and_other_keys_are_not() {
        assert_eq!(distance("period_us", "period_us"), 0);
        assert_eq!(distance("period_us", "peroid_us"), 2);
        assert_eq!(distance("kp", ""), 2);
        assert!(distance("priority", "safe") > 2);
    }

    #[test]
    fn a_guess_is_made_only_where_it_is_likely() {
        let known = ["kp", "ki", "derivative_cutoff_hz"];
        assert_eq!(nearest(&known, "derivative_cutof_hz"), Some(known[2]));
        assert_eq!(nearest(&known, "kq"), Some("ki"));
        assert_eq!(nearest(&known, "xy"), None, "nothing of it is right");
        assert_eq!(nearest(&known, &"k".repeat(100_000)), None);
    }
}
