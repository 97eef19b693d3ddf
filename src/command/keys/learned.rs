//! What is known about each key, collected from the readers' accesses run by run.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::config::accesses::{Access, Expected, Kind, Target, figure};

/// A property of one table in one run that can explain why a key is required. The better
/// explanation is listed first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    /// The value of `devices` in `[board]`.
    Devices(String),
    /// A key of the same table has this value, one word of several.
    Value(String, String),
    /// A key of the same table is present.
    Present(String),
}

/// What one table was like in one run.
#[derive(Debug, Hash)]
struct TableState<'e> {
    kind: &'e Kind,
    /// The value of each accessed key: that of the file, or the default.
    values: BTreeMap<&'static str, Holds<'e>>,
}

#[derive(Debug, Default, Hash)]
struct Holds<'e> {
    present: bool,
    value: Option<&'e str>,
    /// The value is one of several words, or a boolean.
    is_word: bool,
}

/// A figure that is the same in every run, or equals another key.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    /// All values seen.
    pub(super) seen: BTreeSet<String>,
    /// Keys of the same table that had this value in every run.
    pub(super) as_key: Option<BTreeSet<&'static str>>,
}

impl Figure {
    fn add(&mut self, value: String, state: &TableState<'_>, but: &str) {
        let number = value.parse::<f64>().ok();
        let is_same = |key: &&'static str| {
            let other = state.values.get(key).and_then(|holds| holds.value);
            other.is_some_and(|other| {
                other == value
                    || (number.is_some() && other.replace('_', "").parse().ok() == number)
            })
        };
        match &mut self.as_key {
            Some(keys) => keys.retain(is_same),
            None => {
                let all = state.values.keys().copied().filter(|key| *key != but);
                self.as_key = Some(all.filter(is_same).collect());
            }
        }
        if !self.seen.contains(&value) {
            self.seen.insert(value);
        }
    }
}

/// What is known about one key of one kind of table.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    /// What it may be; ranges are those of the first run.
    pub(super) expected: Vec<Expected>,
    /// The ends of its range.
    pub(super) ends: [Figure; 2],
    /// Exact or maximum number of entries.
    pub(super) count: Figure,
    pub(super) default: Option<Figure>,
    /// Reasons for which it has no effect.
    pub(super) no_effect: BTreeSet<String>,
    /// Number of runs that were refused without it.
    pub(super) needed: u32,
    /// The first reason of a refusal.
    pub(super) reason: String,
    /// Number of runs that were accepted without it.
    pub(super) not_needed: u32,
    /// Conditions that held in all runs refused without it.
    all_needed: BTreeSet<Condition>,
    /// Conditions that held in at least one run accepted without it.
    some_not_needed: BTreeSet<Condition>,
}

impl Key {
    /// The condition under which it is required, if it is not always required.
    pub(super) fn condition(&self) -> Option<&Condition> {
        self.all_needed.difference(&self.some_not_needed).next()
    }
}

/// What is known about one kind of table.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) keys: BTreeMap<&'static str, Key>,
    /// Keys in the order of their first access.
    pub(super) order: Vec<&'static str>,
    /// The values of `devices` of accepted files with such a table.
    pub(super) accepted: BTreeSet<String>,
}

/// What is known about all kinds of tables.
#[derive(Debug, Default)]
pub(super) struct Learned {
    pub(super) kinds: BTreeMap<Kind, Known>,
    /// Kinds in the order of their first reading.
    pub(super) order: Vec<Kind>,
    /// Hashes of the tables of accepted files.
    had: HashSet<u64>,
}

/// The tables of one run, by name and kind.
type Tables<'e> = BTreeMap<(&'e str, &'e Kind), TableState<'e>>;

impl Learned {
    /// Adds the accesses of one run, which was `accepted` or not. Returns the kinds of tables that
    /// are new or have a new type of value.
    pub(super) fn add(&mut self, events: &[Access], accepted: bool) -> BTreeSet<Kind> {
        let tables = table_states(events);
        let mut news = BTreeSet::new();
        for events in by_table(events) {
            let (table, kind) = (events[0].table.as_str(), &events[0].kind);
            let state = &tables[&(table, kind)];
            if !self.kinds.contains_key(kind) {
                self.order.push(kind.clone());
                self.kinds.insert(kind.clone(), Known::default());
                news.insert(kind.clone());
            }
            let known = self.kinds.get_mut(kind);
            if known.is_some_and(|known| known.learn(events, state)) {
                news.insert(kind.clone());
            }
        }
        if accepted {
            self.add_absent(&tables);
        }
        news
    }

    /// Records that the keys missing in an accepted file are not required there.
    fn add_absent(&mut self, tables: &Tables<'_>) {
        let devices = devices(tables);
        for state in tables.values() {
            let Some(known) = self.kinds.get_mut(state.kind) else {
                continue;
            };
            if let Some(devices) = devices
                && !known.accepted.contains(devices)
            {
                known.accepted.insert(devices.to_owned());
            }
            // Most tables are the same as in many earlier runs.
            let mut hash = DefaultHasher::new();
            (state, devices, known.keys.len()).hash(&mut hash);
            if !self.had.insert(hash.finish()) {
                continue;
            }
            for (key, entry) in &mut known.keys {
                if state.values.get(key).is_none_or(|holds| !holds.present) {
                    entry.not_needed += 1;
                    entry
                        .some_not_needed
                        .extend(conditions(devices, state, key));
                }
            }
        }
    }

