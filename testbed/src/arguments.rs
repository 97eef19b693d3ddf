//! The command line of a tier that boots boards.

use std::{env, thread};

use crate::failure::Failure;

/// The command line of a tier that boots boards.
pub struct Arguments {
    /// Substrings of the names to run; empty: all.
    pub filters: Vec<String>,
    /// A substring of the names to leave out.
    pub skipped: Vec<String>,
    /// Whether the names are listed instead of run.
    pub list: bool,
    /// Whether the console of every board is printed, not only that of a failed one.
    pub show: bool,
    /// Number of boards that run in parallel.
    pub jobs: usize,
}

impl Arguments {
    /// Reads the command line. `further` handles options of one tier: it returns whether
    /// the word is such an option, and takes its value from the words after it.
    ///
    /// # Errors
    /// An unknown option, or an option without its value.
    pub fn read(
        mut further: impl FnMut(&str, &mut env::Args) -> Result<bool, Failure>,
    ) -> Result<Self, Failure> {
        let processors = thread::available_parallelism().map_or(1, |count| count.get());
        let mut found = Self {
            filters: Vec::new(),
            skipped: Vec::new(),
            list: false,
            show: false,
            jobs: processors.min(4),
        };
        let mut words = env::args();
        let _ = words.next();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => found.list = true,
                "--show" | "--nocapture" => found.show = true,
                "--skip" => {
                    let filter = words.next();
                    let filter =
                        filter.ok_or_else(|| Failure::new("--skip expects a part of a name"));
                    found.skipped.push(filter?);
                }
                "--jobs" => {
                    found.jobs = words
                        .next()
                        .and_then(|number| number.parse().ok())
                        .filter(|jobs| *jobs > 0)
                        .ok_or_else(|| Failure::new("--jobs expects a number of at least 1"))?;
                }
                option if further(option, &mut words)? => {}
                option if option.starts_with('-') => {
                    return Err(Failure::new(format!("unknown option {option}")));
                }
                filter => found.filters.push(filter.to_owned()),
            }
        }
        Ok(found)
    }

    /// Whether the test or case `name` is to be run.
    pub fn choose(&self, name: &str) -> bool {
        let like = |filter: &String| name.contains(filter);
        let chosen = self.filters.is_empty() || self.filters.iter().any(like);
        chosen && !self.skipped.iter().any(like)
    }
}
