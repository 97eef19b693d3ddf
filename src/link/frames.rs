//! The signals of the last cycles, in memory that other processes read.
//!
//! The memory is a sealed memfd: clients map it for reading only. It begins with a header and
//! the names of all signals, so a client needs no other description; `include/steadfast.h` has
//! its layout. The frames behind them are a ring: the loop writes one frame in each cycle while
//! a client reads, and never looks whether it was read. A reader that is too slow misses
//! frames, and sees it by their numbers.
//!
//! The sequence of a frame is odd while it is written. Words are in the machine's byte order.

use core::sync::atomic::{AtomicU64, Ordering, fence};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::cycle::image::{Inputs, Outputs};
use crate::cycle::ports::Tick;
use crate::cycle::received::{MAX_GROUPS, PIECE, Received};
use crate::cycle::word::{Word, load, put, store};
use crate::sys::Errno;
use crate::sys::memory::Range;
use crate::sys::shared::{SharedMapping, allocate, seal, sealable_memory_file};
use crate::telemetry::forced::Name;
use crate::time::Duration;

/// The first word, `steadfst` in ASCII.
pub const MAGIC: u64 = u64::from_be_bytes(*b"steadfst");
/// The version of the layout: a client refuses another one.
pub const VERSION: u64 = 1;
/// Words of the header.
pub const HEADER: usize = 16;
/// Words of the description of a signal, of a group, and of a parameter.
pub const ENTRY: usize = 24;
/// Words of a frame before its numbers.
pub const FRAME_HEAD: usize = 7;
/// Bytes that the ring of frames takes at most.
const RING_BYTES: usize = 32 * 1024;
/// Most values that laws publish besides the process image.
pub const MAX_STATUSES: usize = 352;

/// Header: index of the word with the version.
const AT_VERSION: usize = 1;
const AT_FRAME_WORDS: usize = 2;
const AT_FRAMES: usize = 3;
const AT_RING: usize = 4;
const AT_SIGNALS: usize = 5;
const AT_SIGNAL_COUNT: usize = 6;
const AT_GROUPS: usize = 7;
const AT_GROUP_COUNT: usize = 8;
const AT_HEAD: usize = 9;
const AT_RUNNING: usize = 10;
const AT_PID: usize = 11;
const AT_PERIOD: usize = 12;

/// What a signal is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A number, NaN while it has no value.
    Number = 0,
    /// A flag: a bit of the lower half of a word; the same bit of the upper half is set if it is
    /// valid.
    Flag = 1,
}

/// The description of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its unit; empty for a flag and for a number without one.
    pub unit: String,
    /// What it is.
    pub kind: Kind,
    /// The word in a frame.
    pub word: usize,
    /// The bit of a flag.
    pub bit: u8,
    /// The group whose command it is.
    pub group: Option<u8>,
    /// Its limits.
    pub range: (f64, f64),
}

/// The description of a group of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Its name.
    pub name: String,
    /// The number of its first command.
    pub first: u8,
    /// How many commands it has.
    pub count: u8,
    /// After this time without a refresh, its commands are stale.
    pub timeout: Duration,
}

/// How many values of each kind a machine has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Sensed numbers.
    pub numbers: usize,
    /// Angles.
    pub angles: usize,
    /// Commanded numbers.
    pub commands: usize,
    /// Commands from outside.
    pub received: usize,
    /// Values of laws.
    pub statuses: usize,
    /// Flags that devices sense; they share one word.
    pub flags: usize,
}

impl Layout {
    /// The word of a frame with the first sensed number.
    pub const NUMBERS: usize = FRAME_HEAD;
    /// The word with the digital inputs, with the digital outputs, with the flags of devices, and
    /// with the flags that devices are commanded by.
    pub const DIGITAL: [usize; 4] = [3, 4, 5, 6];

    /// The word with the first angle.
    #[must_use]
    pub const fn angles_at(&self) -> usize {
        Self::NUMBERS + self.numbers
    }

    /// The word with the first commanded number.
    #[must_use]
    pub const fn commands_at(&self) -> usize {
        self.angles_at() + self.angles
    }

