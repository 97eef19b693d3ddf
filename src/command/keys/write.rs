//! Writes the reference as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::learned::{Condition, Figure, Key, Known, Learned, most_specific};
use crate::config::accesses::{Count, Expected, ExpectedSignal, Kind, MAX_TEXT};
use crate::config::{ANY_UNIT, Type};

/// The reference, and a line for each part that it lacks.
pub(super) fn reference(learned: &Learned) -> (String, Vec<String>) {
    let mut text = String::new();
    let mut undescribed = Vec::new();
    for kind in sorted(learned) {
        let known = &learned.kinds[kind];
        if known.accepted.is_empty() {
            // If only variants of this kind are accepted, these are listed instead.
            let is_common = |other: &&Kind| other.header == kind.header && other.chosen.is_some();
            if kind.chosen.is_none() && learned.order.iter().any(|other| is_common(&other)) {
                continue;
            }
            let title = title(kind).replace('`', "");
            undescribed.push(format!("{title}: in no valid file"));
            continue;
        }
        let _ = write!(text, "\n## {}\n\n", title(kind));
        table(&mut text, kind, known, &mut undescribed);
        undescribed.extend(unread(learned, kind, known));
    }
    (text, undescribed)
}

/// Tables inside those of `kind` that no file contains. Registered kinds are listed elsewhere.
fn unread<'l>(
    learned: &'l Learned,
    kind: &'l Kind,
    known: &'l Known,
) -> impl Iterator<Item = String> + 'l {
    let headers = known.keys.iter().flat_map(|(key, entry)| {
        entry.expected.iter().filter_map(|expected| match expected {
            Expected::Table => Some(inside(kind, key)),
            Expected::Tables(_) => Some(format!("{}.NAME", inside(kind, key))),
            _ => None,
        })
    });
    let own = ["device.NAME", "law.NAME", "simulation.plant.NAME"];
    headers
        .filter(move |header| !own.contains(&header.as_str()))
        .filter(|header| !learned.order.iter().any(|kind| kind.header == *header))
        .map(|header| format!("[{header}]: in none of the files"))
}

/// The kinds: the file itself, then its tables in the order of its keys, each followed by the
/// tables inside it.
fn sorted(learned: &Learned) -> Vec<&Kind> {
    let root = &learned.kinds[&Kind::default()];
    let place = |kind: &Kind| {
        let first = kind.header.split('.').next().unwrap_or_default();
        root.order.iter().position(|key| *key == first)
    };
    let mut kinds: Vec<_> = learned.order.iter().collect();
    kinds.sort_by_key(|kind| (place(kind), kind.chosen.clone()));
    kinds
}

fn title(kind: &Kind) -> String {
    match (kind.header.as_str(), &kind.chosen) {
        ("", _) => "The file".to_owned(),
        (header, None) => format!("`[{header}]`"),
        (header, Some(chosen)) => format!("`[{header}]` with `{chosen}`"),
    }
}

fn table(text: &mut String, kind: &Kind, known: &Known, undescribed: &mut Vec<String>) {
    if known.keys.is_empty() {
        text.push_str("No keys of its own.\n");
        return;
    }
    text.push_str("| key | value | without it |\n|---|---|---|\n");
    // `every` is read before the keys of a driver or a law, and listed after them.
    let mut keys = known.order.clone();
    keys.sort_by_key(|key| *key == "every");
    for key in keys {
        let entry = &known.keys[key];
        match value(kind, key, entry) {
            Some(value) => {
                let absent = absent(entry).unwrap_or_else(|| {
                    let title = title(kind).replace('`', "");
                    let what = "not known whether it is required";
                    undescribed.push(format!("{title}: `{key}`: {what}"));
                    "?".to_owned()
                });
                let _ = writeln!(text, "| `{key}` | {value} | {absent} |");
            }
            // A key that is common to all tables of the kind, but refused by this one.
            None if !entry.no_effect.is_empty() => {}
            None => {
                let title = title(kind).replace('`', "");
                undescribed.push(format!("{title}: `{key}` was never read"));
            }
        }
    }
}

/// The permitted values in words; `None` if unknown.
fn value(kind: &Kind, key: &str, entry: &Key) -> Option<String> {
    let most_specific = most_specific(&entry.expected);
    let mut parts = Vec::new();
    let mut signals: Vec<&ExpectedSignal> = Vec::new();
    for expected in most_specific {
        match expected {
            Expected::Signal(signal) => signals.push(signal),
            expected => parts.push(describe(kind, key, expected, entry)),
        }
    }
    parts.extend(describe_signals(&signals));
    if parts.is_empty() {
        return None;
    }
    let mut value = parts.join("; or ");
    for why in &entry.no_effect {
        let _ = write!(value, ". Refused: {}", code(why));
    }
    Some(value)
}

