//! Edge latches: a pulse shorter than a period is not missed.
//!
//! The loop reads levels once a period. Edges in between are queued by the kernel as
//! events. Reading them in the loop would take a second system call of unbounded length:
//! a bouncing contact causes hundreds of events. Instead a helper thread with ordinary
//! scheduling reads the events ([`EdgeReader`]) and sets two bits per channel in one atomic
//! word ([`EdgeLatch`]). The loop swaps that word for zero: one instruction.
//!
//! Cost: an edge reaches the loop after the helper thread has run, usually one cycle after
//! the level, later on a busy CPU. No edge is lost, see [`EdgeReader`].

use super::{Events, LineEvent};
use crate::cycle::image::MAX_DIGITAL;
use crate::sys::Errno;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// Edges since the last [`EdgeLatch::take`], one bit for each channel of the process
/// image.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Channels that became active.
    pub rose: u32,
    /// Channels that became inactive.
    pub fell: u32,
}

/// Edges on their way from the helper thread to the loop. Lock-free.
#[derive(Debug, Default)]
pub struct EdgeLatch {
    /// `rose` in the low half, `fell` in the high one, so that one swap takes
    /// both at the same moment.
    edges: AtomicU64,
    abandoned: AtomicBool,
}

impl EdgeLatch {
    /// Takes the edges that have arrived since the last call. One atomic swap.
    #[inline]
    pub fn take(&self) -> Edges {
        let edges = self.edges.swap(0, Ordering::Relaxed);
        Edges {
            rose: edges as u32,
            fell: (edges >> 32) as u32,
        }
    }

    /// Whether its [`EdgeReader`] has been dropped.
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
///
/// If the kernel's buffer is full, the kernel drops the oldest events. The loss shows in
/// the sequence numbers: a gap in the numbers of one line counts as both edges of that
/// line; events missing from the numbers of the whole request, and not explained by gaps
/// of lines, count as both edges of every latched line.
///
/// Numbers of the request can arrive out of order, by at most one event per line: the
/// interrupt handler assigns them, and one thread for each line queues the events
/// (`edge_irq_handler` and `edge_irq_thread` in gpiolib-cdev.c). So missing events count
/// as lost only if there are more of them than latched lines, or if no event is waiting.
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
    /// Expected number of the next event of each channel; `None` after a loss that may
    /// have affected it.
    next_line_seqno: [Option<u32>; MAX_DIGITAL],
    /// Highest number of an event of the request.
    highest_seqno: u32,
    /// Events of the request that are accounted for.
    accounted: u32,
    buffer: [LineEvent; 16],
}

impl<E: Events> EdgeReader<E> {
    /// A reader for latched lines given as (channel, line number); `levels` are the
    /// present levels of the channels.
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

    /// Waits up to `timeout_ms` milliseconds for events, latches at most 16 and returns
    /// their number. Does not allocate. Use a timeout of several milliseconds: with a
    /// shorter one, events that are just being queued count as lost.
    ///
    /// # Errors
    /// Those of poll(2) and read(2), except `EINTR`, which returns 0.
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

    /// Calls [`EdgeReader::drain`] until `keep_going` returns false; it is called at least
    /// ten times a second.
    ///
    /// # Errors
    /// Those of [`EdgeReader::drain`].
    pub fn run(&mut self, keep_going: impl Fn() -> bool) -> Result<(), Errno> {
        while keep_going() {
            self.drain(100)?;
        }
        Ok(())
    }

    /// Whether events were lost that no gap of a line explains; the count then restarts.
    /// `idle`: no event is waiting.
    fn lost_unseen(&mut self, idle: bool) -> bool {
        let missing = self.highest_seqno.wrapping_sub(self.accounted);
        let in_flight = if idle { 0 } else { self.latched.count_ones() };
        // Negative if the highest number has not arrived yet: not a loss.
        let lost = missing.cast_signed() > in_flight.cast_signed();
        if lost {
            self.accounted = self.highest_seqno;
            self.next_line_seqno = [None; MAX_DIGITAL];
        }
        lost
    }

    /// The edges that `event` reports.
    ///
    /// The kernel derives the direction of an edge from the level at the time its interrupt
    /// thread runs (`edge_irq_thread` in gpiolib-cdev.c). A short pulse can therefore
    /// arrive as one event towards the level that the line already had: it counts as both
    /// edges.
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
