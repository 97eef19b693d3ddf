//! Values of a board file, read with types and ranges.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::DeValue;

use super::error::{ConfigError, quoted};
use super::reader::{At, Result, Table, nearest};

impl<'t> Table<'t> {
    /// The value of `key`, which is `wanted`.
    fn need(
        &mut self,
        key: &'static str,
        wanted: impl Display,
    ) -> Result<&'t Spanned<DeValue<'t>>> {
        match self.find(key) {
            Some((_, value)) => Ok(value),
            None => Err(self.source().error(
                self.span(),
                format!("{} has no `{key}`", self.title()),
                format!("add `{key} = ...`, {wanted}"),
            )),
        }
    }

    pub(super) fn wrong_type(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
    ) -> ConfigError {
        let source = self.source();
        let shown = match value.get_ref() {
            DeValue::String(text) => format!("the text \"{}\"", quoted(text)),
            DeValue::Integer(_) => format!("the whole number {}", source.quote(&value.span())),
            DeValue::Float(_) => format!("the number {}", source.quote(&value.span())),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(_) => format!("the date {}", source.quote(&value.span())),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        source.error(
            &value.span(),
            format!("`{}` is {shown}", quoted(key)),
            format!("make it {wanted}"),
        )
    }

    fn out_of_range(&self, key: &str, span: &Range<usize>, wanted: &str) -> ConfigError {
        let source = self.source();
        source.error(
            span,
            format!("`{key}` is {}", source.quote(span)),
            format!("it must be {wanted}"),
        )
    }

    /// A finite number in `range`.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Result<f64> {
        let value = self.need(key, number_in(&range))?;
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
            Some((_, value)) => self.as_number(key, value, &range),
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
        const WANTED: &str = "a list of numbers, such as [0.0, 1.5]";
        let value = self.need(key, WANTED)?;
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, value, WANTED));
        };
        if items.len() > most {
            return Err(self.source().error(
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
        // "nan" and "inf" parse, and are refused by the range.
        let number: f64 = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
            DeValue::Integer(integer) if integer.radix() == 10 => {
                integer.as_str().parse().unwrap_or(f64::NAN)
            }
            _ => return Err(self.wrong_type(key, value, "a decimal number")),
        };
        if !number.is_finite() || !range.contains(&number) {
            return Err(self.out_of_range(key, &value.span(), &number_in(range)));
        }
        Ok(number)
    }

    /// A whole number in `range`.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Result<u64> {
        let value = self.need(key, integer_in(&range))?;
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
            .map(|(_, value)| self.as_integer(key, value, &range))
            .transpose()
    }

    fn as_integer(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<u64>,
    ) -> Result<u64> {
        let DeValue::Integer(integer) = value.get_ref() else {
            return Err(self.wrong_type(key, value, &integer_in(range)));
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.out_of_range(key, &value.span(), &integer_in(range)))
    }

    /// A whole number in `range`, or a text; `wanted` is what of both there is.
    pub(super) fn integer_or_text(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        wanted: &str,
    ) -> Result<NumberOrText<'t>> {
        let value = self.need(key, wanted)?;
        match value.get_ref() {
            DeValue::Integer(_) => self
                .as_integer(key, value, &range)
                .map(NumberOrText::Number),
            DeValue::String(_) => self.text(key).map(NumberOrText::Text),
            _ => Err(self.wrong_type(key, value, wanted)),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Result<bool> {
        const WANTED: &str = "true or false";
        let value = self.need(key, WANTED)?;
        match value.get_ref() {
            DeValue::Boolean(boolean) => Ok(*boolean),
            _ => Err(self.wrong_type(key, value, WANTED)),
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

    /// A printable text of 1 to 64 bytes.
    pub(super) fn text(&mut self, key: &'static str) -> Result<At<&'t str>> {
        self.text_of(key, "a text in quotes")
    }

    fn text_of(&mut self, key: &'static str, wanted: &str) -> Result<At<&'t str>> {
        let value = self.need(key, wanted)?;
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong_type(key, value, wanted));
        };
        self.check_text(&format!("`{key}`"), text, &value.span())?;
        Ok(At {
            value: text,
            span: value.span(),
        })
    }

    /// A printable text of 1 to 64 bytes, where the key is there.
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
        let word = self.text_of(key, &words(choices))?;
        self.chosen(key, &word, choices, &words(choices))
    }

    /// What `word`, the value of `key`, stands for among `choices`; `wanted` is
    /// all that it may be.
    pub(super) fn chosen<T: Copy>(
        &self,
        key: &str,
        word: &At<&str>,
        choices: &[(&str, T)],
        wanted: &str,
    ) -> Result<T> {
        choices
            .iter()
            .find(|(name, _)| *name == word.value)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                let fix = match nearest(&names, word.value) {
                    Some(name) => format!("did you mean \"{name}\"? It must be {wanted}"),
                    None => format!("it must be {wanted}"),
                };
                let what = format!("`{key}` is \"{}\"", quoted(word.value));
                self.source().error(&word.span, what, fix)
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
}

/// A value that is either.
pub(super) enum NumberOrText<'t> {
    Number(u64),
    Text(At<&'t str>),
}

fn words<T>(choices: &[(&str, T)]) -> String {
    let names: Vec<_> = choices
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    names.join(" or ")
}

fn number_in(range: &RangeInclusive<f64>) -> String {
    let (start, end) = (figure(*range.start()), figure(*range.end()));
    format!("a finite number from {start} to {end}")
}

fn integer_in(range: &RangeInclusive<u64>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

/// `number` as people write it: with an exponent where it would be a row of
/// zeros.
pub(super) fn figure(number: f64) -> String {
    if number == 0.0 || (1e-6..1e9).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_without_rows_of_zeros() {
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