fn describe(kind: &Kind, key: &str, expected: &Expected, entry: &Key) -> String {
    let range = || match entry.ends.each_ref().map(describe_end) {
        [Some(start), Some(end)] => format!("{start} to {end}"),
        [Some(start), None] => format!("from {start}, limited by other keys"),
        [None, Some(end)] => format!("up to {end}, limited by other keys"),
        [None, None] => "limited by other keys".to_owned(),
    };
    let count = || one_of(&entry.count, str::to_owned);
    match expected {
        Expected::Text => format!("text of 1 to {MAX_TEXT} bytes"),
        Expected::Boolean => "`true` or `false`".to_owned(),
        Expected::Number(_) => format!("number, {}", range()),
        Expected::Integer(_) => format!("whole number, {}", range()),
        Expected::Either(words) => code(words),
        Expected::Numbers(_, usize::MAX) => format!("list of numbers, each {}", range()),
        Expected::Numbers(..) => format!("list of at most {} numbers, each {}", count(), range()),
        Expected::NumbersExactly(..) => format!("list of {} numbers, each {}", count(), range()),
        Expected::Texts(count) => format!("list of {count} texts"),
        Expected::TextsUpTo(most) => format!("list of at most {most} texts"),
        Expected::Word(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(" or ")
        }
        Expected::Table => format!("table `[{}]`", inside(kind, key)),
        Expected::Tables(_) => {
            format!("tables `[{}.NAME]`, at most {}", inside(kind, key), count())
        }
        Expected::Name(header) => format!("name of a `[{header}.NAME]`"),
        Expected::Signal(signal) => describe_signals(&[signal]).unwrap_or_default(),
    }
}

fn inside(kind: &Kind, key: &str) -> String {
    match kind.header.as_str() {
        "" => key.to_owned(),
        header => format!("{header}.{key}"),
    }
}

/// The permitted signals of one key in words, collected from several files.
fn describe_signals(signals: &[&ExpectedSignal]) -> Option<String> {
    let first = signals.first()?;
    let types = signals.iter().map(|signal| signal.of);
    let types: BTreeSet<_> = types.filter(|of| !of.is_empty()).collect();
    let number = Type::Number.describe();
    // Only a number has a unit.
    let signals: Vec<_> = (signals.iter())
        .filter(|signal| [number, ""].contains(&signal.of) || !types.contains(number))
        .collect();
    let units: BTreeSet<_> = signals.iter().map(|signal| signal.unit.as_str()).collect();
    let mut units: Vec<_> = units.into_iter().collect();
    if units.contains(&ANY_UNIT) {
        units = vec![ANY_UNIT];
    }
    let does = match signals.iter().any(|signal| signal.sets) {
        true => "sets",
        false => "reads",
    };
    let unit = match units.as_slice() {
        ["" | "1"] => String::new(),
        [ANY_UNIT] => " in any unit".to_owned(),
        [unit] => format!(" in {unit}"),
        _ => " in a unit that depends on other keys".to_owned(),
    };
    let of = types.into_iter().map(|of| match of == number {
        true => format!("{of}{unit}"),
        false => of.to_owned(),
    });
    let of = of.collect::<Vec<_>>().join(" or ");
    Some(match first.count {
        Count::One => format!("signal that it {does}: {of}"),
        Count::Exactly(count) => format!("list of {count} signals that it {does}: {of}"),
        Count::UpTo(most) => {
            format!("list of at most {most} signals that it {does}: {of}")
        }
    })
}

/// One end of a range in words; `None` if it varies.
fn describe_end(end: &Figure) -> Option<String> {
    let one = || match end.seen.len() {
        1 => end.seen.first().cloned(),
        _ => None,
    };
    followed(end).or_else(one)
}

/// The key that a varying figure always equals.
fn followed(figure: &Figure) -> Option<String> {
    let key = figure.as_key.as_ref()?.first()?;
    (figure.seen.len() > 1).then(|| format!("`{key}`"))
}

fn one_of(figure: &Figure, shown: impl Fn(&str) -> String) -> String {
    let seen: Vec<_> = figure.seen.iter().collect();
    match seen.as_slice() {
        [one] => shown(one),
        [one, other] => format!("{} or {}, by other keys", shown(one), shown(other)),
        _ => "given by other keys".to_owned(),
    }
}

/// What applies without the key, in words; `None` if unknown.
fn absent(entry: &Key) -> Option<String> {
    if let Some(default) = &entry.default {
        let as_key = followed(default).map(|key| format!("as {key}"));
        let is_text = |expected: &Expected| {
            matches!(
                expected,
                Expected::Text | Expected::Word(_) | Expected::Either(_)
            )
        };
        let quote = if entry.expected.iter().any(is_text) {
            "\""
        } else {
            ""
        };
        let shown = |value: &str| match value.parse() {
            Ok(f64::MAX | f64::MIN) => "no limit".to_owned(),
            _ => format!("`{quote}{value}{quote}`"),
        };
        // Two words can be a complete list; two figures are examples of many.
        let given = || match quote.is_empty() && default.seen.len() > 1 {
            true => "given by other keys".to_owned(),
            false => one_of(default, shown),
        };
        return as_key.or_else(|| Some(given()));
    }
    let is_tables = |expected: &Expected| matches!(expected, Expected::Tables(_));
    Some(match (entry.needed, entry.not_needed) {
        (0, 0) if !entry.expected.iter().any(is_tables) => return None,
        (0, _) => "–".to_owned(),
        (_, 0) => "required".to_owned(),
        _ => match entry.condition() {
            Some(Condition::Devices(value)) => {
                format!("required with `devices = \"{value}\"`")
            }
            Some(Condition::Value(key, value)) => {
                let quote = if ["true", "false"].contains(&value.as_str()) {
                    ""
                } else {
                    "\""
                };
                format!("required with `{key} = {quote}{value}{quote}`")
            }
            Some(Condition::Present(key)) => format!("required with `{key}`"),
            None => format!("required in some cases: {}", code(&entry.reason)),
        },
    })
}

/// Converts quoted texts to code spans.
fn code(words: &str) -> String {
    let mut parts = words.split('"');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        let is_quoted = index % 2 == 0;
        text.push_str(&if is_quoted {
            format!("`\"{part}\"`")
        } else {
            part.to_owned()
        });
    }
    text
}
