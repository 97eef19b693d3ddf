//! Latching edges: a pulse shorter than a period is seen.
//!
//! The loop reads levels, once a period. What happened in between only the
//! kernel's interrupt handler has seen, and it keeps it as events to be read
//! from the request's descriptor. Reading them in the loop would be a second
//! system call in every cycle, with a length that the outside world chooses: a
//! bouncing contact makes hundreds. So a helper thread with ordinary scheduling
//! waits in poll(2), reads the events ([`EdgeReader`]), and leaves two bits for
//! each channel in one atomic word ([`EdgeLatch`]), which the loop swaps for
//! zero: one instruction, whatever happened outside.
//!
//! The price is that an edge reaches the loop when the helper thread has run,
//! usually a cycle after the level did, later when the CPU is busy. It is never
//! lost. When the kernel's buffer is full the oldest events are dropped, which
//! shows in their numbers: a gap in the numbers of a line counts as both edges
//! of that line; events that are missing from the numbers of the request, and
//! that no line accounts for, count as both edges of every latched line.
//!
//! Numbers of the request may come out of order by one event a line: they are
//! given in the interrupt handler, and the events are queued by one thread for
//! each line (`edge_irq_handler` and `edge_irq_thread` in gpiolib-cdev.c). So
//! what is missing counts as lost only when it is more than that, or when
//! nothing more is waiting.

use super::{Events, LineEvent};
use crate::cycle::image::MAX_DIGITAL;
use crate::sys::Errno;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// Edges since they were last taken, one bit for each channel of the process
/// image.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Became active.
    pub rose: u32,
    /// Became inactive.
    pub fell: u32,
}

/// What the helper thread leaves for the loop. Neither waits for the other.
#[derive(Debug, Default)]
pub struct EdgeLatch {
    /// `rose` in the low half, `fell` in the high one, so that one swap takes
    /// both at the same moment.
    edges: AtomicU64,
    abandoned: AtomicBool,
}

impl EdgeLatch {
    /// Takes the edges that have come since the last time. One atomic swap.
    #[inline]
    pub fn take(&self) -> Edges {
        let edges = self.edges.swap(0, Ordering::Relaxed);
        Edges {
            rose: edges as u32,
            fell: (edges >> 32) as u32,
        }
    }

    /// Whether nobody fills the latch any more.
    #[inline]
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    fn add(&self, edges: Edges) {
        let word = u64::from(edges.rose) | u64::from(edges.fell) << 32;
        self.edges.fetch_or(word, Ordering::Relaxed);
    }
}

/// Reads the edge events of one chip's latched inputs into an [`EdgeLatch`].
/// For a thread of its own, with ordinary scheduling. Dropping it marks the
/// latch as abandoned.
#[derive(Debug)]
pub struct EdgeReader<E> {
    events: E,
    latch: Arc<EdgeLatch>,
    /// Line number on the chip of each channel, where it is latched.
    offsets: [Option<u32>; MAX_DIGITAL],
    /// All latched channels.
    latched: u32,
    /// The level each channel had after its last event.
    levels: u32,
    /// Number of the next event of each channel; `None` after a loss that may
    /// have been its.
    next_line_seqno: [Option<u32>; MAX_DIGITAL],
    /// Highest number of an event of the request.
    highest_seqno: u32,
    /// Events of the request that are accounted for.
    accounted: u32,
    buffer: [LineEvent; 16],
}

impl<E: Events> EdgeReader<E> {
    /// A reader for latched lines given as (channel, line number), whose
    /// channels stood at `levels` just now.
    pub(super) fn new(
        events: E,
        latch: Arc<EdgeLatch>,
        lines: impl Iterator<Item = (u8, u32)>,
        levels: u32,
    ) -> Self {
        let (mut offsets, mut latched) = ([None; MAX_DIGITAL], 0);
        for (channel, offset) in lines {
            offsets[usize::from(channel)] = Some(offset);
            latched |= 1 << channel;
        }
        Self {
            events,
            latch,
            offsets,
            latched,
            levels,
            next_line_seqno: [Some(1); MAX_DIGITAL],
            highest_seqno: 0,
            accounted: 0,
            buffer: [LineEvent::default(); 16],
        }
    }

