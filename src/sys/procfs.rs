//! Reads small files of `/proc` and `/sys` without allocating.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file that is opened once and read repeatedly. Each reading is one system call (pread(2))
/// and does not allocate. Reading from offset 0 makes the kernel generate the text again.
#[derive(Debug)]
pub(crate) struct ProcFile<const N: usize> {
    file: File,
    buffer: [u8; N],
}

impl<const N: usize> ProcFile<N> {
    /// Opens `path`. Does not allocate for paths below 384 bytes, which the standard library
    /// copies on the stack.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            buffer: [0; N],
        })
    }

    /// The present text, or its first `N` bytes.
    pub(crate) fn read(&mut self) -> io::Result<&[u8]> {
        let length = self.file.read_at(&mut self.buffer, 0)?;
        Ok(&self.buffer[..length])
    }
}

/// Longest line that [`for_each_line`] passes on completely, bytes.
const LINE: usize = 1024;

/// Calls `visit` with each line of the file at `path`, without its line end and cut off after
/// 1,024 bytes. Does not allocate.
pub(crate) fn for_each_line(path: &Path, visit: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = [0; LINE];
    let (mut kept, mut cut) = (0, false);
    loop {
        let read = file.read(&mut buffer[kept..])?;
        let filled = kept + read;
        let mut start = 0;
        while let Some(length) = buffer[start..filled].iter().position(|byte| *byte == b'\n') {
            if !std::mem::take(&mut cut) {
                visit(&buffer[start..start + length]);
            }
            start += length + 1;
        }
        if start == 0 && filled == LINE {
            if !std::mem::replace(&mut cut, true) {
                visit(&buffer);
            }
            start = filled;
        }
        buffer.copy_within(start..filled, 0);
        kept = filled - start;
        if read == 0 {
            if kept > 0 && !cut {
                visit(&buffer[..kept]);
            }
            return Ok(());
        }
    }
}

/// The number in the line `NAME:   1234 kB` of a status file.
pub(crate) fn field(text: &[u8], name: &str) -> Option<u64> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        word(rest, 0)?.try_into().ok()
    })
}

/// The word with this index, from 0, of `text`, as a number.
pub(crate) fn word(text: &[u8], index: usize) -> Option<i64> {
    let word = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .nth(index)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The addresses at the beginning of a line of proc_pid_maps(5): `START-END `.
pub(crate) fn addresses(line: &[u8]) -> Option<(usize, usize)> {
    let text = core::str::from_utf8(line.split(|byte| *byte == b' ').next()?).ok()?;
    let (start, end) = text.split_once('-')?;
    Some((
        usize::from_str_radix(start, 16).ok()?,
        usize::from_str_radix(end, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_visited_one_by_one_and_a_long_line_is_cut() {
        let path = std::env::temp_dir().join(format!("lines-{}", std::process::id()));
        let long = "x".repeat(3 * LINE);
        std::fs::write(&path, format!("one\n\n{long}\ntwo\nlast")).unwrap();
        let mut lines = std::vec::Vec::new();
        for_each_line(&path, &mut |line| lines.push(line.len())).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lines, [3, 0, LINE, 3, 4]);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = b"Name:\tVmLck: 9\nVmLckX:\t 8 kB\nVmLck:\t     176 kB\nThreads:\t3\n";
        assert_eq!(field(text, "VmLck"), Some(176));
        assert_eq!(field(text, "Threads"), Some(3));
        assert_eq!(field(text, "VmRSS"), None);
        assert_eq!(field(text, "Name"), None);
    }

    #[test]
    fn a_word_beyond_the_end_of_the_line_is_none() {
        assert_eq!(word(b" 12  34 ", 1), Some(34));
        assert_eq!(word(b" 12  34 ", 2), None);
    }

    #[test]
    fn lines_of_proc_maps_are_parsed() {
        let line = b"7e4fc000-7e543000 rw-p 00000000 00:00 0   [stack]";
        assert_eq!(addresses(line), Some((0x7e4f_c000, 0x7e54_3000)));
        assert_eq!(addresses(b"nonsense"), None);
    }
}
