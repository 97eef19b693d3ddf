//! Files that are whole or absent, whatever stops the machine while they are written.

use core::fmt;
use std::fs::{self, File};
use std::io;

use crate::sys::Errno;

/// Why a step failed. Its text is formatted without allocating, unlike that of [`io::Error`]:
/// files are also written while the allocator is sealed.
#[derive(Debug)]
pub struct FileError {
    step: &'static str,
    errno: Errno,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.errno.0 {
            libc::ENOSPC => "no space left on the device",
            libc::EROFS => "read-only file system",
            libc::EACCES | libc::EPERM => "permission denied",
            _ => return write!(f, "{} ({})", self.step, self.errno),
        };
        write!(f, "{}: {why}", self.step)
    }
}

pub(super) fn at(step: &'static str) -> impl FnOnce(io::Error) -> FileError {
    move |error| FileError {
        step,
        errno: error.into(),
    }
}

/// Writes the file `path` as a whole, in place of one that is there, and gives its length, bytes.
/// `temporary` is a name in the same `folder`.
///
/// It is written under its temporary name, synced to the disk (fsync(2)) and renamed; then the
/// folder is synced. If the machine stops in between, `path` is what it was, or what it becomes; a
/// temporary file that is left is overwritten by the next call. Blocks for the disk. Allocates
/// nothing for paths of less than 384 bytes.
///
/// # Errors
/// The step that failed; the temporary file is removed. If the last one failed, the new file is
/// there, but may be lost with the power.
pub fn write_whole(
    [folder, temporary, path]: [&str; 3],
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<u64, FileError> {
    let written = || {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(temporary)
            .map_err(at("a file cannot be created"))?;
        write(&mut file).map_err(at("the file cannot be written"))?;
        file.sync_all()
            .map_err(at("the file cannot be synced to the disk"))?;
        let length = file.metadata().map_or(0, |data| data.len());
        fs::rename(temporary, path).map_err(at("the file cannot be renamed"))?;
        Ok(length)
    };
    let length = written().inspect_err(|_| {
        // A partial file takes space that may be short already.
        let _ = fs::remove_file(temporary);
    })?;
    sync_folder(folder)?;
    Ok(length)
}

/// Removes the file `path` of `folder`, so that it stays removed without power. One that is not
/// there is removed already. Blocks for the disk. Allocates nothing for paths of less than 384
/// bytes.
///
/// # Errors
/// The step that failed.
pub fn remove(folder: &str, path: &str) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(at("the file cannot be removed")(error))
        }
        _ => sync_folder(folder),
    }
}

pub(super) fn sync_folder(folder: &str) -> Result<(), FileError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at("the folder cannot be synced to the disk"))
}
