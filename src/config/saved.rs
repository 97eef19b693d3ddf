//! Reads the parameters that were saved to the file of `[parameters]` while the controller ran
//! ([`link::saved`](crate::link::saved) writes it).

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::error::{ConfigError, Source, whole};
use super::reader::{Result, Table};
use super::{Config, MAX_FILE, document};
use crate::link::canopen::Saved;
use crate::link::parameters::{Parameter, Parameters, Setting};
use crate::link::saved::{END, KeptId, MAX_SAVED, SavedConfig};

/// The way out of a file that cannot be used.
const REMOVE: &str = "remove the file to start with the values of the board file";
/// The way out of one of its lines.
const REMOVE_LINE: &str = "remove this line, or correct it";

impl Config {
    /// The text of the file of `[parameters]`; `None` without that table, and if nothing is saved.
    ///
    /// # Errors
    /// The file cannot be read, or its folder is missing: then it is not known whether
    /// parameters were saved.
    pub fn saved_text(&self) -> Result<Option<String>> {
        let Some(SavedConfig { path, .. }) = &self.parameters else {
            return Ok(None);
        };
        let failed = |of: &str, error: io::Error, fix: &str| {
            ConfigError::from(whole(of, format!("cannot be read: {error}"), fix))
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
                let fix = "mount its disk or create this folder for the saved parameters, or remove [parameters] from the board file";
                fs::read_dir(folder)
                    .map(|_| None)
                    .map_err(|error| failed(&folder.to_string_lossy(), error, fix))
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                let what = "is damaged: it is not a text".to_owned();
                Err(whole(path, what, REMOVE).into())
            }
            Err(error) => Err(failed(
                path,
                error,
                "make it readable for the controller, or remove it",
            )),
        }
    }

    /// Puts the parameters of `text`, the content of the file of `[parameters]`, in force for the
    /// next start of the control laws: all of them or none.
    ///
    /// # Errors
    /// The text is damaged or of another board; a parameter does not exist, its value is not
    /// permitted, or the board file has another value than when it was saved.
    pub fn put_saved(&mut self, text: &str) -> Result<()> {
        let Some(parameters) = &self.parameters else {
            return Ok(());
        };
        let path = parameters.path.clone();
        let damaged = |what: &str| ConfigError::from(whole(&path, what.to_owned(), REMOVE));
        // Written last: what is missing before it would be a set of other values.
        if !text.trim_end().ends_with(END) {
            return Err(damaged("is cut off: it does not end with [end]"));
        }
        let source = Source { file: &path, text };
        // The reader of tables calls its file the board file.
        let not_ours = |error: ConfigError| {
            let what = error.what.replace("the board file", "this file");
            ConfigError::from(super::Details {
                position: error.position,
                ..whole(&path, format!("is damaged: {what}"), REMOVE)
            })
        };
        let document = document(&source).map_err(not_ours)?;
        let mut root = Table::root(source, &document);
        root.table("end").map_err(not_ours)?;
        let board = root.text("board").map_err(not_ours)?;
        if board.value != self.name {
            let what = format!(
                "these parameters are of the board \"{}\", and this one is \"{}\"",
                board.value, self.name
            );
            return Err(root.error_in(&board.span, what, REMOVE));
        }
        let saved = root.table("saved").map_err(not_ours)?;
        let mut settings = Vec::new();
        let mut laws = self.machine.laws.iter();
        let found = laws.position(|law| law.law.parameters().is_some());
        let law = found.and_then(|at| self.machine.laws.get(at));
        let mut in_force = None;
        if let Some((law, mut known)) = law.and_then(|law| Some((law, law.law.parameters()?))) {
            for (key, value) in saved.entries {
                settings.push(setting(source, &mut *known, key, value)?);
            }
            if let Some(with) = law.law.with_saved(&settings) {
                in_force = Some(with.map_err(|refused| {
                    saved.error(
                        format_args!("the saved values are refused: {refused}"),
                        REMOVE,
                    )
                })?);
            }
        }
        let node_id = match root.table_if("lss")? {
            Some(table) => self.kept_id(source, table)?,
            None => None,
        };
        let communication = match root.table_if("can")? {
            Some(table) => self.communication(source, table, node_id)?,
            None => Vec::new(),
        };
        root.finish().map_err(not_ours)?;
        if let (Some(kept), Some(can)) = (node_id, &mut self.links.can) {
            can.node.node_id = kept.node_id;
        }
        if let Some((at, law)) = found.zip(in_force) {
            self.machine.laws[at].law = law;
        }
        if let Some(parameters) = &mut self.parameters {
            parameters.in_force = settings.len() as u32;
            parameters.communication = communication;
            parameters.node_id = node_id;
        }
        Ok(())
    }

    /// The node id that a master has stored; `None` without a CAN link.
    fn kept_id(&self, source: Source<'_>, mut table: Table<'_>) -> Result<Option<KeptId>> {
        let mut kept = None;
        for (key, value) in table.entries {
            let ids = match value.get_ref() {
                DeValue::Array(pair) => pair.iter().map(|item| parsed(item.get_ref())).collect(),
                _ => Vec::new(),
            };
            let is_id = |id: f64| (1..=127).chain([255]).any(|known| f64::from(known) == id);
            match (key.get_ref().as_ref(), &*ids) {
                // The casts are exact.
                ("node_id", &[Some(id), Some(board)]) if is_id(id) && is_id(board) => {
                    kept = Some(KeptId {
                        node_id: id as u8,
                        board: board as u8,
                    });
                }
                (name, _) => {
                    let what =
                        format!("`{name}` is not a pair of node ids, stored and in the board file");
                    return Err(source.error(&key.span(), what, REMOVE_LINE));
                }
            }
        }
        let Some((kept, can)) = kept.zip(self.links.can.as_ref()) else {
            return Ok(None);
        };
        let has = can.node.node_id;
        if kept.board != has {
            let KeptId { node_id, board } = kept;
            let what = format!(
                "the node id {node_id} was stored while the board file had `node_id` {board}, and it has {has} now"
            );
            let fix = format!(
                "remove this table to have {has}, or write [{node_id}, {has}] to keep {node_id}"
            );
            return Err(table.error_at("node_id", what, fix));
        }
        Ok(Some(kept))
    }

    fn communication(
        &self,
        source: Source<'_>,
        mut table: Table<'_>,
        kept: Option<KeptId>,
    ) -> Result<Vec<Saved>> {
        let saved_id = table.integer("node_id", 1..=127)?;
        let node_id = self.links.can.as_ref().map(|can| can.node.node_id);
        if let Some(node_id) = kept.map(|kept| kept.node_id).or(node_id)
            && u64::from(node_id) != saved_id
        {
            let whose = match kept {
                Some(_) => "the table [lss]",
                None => "the board file",
            };
            let what = format!(
                "the CAN parameters were saved as node {saved_id}, and {whose} has `node_id` {node_id}"
            );
            let fix = "remove the table [can] here: the COB-IDs in it belong to that node id";
            return Err(table.error_at("node_id", what, fix));
        }
        let mut all = Vec::new();
        for (key, value) in table.entries {
            let name = key.get_ref().as_ref();
            if name == "node_id" {
                continue;
            }
            let object = name.split_once('-').and_then(|(index, sub)| {
                let index = u16::from_str_radix(index, 16).ok()?;
                Some((index, u8::from_str_radix(sub, 16).ok()?))
            });
            let value = match value.get_ref() {
                DeValue::Integer(integer) => {
                    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
                }
                _ => None,
            };
            match object.zip(value) {
                Some(((index, sub), value)) if all.len() < MAX_SAVED => {
                    all.push(Saved { index, sub, value });
                }
                _ => {
                    let what = format!("`{name}` is not an object with its value");
                    return Err(source.error(&key.span(), what, REMOVE_LINE));
                }
            }
        }
        Ok(all)
    }
}

