//! The flight file: a file in memory that keeps the last seconds when the process dies.
//!
//! It is `FOLDER/BOARD.flight` on tmpfs, or without a folder a memory file that only this
//! process has. Its beginning (36 kB) is mapped, and so locked: header, cause, live status,
//! contract, and the ring that the loop writes. Events and the records of the last seconds
//! follow, written by pwrite(2) and not locked. The layout is in docs/blackbox-format.md.
//!
//! The file stays as the last instruction of the process left it; a reset of the board empties
//! tmpfs. The process locks the file, which also keeps a second controller off the same board.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::forced::{self, FORCED_BYTES};
use super::ring::{CAPACITY, Memory, RECORD_BYTES};
use super::seqlock;
use crate::realtime::audit::Promises;
use crate::realtime::contract::Contract;
use crate::realtime::memory::Range;
use crate::sys::cause::Cell;
use crate::sys::spsc::CONTROL_BYTES;
use crate::sys::{Errno, shared};
use crate::time::Duration;

mod read;

pub(super) use read::last_entries;
pub use read::{NotFlight, Snapshot, events};

/// The first 8 bytes of a flight file.
pub const MAGIC: [u8; 8] = *b"SFFLIGHT";
/// The version of the layout that this program writes and reads.
pub const VERSION: u64 = 1;

/// The little-endian number of 8 bytes at `at`. Panics beyond the end.
pub(super) fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|index| bytes[at + index]))
}

/// Offsets in the file, in bytes from its beginning.
pub mod layout {
    use super::{CAPACITY, CONTROL_BYTES, RECORD_BYTES};

    /// The header: 64 [`word`](super::word)s of 8 bytes.
    pub const HEADER: usize = 0;
    /// The cause of the process's death: a [`Cell`](crate::sys::cause::Cell).
    pub const CAUSE: usize = 512;
    /// The live status: its sequence, then its words.
    pub const STATUS: usize = 1024;
    /// The facts: lines `key = value`, ended by a zero byte.
    pub const FACTS: usize = 1536;
    /// Room for the facts, bytes.
    pub const FACTS_LEN: usize = 4096 - FACTS;
    /// The contract as text, ended by a zero byte.
    pub const CONTRACT: usize = 4096;
    /// Room for the contract, bytes.
    pub const CONTRACT_LEN: usize = 4096 - CONTROL_BYTES;
    /// The ring's control block: at 0 the place written next (8 bytes), at 64 the place read
    /// next, at 128 the count of dropped records.
    pub const RING_CONTROL: usize = CONTRACT + CONTRACT_LEN;
    /// The ring's records.
    pub const RING: usize = RING_CONTROL + CONTROL_BYTES;
    /// Length of the mapped part, bytes.
    pub const MAPPED: usize = RING + CAPACITY * RECORD_BYTES;
    /// The newest [`EVENT_CAPACITY`] events, as a ring.
    pub const EVENTS: usize = MAPPED;
    /// How many events are kept.
    pub const EVENT_CAPACITY: u64 = 256;
    /// Length of an event, bytes.
    pub const EVENT_BYTES: usize = 16;
    /// The records of the last seconds, as a ring of
    /// [`RECORD_CAPACITY`](super::word::RECORD_CAPACITY) places.
    pub const RECORDS: usize = EVENTS + EVENT_CAPACITY as usize * EVENT_BYTES;
}

/// Indices of the header's words.
pub mod word {
    /// [`MAGIC`](super::MAGIC).
    pub const MAGIC: usize = 0;
    /// [`VERSION`](super::VERSION).
    pub const VERSION: usize = 1;
    /// [`RUNNING`](super::RUNNING) or [`ENDED`](super::ENDED).
    pub const STATE: usize = 2;
    /// The loop's period, ns.
    pub const PERIOD_NS: usize = 3;
    /// The process id.
    pub const PID: usize = 4;
    /// When the process started, seconds since 1970 by the wall clock.
    pub const STARTED_S: usize = 5;
    /// How many records fit behind the mapped part.
    pub const RECORD_CAPACITY: usize = 6;
    /// Records written there since the start.
    pub const RECORDS_WRITTEN: usize = 7;
    /// Events written since the start.
    pub const EVENTS_WRITTEN: usize = 8;
    /// The contract: 0 not judged, 1 kept, 2 broken.
    pub const CONTRACT: usize = 9;
    /// The promises that broke while the loop ran: bit n for the promise with number n.
    pub const BROKEN: usize = 10;
    /// The signals that are forced, as text that a zero byte ends: all words from here on.
    pub const FORCED: usize = 16;
}

