//! The registry and the built-in board file of a firmware, for its commands.

use std::path::Path;

use super::failure::{BAD_INPUT, Failure};
use crate::config::{Config, Registry};

/// The registry and the built-in board file of a firmware.
#[derive(Clone, Debug)]
pub struct Known {
    /// The drivers, laws and plants that its board files can name.
    pub registry: Registry,
    /// Name and text of the board file for a run without `--board`.
    pub built_in: (&'static str, &'static str),
    /// What `--interactive` adds to it: a link, and commands.
    pub interactive: &'static str,
}

impl Known {
    pub(super) fn load(&self, file: &Path) -> Result<Config, Failure> {
        Config::load_with(file, &self.registry).map_err(|error| Failure::in_file(BAD_INPUT, &error))
    }

    /// The built-in board with [`Known::interactive`], or as it is if it has a local link.
    pub(super) fn interactive(&self) -> Result<Config, Failure> {
        let (name, text) = self.built_in;
        let config = self.built_in();
        if let Ok(Config { links, .. }) = &config
            && links.local.is_some()
        {
            return config;
        }
        let text = format!("{text}\n{}", self.interactive);
        Config::parse_with(name, &text, &self.registry)
            .map_err(|error| Failure::in_file(BAD_INPUT, &error))
    }

    pub(super) fn built_in(&self) -> Result<Config, Failure> {
        let (name, text) = self.built_in;
        Config::parse_with(name, text, &self.registry)
            .map_err(|error| Failure::in_file(BAD_INPUT, &error))
    }
}
