//! The reference of all tables and keys of a board file, made from what its readers ask for.
//!
//! The readers decide what a board file can say. They are called with board files and with
//! many changed copies of them, and each question that they ask a table is recorded: key, type,
//! range, words, default. When a key is required is found out by leaving it out. Nothing of
//! the reference is written by hand, so it cannot say anything else than the readers do.

mod document;
mod explore;
mod learned;
mod write;

use std::fmt;

use crate::config::{Config, ConfigError, Registry};
use crate::stock::{SIM_BOARD, SIM_BOARD_FILE};
use document::Node;
use explore::Explorer;

/// All tables and keys of a firmware's board files. It is displayed as Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    text: String,
    undescribed: Vec<String>,
}

impl Keys {
    /// What the reference does not say, because no file came to it: keys that a reader allows
    /// and was never seen to ask for, and registered kinds that no right file has. One line
    /// each.
    #[must_use]
    pub fn undescribed(&self) -> &[String] {
        &self.undescribed
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Files that have a table of each kind that this crate knows together.
const FILES: [(&str, &str); 3] = [
    (SIM_BOARD_FILE, SIM_BOARD),
    (
        "linux.toml",
        include_str!("../../../tests/board_files/linux.toml"),
    ),
    ("machine.toml", include_str!("machine.toml")),
];

/// The reference of what this crate and `registry` know, with `files`, their names and their
/// texts, as the beginning for the kinds of `registry`.
///
/// # Errors
/// What is wrong with one of the files.
pub(crate) fn describe(registry: &Registry, files: &[(&str, &str)]) -> Result<Keys, ConfigError> {
    let mut explorer = Explorer::new(registry);
    for (name, text) in FILES.iter().chain(files) {
        let config = Config::parse_with(name, text, registry)?;
        if let Some(file) = Node::parse(text) {
            explorer.explore(&file, &config);
        }
    }
    let (text, undescribed) = write::reference(&explorer.learned);
    Ok(Keys { text, undescribed })
}
