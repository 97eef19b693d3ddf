//! The command line of a tier that boots boards.

use std::{env, thread};

use crate::failure::Failure;

/// The command line of a tier that boots boards.
pub struct Arguments {
    /// Parts of names of what is to be run; all, if there are none.
    pub filters: Vec<String>,
    /// A part of names of what is left out.
    pub skipped: Option<String>,
    /// Whether names are listed and nothing is run.
    pub list: bool,
    /// Whether each board's console is printed, not only a failed one's.
    pub show: bool,
    /// Boards at a time.
    pub jobs: usize,
}

impl Arguments {
    /// `further` is asked about options of one tier alone: whether a word is one, of
    /// which it then takes the value from the words after it.
    ///
    /// # Errors
    /// An option that there is not.
    pub fn read(
        mut further: impl FnMut(&str, &mut env::Args) -> Result<bool, Failure>,
    ) -> Result<Self, Failure> {
        let processors = thread::available_parallelism().map_or(1, |count| count.get());
        let mut found = Self {
            filters: Vec::new(),
            skipped: None,
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
                        filter.ok_or_else(|| Failure::new("--skip wants a part of a name"));
                    found.skipped = Some(filter?);
                }
                "--jobs" => {
                    found.jobs = words
                        .next()
                        .and_then(|number| number.parse().ok())
                        .filter(|jobs| *jobs > 0)
                        .ok_or_else(|| Failure::new("--jobs wants a number from 1 up"))?;
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

    /// Whether what is named like this is to be run.
    pub fn choose(&self, name: &str) -> bool {
        let like = |filter: &String| name.contains(filter);
        let chosen = self.filters.is_empty() || self.filters.iter().any(like);
        chosen && !self.skipped.iter().any(like)
    }
}