    /// Records that the file of `events` was refused for `reason` without `key` of `table`.
    pub(super) fn add_needed(&mut self, events: &[Access], table: &str, key: &str, reason: String) {
        let tables = table_states(events);
        for (_, state) in tables.iter().filter(|((name, _), _)| *name == table) {
            let known = self.kinds.get_mut(state.kind);
            let Some(entry) = known.and_then(|known| known.keys.get_mut(key)) else {
                continue;
            };
            let here = conditions(devices(&tables), state, key);
            entry.all_needed = match entry.needed {
                0 => here,
                _ => entry.all_needed.intersection(&here).cloned().collect(),
            };
            entry.needed += 1;
            if entry.reason.is_empty() {
                entry.reason.clone_from(&reason);
            }
        }
    }
}

impl Known {
    /// Adds the accesses to one table. Returns whether a type of value is new.
    fn learn(&mut self, events: &[Access], state: &TableState<'_>) -> bool {
        let mut is_new = false;
        for event in events {
            match &event.target {
                Target::NoEffect { key, why } => {
                    let entry = self.entry(key);
                    if !entry.no_effect.contains(why) {
                        entry.no_effect.insert(why.clone());
                    }
                }
                Target::Key(access) => {
                    let entry = self.entry(access.key);
                    if let Some(expected) = &access.expected {
                        is_new |= entry.learn(access.key, expected, state);
                    }
                    if let Some(default) = &access.default {
                        let figure = entry.default.get_or_insert_default();
                        figure.add(default.clone(), state, access.key);
                    }
                }
            }
        }
        is_new
    }

    fn entry(&mut self, key: &'static str) -> &mut Key {
        if !self.keys.contains_key(key) {
            self.order.push(key);
        }
        self.keys.entry(key).or_default()
    }
}

impl Key {
    /// Adds an access. Returns whether the type of value is new.
    fn learn(&mut self, key: &str, expected: &Expected, state: &TableState<'_>) -> bool {
        if let Some([start, end]) = ends(expected) {
            self.ends[0].add(start, state, key);
            self.ends[1].add(end, state, key);
        }
        if let Expected::Numbers(_, count)
        | Expected::NumbersExactly(_, count)
        | Expected::Tables(count) = expected
        {
            self.count.add(count.to_string(), state, key);
        }
        let is_same = |known: &Expected| match (known, expected) {
            (Expected::Number(_), Expected::Number(_))
            | (Expected::Integer(_), Expected::Integer(_))
            | (Expected::Numbers(..), Expected::Numbers(..))
            | (Expected::NumbersExactly(..), Expected::NumbersExactly(..))
            | (Expected::Tables(_), Expected::Tables(_)) => true,
            (known, expected) => known == expected,
        };
        let is_new = !self.expected.iter().any(is_same);
        if is_new {
            self.expected.push(expected.clone());
        }
        is_new
    }
}

/// `all` without duplicates, and without a plain text if a more specific type (name, signal or
/// word) is among them.
pub(super) fn most_specific(all: &[Expected]) -> Vec<&Expected> {
    let is_found = |expected: &Expected| {
        matches!(
            expected,
            Expected::Name(_) | Expected::Signal(_) | Expected::Word(_)
        )
    };
    let is_text = |expected: &Expected| {
        matches!(
            expected,
            Expected::Text | Expected::Texts(_) | Expected::TextsUpTo(_)
        )
    };
    let special = all.iter().any(is_found);
    let mut most_specific: Vec<&Expected> = Vec::new();
    for expected in all {
        let says_less = special && is_text(expected);
        if !says_less && !most_specific.contains(&expected) {
            most_specific.push(expected);
        }
    }
    most_specific
}

/// The ends of a range.
fn ends(expected: &Expected) -> Option<[String; 2]> {
    match expected {
        Expected::Number(range)
        | Expected::Numbers(range, _)
        | Expected::NumbersExactly(range, _) => {
            Some([figure(*range.start()), figure(*range.end())])
        }
        Expected::Integer(range) => Some([range.start().to_string(), range.end().to_string()]),
        _ => None,
    }
}

/// `events` split into one slice per table.
fn by_table(events: &[Access]) -> impl Iterator<Item = &[Access]> {
    events.chunk_by(|one, other| one.table == other.table && one.kind == other.kind)
}

/// The state of each table, by name and kind.
fn table_states(events: &[Access]) -> Tables<'_> {
    let mut tables = Tables::new();
    for events in by_table(events) {
        let (table, kind) = (events[0].table.as_str(), &events[0].kind);
        let state = tables.entry((table, kind)).or_insert_with(|| TableState {
            kind,
            values: BTreeMap::new(),
        });
        for access in events.iter().filter_map(Access::key) {
            let holds = state.values.entry(access.key).or_default();
            holds.present |= access.value.is_some();
            holds.is_word |= matches!(access.expected, Some(Expected::Word(_) | Expected::Boolean));
            let value = access.value.as_ref().or(access.default.as_ref());
            holds.value = holds.value.or(value.map(|value| value.trim_matches('"')));
        }
    }
    tables
}

/// The value of `devices` in `[board]`.
fn devices<'e>(tables: &Tables<'e>) -> Option<&'e str> {
    let board = tables.iter().find(|((name, _), _)| *name == "board");
    board.and_then(|(_, state)| state.values.get("devices")?.value)
}

/// The conditions that hold for the table of `state`, without `key` itself.
fn conditions(devices: Option<&str>, state: &TableState<'_>, key: &str) -> BTreeSet<Condition> {
    let mut found = BTreeSet::new();
    if let Some(value) = devices
        && (state.kind.header.as_str(), key) != ("board", "devices")
    {
        found.insert(Condition::Devices(value.to_owned()));
    }
    for (other, holds) in state.values.iter().filter(|(other, _)| **other != key) {
        if let (true, Some(value)) = (holds.is_word, holds.value) {
            found.insert(Condition::Value((*other).to_owned(), value.to_owned()));
        }
        if holds.present {
            found.insert(Condition::Present((*other).to_owned()));
        }
    }
    found
}
