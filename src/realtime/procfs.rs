//! Reading small files of `/proc` and `/sys` without allocating.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::FromStr;

/// Opened once, read any number of times, at one system call (pread(2)) and no
/// allocation each. Reading from offset 0 makes the kernel write the text anew.
#[derive(Debug)]
pub(super) struct ProcFile<const N: usize> {
    file: File,
    buffer: [u8; N],
}

impl<const N: usize> ProcFile<N> {
    /// Opens `path`. Allocation-free for paths below 384 bytes, which the
    /// standard library terminates on the stack.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            buffer: [0; N],
        })
    }

    /// The text as of now, or its first `N` bytes.
    pub(super) fn read(&mut self) -> io::Result<&[u8]> {
        let length = self.file.read_at(&mut self.buffer, 0)?;
        Ok(&self.buffer[..length])
    }
}

/// The number in the line `name:   1234 kB` of a status file.
pub(super) fn field<T: FromStr>(text: &[u8], name: &str) -> Option<T> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        word(rest, 0)
    })
}

/// The number that is the word with this index, from 0, in `text`.
pub(super) fn word<T: FromStr>(text: &[u8], index: usize) -> Option<T> {
    let word = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .nth(index)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = b"Name:\tVmLck: 9\nVmLckX:\t 8 kB\nVmLck:\t     176 kB\nThreads:\t3\n";
        assert_eq!(field(text, "VmLck"), Some(176_u64));
        assert_eq!(field(text, "Threads"), Some(3_u64));
        assert_eq!(field::<u64>(text, "VmRSS"), None);
        assert_eq!(field::<u64>(text, "Name"), None);
    }

    #[test]
    fn a_word_beyond_the_last_is_none() {
        assert_eq!(word(b" 12  34 ", 1), Some(34_u32));
        assert_eq!(word::<u32>(b" 12  34 ", 2), None);
    }
}
