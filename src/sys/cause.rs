//! The cause of the process's end, in memory that any thread and any signal handler can write.
//!
//! A [`Cell`] is memory with a fixed layout. The process has one, static at first; [`redirect`]
//! moves it into memory that survives the process, so that the next start can report the cause.
//! The first cause is kept, because later ones are usually its consequences. In every cycle the
//! loop writes one word, which the stall guard reads. The cell also counts quick stops after
//! which the run goes on: the loop can store them here without a system call, and they survive.
//!
//! Everything here is async-signal-safe (signal-safety(7)): it uses atomics and
//! clock_gettime(2) only.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use super::clock;

/// Longest note of a cause, bytes.
pub const NOTE_BYTES: usize = 128;

/// In the detail of [`Kind::OutputFailed`]: the command was not finite.
pub const NOT_FINITE: u32 = 0x400;
/// In the detail of [`Kind::OutputFailed`] and [`Kind::NotSafe`]: the device with the number in
/// the low byte could not be driven.
pub const DEVICE: u32 = 0x800;

/// The kind of a cause. The numbers are those of the file format (docs/blackbox-format.md).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Kind {
    /// The limit of the run was reached and everything came to rest.
    Finished = 1,
    /// A signal requested the end and everything came to rest; `detail` is the signal.
    Stopped = 2,
    /// The contract was refused; the loop did not run.
    Refused = 3,
    /// The control law reported a fault; `detail` is its number.
    LawFault = 4,
    /// The overrun ladder reached its last step; `detail` is the level of the bucket.
    Overrun = 5,
    /// Outputs could not be written; `detail` is 0 for digital outputs, the channel plus 1 for
    /// an analog output, or [`NOT_FINITE`] and the channel whose command was not finite.
    OutputFailed = 6,
    /// The real-time thread allocated memory.
    Allocated = 7,
    /// The machine did not come to rest in the time allowed.
    NotAtRest = 8,
    /// The outputs could not be made safe at the end; `detail` as for
    /// [`Kind::OutputFailed`].
    NotSafe = 9,
    /// The loop finished no cycle; `detail` is for how long, us.
    Stalled = 10,
    /// A fatal signal; `detail` is its number, `address` the address of the fault.
    Signal = 11,
    /// The real-time stack was overrun; `detail` is its size, bytes.
    StackOverrun = 12,
    /// A panic; the note has its place and message.
    Panic = 13,
    /// SIGINT came twice.
    Interrupted = 14,
    /// A device failed more often in a row than is tolerated; `detail` is its number plus 100h
    /// for an analog input, 200h for an analog output, 300h for an analog output that its
    /// monitor found to deviate from the command, 400h for a device that cannot be read, 500h
    /// for a device that cannot be driven.
    DeviceLost = 15,
    /// A promise of the contract broke; `detail` has a bit for each promise that broke, from
    /// bit 0 in the order of `realtime::audit::Promise`.
    PromiseBroken = 16,
}

impl Kind {
    /// Every kind, in the order of their numbers, from 1.
    pub const ALL: [Self; 16] = [
        Self::Finished,
        Self::Stopped,
        Self::Refused,
        Self::LawFault,
        Self::Overrun,
        Self::OutputFailed,
        Self::Allocated,
        Self::NotAtRest,
        Self::NotSafe,
        Self::Stalled,
        Self::Signal,
        Self::StackOverrun,
        Self::Panic,
        Self::Interrupted,
        Self::DeviceLost,
        Self::PromiseBroken,
    ];

    /// The kind with this number; `None` for 0 and unknown numbers.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        if number == 0 || number as usize > Self::ALL.len() {
            None
        } else {
            Some(Self::ALL[number as usize - 1])
        }
    }

    /// Whether the run ended in order.
    #[must_use]
    pub const fn in_order(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped)
    }
}

/// A cause.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its kind.
    pub kind: Kind,
    /// A number, see [`Kind`].
    pub detail: u32,
    /// The address of the fault, 0 without one.
    pub address: u64,
    /// When it was written, CLOCK_MONOTONIC, ns.
    pub at_ns: u64,
}