/// State: the process runs, or died before it ended in order.
pub const RUNNING: u64 = 1;
/// State: the process ended in order, and its black box is saved where there was one to save.
pub const ENDED: u64 = 2;

/// Most records behind the mapped part: 56 MB.
pub const MAX_RECORDS: u64 = 1_000_000;

/// Length of the live status, words of 8 bytes.
pub const STATUS_WORDS: usize = 16;

/// Why a flight file could not be made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FlightError {
    /// Another process has locked the file: it controls this board.
    Busy,
    /// The folder is not on tmpfs.
    OnDisk,
    /// The kernel refused a step.
    Refused(Step, Errno),
}

/// A step of making a flight file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening or creating the file.
    Open,
    /// Finding out its file system, or locking it.
    Ask,
    /// Allocating its memory.
    Allocate,
    /// Mapping its beginning.
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

/// The flight file of this process.
#[derive(Debug)]
pub struct Flight {
    file: File,
    /// Never unmapped, because handlers of fatal signals write to it. A process leaks 36 kB for
    /// each run.
    mapping: &'static shared::SharedMapping,
    record_capacity: u64,
}

/// A flight file that this process has locked. It may hold what an earlier process left.
#[derive(Debug)]
pub struct Claimed(File);

impl Claimed {
    /// Opens or creates `path`, in a folder on tmpfs, and locks it.
    ///
    /// # Errors
    /// Any of [`FlightError`].
    pub fn at(path: &str) -> Result<Self, FlightError> {
        let ask = |errno| FlightError::Refused(Step::Ask, errno);
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let folder =
            File::open(folder).map_err(|error| FlightError::Refused(Step::Open, error.into()))?;
        if !shared::lives_in_memory(folder.as_fd()).map_err(ask)? {
            return Err(FlightError::OnDisk);
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| FlightError::Refused(Step::Open, error.into()))?;
        if !shared::claim(file.as_fd()).map_err(ask)? {
            return Err(FlightError::Busy);
        }
        Ok(Self(file))
    }

    /// Makes an empty memory file that no other process can open by name.
    ///
    /// # Errors
    /// Any of [`FlightError`].
    pub fn anonymous() -> Result<Self, FlightError> {
        let fd: OwnedFd = shared::memory_file(c"steadfast.flight")
            .map_err(|errno| FlightError::Refused(Step::Open, errno))?;
        Ok(Self(fd.into()))
    }

    /// The file of an earlier process, if that process did not end in order.
    #[must_use]
    pub fn left_behind(&self) -> Option<&File> {
        let mut header = [0; 24];
        self.0.read_exact_at(&mut header, 0).ok()?;
        let number =
            |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| header[at + i]));
        let same = header[..8] == MAGIC && number(8) == VERSION;
        (same && number(16) == RUNNING).then_some(&self.0)
    }

    /// Starts a new recording with room for `records` (at most [`MAX_RECORDS`]) behind the
    /// mapped part. `facts` beyond the room for them are cut off.
    ///
    /// # Errors
    /// Any of [`FlightError`].
    pub fn begin(
        self,
        records: u64,
        period: Duration,
        facts: fmt::Arguments<'_>,
    ) -> Result<Flight, FlightError> {
        let file = self.0;
        let record_capacity = records.min(MAX_RECORDS);
        let allocate = |errno| FlightError::Refused(Step::Allocate, errno);
        // Truncated first, so that all of it reads as zero. No process has mapped it yet.
        file.set_len(0).map_err(|error| allocate(error.into()))?;
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
        // The magic is written last, so a file that was only begun is invalid.
        flight.header()[word::MAGIC].store(u64::from_le_bytes(MAGIC), Ordering::Release);
        Ok(flight)
    }
}