    /// Waits up to `timeout_ms` milliseconds for events and latches at most 16.
    /// Returns how many. Does not allocate. Some milliseconds at least keep
    /// events that are just being queued from being taken for lost ones.
    ///
    /// # Errors
    /// As poll(2) and read(2) give them, but for `EINTR`, which is no events.
    pub fn drain(&mut self, timeout_ms: u16) -> Result<usize, Errno> {
        let count = match self.events.read(&mut self.buffer, timeout_ms) {
            Err(Errno(libc::EINTR)) => 0,
            other => other?,
        };
        let mut edges = Edges::default();
        for event in self.buffer.into_iter().take(count) {
            let these = self.edges_of(&event);
            edges.rose |= these.rose;
            edges.fell |= these.fell;
        }
        if self.lost_unseen(count == 0) {
            edges.rose = self.latched;
            edges.fell = self.latched;
        }
        if edges != Edges::default() {
            self.latch.add(edges);
        }
        Ok(count)
    }

    /// Drains until `keep_going` says no, which is asked at least ten times a
    /// second.
    ///
    /// # Errors
    /// As [`EdgeReader::drain`].
    pub fn run(&mut self, keep_going: impl Fn() -> bool) -> Result<(), Errno> {
        while keep_going() {
            self.drain(100)?;
        }
        Ok(())
    }

    /// Whether events were lost that no line accounts for; asked once, it
    /// starts anew. `idle` says that no event is waiting.
    fn lost_unseen(&mut self, idle: bool) -> bool {
        let missing = self.highest_seqno.wrapping_sub(self.accounted);
        let in_flight = if idle { 0 } else { self.latched.count_ones() };
        // More accounted for than numbered cannot be, but for numbers that are
        // late: not a loss.
        let lost = missing.cast_signed() > in_flight.cast_signed();
        if lost {
            self.accounted = self.highest_seqno;
            self.next_line_seqno = [None; MAX_DIGITAL];
        }
        lost
    }

    /// What `event` says has happened on its line.
    ///
    /// The kernel tells the direction of an edge by the level it finds when its
    /// interrupt thread runs (`edge_irq_thread` in gpiolib-cdev.c), so a short
    /// pulse can come as a single event to the level that was there already.
    /// Such an event stands for both edges.
    fn edges_of(&mut self, event: &LineEvent) -> Edges {
        let newer = event.seqno.wrapping_sub(self.highest_seqno).cast_signed() > 0;
        if newer {
            self.highest_seqno = event.seqno;
        }
        self.accounted = self.accounted.wrapping_add(1);
        let channel = self
            .offsets
            .iter()
            .position(|offset| *offset == Some(event.offset));
        let Some(channel) = channel else {
            return Edges::default();
        };
        let next = self.next_line_seqno[channel].replace(event.line_seqno.wrapping_add(1));
        let lost = next.map_or(0, |next| {
            let gap = event.line_seqno.wrapping_sub(next).cast_signed();
            gap.max(0).cast_unsigned()
        });
        self.accounted = self.accounted.wrapping_add(lost);

        let bit = 1 << channel;
        let was_active = self.levels & bit != 0;
        let is_active = event.id == LineEvent::RISING;
        if is_active {
            self.levels |= bit;
        } else {
            self.levels &= !bit;
        }
        let both = lost > 0 || was_active == is_active;
        Edges {
            rose: if both || is_active { bit } else { 0 },
            fell: if both || !is_active { bit } else { 0 },
        }
    }
}

impl<E> Drop for EdgeReader<E> {
    fn drop(&mut self) {
        self.latch.abandoned.store(true, Ordering::Relaxed);
    }
}
