//! Counts page faults of a thread, to prove that the loop's memory was always present.
//!
//! A minor fault maps a page that is in memory already, a major fault reads it from a device.
//! The kernel counts both for each thread. [`own`] is a system call on the thread itself, for
//! the rehearsal. [`FaultReader`] reads the counts of another thread, at no cost for that
//! thread.

use core::fmt::Write;
use std::path::Path;

use crate::sys::procfs::{ProcFile, word};
use crate::sys::{self, Errno};

/// Page faults since the thread started.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Faults without reading from a device.
    pub minor: u64,
    /// Faults that read from a device.
    pub major: u64,
}

impl Faults {
    /// The faults since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            minor: self.minor.saturating_sub(earlier.minor),
            major: self.major.saturating_sub(earlier.major),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0 && self.major == 0
    }

    /// From a line of proc_pid_stat(5): fields 10 and 12. The name in field 2 is
    /// in parentheses and may contain any character, including parentheses.
    fn parse(line: &[u8]) -> Option<Self> {
        let name_end = line.iter().rposition(|&byte| byte == b')')?;
        let rest = &line[name_end + 1..];
        Some(Self {
            minor: word(rest, 10 - 3)?.try_into().ok()?,
            major: word(rest, 12 - 3)?.try_into().ok()?,
        })
    }
}

/// Page faults of the calling thread (getrusage(2), `RUSAGE_THREAD`).
///
/// # Errors
/// Those of getrusage(2); none is expected.
pub fn own() -> Result<Faults, Errno> {
    let (minor, major) = sys::sched::thread_page_faults()?;
    Ok(Faults { minor, major })
}

/// Reads the counts of one thread of this process from any thread. Each reading is one system
/// call and does not allocate.
#[derive(Debug)]
pub struct FaultReader(ProcFile<1024>);

impl FaultReader {
    /// Opens the counts of the thread `tid` of this process
    /// ([`thread_id`](super::scheduler::thread_id)). `root` is the folder of `proc`, with a
    /// slash at its end: `/`, except in tests.
    ///
    /// # Errors
    /// `ENOENT`: there is no such thread, or `/proc` is not mounted.
    pub fn of_thread(root: &str, tid: i32) -> Result<Self, Errno> {
        let mut path = heapless::String::<192>::new();
        write!(path, "{root}proc/self/task/{tid}/stat").map_err(|_| Errno(libc::ENAMETOOLONG))?;
        Ok(Self(ProcFile::open(Path::new(path.as_str()))?))
    }

    /// Reads the present counts.
    ///
    /// # Errors
    /// `ESRCH`: the thread has ended. `EIO`: the line has not the format of proc_pid_stat(5).
    pub fn read(&mut self) -> Result<Faults, Errno> {
        let line = self.0.read()?;
        Faults::parse(line).ok_or(Errno(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::memory::{Mapping, Sharing, page_size};

    #[test]
    fn a_thread_name_with_parentheses_and_blanks_is_skipped() {
        let line = b"7 (a) b (c) R 1 7 7 0 -1 4194560 151 11 4 12 0 0 0 0 20 0 1 0\n";
        assert_eq!(
            Faults::parse(line),
            Some(Faults {
                minor: 151,
                major: 4
            })
        );
        assert_eq!(Faults::parse(b"7 (a) R 1 2"), None);
        assert_eq!(Faults::parse(b""), None);
    }

    #[test]
    fn page_faults_are_counted_by_the_thread_itself_and_through_proc() {
        let mut reader = FaultReader::of_thread("/", crate::sys::sched::thread_id()).unwrap();
        let (inside, outside) = (own().unwrap(), reader.read().unwrap());
        let mut pages: Vec<Mapping> = (0..32)
            .map(|_| Mapping::anonymous(page_size(), Sharing::Shared).unwrap())
            .collect();
        pages.iter_mut().for_each(Mapping::touch);
        assert!(own().unwrap().since(inside).minor >= 32);
        assert!(reader.read().unwrap().since(outside).minor >= 32);
    }

    #[test]
    fn page_faults_of_an_ended_thread_are_an_error() {
        let (send, receive) = std::sync::mpsc::channel();
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            send.send(crate::sys::sched::thread_id()).unwrap();
            let _ = wait.recv();
        });
        let mut reader = FaultReader::of_thread("/", receive.recv().unwrap()).unwrap();
        assert!(reader.read().is_ok());
        drop(done);
        thread.join().unwrap();
        // The thread can exist in the kernel for a while after join.
        let begun = std::time::Instant::now();
        while reader.read().is_ok() {
            assert!(begun.elapsed().as_secs() < 60, "it reads what is gone");
            std::thread::yield_now();
        }
        assert_eq!(reader.read(), Err(Errno(libc::ESRCH)));
    }
}