impl Flight {
    fn header(&self) -> &[AtomicU64; 64] {
        self.mapping.view(layout::HEADER)
    }

    /// The file, for readers. It stays open as long as the recording.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The mapped part of the file.
    #[must_use]
    pub fn mapped(&self) -> Range {
        self.mapping.range()
    }

    /// The cell for the cause of the process's death.
    #[must_use]
    pub fn cause(&self) -> &'static Cell {
        self.mapping.view(layout::CAUSE)
    }

    /// The memory of the loop's ring.
    #[must_use]
    pub fn ring(&self) -> &Memory {
        self.mapping.view(layout::RING_CONTROL)
    }

    /// Writes the contract and its verdict. Allocates nothing.
    pub fn judged(&self, contract: &Contract) {
        let area = self
            .mapping
            .view::<[AtomicU8; layout::CONTRACT_LEN]>(layout::CONTRACT);
        let _ = super::text::write_contract(&mut Area::new(area), contract);
        let verdict = if contract.kept() { 1 } else { 2 };
        self.header()[word::CONTRACT].store(verdict, Ordering::Release);
    }

    /// Marks the contract as broken, with the promises that broke.
    pub fn broke(&self, broken: Promises) {
        self.header()[word::BROKEN].store(u64::from(broken.bits()), Ordering::Relaxed);
        self.header()[word::CONTRACT].store(2, Ordering::Release);
    }

    /// Shows the signals that are forced. A reader that comes meanwhile may see a mixed text.
    pub fn forced(&self, text: &forced::Text) {
        let bytes = text.as_bytes().iter().copied().chain([0; 8]);
        let mut bytes = bytes.take(FORCED_BYTES);
        for word in &self.header()[word::FORCED..] {
            let next = core::array::from_fn(|_| bytes.next().unwrap_or(0));
            word.store(u64::from_le_bytes(next), Ordering::Relaxed);
        }
    }

    /// Publishes the live status. Readers see all of it or none.
    pub fn publish(&self, status: &[u64; STATUS_WORDS]) {
        let words: &[AtomicU64; STATUS_WORDS] = self.mapping.view(layout::STATUS + 8);
        let sequence: &[AtomicU64; 1] = self.mapping.view(layout::STATUS);
        seqlock::write(&sequence[0], words, status);
    }

    /// Appends whole records, [`RECORD_BYTES`] each, over the oldest ones. One or two
    /// pwrite(2).
    ///
    /// # Errors
    /// Those of pwrite(2). None is expected, because the file's memory is allocated.
    pub fn append_records(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.append(
            bytes,
            RECORD_BYTES,
            layout::RECORDS,
            self.record_capacity,
            word::RECORDS_WRITTEN,
        )
    }

    /// Appends one event, over the oldest one.
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
            let entry = written % capacity;
            let fits = usize::try_from(capacity - entry).unwrap_or(usize::MAX);
            let (part, after) = rest.split_at(rest.len().min(fits.saturating_mul(size)));
            self.file
                .write_all_at(part, begin as u64 + entry * size as u64)?;
            written += (part.len() / size) as u64;
            rest = after;
        }
        counter.store(written, Ordering::Release);
        Ok(())
    }

    /// Marks that the run ended in order and nothing is left to be saved.
    pub fn end(&self) {
        self.header()[word::STATE].store(ENDED, Ordering::Release);
    }
}

/// Text in shared memory. What does not fit is cut off; the last byte stays zero.
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
        let capacity = self.bytes.len() - 1 - self.at;
        for byte in text.bytes().take(capacity) {
            self.bytes[self.at].store(byte, Ordering::Relaxed);
            self.at += 1;
        }
        Ok(())
    }
}

const _: () = {
    assert!(FORCED_BYTES == (64 - word::FORCED) * 8);
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
