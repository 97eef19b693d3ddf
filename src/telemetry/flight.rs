//! The flight file: what must survive the process, in memory.
//!
//! One file on tmpfs, `FOLDER/BOARD.flight`, or without a folder a memory file
//! that only this process has. Its beginning is mapped (and so locked): header,
//! cause, live status, contract, and the ring that the loop writes to. Behind
//! it, reached by pwrite(2) only and so not locked, stand events and the records
//! of the last seconds. The layout is in docs/blackbox.md.
//!
//! Whatever ends the process, the file is as the last instruction left it; a
//! reset of the board empties tmpfs. The file is its process's own (a lock that
//! the kernel lifts when the process is gone), which is also what keeps a second
//! controller off the same board.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::ring::{CAPACITY, Memory, RECORD_BYTES};
use super::seqlock;
use crate::realtime::audit::Promises;
use crate::realtime::contract::Contract;
use crate::realtime::memory::Range;
use crate::sys::cause::Cell;
use crate::sys::lane::CONTROL_BYTES;
use crate::sys::{Errno, shared};
use crate::time::Duration;

mod read;

pub(super) use read::last_places;
pub use read::{NotFlight, Snapshot, events};

/// What a flight file begins with, as bytes.
pub const MAGIC: [u8; 8] = *b"SFFLIGHT";
/// The layout that this program writes and reads.
pub const VERSION: u64 = 1;

/// The little-endian number at `at`.
pub(super) fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|index| bytes[at + index]))
}

/// Where everything stands, in bytes from the beginning.
pub mod layout {
    use super::{CAPACITY, CONTROL_BYTES, RECORD_BYTES};

    /// 64 words: [`word`](super::word).
    pub const HEADER: usize = 0;
    /// Why the process died: a [`Cell`](crate::sys::cause::Cell).
    pub const CAUSE: usize = 512;
    /// Sequence and words of the live status.
    pub const STATUS: usize = 1024;
    /// Lines `key = value`, ended by a zero byte.
    pub const FACTS: usize = 1536;
    /// Bytes for the facts.
    pub const FACTS_LEN: usize = 4096 - FACTS;
    /// The contract in words, ended by a zero byte.
    pub const CONTRACT: usize = 4096;
    /// Bytes for the contract.
    pub const CONTRACT_LEN: usize = 4096 - CONTROL_BYTES;
    /// The ring's control block: where it is written next (8 bytes), at 64 where
    /// it is read next, at 128 how many records were dropped.
    pub const RING_CONTROL: usize = CONTRACT + CONTRACT_LEN;
    /// The ring's records.
    pub const RING: usize = RING_CONTROL + CONTROL_BYTES;
    /// End of what is mapped.
    pub const MAPPED: usize = RING + CAPACITY * RECORD_BYTES;
    /// The newest [`EVENT_CAPACITY`] events.
    pub const EVENTS: usize = MAPPED;
    /// Events that are kept.
    pub const EVENT_CAPACITY: u64 = 256;
    /// Bytes of an event.
    pub const EVENT_BYTES: usize = 16;
    /// The records of the last seconds, as many as the header says.
    pub const RECORDS: usize = EVENTS + EVENT_CAPACITY as usize * EVENT_BYTES;
}

/// Words of the header.
pub mod word {
    /// [`MAGIC`](super::MAGIC).
    pub const MAGIC: usize = 0;
    /// [`VERSION`](super::VERSION).
    pub const VERSION: usize = 1;
    /// [`RUNNING`](super::RUNNING) or [`ENDED`](super::ENDED).
    pub const STATE: usize = 2;
    /// The loop's period, ns.
    pub const PERIOD_NS: usize = 3;
    /// The process.
    pub const PID: usize = 4;
    /// When it started, seconds since 1970 by the wall clock.
    pub const STARTED_S: usize = 5;
    /// Records that there is room for behind the mapped part.
    pub const RECORD_CAPACITY: usize = 6;
    /// Records written there since the beginning.
    pub const RECORDS_WRITTEN: usize = 7;
    /// Events written since the beginning.
    pub const EVENTS_WRITTEN: usize = 8;
    /// Whether the contract is kept: 0 not judged, 1 kept, 2 broken.
    pub const CONTRACT: usize = 9;
    /// What broke of it while the loop ran: bit n for the promise with number n.
    pub const BROKEN: usize = 10;
}

/// State: the process has not ended in order.
pub const RUNNING: u64 = 1;
/// State: it has, and what there was to save is saved.
pub const ENDED: u64 = 2;

/// Most records behind the mapped part: 56 MB.
pub const MAX_RECORDS: u64 = 1_000_000;

/// Words of the live status.
pub const STATUS_WORDS: usize = 16;