/// Memory for one cause, and for the loop's last cycle and quick stops. All zeros means empty;
/// numbers have the byte order of the machine.
#[repr(C)]
#[derive(Debug)]
pub struct Cell {
    /// When the loop finished its last cycle, including the rehearsal, ns.
    finished_ns: AtomicU64,
    /// 0 for none, [`WRITING`], or a [`Kind`].
    kind: AtomicU32,
    detail: AtomicU32,
    address: AtomicU64,
    at_ns: AtomicU64,
    note: [AtomicU64; NOTE_BYTES / 8],
    /// The count of quick stops, and the last one.
    quick_stops: AtomicU64,
    stop_slot: AtomicU64,
    stop_missed: AtomicU64,
    stop_cause: AtomicU64,
}

/// A quick stop after which the run went on, as a [`Cell`] keeps it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct NotedStop {
    /// Its number in the run, from 1; 0 for no quick stop.
    pub count: u64,
    /// The slot in which it was requested.
    pub slot: u64,
    /// Deadlines missed and slots skipped that led to it.
    pub missed: u64,
    /// The number of its cause.
    pub cause: u64,
}

/// A cause is being written. If this remains after the end of the process, it died while it
/// wrote.
const WRITING: u32 = u32::MAX;

const _: () = assert!(size_of::<Cell>() == 32 + NOTE_BYTES + 32);

impl Default for Cell {
    fn default() -> Self {
        Self::new()
    }
}

impl Cell {
    /// An empty cell.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            finished_ns: AtomicU64::new(0),
            kind: AtomicU32::new(0),
            detail: AtomicU32::new(0),
            address: AtomicU64::new(0),
            at_ns: AtomicU64::new(0),
            note: [const { AtomicU64::new(0) }; NOTE_BYTES / 8],
            quick_stops: AtomicU64::new(0),
            stop_slot: AtomicU64::new(0),
            stop_missed: AtomicU64::new(0),
            stop_cause: AtomicU64::new(0),
        }
    }

    /// Notes that the loop finished a cycle at `at_ns` of its clock. Called by the loop only;
    /// one store.
    #[inline]
    pub fn cycle_finished(&self, at_ns: u64) {
        self.finished_ns.store(at_ns, Ordering::Relaxed);
    }

    /// When the loop finished its last cycle, ns; 0 before the first.
    #[must_use]
    pub fn finished_ns(&self) -> u64 {
        self.finished_ns.load(Ordering::Relaxed)
    }

    /// Notes a quick stop after which the run goes on. Called by the loop only.
    pub fn quick_stop(&self, cause: u8, slot: u64, missed: u64) {
        self.stop_slot.store(slot, Ordering::Relaxed);
        self.stop_missed.store(missed, Ordering::Relaxed);
        self.stop_cause.store(u64::from(cause), Ordering::Relaxed);
        let count = self.quick_stops.load(Ordering::Relaxed);
        self.quick_stops.store(count + 1, Ordering::Release);
    }

    /// The last quick stop. While the loop writes another one, the fields may be mixed; the
    /// count is then still the old one, so that the next read finds the new stop.
    #[must_use]
    pub fn last_quick_stop(&self) -> NotedStop {
        NotedStop {
            count: self.quick_stops.load(Ordering::Acquire),
            slot: self.stop_slot.load(Ordering::Relaxed),
            missed: self.stop_missed.load(Ordering::Relaxed),
            cause: self.stop_cause.load(Ordering::Relaxed),
        }
    }

    /// The cause, `None` until it is complete.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        let kind = Kind::from_number(self.kind.load(Ordering::Acquire))?;
        Some(Cause {
            kind,
            detail: self.detail.load(Ordering::Relaxed),
            address: self.address.load(Ordering::Relaxed),
            at_ns: self.at_ns.load(Ordering::Relaxed),
        })
    }

    /// The note of the cause, up to the first byte that is not UTF-8; empty without a note.
    #[must_use]
    pub fn note(&self) -> heapless::String<NOTE_BYTES> {
        let mut bytes = heapless::Vec::<u8, NOTE_BYTES>::new();
        for word in &self.note {
            // Both have the same length.
            let _ = bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = &bytes[..end.unwrap_or(bytes.len())];
        let text = match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or(""),
        };
        heapless::String::try_from(text).unwrap_or_default()
    }

    /// Writes the cause, unless there is one already. A note beyond [`NOTE_BYTES`] is cut off.
    /// Returns whether this was the first cause.
    pub fn record(&self, kind: Kind, detail: u32, address: u64, note: &[u8]) -> bool {
        let first = self
            .kind
            .compare_exchange(0, WRITING, Ordering::Acquire, Ordering::Relaxed);
        if first.is_err() {
            return false;
        }
        self.detail.store(detail, Ordering::Relaxed);
        self.address.store(address, Ordering::Relaxed);
        self.at_ns.store(clock::monotonic_ns(), Ordering::Relaxed);
        for (word, bytes) in self.note.iter().zip(note.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        self.kind.store(kind as u32, Ordering::Release);
        true
    }

    /// Clears the cell, before another run in the same process.
    pub fn clear(&self) {
        for word in &self.note {
            word.store(0, Ordering::Relaxed);
        }
        self.finished_ns.store(0, Ordering::Relaxed);
        self.quick_stops.store(0, Ordering::Relaxed);
        self.kind.store(0, Ordering::Release);
    }
}