/// The saved parameter of one line.
fn setting(
    source: Source<'_>,
    known: &mut dyn Parameters,
    key: &Spanned<toml::de::DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Setting> {
    let name: &str = key.get_ref();
    let is_named = |parameter: &Parameter<'_>| {
        let rest = name.strip_prefix(parameter.of);
        rest.and_then(|rest| rest.strip_prefix('.')) == Some(parameter.key)
    };
    let number = (0..known.count()).find(|number| known.get(*number).is_some_and(|p| is_named(&p)));
    let number = number.ok_or_else(|| {
        let what = format!("the machine has no parameter `{name}`");
        source.error(&key.span(), what, REMOVE_LINE)
    })?;
    let numbers = match value.get_ref() {
        DeValue::Array(pair) => pair.iter().map(|item| parsed(item.get_ref())).collect(),
        _ => Vec::new(),
    };
    let &[Some(value), Some(was)] = &*numbers else {
        let what = format!("`{name}` is not a pair of numbers, saved and in the board file");
        return Err(source.error(&value.span(), what, REMOVE_LINE));
    };
    let board = known
        .get(number)
        .map_or(f64::NAN, |parameter| parameter.board);
    if board != was {
        let what = format!(
            "`{name}` was saved as {value} while the board file had {was}, and it has {board} now"
        );
        let fix = format!(
            "remove this line to have {board}, or write [{value}, {board}] to keep {value}"
        );
        return Err(source.error(&key.span(), what, fix));
    }
    Ok(Setting { number, value })
}

fn parsed(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        _ => None,
    }
}
