//! Finds the misspelt key behind an error of a board file.
//!
//! A reader reports what is missing, and not the misspelt key that should have been it. So a
//! refused file is read again with an unknown key in the place of a missing one. The key is
//! misspelt if the readers then get further without an access to the key itself; a key that is
//! not similar to the missing one, if the file is then accepted.

use toml::de::{DeTable, DeValue};

use super::accesses::{Access, Expected, KeyAccess, Log, Misspelling};
use super::error::{ConfigError, Source};
use super::reader::{nearest, title, unknown};

/// Maximum number of further readings.
const MAX_READINGS: usize = 8;
/// How many keys of one table are compared with a missing one.
const MAX_COMPARED: usize = 256;

/// The error of the misspelt key that is the cause of `error`, or `error` itself. `read` reads
/// `document` and returns its error.
pub(super) fn explain(
    error: ConfigError,
    source: Source<'_>,
    document: &DeTable<'_>,
    read: impl Fn(&Log) -> Option<ConfigError>,
) -> ConfigError {
    let log = Log::default();
    read(&log);
    let events = log.into_events();
    let explained = |candidate: Misspelling| {
        let table = entries(document, &candidate.table)?;
        let (written, value) = table.get_key_value(candidate.written.as_str())?;
        let log = Log::with(candidate.clone());
        let refused = read(&log);
        let again = log.into_events();
        let is_similar = nearest(&[candidate.key], &candidate.written).is_some();
        let gets_further = refused.is_none_or(|refused| {
            let span = value.span();
            let [start, end] = [span.start, span.end].map(|at| source.position(&(at..at)));
            let is_refused = refused.position.is_some_and(|at| start <= at && at <= end);
            is_similar && again.len() > events.len() && refused != error && !is_refused
        });
        let mine = again
            .iter()
            .filter(|access| access.table == candidate.table);
        if !gets_further
            || mine
                .clone()
                .any(|access| access.name() == candidate.written)
        {
            return None;
        }
        let mut known = vec![candidate.key];
        if !is_similar {
            known = mine
                .filter_map(Access::key)
                .map(|access| access.key)
                .collect();
        }
        Some(unknown(&source, written, &title(&candidate.table), &known))
    };
    let candidates = candidates(document, &events).into_iter();
    let mut explained = candidates.take(MAX_READINGS).filter_map(explained);
    explained.next().unwrap_or(error)
}

/// Missing keys, each with unknown keys of its table: similar ones, then all for the key that was
/// missing last.
fn candidates(document: &DeTable<'_>, events: &[Access]) -> Vec<Misspelling> {
    let mut found: Vec<Misspelling> = Vec::new();
    let last = events.iter().rev().take(1);
    let all = events.iter().rev().map(|access| (access, true));
    for (access, is_similar) in all.chain(last.map(|access| (access, false))) {
        let Some(KeyAccess {
            key,
            value,
            expected,
            ..
        }) = access.key()
        else {
            continue;
        };
        let is_list = matches!(expected, Some(Expected::Tables(_)));
        let is_table = is_list || matches!(expected, Some(Expected::Table));
        let Some(entries) = entries(document, &access.table) else {
            continue;
        };
        // One of several tables `[key.NAME]` can be missing.
        if value.is_some() && !is_list {
            continue;
        }
        let is_known = |name: &str| {
            let mut mine = events.iter().filter(|other| other.table == access.table);
            mine.any(|other| other.name() == name)
        };
        let names = entries.keys().map(|name| name.get_ref().as_ref());
        let names = names.take(MAX_COMPARED).filter(|name| match is_similar {
            true => nearest(&[*key], name).is_some(),
            false => !is_table,
        });
        for written in names.filter(|name| !is_known(name)) {
            let candidate = Misspelling {
                table: access.table.clone(),
                key,
                written: written.to_owned(),
            };
            if !found.contains(&candidate) {
                found.push(candidate);
            }
        }
    }
    found
}

/// The entries of the table `path`, such as `axis.x.gains`. A name can have dots itself.
fn entries<'d, 't>(table: &'d DeTable<'t>, path: &str) -> Option<&'d DeTable<'t>> {
    if path.is_empty() {
        return Some(table);
    }
    table.iter().find_map(|(name, value)| {
        let rest = path.strip_prefix(name.get_ref().as_ref())?;
        let DeValue::Table(inner) = value.get_ref() else {
            return None;
        };
        match rest.strip_prefix('.') {
            Some(rest) => entries(inner, rest),
            None => rest.is_empty().then_some(inner),
        }
    })
}