/// Why there is no flight file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FlightError {
    /// Another process has it: it controls this board.
    Busy,
    /// The folder is not in memory.
    OnDisk,
    /// A step of making it was refused.
    Refused(Step, Errno),
}

/// A step of making a flight file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening or creating it.
    Open,
    /// Asking what it is on, or whose it is.
    Ask,
    /// Giving it its memory.
    Allocate,
    /// Mapping it.
    Map,
}

impl fmt::Display for FlightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str(
                "another process controls this board; end it first, or give this board another name",
            ),
            Self::OnDisk => {
                f.write_str("is not in memory (tmpfs): its pages would be written to disk while the loop runs; name a folder below /run")
            }
            Self::Refused(Step::Open, errno) => write!(
                f,
                "cannot be opened ({errno}); create its folder and make it writable for this user (RuntimeDirectory=steadfast in the unit)"
            ),
            Self::Refused(Step::Ask, errno) => write!(f, "cannot be examined ({errno}); name another folder"),
            Self::Refused(Step::Allocate, errno) => {
                write!(f, "cannot be allocated ({errno}); free memory, or raise the size of its tmpfs")
            }
            Self::Refused(Step::Map, errno) => {
                write!(f, "cannot be mapped ({errno}); raise RLIMIT_MEMLOCK, or free memory")
            }
        }
    }
}

/// A flight file of this process.
#[derive(Debug)]
pub struct Flight {
    file: File,
    /// For ever: handlers of fatal signals write to it. It is 36 kB, once for
    /// each run of a process.
    mapping: &'static shared::SharedMapping,
    record_capacity: u64,
}

/// A flight file that is this process's own, with what a process before it left
/// there, if anything.
#[derive(Debug)]
pub struct Claimed(File);

impl Claimed {
    /// Opens and claims `path`.
    ///
    /// # Errors
    /// [`FlightError`].
    pub fn at(path: &str) -> Result<Self, FlightError> {
        let ask = |errno| FlightError::Refused(Step::Ask, errno);
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let folder =
            File::open(folder).map_err(|error| FlightError::Refused(Step::Open, errno(&error)))?;
        if !shared::lives_in_memory(folder.as_fd()).map_err(ask)? {
            return Err(FlightError::OnDisk);
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| FlightError::Refused(Step::Open, errno(&error)))?;
        if !shared::claim(file.as_fd()).map_err(ask)? {
            return Err(FlightError::Busy);
        }
        Ok(Self(file))
    }

    /// A memory file: there was nothing before it, and nobody else finds it.
    ///
    /// # Errors
    /// [`FlightError`].
    pub fn anonymous() -> Result<Self, FlightError> {
        let fd: OwnedFd = shared::memory_file(c"steadfast.flight")
            .map_err(|errno| FlightError::Refused(Step::Open, errno))?;
        Ok(Self(fd.into()))
    }

    /// What a process before this one left, if it did not end in order.
    #[must_use]
    pub fn left_behind(&self) -> Option<&File> {
        let mut header = [0; 24];
        self.0.read_exact_at(&mut header, 0).ok()?;
        let number =
            |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| header[at + i]));
        let same = header[..8] == MAGIC && number(8) == VERSION;
        (same && number(16) == RUNNING).then_some(&self.0)
    }

    /// Makes it new, with room for `records` behind the mapped part.
    ///
    /// # Errors
    /// [`FlightError`].
    pub fn begin(
        self,
        records: u64,
        period: Duration,
        facts: fmt::Arguments<'_>,
    ) -> Result<Flight, FlightError> {
        let file = self.0;
        let record_capacity = records.min(MAX_RECORDS);
        let allocate = |errno| FlightError::Refused(Step::Allocate, errno);
        // From nothing, so that all of it is zero; it is nobody's mapping yet.
        file.set_len(0).map_err(|error| allocate(errno(&error)))?;
        let length = layout::RECORDS as u64 + record_capacity * RECORD_BYTES as u64;
        shared::allocate(file.as_fd(), length).map_err(allocate)?;
        let mapping = shared::SharedMapping::of(file.as_fd(), layout::MAPPED)
            .map_err(|errno| FlightError::Refused(Step::Map, errno))?
            .keep();
        let flight = Flight {
            file,
            mapping,
            record_capacity,
        };
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        for (at, value) in [
            (word::VERSION, VERSION),
            (word::STATE, RUNNING),
            (word::PERIOD_NS, period.as_nanos()),
            (word::PID, u64::from(std::process::id())),
            (word::STARTED_S, started),
            (word::RECORD_CAPACITY, record_capacity),
        ] {
            flight.header()[at].store(value, Ordering::Relaxed);
        }
        let _ = Area::new(
            flight
                .mapping
                .view::<[AtomicU8; layout::FACTS_LEN]>(layout::FACTS),
        )
        .write_fmt(facts);
        // Last: a file that was only begun is none.
        flight.header()[word::MAGIC].store(u64::from_le_bytes(MAGIC), Ordering::Release);
        Ok(flight)
    }
}

