//! A JSON writer, as far as the report needs one: indented by two spaces, fields in the order
//! of the calls.
//!
//! Written by hand because every byte of the firmware is locked in memory: a general serializer
//! with its own number formatting took 14 kB for one small document. For numbers below 1e12 the
//! text is identical to that of `serde_json::to_string_pretty`, which the tests compare.

use core::fmt::Write as _;

/// A document that is being written. Allocates: for the end of a run.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: String,
    depth: usize,
    /// Whether the innermost object or array has an entry.
    filled: bool,
}

impl Json {
    /// Writes an object; `fields` writes its fields.
    pub(super) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.open('{');
        fields(self);
        self.close('}');
    }

    /// Writes an array; `value` writes the value for each of `items`.
    pub(super) fn array<T>(&mut self, items: &[T], value: impl Fn(&mut Self, &T)) {
        self.open('[');
        for item in items {
            self.next();
            value(self, item);
        }
        self.close(']');
    }

    /// Writes the name of a field. The caller must write its value next.
    pub(super) fn key(&mut self, name: &str) -> &mut Self {
        self.next();
        self.string(name);
        self.text.push_str(": ");
        self
    }

    pub(super) fn string(&mut self, value: &str) {
        self.text.push('"');
        for c in value.chars() {
            let short = match c {
                '"' | '\\' => c,
                '\u{8}' => 'b',
                '\t' => 't',
                '\n' => 'n',
                '\u{c}' => 'f',
                '\r' => 'r',
                '\0'..' ' => {
                    // Writing to a string cannot fail, here and below.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                    continue;
                }
                _ => {
                    self.text.push(c);
                    continue;
                }
            };
            self.text.push('\\');
            self.text.push(short);
        }
        self.text.push('"');
    }

    pub(super) fn integer(&mut self, value: u64) {
        let _ = write!(self.text, "{value}");
    }

    /// Writes the shortest text that reads back as `value`, or `null` for a value that is not
    /// finite, which JSON cannot represent.
    pub(super) fn float(&mut self, value: f64) {
        let start = self.text.len();
        let _ = if !value.is_finite() {
            self.text.write_str("null")
        } else if (1e-5..1e-4).contains(&value.abs()) {
            // serde_json writes digits in this range, `Debug` an exponent.
            write!(self.text, "{value}")
        } else {
            write!(self.text, "{value:?}")
        };
        if value.is_finite() && value.abs() >= 1e16 {
            // `Debug` writes no plus sign in an exponent.
            if let Some(e) = self.text[start..].find('e') {
                self.text.insert(start + e + 1, '+');
            }
        }
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.text.push_str(if value { "true" } else { "false" });
    }

    /// Writes `null` for a figure that was not measured.
    pub(super) fn integer_if(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.integer(value),
            None => self.null(),
        }
    }

    pub(super) fn null(&mut self) {
        self.text.push_str("null");
    }

    /// Returns the document, which ends with a newline.
    pub(super) fn finish(mut self) -> String {
        self.text.push('\n');
        self.text
    }

    fn open(&mut self, bracket: char) {
        self.text.push(bracket);
        self.depth += 1;
        self.filled = false;
    }

    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if self.filled {
            self.line();
        }
        self.text.push(bracket);
        // The enclosing object or array has an entry now.
        self.filled = true;
    }

    fn next(&mut self) {
        if self.filled {
            self.text.push(',');
        }
        self.line();
        self.filled = true;
    }

    fn line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json::default();
        write(&mut json);
        json.text
    }

    #[test]
    fn floats_are_those_of_serde_json() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let anywhere = (0..200_000).map(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            f64::from_bits(random)
        });
        // Values on both sides of each change of notation.
        let edges = (-20..25).flat_map(|exponent| {
            let power = 10_f64.powi(exponent);
            [0.3, 0.5, 1.0, 1.25, 7.0, 9.999_999_999]
                .into_iter()
                .flat_map(move |n| {
                    let exact = n * power;
                    [exact.next_down(), exact, exact.next_up()]
                })
        });
        let special = [0.0, f64::MIN_POSITIVE, f64::MAX, f64::NAN, f64::INFINITY];
        for value in anywhere.chain(edges).chain(special) {
            for value in [value, -value] {
                let (ours, theirs) = (written(|json| json.float(value)), json!(value).to_string());
                // Above 1e12 two shortest texts can be equally near to the value, and either
                // may be chosen.
                if value.abs() < 1e12 || !value.is_finite() {
                    assert_eq!(ours, theirs);
                } else {
                    assert_eq!((ours.parse(), ours.len()), (Ok(value), theirs.len()));
                }
            }
        }
    }

    #[test]
    fn strings_are_those_of_serde_json() {
        let all: String = ('\0'..'\u{250}')
            .chain("\u{2028}\u{1f916}".chars())
            .collect();
        assert_eq!(written(|json| json.string(&all)), json!(all).to_string());
    }

    #[test]
    fn the_layout_is_that_of_serde_json() {
        let text = written(|json| {
            json.object(|json| {
                json.key("a").array(&[1, 2], |json, n| {
                    json.object(|json| json.key("n").integer(*n));
                });
                json.key("b").array(&[0_u64; 0], |json, n| json.integer(*n));
                json.key("c").object(|_| ());
                json.key("d").bool(true);
                json.key("e").integer_if(None);
            });
        });
        let same = json!({ "a": [{ "n": 1 }, { "n": 2 }], "b": [], "c": {}, "d": true, "e": null });
        assert_eq!(text, serde_json::to_string_pretty(&same).unwrap());
    }
}
