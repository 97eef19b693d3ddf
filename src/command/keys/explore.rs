//! Reads board files again and again, each time changed in one place, and learns from what the
//! readers ask for.
//!
//! Each key is left out once, takes each of its words and both ends of its range; each key that
//! a file does not have is added. What the readers then miss is added as well, so that a
//! change that needs another one comes to its end.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Node;
use super::learned::{Learned, told};
use crate::config::asked::{Asked, Count, Expected, Kind, Log, Question};
use crate::config::{ANY_UNIT, Config, Registry};

/// Most changes that one change leads to.
const MOST_STEPS: usize = 40;
/// Of tables of one kind in a file, how many are changed.
const MOST_ALIKE: usize = 2;

pub(super) struct Explorer<'r> {
    registry: &'r Registry,
    pub(super) learned: Learned,
    /// Name, type and unit of the signals of the file that is explored.
    signals: Vec<(String, &'static str, &'static str)>,
    /// Kinds of tables about which the last changes have told something new.
    news: BTreeSet<Kind>,
}

/// What was asked of one file, and whether it was accepted.
struct Run {
    events: Vec<Asked>,
    /// What is wrong with it.
    refused: Option<String>,
}

/// One key that was asked for.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    kind: Kind,
    table: String,
    key: &'static str,
    /// Everything that it can be; nothing where that is not known.
    expected: Vec<Expected>,
    has_default: bool,
    present: bool,
}

impl<'r> Explorer<'r> {
    pub(super) fn new(registry: &'r Registry) -> Self {
        Self {
            registry,
            learned: Learned::default(),
            signals: Vec::new(),
            news: BTreeSet::new(),
        }
    }

    /// Learns from `file`, which `config` was read from.
    pub(super) fn explore(&mut self, file: &Node, config: &Config) {
        let signals = config.machine.signals.iter();
        self.signals = signals
            .map(|signal| (signal.name.clone(), signal.of.describe(), signal.unit))
            .collect();
        self.news.clear();
        self.run(file);
        let mut files = self.change(file, None);
        let devices = match config.simulation {
            Some(_) => "simulated",
            None => "linux",
        };
        for missing in self.missing(devices) {
            files.extend(self.with_kind(file, missing));
        }
        // What a change has led to is changed itself where it has told something new.
        while let Some((file, kinds)) = files.pop() {
            files.extend(self.change(&file, Some(&kinds)));
        }
    }

    /// What is registered and in no file with these `devices` so far: header, key and name.
    fn missing(&self, devices: &str) -> Vec<(&'static str, &'static str, &'static str)> {
        let [drivers, laws, plants] = self.registry.names();
        let drivers = drivers.into_iter().map(|name| ("device", "driver", name));
        let laws = laws.into_iter().map(|name| ("law", "kind", name));
        let plants = plants
            .into_iter()
            .filter(|_| devices == "simulated")
            .map(|name| ("simulation.plant", "kind", name));
        let all = drivers.chain(laws).chain(plants);
        all.filter(|(header, key, name)| {
            let kind = Kind {
                header: format!("{header}.NAME"),
                chosen: Some(format!("{key} = \"{name}\"")),
            };
            let known = self.learned.kinds.get(&kind);
            known.is_none_or(|known| !known.accepted.contains(devices))
        })
        .collect()
    }

