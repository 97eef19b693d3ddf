//! What the commands of one firmware know.

use std::path::Path;

use super::failure::{BAD_INPUT, Failure};
use crate::config::{Config, Registry};

/// What the commands of one firmware know.
#[derive(Clone, Debug)]
pub struct Known {
    /// What its board files can name.
    pub registry: Registry,
    /// The board file that it carries, for a run without one: its name and its text.
    pub built_in: (&'static str, &'static str),
}

impl Known {
    pub(super) fn load(&self, file: &Path) -> Result<Config, Failure> {
        Config::load_with(file, &self.registry).map_err(|error| Failure::in_file(BAD_INPUT, &error))
    }

    pub(super) fn built_in(&self) -> Result<Config, Failure> {
        let (name, text) = self.built_in;
        Config::parse_with(name, text, &self.registry)
            .map_err(|error| Failure::in_file(BAD_INPUT, &error))
    }
}
