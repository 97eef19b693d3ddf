//! Values of a board file, read with types and ranges.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::DeValue;

use super::accesses::Expected;
pub(crate) use super::accesses::figure;
use super::error::{ConfigError, quoted};
use super::reader::{At, Result, Table, nearest};

impl<'t> Table<'t> {
    /// The value of `key`, or `None`. Notes for the reference of keys what is `expected`, and
    /// the `default`.
    fn ask(
        &mut self,
        key: &'static str,
        expected: &Expected,
        default: Option<&dyn Display>,
    ) -> Option<&'t Spanned<DeValue<'t>>> {
        self.note_key(key, Some(expected), default);
        self.find(key).map(|(_, value)| value)
    }

    /// The value of `key`, or the error that it is missing.
    fn need(&mut self, key: &'static str, expected: &Expected) -> Result<&'t Spanned<DeValue<'t>>> {
        match self.ask(key, expected, None) {
            Some(value) => Ok(value),
            None => {
                let what = format!("{} has no `{key}`", self.title());
                let fix = format!("add `{key} = ...`, {expected}");
                Err(self.source().error(self.span(), what, fix))
            }
        }
    }

    pub(super) fn wrong_type(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &dyn Display,
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
            format!("make it {expected}"),
        )
    }

    fn out_of_range(&self, key: &str, span: &Range<usize>, expected: &Expected) -> ConfigError {
        let source = self.source();
        source.error(
            span,
            format!("`{key}` is {}", source.quote(span)),
            format!("it must be {expected}"),
        )
    }

    /// A finite number in `range`.
    ///
    /// # Errors
    /// The key is missing, or its value has another type or is out of range.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Result<f64> {
        let value = self.need(key, &Expected::Number(range.clone()))?;
        self.as_number(key, value, &range)
    }

    /// A finite number in `range`, or `default` without the key.
    ///
    /// # Errors
    /// The value has another type or is out of range.
    pub fn number_or(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Result<f64> {
        let expected = Expected::Number(range.clone());
        match self.ask(key, &expected, Some(&figure(default))) {
            Some(value) => self.as_number(key, value, &range),
            None => Ok(default),
        }
    }

    /// A list of at most `most` finite numbers in `range`.
    ///
    /// # Errors
    /// The key is missing, the list is too long, or an entry has another type or is out of
    /// range.
    pub fn numbers(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        most: usize,
    ) -> Result<Vec<f64>> {
        let expected = Expected::Numbers(range.clone(), most);
        let (value, numbers) = self.list(key, &expected, &range)?;
        if numbers.len() > most {
            return Err(self.source().error(
                &value.span(),
                format!("`{key}` has {} entries", numbers.len()),
                format!("it takes at most {most}"),
            ));
        }
        Ok(numbers)
    }

    /// A list of exactly `N` finite numbers in `range`.
    ///
    /// # Errors
    /// The key is missing, the list has another length, or an entry has another type or is out
    /// of range.
    pub fn numbers_exactly<const N: usize>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<[f64; N]> {
        let expected = Expected::NumbersExactly(range.clone(), N);
        let (value, numbers) = self.list(key, &expected, &range)?;
        self.exactly(key, value, numbers)
    }

    fn list(
        &mut self,
        key: &'static str,
        expected: &Expected,
        range: &RangeInclusive<f64>,
    ) -> Result<(&'t Spanned<DeValue<'t>>, Vec<f64>)> {
        let value = self.need(key, expected)?;
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, value, expected));
        };
        let numbers = items.iter().map(|item| self.as_number(key, item, range));
        Ok((value, numbers.collect::<Result<_>>()?))
    }

    fn as_number(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<f64>,
    ) -> Result<f64> {
        // "nan" and "inf" parse, and are refused below.
        let number: f64 = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
            DeValue::Integer(integer) if integer.radix() == 10 => {
                integer.as_str().parse().unwrap_or(f64::NAN)
            }
            _ => return Err(self.wrong_type(key, value, &"a decimal number")),
        };
        if !number.is_finite() || !range.contains(&number) {
            let expected = Expected::Number(range.clone());
            return Err(self.out_of_range(key, &value.span(), &expected));
        }
        Ok(number)
    }

    /// A whole number in `range`.
    ///
    /// # Errors
    /// The key is missing, or its value has another type or is out of range.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Result<u64> {
        let value = self.need(key, &Expected::Integer(range.clone()))?;
        self.as_integer(key, value, &range)
    }

    /// A whole number in `range`, or `default` without the key.
    ///
    /// # Errors
    /// The value has another type or is out of range.
    pub fn integer_or(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64> {
        let expected = Expected::Integer(range.clone());
        match self.ask(key, &expected, Some(&default)) {
            Some(value) => self.as_integer(key, value, &range),
            None => Ok(default),
        }
    }

    /// A whole number in `range`, or `None` without the key.
    ///
    /// # Errors
    /// The value has another type or is out of range.
    pub fn integer_if(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>> {
        self.ask(key, &Expected::Integer(range.clone()), None)
            .map(|value| self.as_integer(key, value, &range))
            .transpose()
    }

    fn as_integer(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<u64>,
    ) -> Result<u64> {
        let expected = Expected::Integer(range.clone());
        let DeValue::Integer(integer) = value.get_ref() else {
            return Err(self.wrong_type(key, value, &expected));
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.out_of_range(key, &value.span(), &expected))
    }

    /// A whole number in `range`, or a text; `expected` describes both for errors. Without the
    /// key, it is the text `default`, or an error if that is `None`.
    pub(super) fn integer_or_text(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        expected: &'static str,
        default: Option<&'static str>,
    ) -> Result<NumberOrText<'t>> {
        let expected = Expected::Either(expected);
        let shown = default.as_ref().map(|text| text as &dyn Display);
        let value = match (self.ask(key, &expected, shown), default) {
            (None, Some(value)) => {
                let span = self.span().clone();
                return Ok(NumberOrText::Text(At { value, span }));
            }
            _ => self.need(key, &expected)?,
        };
        match value.get_ref() {
            DeValue::Integer(_) => self
                .as_integer(key, value, &range)
                .map(NumberOrText::Number),
            DeValue::String(text) => self.as_text(key, value, text).map(NumberOrText::Text),
            _ => Err(self.wrong_type(key, value, &expected)),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// The key is missing, or its value has another type.
    pub fn boolean(&mut self, key: &'static str) -> Result<bool> {
        let value = self.need(key, &Expected::Boolean)?;
        self.as_boolean(key, value)
    }

    /// `true` or `false`, or `default` without the key.
    ///
    /// # Errors
    /// The value has another type.
    pub fn boolean_or(&mut self, key: &'static str, default: bool) -> Result<bool> {
        match self.ask(key, &Expected::Boolean, Some(&default)) {
            Some(value) => self.as_boolean(key, value),
            None => Ok(default),
        }
    }

    fn as_boolean(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<bool> {
        match value.get_ref() {
            DeValue::Boolean(boolean) => Ok(*boolean),
            _ => Err(self.wrong_type(key, value, &Expected::Boolean)),
        }
    }

    /// A printable text of 1 to 64 bytes.
    pub(super) fn text(&mut self, key: &'static str) -> Result<At<&'t str>> {
        self.text_of(key, &Expected::Text)
    }

    fn text_of(&mut self, key: &'static str, expected: &Expected) -> Result<At<&'t str>> {
        let value = self.need(key, expected)?;
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong_type(key, value, expected));
        };
        self.as_text(key, value, text)
    }

    fn as_text(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        text: &'t str,
    ) -> Result<At<&'t str>> {
        self.check_text(&format!("`{key}`"), text, &value.span())?;
        Ok(At {
            value: text,
            span: value.span(),
        })
    }

    /// A list of `N` printable texts.
    pub(super) fn texts<const N: usize>(&mut self, key: &'static str) -> Result<[At<&'t str>; N]> {
        let (value, texts) = self.text_list(key, &Expected::Texts(N))?;
        self.exactly(key, value, texts)
    }

    /// A list of printable texts of any length, and the list's own value.
    pub(super) fn text_list(
        &mut self,
        key: &'static str,
        expected: &Expected,
    ) -> Result<(&'t Spanned<DeValue<'t>>, Vec<At<&'t str>>)> {
        let value = self.need(key, expected)?;
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, value, expected));
        };
        let texts = items.iter().map(|item| {
            let DeValue::String(text) = item.get_ref() else {
                return Err(self.wrong_type(key, item, &Expected::Text));
            };
            self.as_text(key, item, text)
        });
        Ok((value, texts.collect::<Result<_>>()?))
    }

    /// `entries` of the list `key` as an array, or the error that they are not `N`.
    fn exactly<T, const N: usize>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        entries: Vec<T>,
    ) -> Result<[T; N]> {
        entries.try_into().map_err(|entries: Vec<_>| {
            self.source().error(
                &value.span(),
                format!("`{key}` has {} entries", entries.len()),
                format!("it takes {N}"),
            )
        })
    }

    /// A printable text of 1 to 64 bytes, such as a name or a path.
    ///
    /// # Errors
    /// The key is missing, or its value is not a text, is empty, too long or not printable.
    pub fn string(&mut self, key: &'static str) -> Result<&'t str> {
        self.text(key).map(|at| at.value)
    }

    /// A printable text of 1 to 64 bytes, or `default` without the key.
    pub(super) fn text_or(&mut self, key: &'static str, default: &'t str) -> Result<&'t str> {
        match self.ask(key, &Expected::Text, Some(&default)) {
            Some(_) => self.string(key),
            None => Ok(default),
        }
    }

    /// The second part of the entry of `choices` whose word the key has.
    ///
    /// # Errors
    /// The key is missing, or its value is not a text or not one of the words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Result<T> {
        let expected = one_of(choices);
        let word = self.text_of(key, &expected)?;
        self.chosen(key, &word, choices, &expected)
    }

    /// The second part of the entry of `choices` whose word is `word`, the value of `key`;
    /// `expected` lists the words for errors.
    pub(super) fn chosen<T: Copy>(
        &self,
        key: &str,
        word: &At<&str>,
        choices: &[(&str, T)],
        expected: &dyn Display,
    ) -> Result<T> {
        choices
            .iter()
            .find(|(name, _)| *name == word.value)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                let fix = match nearest(&names, word.value) {
                    Some(name) => format!("did you mean \"{name}\"? It must be {expected}"),
                    None => format!("it must be {expected}"),
                };
                let what = format!("`{key}` is \"{}\"", quoted(word.value));
                self.source().error(&word.span, what, fix)
            })
    }

    /// As [`Table::choice`], or `default` without the key.
    ///
    /// # Errors
    /// The value is not a text or not one of the words.
    pub fn choice_or<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T> {
        let word = choices.iter().find(|(_, meaning)| *meaning == default);
        let word = word.map(|(word, _)| word as &dyn Display);
        match self.ask(key, &one_of(choices), word) {
            Some(_) => self.choice(key, choices),
            None => Ok(default),
        }
    }
}

/// A value that is a number or a text.
pub(super) enum NumberOrText<'t> {
    Number(u64),
    Text(At<&'t str>),
}

fn one_of<T>(choices: &[(&str, T)]) -> Expected {
    let names = choices.iter().map(|(name, _)| (*name).to_owned());
    Expected::Word(names.collect())
}