    /// `file` with a table of a registered kind that it does not have.
    fn with_kind(
        &mut self,
        file: &Node,
        (header, key, name): (&'static str, &'static str, &'static str),
    ) -> Option<(Node, BTreeSet<Kind>)> {
        let mut file = file.clone();
        let table = format!("{header}.example");
        file.set(&table, key, Node::Value(format!("\"{name}\"")));
        let file = self.complete(file, None)?;
        let chosen = format!("{key} = \"{name}\"");
        let mine = self.learned.kinds.keys().filter(|kind| {
            let is_mine = kind.chosen.as_ref().is_none_or(|other| *other == chosen);
            is_mine && kind.header.starts_with(&format!("{header}.NAME"))
        });
        let mine = mine.cloned().collect();
        Some((file, mine))
    }

    /// Changes `file` in each place, or in the tables of `kinds`; the files in which
    /// something new was asked for.
    fn change(
        &mut self,
        file: &Node,
        kinds: Option<&BTreeSet<Kind>>,
    ) -> Vec<(Node, BTreeSet<Kind>)> {
        let run = self.run(file);
        let mut files = Vec::new();
        let mut alike: BTreeMap<(Kind, &str, bool), usize> = BTreeMap::new();
        for place in places(&run.events) {
            if kinds.is_some_and(|kinds| !kinds.contains(&place.kind)) {
                continue;
            }
            let many = alike.entry((place.kind.clone(), place.key, place.present));
            let many = many.or_default();
            *many += 1;
            if *many > MOST_ALIKE {
                continue;
            }
            self.news.clear();
            if place.present {
                self.without(file, &run, &place);
            }
            for value in self.values(file, &place) {
                let mut changed = file.clone();
                changed.set(&place.table, place.key, value);
                let done = self.complete(changed, Some((&place.table, place.key)));
                if let Some(done) = done
                    && !self.news.is_empty()
                {
                    files.push((done, std::mem::take(&mut self.news)));
                }
            }
        }
        files
    }

    /// Whether `file` is read without the key of `place`.
    fn without(&mut self, file: &Node, run: &Run, place: &Place) {
        if matches!(place.expected[..], [Expected::Tables(_)]) {
            return;
        }
        let mut changed = file.clone();
        changed.remove(&place.table, place.key);
        if let Some(refused) = self.run(&changed).refused
            && run.refused.is_none()
            && !place.has_default
        {
            let (table, key) = (&place.table, place.key);
            self.learned.add_needed(&run.events, table, key, refused);
        }
    }

    /// Adds to `file` what its reader misses, and removes what has no effect, until it is
    /// accepted; `kept` stays as it is, unless it only asks what is expected.
    fn complete(&mut self, mut file: Node, kept: Option<(&str, &str)>) -> Option<Node> {
        let kept =
            kept.filter(|(table, key)| file.get(&format!("{table}.{key}")) != Some(&unknown()));
        let mut tried: Vec<(String, &'static str, Node)> = Vec::new();
        for _ in 0..MOST_STEPS {
            let run = self.run(&file);
            if run.refused.is_none() {
                return Some(file);
            }
            let last = run.events.last()?;
            match &last.question {
                Question::Only(_) => return None,
                Question::NoEffect { key, .. } => {
                    if kept == Some((last.table.as_str(), *key)) {
                        return None;
                    }
                    file.remove(&last.table, key);
                }
                Question::Key { key, .. } => {
                    let mine = run.events.iter().filter(|event| event.table == last.table);
                    let mut mine = places(mine).into_iter().rev();
                    let place = mine.find(|place| place.key == *key)?;
                    if kept == Some((last.table.as_str(), *key)) {
                        return None;
                    }
                    let values = self.values_for(&file, &place);
                    let untried = values.into_iter().find(|value| {
                        let entry = (last.table.clone(), *key, value.clone());
                        !tried.contains(&entry)
                    })?;
                    tried.push((last.table.clone(), key, untried.clone()));
                    let header = place.expected.iter().find_map(|expected| match expected {
                        Expected::Name(header) => Some(header),
                        _ => None,
                    });
                    if let (Some(header), Node::Value(name)) = (header, &untried) {
                        let name = name.trim_matches('"');
                        if !name.contains('.') && file.get(&format!("{header}.{name}")).is_none() {
                            file.set(header, name, Node::Table(Vec::new()));
                        }
                    }
                    file.set(&last.table, key, untried);
                }
            }
        }
        None
    }

    fn run(&mut self, file: &Node) -> Run {
        let log = Log::default();
        let text = file.text();
        let read = Config::parse_recorded("keys", &text, self.registry, &log);
        let events = log.into_events();
        let news = self.learned.add(&events, read.is_ok());
        self.news.extend(news);
        let refused = read.err().map(|error| error.what.clone());
        Run { events, refused }
    }

    /// Other values for the key of `place`, or first ones.
    fn values(&self, file: &Node, place: &Place) -> Vec<Node> {
        let now = file.get(&format!("{}.{}", place.table, place.key));
        match place.expected[..] {
            [Expected::Tables(_) | Expected::Table | Expected::Name(_)] if now.is_some() => {
                Vec::new()
            }
            _ => {
                let mut values = self.values_for(file, place);
                values.retain(|value| Some(value) != now);
                values
            }
        }
    }

    fn values_for(&self, file: &Node, place: &Place) -> Vec<Node> {
        if place.expected.is_empty() {
            return vec![unknown()];
        }
        let all = place.expected.iter();
        all.flat_map(|expected| self.values_of(file, place.key, expected))
            .collect()
    }

    fn values_of(&self, file: &Node, key: &str, expected: &Expected) -> Vec<Node> {
        let text = |text: &str| format!("\"{text}\"");
        let list = |item: String, count: usize| format!("[{}]", vec![item; count].join(", "));
        let values = match expected {
            Expected::Table => return vec![Node::Table(Vec::new())],
            // Those of one's own are added with a kind that is registered.
            Expected::Tables(_) if ["device", "law", "plant"].contains(&key) => {
                return Vec::new();
            }
            Expected::Tables(_) => {
                let one = ("example".to_owned(), Node::Table(Vec::new()));
                return vec![Node::Table(vec![one])];
            }
            Expected::Text => vec![text(&format!("x{}", file.text().len())), text("/x")],
            Expected::Boolean => vec!["true".to_owned(), "false".to_owned()],
            Expected::Word(words) => words.iter().map(|word| text(word)).collect(),
            Expected::Number(range) => numbers(*range.start(), *range.end()),
            Expected::Integer(range) => {
                let (start, end) = (*range.start(), *range.end());
                let end = end.min(i64::MAX as u64);
                vec![start, start.midpoint(end), end, (start + 1).min(end)]
                    .into_iter()
                    .map(|number| number.to_string())
                    .collect()
            }
            Expected::Either(words) => {
                let quoted = words.split('"').skip(1).step_by(2).map(text);
                quoted.chain(["0".to_owned()]).collect()
            }
            Expected::Numbers(range, _) => vec![list(lowest(range), 1)],
            Expected::NumbersExactly(range, count) => vec![list(lowest(range), *count)],
            Expected::Texts(count) => vec![list(text("x"), *count)],
            Expected::TextsUpTo(_) => vec![list(text("x"), 1)],
            Expected::Name(header) => {
                let names = file.get(header).map_or(&[][..], Node::entries);
                let names = names.iter().map(|(name, _)| text(name));
                names.chain([text("example")]).collect()
            }
            Expected::Signal(signal) => {
                let fitting = self.signals.iter().filter(|(_, of, unit)| {
                    let is_unit = [*unit, ANY_UNIT].contains(&signal.unit.as_str());
                    is_unit && [*of, ""].contains(&signal.of)
                });
                let names: Vec<_> = fitting.map(|(name, ..)| text(name)).collect();
                // A list begins with each of them once.
                let listed = |first: usize, count: usize| {
                    let names = names.iter().cycle().skip(first).take(count);
                    format!("[{}]", names.cloned().collect::<Vec<_>>().join(", "))
                };
                let count = match signal.count {
                    Count::One => None,
                    Count::Exactly(count) => Some(count),
                    Count::UpTo(_) => Some(1),
                };
                match count {
                    None => names,
                    Some(count) => (0..names.len()).map(|first| listed(first, count)).collect(),
                }
            }
        };
        values.into_iter().map(Node::Value).collect()
    }
}

/// A value that is given to a key to be told what is expected.
fn unknown() -> Node {
    Node::Value("true".to_owned())
}

fn lowest(range: &std::ops::RangeInclusive<f64>) -> String {
    written(range.start().max(-1.0e9))
}

fn numbers(start: f64, end: f64) -> Vec<String> {
    let mut numbers = vec![start, end, start / 2.0 + end / 2.0];
    if (start..=end).contains(&1.0) {
        numbers.insert(0, 1.0);
    }
    numbers.into_iter().map(written).collect()
}

/// As TOML has a number with a fraction.
fn written(number: f64) -> String {
    format!("{number:?}")
}

/// Every key that was asked for, once, with the most that is known of it.
fn places<'e>(events: impl IntoIterator<Item = &'e Asked>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for event in events {
        let Question::Key {
            key,
            expected,
            default,
            value,
        } = &event.question
        else {
            continue;
        };
        let is_it = |place: &&mut Place| {
            place.key == *key && place.table == event.table && place.kind == event.kind
        };
        match places.iter_mut().find(is_it) {
            Some(place) => {
                place.has_default |= default.is_some();
                place.expected.extend(expected.clone());
            }
            None => places.push(Place {
                kind: event.kind.clone(),
                table: event.table.clone(),
                key,
                expected: expected.iter().cloned().collect(),
                has_default: default.is_some(),
                present: value.is_some(),
            }),
        }
    }
    for place in &mut places {
        place.expected = told(&place.expected).into_iter().cloned().collect();
    }
    places
}