    /// The word with the first command from outside.
    #[must_use]
    pub const fn received_at(&self) -> usize {
        self.commands_at() + self.commands
    }

    /// The word with the first value of a law.
    #[must_use]
    pub const fn statuses_at(&self) -> usize {
        self.received_at() + self.received.next_multiple_of(PIECE)
    }

    /// Words of a frame.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.statuses_at() + self.statuses
    }

    /// Frames in the ring: a power of two.
    #[must_use]
    const fn frames(&self) -> usize {
        let mut frames = 64;
        while frames > 8 && frames * self.words() * 8 > RING_BYTES {
            frames /= 2;
        }
        frames
    }
}

/// The memory that clients read.
#[derive(Debug)]
pub struct Shared {
    file: OwnedFd,
    range: Range,
    words: &'static [AtomicU64],
    ring: usize,
    layout: Layout,
    /// Whether devices have flags.
    has_flags: bool,
    groups_at: usize,
    counts: heapless::Vec<u8, MAX_GROUPS>,
}

impl Shared {
    /// Makes and describes it. Allocates; it lives until the process ends.
    ///
    /// # Errors
    /// memfd_create(2), fallocate(2), mmap(2), fcntl(2): out of memory, `RLIMIT_MEMLOCK`, or a
    /// kernel older than 5.1 (`F_SEAL_FUTURE_WRITE`).
    pub fn new(
        layout: Layout,
        signals: &[Described],
        groups: &[DescribedGroup],
        period: Duration,
    ) -> Result<Self, Errno> {
        let groups_at = HEADER + ENTRY * signals.len();
        let ring = groups_at + ENTRY * groups.len();
        let words = ring + layout.frames() * layout.words();
        let bytes = words * size_of::<u64>();
        let file = sealable_memory_file(c"steadfast-signals")?;
        allocate(file.as_fd(), bytes as u64)?;
        let mapping = SharedMapping::of(file.as_fd(), bytes)?.keep();
        seal(file.as_fd())?;
        let shared = Self {
            file,
            range: mapping.range(),
            words: mapping.words(words),
            ring,
            layout,
            has_flags: signals.iter().any(|signal| {
                let [_, _, sensed, commanded] = Layout::DIGITAL;
                signal.word == sensed || signal.word == commanded
            }),
            groups_at,
            counts: groups.iter().map(|group| group.count).collect(),
        };
        for (signal, number) in signals.iter().zip(0..) {
            let packed = signal.kind as u64
                | u64::from(signal.bit) << 8
                | signal.group.map_or(0, |group| 1 + u64::from(group)) << 16
                | (signal.word as u64) << 32;
            let range = [signal.range.0.to_bits(), signal.range.1.to_bits()];
            let head = [packed, range[0], range[1]];
            shared.describe(HEADER + ENTRY * number, head, &signal.unit, &signal.name);
        }
        for (group, number) in groups.iter().zip(0..) {
            let packed = u64::from(group.first) | u64::from(group.count) << 8;
            let head = [packed, group.timeout.as_nanos(), 0];
            shared.describe(groups_at + ENTRY * number, head, "", &group.name);
        }
        for (at, value) in [
            (AT_VERSION, VERSION),
            (AT_FRAME_WORDS, layout.words() as u64),
            (AT_FRAMES, layout.frames() as u64),
            (AT_RING, ring as u64),
            (AT_SIGNALS, HEADER as u64),
            (AT_SIGNAL_COUNT, signals.len() as u64),
            (AT_GROUPS, groups_at as u64),
            (AT_GROUP_COUNT, groups.len() as u64),
            (AT_PID, u64::from(std::process::id())),
            (AT_PERIOD, period.as_nanos()),
            (AT_RUNNING, 1),
            (0, MAGIC),
        ] {
            shared.words[at].store(value, Ordering::Release);
        }
        Ok(shared)
    }

    fn describe(&self, at: usize, head: [u64; 3], unit: &str, name: &str) {
        for (word, value) in self.words[at..].iter().zip(head) {
            word.store(value, Ordering::Relaxed);
        }
        put_text(&self.words[at + 4..at + 8], unit);
        put_text(&self.words[at + 8..at + ENTRY], name);
    }

