//! Values with units, as people write them: `90deg`, `1.5rad/s`, `-3`.

use std::f64::consts::{PI, TAU};

use crate::{BAD_INPUT, Failure};

/// A unit, the unit that it is converted to, and the factor.
const UNITS: [(&str, &str, f64); 21] = [
    ("deg", "rad", PI / 180.0),
    ("turn", "rad", TAU),
    ("rev", "rad", TAU),
    ("mrad", "rad", 1e-3),
    ("deg/s", "rad/s", PI / 180.0),
    ("turn/s", "rad/s", TAU),
    ("rpm", "rad/s", TAU / 60.0),
    ("deg/s^2", "rad/s^2", PI / 180.0),
    ("deg/s^3", "rad/s^3", PI / 180.0),
    ("kHz", "Hz", 1e3),
    ("s", "ms", 1e3),
    ("mm", "m", 1e-3),
    ("cm", "m", 1e-2),
    ("mm/s", "m/s", 1e-3),
    ("mV", "V", 1e-3),
    ("mA", "A", 1e-3),
    ("ms", "s", 1e-3),
    ("us", "s", 1e-6),
    ("min", "s", 60.0),
    ("kPa", "Pa", 1e3),
    ("%", "1", 1e-2),
];

/// The number of `text` in `unit`. Without a unit in the text it is in `unit` already.
pub(crate) fn value(text: &str, unit: &str) -> Result<f64, Failure> {
    let wrong = |what: &str| {
        let units: Vec<&str> = (UNITS.iter())
            .filter(|(_, base, _)| *base == unit)
            .map(|(name, _, _)| *name)
            .collect();
        let also = match (unit, &units[..]) {
            ("" | "1", []) => "write a number".to_owned(),
            (_, []) => format!("write a number in {unit}"),
            _ => format!(
                "write a number in {unit}, or with one of: {}",
                units.join(", ")
            ),
        };
        Failure(BAD_INPUT, format!("\"{text}\" {what}; {also}"))
    };
    // An exponent has digits behind it, so "1e" is a number and a unit.
    let number = (1..=text.len())
        .rev()
        .filter(|end| text.is_char_boundary(*end))
        .find(|end| text[..*end].parse::<f64>().is_ok_and(f64::is_finite))
        .ok_or_else(|| wrong("is not a number"))?;
    let (number, given) = text.split_at(number);
    let number: f64 = number.parse().map_err(|_| wrong("is not a number"))?;
    let given = given.trim();
    if given.is_empty() || given == unit {
        return Ok(number);
    }
    let found = UNITS
        .iter()
        .find(|(name, base, _)| *name == given && *base == unit);
    let (_, _, factor) = found.ok_or_else(|| wrong("has another unit"))?;
    Ok(number * factor)
}

/// A time such as `10s`, `500ms` or `2min`.
pub(crate) fn time(text: &str) -> Result<std::time::Duration, Failure> {
    let seconds = value(text, "s")?;
    let is_text = text.ends_with(|last: char| last.is_ascii_alphabetic());
    if !is_text || !(0.0..=86_400.0).contains(&seconds) {
        let what = format!("\"{text}\" is not a time; write one such as 500ms, 10s or 2min");
        return Err(Failure(BAD_INPUT, what));
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_converted_to_the_unit_of_the_signal() {
        for (text, unit, expected) in [
            ("90deg", "rad", PI / 2.0),
            ("-0.5 turn", "rad", -PI),
            ("60rpm", "rad/s", TAU),
            ("1e3", "rad/s", 1000.0),
            ("1.5rad/s", "rad/s", 1.5),
            ("-3", "", -3.0),
            ("25%", "1", 0.25),
        ] {
            let found = value(text, unit).map_err(|failure| failure.1);
            assert!(
                found.is_ok_and(|found| (found - expected).abs() < 1e-12),
                "{text}"
            );
        }
        for (text, unit) in [
            ("deg", "rad"),
            ("5m", "rad"),
            ("nan", "V"),
            ("", "V"),
            ("1e999", ""),
        ] {
            assert!(value(text, unit).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_has_a_unit() {
        let ms = |text: &str| time(text).map(|time| time.as_millis()).map_err(|f| f.1);
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("2min"), Ok(120_000));
        for text in ["10", "-1s", "s", "5rad", "1e9s"] {
            assert!(ms(text).is_err(), "{text}");
        }
    }
}