static OWN: Cell = Cell::new();

/// The cell in use; null means [`OWN`].
static CELL: AtomicPtr<Cell> = AtomicPtr::new(core::ptr::null_mut());

/// The process's cell.
#[must_use]
pub fn cell() -> &'static Cell {
    let at = CELL.load(Ordering::Acquire);
    if at.is_null() {
        return &OWN;
    }
    // SAFETY: only `redirect` stores here, and only the address of a `'static` reference.
    unsafe { &*at }
}

/// Makes `cell`, in memory that survives the process, the process's cell. Call it before the
/// loop and the guard start; the contents of the old cell are not moved.
pub fn redirect(cell: &'static Cell) {
    CELL.store(core::ptr::from_ref(cell).cast_mut(), Ordering::Release);
}

/// Writes the cause into the process's cell, see [`Cell::record`].
pub fn record(kind: Kind, detail: u32, address: u64) -> bool {
    cell().record(kind, detail, address, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_is_kept() {
        let cell = Cell::new();
        assert_eq!(cell.cause(), None);
        assert!(cell.record(Kind::Stalled, 20_000, 0, b""));
        assert!(!cell.record(Kind::Signal, 6, 0, b"later"));
        let cause = cell.cause().unwrap();
        assert_eq!((cause.kind, cause.detail), (Kind::Stalled, 20_000));
        assert!(cause.at_ns > 0);
        assert_eq!(cell.note(), "");
        cell.clear();
        assert_eq!(cell.cause(), None);
        assert!(cell.record(Kind::Signal, 6, 0, b""));
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let cell = Cell::new();
        let long = "at src/law.rs:12: ".repeat(10);
        assert!(cell.record(Kind::Panic, 0, 0, long.as_bytes()));
        assert_eq!(cell.note(), long[..NOTE_BYTES]);
        // A letter of two bytes that fits only in part is left out.
        let cell = Cell::new();
        let cut = [&[b'x'; NOTE_BYTES - 1][..], "é".as_bytes()].concat();
        assert!(cell.record(Kind::Panic, 0, 0, &cut));
        assert_eq!(cell.note().len(), NOTE_BYTES - 1);
    }

    #[test]
    fn kind_numbers_start_at_one_and_decode_to_their_kind() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at + 1);
            assert_eq!(Kind::from_number(kind as u32), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(17), None);
        assert_eq!(Kind::from_number(WRITING), None);
    }

    #[test]
    fn the_last_quick_stop_is_kept_with_its_number() {
        let cell = Cell::new();
        assert_eq!(cell.last_quick_stop().count, 0);
        cell.quick_stop(1, 2_301, 13);
        cell.quick_stop(2, 5_000, 4);
        let expected = NotedStop {
            count: 2,
            slot: 5_000,
            missed: 4,
            cause: 2,
        };
        assert_eq!(cell.last_quick_stop(), expected);
        cell.clear();
        assert_eq!(cell.last_quick_stop().count, 0);
    }

    #[test]
    fn the_last_finished_cycle_is_kept_until_the_next_run() {
        let cell = Cell::new();
        assert_eq!(cell.finished_ns(), 0);
        cell.cycle_finished(1_000_000);
        cell.cycle_finished(2_000_000);
        assert_eq!(cell.finished_ns(), 2_000_000);
        cell.clear();
        assert_eq!(cell.finished_ns(), 0);
    }
}