    /// The name of the signal with this number; empty for an unknown one.
    #[must_use]
    pub fn name(&self, signal: usize) -> Name {
        let mut name = Name::new();
        let at = HEADER + ENTRY * signal + 8;
        let words = self.words.get(at..at + ENTRY - 8).unwrap_or_default();
        if at < self.groups_at {
            let bytes = (words.iter()).flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
            for byte in bytes.take_while(|byte| *byte != 0) {
                // Names of a board file are ASCII. What is too long is cut off.
                let _ = name.push(char::from(byte));
            }
        }
        name
    }

    /// The slot of the newest frame; 0 without one.
    #[must_use]
    pub fn slot(&self) -> u64 {
        let mut slot = [0.0];
        match self.newest(1, &mut slot) {
            true => slot[0].to_bits(),
            false => 0,
        }
    }

    /// The memory, in this process.
    #[must_use]
    pub const fn range(&self) -> Range {
        self.range
    }

    /// The file to hand to a client.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Notes who owns the group with this number: a client's number, 0 for none.
    pub fn note_owner(&self, group: usize, owner: u64) {
        if let Some(word) = self.words.get(self.groups_at + ENTRY * group + 2) {
            word.store(owner, Ordering::Release);
        }
    }

    /// Notes that the loop has ended.
    pub fn end(&self) {
        self.words[AT_RUNNING].store(0, Ordering::Release);
    }

    /// Copies the numbers from the word `first` on of the newest frame. `false`, with `to`
    /// unchanged or partly written, when there is none or the loop overwrote it meanwhile.
    #[must_use]
    pub fn newest(&self, first: usize, to: &mut [f64]) -> bool {
        let head = self.words[AT_HEAD].load(Ordering::Acquire);
        let Some(last) = head.checked_sub(1) else {
            return false;
        };
        let mask = self.layout.frames() - 1;
        let at = self.ring + (last as usize & mask) * self.layout.words();
        let expected = 2 * last + 2;
        if self.words[at].load(Ordering::Acquire) != expected {
            return false;
        }
        let words = self.words[at..at + self.layout.words()].iter().skip(first);
        for (number, word) in to.iter_mut().zip(words) {
            *number = f64::from_bits(word.load(Ordering::Relaxed));
        }
        // The words above are read before the sequence is read again.
        fence(Ordering::Acquire);
        self.words[at].load(Ordering::Relaxed) == expected
    }

    /// The loop's side. Allocates; it lives until the process ends.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let frames = self.words[self.ring..].chunks_exact(self.layout.words());
        let frames: Vec<_> = (frames.map(|words| Frame::of(words, &self.layout))).collect();
        let frames: &[Frame] = frames.leak();
        Publisher {
            head: &self.words[AT_HEAD],
            frames,
            frame: &frames[0],
            number: 0,
            flags: self.has_flags.then_some(self.layout.flags),
            counts: self.counts.clone(),
            groups: u64::MAX >> (64 - self.counts.len()).min(63),
        }
    }
}

