//! The reference of all tables and keys of a board file, derived from its readers.
//!
//! The readers are run on board files and on many modified copies of them, and each access to a
//! table is recorded: key, type, range, words, default. Whether a key is required is found by
//! omitting it. No part of the reference is written by hand, so it always matches the readers.

mod document;
mod explore;
mod learned;
mod write;

use std::fmt;

use crate::config::{Config, ConfigError, Registry};
use crate::stock::{SIM_BOARD, SIM_BOARD_FILE};
use document::Node;
use explore::Explorer;

/// All tables and keys of a firmware's board files. `Display` writes Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    text: String,
    undescribed: Vec<String>,
}

impl Keys {
    /// What the reference lacks, one line each: keys whose value was never read, and
    /// registered kinds that no valid file contains.
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

/// Files that together have a table of each kind of this crate.
const FILES: [(&str, &str); 3] = [
    (SIM_BOARD_FILE, SIM_BOARD),
    (
        "linux.toml",
        include_str!("../../../tests/board_files/linux.toml"),
    ),
    ("machine.toml", include_str!("machine.toml")),
];

/// The reference for this crate and `registry`. `files` are pairs of name and text from which
/// the kinds of `registry` are explored.
///
/// # Errors
/// The first error of one of the files.
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
