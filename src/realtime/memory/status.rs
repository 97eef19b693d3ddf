//! Reads how much memory is mapped, resident and locked (proc_pid_status(5)).

use core::fmt::Write as _;
use std::path::Path;

use crate::sys::Errno;
use crate::sys::procfs::{ProcFile, field};

/// The memory figures of `/proc/PID/status` (proc_pid_status(5)), in kB.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// `VmSize`: mapped memory, which mlockall(2) with `MCL_CURRENT` counts against the limit.
    pub vm_size_kb: u64,
    /// `VmRSS`: resident memory. The kernel counts it per CPU, so it may be wrong by some 64
    /// pages per CPU.
    pub vm_rss_kb: u64,
    /// `VmLck`: locked memory, exact. Counts whole mappings, resident or not.
    pub vm_lck_kb: u64,
}

impl Status {
    /// Reads the figures of this process. Does not allocate.
    ///
    /// # Errors
    /// Those of open(2) and read(2): `ENOENT` if `/proc` is not mounted; `EIO` if a figure is
    /// missing.
    pub fn now() -> Result<Self, Errno> {
        StatusReader::open()?.read()
    }

    fn parse(text: &[u8]) -> Option<Self> {
        Some(Self {
            vm_size_kb: field(text, "VmSize")?,
            vm_rss_kb: field(text, "VmRSS")?,
            vm_lck_kb: field(text, "VmLck")?,
        })
    }
}

/// Reads [`Status`] repeatedly through one open file. Each reading is one system call of some
/// tens of microseconds, and does not allocate. Not for the loop.
#[derive(Debug)]
pub struct StatusReader(ProcFile<4096>);

impl StatusReader {
    /// Opens `/proc/self/status`. The descriptor stays that of this process, even in a child
    /// that inherits it.
    ///
    /// # Errors
    /// Those of open(2): `ENOENT` if `/proc` is not mounted.
    pub fn open() -> Result<Self, Errno> {
        Self::below("/")
    }

    /// As [`StatusReader::open`], with `proc` in the folder `root`, which has a slash at its end.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn below(root: &str) -> Result<Self, Errno> {
        let mut path = heapless::String::<192>::new();
        write!(path, "{root}proc/self/status").map_err(|_| Errno(libc::ENAMETOOLONG))?;
        ProcFile::open(Path::new(path.as_str()))
            .map(Self)
            .map_err(Errno::from)
    }

    /// Reads the present figures.
    ///
    /// # Errors
    /// Those of read(2); `EIO` if a figure is missing.
    pub fn read(&mut self) -> Result<Status, Errno> {
        let text = self.0.read().map_err(Errno::from)?;
        Status::parse(text).ok_or(Errno(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_this_process_has_mapped_and_resident_memory() {
        let status = Status::now().unwrap();
        assert!(status.vm_size_kb >= status.vm_rss_kb, "{status:?}");
        assert!(status.vm_rss_kb > 100, "{status:?}");
    }

    #[test]
    fn a_status_with_a_missing_figure_is_refused() {
        let whole = b"VmSize:\t 10 kB\nVmLck:\t 2 kB\nVmRSS:\t 7 kB\n";
        assert_eq!(
            Status::parse(whole),
            Some(Status {
                vm_size_kb: 10,
                vm_rss_kb: 7,
                vm_lck_kb: 2
            })
        );
        assert_eq!(Status::parse(b"VmSize:\t 10 kB\nVmRSS:\t 7 kB\n"), None);
    }
}