impl Flight {
    fn header(&self) -> &[AtomicU64; 64] {
        self.mapping.view(layout::HEADER)
    }

    /// The file, for readers.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What of it is mapped.
    #[must_use]
    pub fn mapped(&self) -> Range {
        self.mapping.range()
    }

    /// Where the cause of the process's death is written.
    #[must_use]
    pub fn cause(&self) -> &'static Cell {
        self.mapping.view(layout::CAUSE)
    }

    /// The memory of the loop's ring.
    #[must_use]
    pub fn ring(&self) -> &Memory {
        self.mapping.view(layout::RING_CONTROL)
    }

    /// Writes the contract down. Allocates nothing.
    pub fn judged(&self, contract: &Contract) {
        let area = self
            .mapping
            .view::<[AtomicU8; layout::CONTRACT_LEN]>(layout::CONTRACT);
        let _ = super::text::write_contract(&mut Area::new(area), contract);
        let verdict = if contract.kept() { 1 } else { 2 };
        self.header()[word::CONTRACT].store(verdict, Ordering::Release);
    }

    /// Notes that the contract is kept no longer, and what broke.
    pub fn broke(&self, broken: Promises) {
        self.header()[word::BROKEN].store(u64::from(broken.bits()), Ordering::Relaxed);
        self.header()[word::CONTRACT].store(2, Ordering::Release);
    }

    /// Writes the live status.
    pub fn publish(&self, status: &[u64; STATUS_WORDS]) {
        let words: &[AtomicU64; STATUS_WORDS] = self.mapping.view(layout::STATUS + 8);
        let sequence: &[AtomicU64; 1] = self.mapping.view(layout::STATUS);
        seqlock::write(&sequence[0], words, status);
    }

    /// Appends whole records, [`RECORD_BYTES`] each; the oldest go.
    ///
    /// # Errors
    /// Those of pwrite(2); none is expected, as the file has its memory.
    pub fn append_records(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.append(
            bytes,
            RECORD_BYTES,
            layout::RECORDS,
            self.record_capacity,
            word::RECORDS_WRITTEN,
        )
    }

    /// Appends one event; the oldest goes.
    ///
    /// # Errors
    /// As for [`Self::append_records`].
    pub fn append_event(&self, event: &[u8; layout::EVENT_BYTES]) -> Result<(), Errno> {
        self.append(
            event,
            layout::EVENT_BYTES,
            layout::EVENTS,
            layout::EVENT_CAPACITY,
            word::EVENTS_WRITTEN,
        )
    }

    fn append(
        &self,
        bytes: &[u8],
        size: usize,
        begin: usize,
        capacity: u64,
        count: usize,
    ) -> Result<(), Errno> {
        if capacity == 0 {
            return Ok(());
        }
        let counter = &self.header()[count];
        let mut written = counter.load(Ordering::Relaxed);
        let mut rest = bytes;
        while !rest.is_empty() {
            let place = written % capacity;
            let fits = usize::try_from(capacity - place).unwrap_or(usize::MAX);
            let (part, after) = rest.split_at(rest.len().min(fits.saturating_mul(size)));
            self.file
                .write_all_at(part, begin as u64 + place * size as u64)
                .map_err(|error| errno(&error))?;
            written += (part.len() / size) as u64;
            rest = after;
        }
        counter.store(written, Ordering::Release);
        Ok(())
    }

    /// Marks that nothing of this run is left to be saved.
    pub fn end(&self) {
        self.header()[word::STATE].store(ENDED, Ordering::Release);
    }
}

/// Text in shared memory, cut off where it ends; its last byte stays zero.
struct Area<'m> {
    bytes: &'m [AtomicU8],
    at: usize,
}

impl<'m> Area<'m> {
    fn new<const N: usize>(bytes: &'m [AtomicU8; N]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl fmt::Write for Area<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - 1 - self.at;
        for byte in text.bytes().take(room) {
            self.bytes[self.at].store(byte, Ordering::Relaxed);
            self.at += 1;
        }
        Ok(())
    }
}

pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

const _: () = {
    assert!(layout::STATUS + 8 + STATUS_WORDS * 8 <= layout::FACTS);
    assert!(layout::MAPPED == layout::RING_CONTROL + size_of::<Memory>());
    assert!(layout::MAPPED.is_multiple_of(4096));
    assert!(
        cfg!(target_endian = "little"),
        "the layout is little-endian"
    );
};

#[cfg(test)]
mod tests;
