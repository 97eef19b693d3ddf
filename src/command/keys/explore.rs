//! Reads board files many times, each time modified in one place, and records the accesses of the
//! readers.
//!
//! Each key is omitted once and takes each of its words and both ends of its range; each missing
//! key is added. If the reader then requires further keys, these are added too, so that a
//! modification that needs another one also gives a valid file.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Node;
use super::learned::{Learned, most_specific};
use crate::config::accesses::{Access, Count, Expected, KeyAccess, Kind, Log, Target};
use crate::config::{ANY_UNIT, Config, Registry};

/// Maximum number of further changes after one change.
const MOST_STEPS: usize = 40;
/// How many tables of one kind in a file are modified.
const MOST_ALIKE: usize = 2;

pub(super) struct Explorer<'r> {
    registry: &'r Registry,
    pub(super) learned: Learned,
    /// Name, type and unit of the signals of the explored file.
    signals: Vec<(String, &'static str, &'static str)>,
    /// Kinds of tables for which the last changes recorded something new.
    news: BTreeSet<Kind>,
}

/// The accesses to one file, and its error if it was refused.
struct Run {
    events: Vec<Access>,
    /// The error.
    refused: Option<String>,
}

/// A key that a reader accessed.
#[derive(Clone, Debug, PartialEq)]
struct AccessedKey {
    kind: Kind,
    table: String,
    key: &'static str,
    /// All that it may be; empty if unknown.
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

    /// Explores `file`; `config` was read from it.
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
        // A modified file that gave something new is explored as well.
        while let Some((file, kinds)) = files.pop() {
            files.extend(self.change(&file, Some(&kinds)));
        }
    }

    /// Registered kinds that no file with these `devices` contains so far: header, key and name.
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

    /// `file` with a table of a registered kind added.
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

    /// Modifies `file` in each place, or only in the tables of `kinds`. Returns the files that
    /// gave something new.
    fn change(
        &mut self,
        file: &Node,
        kinds: Option<&BTreeSet<Kind>>,
    ) -> Vec<(Node, BTreeSet<Kind>)> {
        let run = self.run(file);
        let mut files = Vec::new();
        let mut alike: BTreeMap<(Kind, &str, bool), usize> = BTreeMap::new();
        for entry in accessed_keys(&run.events) {
            if kinds.is_some_and(|kinds| !kinds.contains(&entry.kind)) {
                continue;
            }
            let many = alike.entry((entry.kind.clone(), entry.key, entry.present));
            let many = many.or_default();
            *many += 1;
            if *many > MOST_ALIKE {
                continue;
            }
            self.news.clear();
            if entry.present {
                self.without(file, &run, &entry);
            }
            for value in self.values(file, &entry) {
                let mut changed = file.clone();
                changed.set(&entry.table, entry.key, value);
                let done = self.complete(changed, Some((&entry.table, entry.key)));
                if let Some(done) = done
                    && !self.news.is_empty()
                {
                    files.push((done, std::mem::take(&mut self.news)));
                }
            }
        }
        files
    }

    /// Records whether `file` is accepted without the key of `entry`.
    fn without(&mut self, file: &Node, run: &Run, entry: &AccessedKey) {
        if matches!(entry.expected[..], [Expected::Tables(_)]) {
            return;
        }
        let mut changed = file.clone();
        changed.remove(&entry.table, entry.key);
        if let Some(refused) = self.run(&changed).refused
            && run.refused.is_none()
            && !entry.has_default
        {
            let (table, key) = (&entry.table, entry.key);
            self.learned.add_needed(&run.events, table, key, refused);
        }
    }

    /// Adds keys that the reader requires to `file`, and removes keys without effect, until it is
    /// accepted. The key `kept` is not changed, unless its value is only a probe.
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
            match &last.target {
                Target::NoEffect { key, .. } => {
                    if kept == Some((last.table.as_str(), *key)) {
                        return None;
                    }
                    file.remove(&last.table, key);
                }
                Target::Key(KeyAccess { key, .. }) => {
                    let mine = run.events.iter().filter(|event| event.table == last.table);
                    let mut mine = accessed_keys(mine).into_iter().rev();
                    let entry = mine.find(|entry| entry.key == *key)?;
                    if kept == Some((last.table.as_str(), *key)) {
                        return None;
                    }
                    let values = self.values_for(&file, &entry);
                    let untried = values.into_iter().find(|value| {
                        let entry = (last.table.clone(), *key, value.clone());
                        !tried.contains(&entry)
                    })?;
                    tried.push((last.table.clone(), key, untried.clone()));
                    let header = entry.expected.iter().find_map(|expected| match expected {
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

    /// Values to try for the key of `entry`, without its present value.
    fn values(&self, file: &Node, entry: &AccessedKey) -> Vec<Node> {
        let now = file.get(&format!("{}.{}", entry.table, entry.key));
        match entry.expected[..] {
            [Expected::Tables(_) | Expected::Table | Expected::Name(_)] if now.is_some() => {
                Vec::new()
            }
            _ => {
                let mut values = self.values_for(file, entry);
                values.retain(|value| Some(value) != now);
                values
            }
        }
    }

    fn values_for(&self, file: &Node, entry: &AccessedKey) -> Vec<Node> {
        if entry.expected.is_empty() {
            return vec![unknown()];
        }
        let all = entry.expected.iter();
        all.flat_map(|expected| self.values_of(file, entry.key, expected))
            .collect()
    }

    fn values_of(&self, file: &Node, key: &str, expected: &Expected) -> Vec<Node> {
        let text = |text: &str| format!("\"{text}\"");
        let list = |item: String, count: usize| format!("[{}]", vec![item; count].join(", "));
        let values = match expected {
            Expected::Table => return vec![Node::Table(Vec::new())],
            // These tables are added by `with_kind`.
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
                // One list for each signal as the first entry.
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

/// A probe: a value for a key whose type is unknown.
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

/// A number in TOML syntax, with a fraction.
fn written(number: f64) -> String {
    format!("{number:?}")
}

/// All accessed keys, each once, with everything that is known about it.
fn accessed_keys<'e>(events: impl IntoIterator<Item = &'e Access>) -> Vec<AccessedKey> {
    let mut keys: Vec<AccessedKey> = Vec::new();
    for event in events {
        let Some(access) = event.key() else { continue };
        let is_it = |entry: &&mut AccessedKey| {
            entry.key == access.key && entry.table == event.table && entry.kind == event.kind
        };
        match keys.iter_mut().find(is_it) {
            Some(entry) => {
                entry.has_default |= access.default.is_some();
                entry.expected.extend(access.expected.clone());
            }
            None => keys.push(AccessedKey {
                kind: event.kind.clone(),
                table: event.table.clone(),
                key: access.key,
                expected: access.expected.iter().cloned().collect(),
                has_default: access.default.is_some(),
                present: access.value.is_some(),
            }),
        }
    }
    for entry in &mut keys {
        entry.expected = most_specific(&entry.expected)
            .into_iter()
            .cloned()
            .collect();
    }
    keys
}
