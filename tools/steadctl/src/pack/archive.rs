//! A compressed tar archive, one entry after the other.

use std::fs::File;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// The folder of all entries.
const FOLDER: &str = "steadfast-report";

pub(super) struct Archive(Builder<GzEncoder<File>>);

impl Archive {
    pub(super) fn new(file: File) -> Self {
        Self(Builder::new(GzEncoder::new(file, Compression::default())))
    }

    /// Adds the file `name` with the time of its last change.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8], time: SystemTime) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let seconds = time.duration_since(UNIX_EPOCH);
        header.set_mtime(seconds.map_or(0, |time| time.as_secs()));
        self.0
            .append_data(&mut header, format!("{FOLDER}/{name}"), bytes)
    }

    /// Ends the archive and puts it on the disk; gives its size, bytes.
    pub(super) fn finish(self) -> io::Result<u64> {
        let file = self.0.into_inner()?.finish()?;
        file.sync_all()?;
        file.metadata().map(|data| data.len())
    }
}
