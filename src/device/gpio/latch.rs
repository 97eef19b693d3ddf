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
//! lost: a full kernel buffer leaves a gap in the events' sequence numbers, and
//! a gap counts as both edges on all latched lines.

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
    next_seqno: u32,
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
            next_seqno: 1,
            buffer: [LineEvent::default(); 16],
        }
    }

    /// Waits up to `timeout_ms` milliseconds for events and latches at most 16.
    /// Returns how many. Does not allocate.
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
        if count > 0 {
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

    /// What `event` says has happened.
    ///
    /// The kernel tells the direction of an edge by the level it finds when its
    /// interrupt thread runs (`edge_irq_thread` in gpiolib-cdev.c), so a short
    /// pulse can come as a single event to the level that was there already.
    /// Such an event stands for both edges.
    fn edges_of(&mut self, event: &LineEvent) -> Edges {
        let gap = event.seqno != self.next_seqno;
        self.next_seqno = event.seqno.wrapping_add(1);
        let mut edges = Edges::default();
        if gap {
            edges.rose = self.latched;
            edges.fell = self.latched;
        }
        let channel = self
            .offsets
            .iter()
            .position(|offset| *offset == Some(event.offset));
        let bit = channel.map_or(0, |channel| 1 << channel);
        let rising = event.id == LineEvent::RISING;
        if rising || self.levels & bit == 0 {
            edges.rose |= bit;
        }
        if !rising || self.levels & bit != 0 {
            edges.fell |= bit;
        }
        if rising {
            self.levels |= bit;
        } else {
            self.levels &= !bit;
        }
        edges
    }
}

impl<E> Drop for EdgeReader<E> {
    fn drop(&mut self) {
        self.latch.abandoned.store(true, Ordering::Relaxed);
    }
}
