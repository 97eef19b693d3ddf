//! Tables of a board file, read key by key with types, ranges and places.
//!
//! A [`Table`] remembers which of its keys were asked for; [`Table::finish`]
//! refuses the ones that nobody knows, so that a misspelt limit is an error and
//! not a default.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Source};

type Result<T> = std::result::Result<T, ConfigError>;

/// A value with the place that it stands at.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of a board file.
pub(super) struct Table<'t> {
    source: Source<'t>,
    /// As in the file's headers: `axis.x.pid`; empty for the file itself.
    name: String,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
    known: BTreeSet<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn root(source: Source<'t>, document: &'t Spanned<DeTable<'t>>) -> Self {
        Self {
            source,
            name: String::new(),
            span: 0..0,
            entries: document.get_ref(),
            known: BTreeSet::new(),
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

    fn find(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.insert(key);
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    /// Whether `key` is there at all.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    fn need(&mut self, key: &'static str) -> Result<&'t Spanned<DeValue<'t>>> {
        self.find(key).ok_or_else(|| {
            self.source.error(
                &self.span,
                format!("{} has no `{key}`", self.title()),
                format!("add `{key} = ...`"),
            )
        })
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> ConfigError {
        self.source.error(
            &value.span(),
            format!("`{key}` is {}", described(value.get_ref())),
            format!("make it {wanted}"),
        )
    }

    fn out_of_range(
        &self,
        key: &str,
        span: &Range<usize>,
        shown: &str,
        range: impl Display,
    ) -> ConfigError {
        self.source.error(
            span,
            format!("`{key}` is {shown}"),
            format!("it must be {range}"),
        )
    }

    /// A finite number in `range`.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Result<f64> {
        let value = self.need(key)?;
        self.as_number(key, value, &range)
    }

    /// A finite number in `range`, or `default` where the key is not there.
    pub(super) fn number_or(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Result<f64> {
        match self.find(key) {
            Some(value) => self.as_number(key, value, &range),
            None => Ok(default),
        }
    }

    /// A list of finite numbers in `range`, of at most `most`.
    pub(super) fn numbers(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        most: usize,
    ) -> Result<Vec<f64>> {
        let value = self.need(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a list of numbers, such as [0.0, 1.5]"));
        };
        if items.len() > most {
            return Err(self.source.error(
                &value.span(),
                format!("`{key}` has {} entries", items.len()),
                format!("it takes at most {most}"),
            ));
        }
        items
            .iter()
            .map(|item| self.as_number(key, item, &range))
            .collect()
    }

    fn as_number(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<f64>,
    ) -> Result<f64> {
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return Err(self.wrong_type(key, value, "a number")),
        };
        // "nan" and "inf" parse, and are refused by the range.
        let number: f64 = text.parse().unwrap_or(f64::NAN);
        if !number.is_finite() || !range.contains(&number) {
            let wanted = format!("a finite number from {} to {}", range.start(), range.end());
            return Err(self.out_of_range(key, &value.span(), text, wanted));
        }
        Ok(number)
    }

    /// A whole number in `range`.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Result<u64> {
        let value = self.need(key)?;
        self.as_integer(key, value, &range)
    }

    /// A whole number in `range`, or `default` where the key is not there.
    pub(super) fn integer_or(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64> {
        Ok(self.integer_if(key, range)?.unwrap_or(default))
    }

    /// A whole number in `range`, where the key is there.
    pub(super) fn integer_if(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>> {
        self.find(key)
            .map(|value| self.as_integer(key, value, &range))
            .transpose()
    }

    fn as_integer(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<u64>,
    ) -> Result<u64> {
        let DeValue::Integer(integer) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a whole number"));
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let wanted = format!("a whole number from {} to {}", range.start(), range.end());
                self.out_of_range(key, &value.span(), integer.as_str(), wanted)
            })
    }

    /// Whether the key holds a whole number (and not a word).
    pub(super) fn is_integer(&mut self, key: &'static str) -> bool {
        self.find(key)
            .is_some_and(|value| matches!(value.get_ref(), DeValue::Integer(_)))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Result<bool> {
        let value = self.need(key)?;
        match value.get_ref() {
            DeValue::Boolean(boolean) => Ok(*boolean),
            _ => Err(self.wrong_type(key, value, "true or false")),
        }
    }

    /// `true` or `false`, or `default` where the key is not there.
    pub(super) fn boolean_or(&mut self, key: &'static str, default: bool) -> Result<bool> {
        if self.has(key) {
            self.boolean(key)
        } else {
            Ok(default)
        }
    }

    /// A text of 1 to 64 bytes.
    pub(super) fn text(&mut self, key: &'static str) -> Result<At<&'t str>> {
        let value = self.need(key)?;
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a text in quotes"));
        };
        if text.is_empty() || text.len() > MAX_TEXT {
            let shown = format!("{} bytes long", text.len());
            let wanted = format!("1 to {MAX_TEXT} bytes long");
            return Err(self.out_of_range(key, &value.span(), &shown, wanted));
        }
        Ok(At {
            value: text,
            span: value.span(),
        })
    }

    /// A text of 1 to 64 bytes, where the key is there.
    pub(super) fn text_if(&mut self, key: &'static str) -> Result<Option<At<&'t str>>> {
        if self.has(key) {
            self.text(key).map(Some)
        } else {
            Ok(None)
        }
    }

    /// One of the words in `choices`, as what it stands for.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T> {
        let word = self.text(key)?;
        choices
            .iter()
            .find(|(name, _)| *name == word.value)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| {
                let names: Vec<_> = choices
                    .iter()
                    .map(|(name, _)| format!("\"{name}\""))
                    .collect();
                self.source.error(
                    &word.span,
                    format!("`{key}` is \"{}\"", word.value),
                    format!("it must be {}", names.join(" or ")),
                )
            })
    }

    /// One of the words in `choices`, or `default` where the key is not there.
    pub(super) fn choice_or<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T> {
        if self.has(key) {
            self.choice(key, choices)
        } else {
            Ok(default)
        }
    }

    /// The table `[key]`.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Table<'t>> {
        let value = self.find(key).ok_or_else(|| {
            self.source.error(
                &self.span,
                format!("{} has no [{}]", self.title(), self.child_name(key)),
                format!("add a table [{}]", self.child_name(key)),
            )
        })?;
        self.as_table(key, value.span(), value)
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
        let Some(value) = self.find(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(self.wrong_type(key, value, &format!("tables [{key}.NAME]")));
        };
        let mut tables = Vec::new();
        for (name, value) in entries {
            let text: &'t str = name.get_ref();
            if text.is_empty() || text.len() > MAX_TEXT {
                return Err(self.source.error(
                    &name.span(),
                    format!("a name in [{key}.NAME] is {} bytes long", text.len()),
                    format!("it must be 1 to {MAX_TEXT} bytes long"),
                ));
            }
            let child = format!("{}.{text}", self.child_name(key));
            tables.push((text, self.as_table(&child, name.span(), value)?));
        }
        tables.sort_by_key(|(_, table)| table.span.start);
        if let Some((_, first)) = tables.get(most) {
            return Err(self.source.error(
                &first.span,
                format!("there are {} tables [{key}.NAME]", tables.len()),
                format!("at most {most} are supported"),
            ));
        }
        Ok(tables)
    }

    fn child_name(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    fn as_table(
        &self,
        key: &str,
        span: Range<usize>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Result<Table<'t>> {
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(self.wrong_type(
                key,
                value,
                &format!("a table [{}]", self.child_name(key)),
            ));
        };
        Ok(Table {
            source: self.source,
            name: if key.contains('.') {
                key.to_owned()
            } else {
                self.child_name(key)
            },
            span,
            entries,
            known: BTreeSet::new(),
        })
    }

    /// The error that `what` is wrong with this table as a whole.
    pub(super) fn error(&self, what: impl Display, fix: impl Into<String>) -> ConfigError {
        self.source
            .error(&self.span, format!("{}: {what}", self.title()), fix)
    }

    /// The error that `what` is wrong with `key`.
    pub(super) fn error_at(
        &mut self,
        key: &'static str,
        what: impl Display,
        fix: impl Into<String>,
    ) -> ConfigError {
        let span = self
            .find(key)
            .map_or_else(|| self.span.clone(), Spanned::span);
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
        let unknown = self
            .entries
            .keys()
            .filter(|key| !self.known.contains(key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let Some(key) = unknown else {
            return Ok(());
        };
        let nearest = self
            .known
            .iter()
            .map(|known| (distance(known, key.get_ref()), known))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        let fix = match nearest {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => {
                let known: Vec<_> = self.known.iter().copied().collect();
                format!("known here: {}", known.join(", "))
            }
        };
        Err(self.source.error(
            &key.span(),
            format!("unknown key `{}` in {}", key.get_ref(), self.title()),
            fix,
        ))
    }
}

/// The longest text or name in a board file, bytes.
pub(super) const MAX_TEXT: usize = 64;

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the whole number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
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
}
