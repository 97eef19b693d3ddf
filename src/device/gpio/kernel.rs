//! The GPIO traits over the kernel's character devices.

use super::{Chip, ChipInfo, Chips, Events, LineEvent, LineInfo, LineRequest, LineValues, Lines};
use crate::sys::gpio as calls;
use crate::sys::sort::sort_by_key;
use crate::sys::{self, Errno, Ready};
use std::cell::OnceCell;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The chips in a directory of device nodes.
#[derive(Clone, Debug)]
pub struct KernelChips {
    directory: PathBuf,
    /// Read once: a start looks for several chips, and to read a `/dev` of 200 nodes takes a
    /// hundred times as long as to open a chip.
    names: OnceCell<Vec<String>>,
}

impl Default for KernelChips {
    fn default() -> Self {
        Self::new("/dev")
    }
}

impl KernelChips {
    /// The chips in `directory`, `/dev` on a running system.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            names: OnceCell::new(),
        }
    }

    fn list(&self) -> Vec<String> {
        let mut numbers: Vec<u32> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                name.to_str()?.strip_prefix("gpiochip")?.parse().ok()
            })
            .collect();
        sort_by_key(&mut numbers, |number| *number);
        numbers.iter().map(|n| format!("gpiochip{n}")).collect()
    }
}

impl Chips for KernelChips {
    type Chip = KernelChip;

    fn names(&self) -> Vec<String> {
        self.names.get_or_init(|| self.list()).clone()
    }

    fn open(&self, name: &str) -> Result<KernelChip, Errno> {
        // An absolute path replaces the directory in `join`.
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.directory.join(name))
            .map(KernelChip)
            .map_err(Errno::from)
    }
}

/// An open chip.
#[derive(Debug)]
pub struct KernelChip(File);

impl Chip for KernelChip {
    type Lines = KernelLines;

    fn device(&self) -> Result<u64, Errno> {
        self.0
            .metadata()
            .map(|metadata| metadata.rdev())
            .map_err(Errno::from)
    }

    fn info(&self) -> Result<ChipInfo, Errno> {
        calls::chip_info(self.0.as_fd())
    }

    fn line_info(&self, offset: u32) -> Result<LineInfo, Errno> {
        calls::line_info(self.0.as_fd(), offset)
    }

    fn request(&self, request: &LineRequest) -> Result<KernelLines, Errno> {
        calls::request_lines(self.0.as_fd(), request).map(KernelLines)
    }
}

/// Requested lines. Dropping them releases them: what an output does then depends on the
/// chip's driver; many keep the value.
#[derive(Debug)]
pub struct KernelLines(OwnedFd);

impl Lines for KernelLines {
    type Events = KernelEvents;

    #[inline]
    fn get(&self, mask: u64) -> Result<u64, Errno> {
        calls::get_values(self.0.as_fd(), mask)
    }

    #[inline]
    fn set(&self, values: LineValues) -> Result<(), Errno> {
        calls::set_values(self.0.as_fd(), values)
    }

    fn events(&self) -> Result<KernelEvents, Errno> {
        self.0.try_clone().map(KernelEvents).map_err(Errno::from)
    }
}

impl AsFd for KernelLines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The edge events of requested lines.
#[derive(Debug)]
pub struct KernelEvents(OwnedFd);

impl Events for KernelEvents {
    fn read(&mut self, events: &mut [LineEvent], timeout_ms: u16) -> Result<usize, Errno> {
        if !sys::wait_ready(self.0.as_fd(), Ready::Read, timeout_ms)? {
            return Ok(0);
        }
        calls::read_events(self.0.as_fd(), events)
    }
}