/// Writes `text` with a zero behind it, as much as fits.
fn put_text(words: &[AtomicU64], text: &str) {
    let mut most = (words.len() * 8 - 1).min(text.len());
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    let mut chunks = text.as_bytes()[..most].chunks(8);
    for word in words {
        let mut bytes = [0; 8];
        if let Some(chunk) = chunks.next() {
            bytes[..chunk.len()].copy_from_slice(chunk);
        }
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
}

/// A frame of the ring, divided into its sections. Divided once: to find them by their lengths in
/// each cycle would take as long as writing them.
#[derive(Debug)]
struct Frame {
    head: &'static [Word; FRAME_HEAD],
    numbers: &'static [Word],
    angles: &'static [Word],
    commands: &'static [Word],
    received: &'static [[Word; PIECE]],
    statuses: &'static [Word],
}

impl Frame {
    fn of(words: &'static [Word], layout: &Layout) -> Self {
        let (head, _) = words.as_chunks();
        let part = |from: usize, count: usize| &words[from..from + count];
        let (received, _) = words[layout.received_at()..layout.statuses_at()].as_chunks();
        Self {
            head: &head[0],
            // At most as many as an image has.
            numbers: part(Layout::NUMBERS, layout.numbers),
            angles: part(layout.angles_at(), layout.angles),
            commands: part(layout.commands_at(), layout.commands),
            received,
            statuses: part(layout.statuses_at(), layout.statuses),
        }
    }
}

/// Writes frames.
#[derive(Debug)]
pub struct Publisher {
    /// The word of the header with the number of frames.
    head: &'static AtomicU64,
    /// A power of two.
    frames: &'static [Frame],
    /// That of the next frame.
    frame: &'static Frame,
    /// The number of the next frame.
    number: u64,
    /// How many flags devices sense; `None` if no device has flags.
    flags: Option<usize>,
    /// How many commands each group has.
    counts: heapless::Vec<u8, MAX_GROUPS>,
    /// A bit for each group.
    groups: u64,
}

/// The flags `levels` of which `valid` have a value.
const fn flags(levels: u32, valid: u32) -> u64 {
    levels as u64 | (valid as u64) << 32
}

/// The word of inputs that could not be read. Out of line, so that it costs nothing otherwise.
#[cold]
#[inline(never)]
const fn unread() -> u64 {
    flags(0, 0)
}

impl Publisher {
    /// Writes the frame of a cycle; `status` writes the values of laws. Wait-free.
    #[inline]
    pub fn publish(
        &mut self,
        tick: &Tick,
        inputs: &Inputs,
        outputs: &Outputs,
        status: impl FnOnce(&[Word]),
    ) {
        let frame = self.frame;
        // The pattern has the words of FRAME_HEAD.
        let [sequence, slot, now, lines_in, lines_out, sensed, commanded] = frame.head;
        store(sequence, 2 * self.number + 1);
        // A reader that sees a new word also sees the odd sequence.
        fence(Ordering::Release);
        store(slot, tick.slot);
        store(now, tick.now.as_nanos());
        store(
            lines_in,
            match inputs.digital_ok() {
                Some(digital) => flags(digital.levels, u32::MAX),
                None => unread(),
            },
        );
        store(lines_out, flags(outputs.digital, u32::MAX));
        if let Some(count) = self.flags {
            store(sensed, sensed_flags(inputs, count));
            store(commanded, flags(outputs.flags, u32::MAX));
        }
        if !frame.numbers.is_empty() {
            for (word, sample) in frame.numbers.iter().zip(&inputs.analogs) {
                put(word, sample.value.unwrap_or(f64::NAN));
            }
        }
        for (word, sample) in frame.angles.iter().zip(&inputs.positions) {
            put(
                word,
                sample.value.map_or(f64::NAN, |angle| angle.as_radians()),
            );
        }
        for (word, value) in frame.commands.iter().zip(&outputs.analogs) {
            put(word, *value);
        }
        match inputs.received.all(self.groups) {
            Some(pieces) => {
                for ([a, b, c, d], [e, f, g, h]) in frame.received.iter().zip(pieces) {
                    store(a, load(e));
                    store(b, load(f));
                    store(c, load(g));
                    store(d, load(h));
                }
            }
            None => self.write_valid(frame.received.as_flattened(), &inputs.received),
        }
        status(frame.statuses);
        sequence.store(2 * self.number + 2, Ordering::Release);
        self.number += 1;
        self.frame = &self.frames[self.number as usize & (self.frames.len() - 1)];
        self.head.store(self.number, Ordering::Release);
    }

    /// Writes the commands of valid groups.
    #[cold]
    #[inline(never)]
    fn write_valid(&self, words: &[Word], received: &Received) {
        let groups = (self.counts.iter().zip(0..))
            .flat_map(|(count, group)| core::iter::repeat_n(group, usize::from(*count)));
        for ((word, group), index) in words.iter().zip(groups).zip(0..) {
            put(word, received.get(index, group).value.unwrap_or(f64::NAN));
        }
    }
}

/// The flags that devices sense.
fn sensed_flags(inputs: &Inputs, count: usize) -> u64 {
    let mut packed = 0;
    for (sample, bit) in inputs.flags.iter().take(count).zip(0..) {
        if let Ok(level) = sample.value {
            packed |= flags(u32::from(level), 1) << bit;
        }
    }
    packed
}
