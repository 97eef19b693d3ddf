//! The folder of black boxes: numbered files, each complete or absent. The oldest files are
//! removed first.
//!
//! If the machine stops while a file is written, every file with a final name is complete
//! ([`write_whole`]). Files are ordered by number, not by date: the clock of a board without a
//! battery starts in 1970.

use core::fmt::Write as _;
use std::fs::{self, File};
use std::io;

use super::BlackBoxConfig;
use crate::sys::sort::sort_by_key;
pub use crate::telemetry::whole::FileError as StoreError;
use crate::telemetry::whole::{at, sync_folder, write_whole};

/// The extension of a black box file.
pub const ENDING: &str = ".blackbox";
/// Most files in the folder; beyond that the oldest is removed, whatever its size.
const MAX_FILES: usize = 256;

/// A path in a fixed buffer, so that it allocates nothing.
pub type Path = heapless::String<192>;

/// The black boxes of one board. Only one process at a time may write them: the process that
/// has locked the board's flight file.
#[derive(Debug)]
pub struct Store {
    directory: String,
    board: String,
    size_limit: u64,
    /// Number and length, bytes, oldest first. The capacity is never exceeded, because files
    /// are also saved while the allocator is sealed.
    files: Vec<(u32, u64)>,
    /// Number of the next file. Kept beside `files`, which may all have been removed to make
    /// room: a number must not be used twice.
    next: u32,
}

/// `name` as part of a file name: every character but ASCII letters, digits, `-` and `_`
/// becomes `_`. Allocates.
#[must_use]
pub fn file_stem(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect()
}

impl Store {
    /// Opens the folder, creates it if it is missing, and lists its files. Allocates.
    ///
    /// # Errors
    /// The folder cannot be created or read.
    pub fn open(config: &BlackBoxConfig, board: &str) -> Result<Self, StoreError> {
        let mut store = Self {
            directory: config.directory.clone(),
            board: file_stem(board),
            size_limit: config.size_limit,
            files: Vec::with_capacity(MAX_FILES + 1),
            next: 1,
        };
        fs::create_dir_all(&store.directory).map_err(at("the folder cannot be created"))?;
        let mut found = Vec::new();
        let read = at("the folder cannot be read");
        for entry in fs::read_dir(&store.directory).map_err(read)? {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| store.number_of(name));
            if let Some((number, data)) = number.zip(entry.metadata().ok()) {
                found.push((number, data.len()));
            }
        }
        sort_by_key(&mut found, |(number, _)| *number);
        store.next = found
            .last()
            .map_or(1, |(number, _)| number.saturating_add(1));
        while found.len() > MAX_FILES {
            let (number, _) = found.remove(0);
            // If it cannot be removed, the next start tries again.
            let _ = fs::remove_file(store.path(number).as_str());
        }
        store.files.extend(found);
        Ok(store)
    }

    fn number_of(&self, name: &str) -> Option<u32> {
        let digits = name
            .strip_prefix(self.board.as_str())?
            .strip_prefix('-')?
            .strip_suffix(ENDING)?;
        let number = digits.parse().ok()?;
        // Names in another form were not written by this program.
        (format!("{number:06}") == digits).then_some(number)
    }

    fn path(&self, number: u32) -> Path {
        let mut path = Path::new();
        // The limits of the board file on both texts keep the path within the buffer.
        let _ = write!(
            path,
            "{}/{}-{number:06}{ENDING}",
            self.directory, self.board
        );
        path
    }

    /// Saves the file that `write` writes and returns its path.
    ///
    /// Older files are removed first, so that all of them and a new one of `expected` bytes
    /// stay within the size limit. Blocks for the disk. Allocates nothing.
    ///
    /// # Errors
    /// The step that failed. The folder has no new file then, complete or partial.
    pub fn save(
        &mut self,
        expected: u64,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Path, StoreError> {
        self.make_room(expected);
        let number = self.next;
        let path = self.path(number);
        let mut temporary = Path::new();
        let _ = write!(temporary, "{}/.{}.new", self.directory, self.board);
        let length = write_whole([&self.directory, &temporary, &path], write)?;
        self.files.push((number, length));
        self.next = number.saturating_add(1);
        self.make_room(0);
        Ok(path)
    }

    fn make_room(&mut self, expected: u64) {
        let keep = usize::from(expected == 0);
        loop {
            let all: u64 = self.files.iter().map(|(_, length)| length).sum();
            let fits = all.saturating_add(expected) <= self.size_limit;
            if (fits && self.files.len() <= MAX_FILES) || self.files.len() <= keep {
                return;
            }
            let (number, _) = self.files.remove(0);
            // A file that cannot be removed is ignored for the rest of this run.
            let _ = fs::remove_file(self.path(number).as_str());
        }
    }

    /// Marks in the folder that a run has begun and not ended. The mark survives a loss of
    /// power, which tmpfs does not.
    ///
    /// # Errors
    /// The step that failed.
    pub fn mark(&self) -> Result<(), StoreError> {
        let file = File::create(self.marker().as_str()).map_err(at("a file cannot be created"))?;
        file.sync_all()
            .map_err(at("the file cannot be synced to the disk"))?;
        sync_folder(&self.directory)
    }

    /// Whether the last run was marked and the mark was not removed.
    #[must_use]
    pub fn marked(&self) -> bool {
        fs::exists(self.marker().as_str()).unwrap_or(false)
    }

    /// Removes the mark, at the end of a run.
    pub fn unmark(&self) {
        // If it cannot be removed, the next start reports a run without an end.
        let _ = fs::remove_file(self.marker().as_str());
    }

    fn marker(&self) -> Path {
        let mut path = Path::new();
        let _ = write!(path, "{}/{}.running", self.directory, self.board);
        path
    }
}
