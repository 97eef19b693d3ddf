//! The counting allocator, with the seal.
//!
//! It forwards to the system's and counts. It costs one relaxed atomic addition
//! per allocation while open, and one more and a thread-local load when sealed.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::fmt::Write;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::alloc::System;

const OPEN: u8 = 0;
const COUNT: u8 = 1;
const ABORT: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(OPEN);
static TOTAL: AtomicU64 = AtomicU64::new(0);
static SEALED_REALTIME: AtomicU64 = AtomicU64::new(0);
static SEALED_OTHERS: AtomicU64 = AtomicU64::new(0);
static SEALED_REALTIME_FREES: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    /// Whether this is the real-time thread. A constant without a destructor:
    /// reading it neither allocates nor registers anything.
    static REALTIME: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, counted and sealable; a unit type to be named in a
/// binary's `#[global_allocator]`.
#[derive(Copy, Clone, Debug, Default)]
pub struct SealedAllocator;

// SAFETY: every call is forwarded to `System` with its arguments unchanged;
// counting beside it allocates nothing.
unsafe impl GlobalAlloc for SealedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note_allocation(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note_allocation(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note_allocation(size);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if STATE.load(Ordering::Relaxed) != OPEN && is_realtime_thread() {
            SEALED_REALTIME_FREES.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[inline]
fn note_allocation(bytes: usize) {
    TOTAL.fetch_add(1, Ordering::Relaxed);
    let state = STATE.load(Ordering::Relaxed);
    if state != OPEN {
        note_sealed(state, bytes);
    }
}

#[cold]
fn note_sealed(state: u8, bytes: usize) {
    let realtime = is_realtime_thread();
    let counter = if realtime {
        &SEALED_REALTIME
    } else {
        &SEALED_OTHERS
    };
    counter.fetch_add(1, Ordering::Relaxed);
    if state == ABORT {
        // Whoever prepares to die may allocate.
        STATE.store(COUNT, Ordering::Relaxed);
        // Before anything that takes time.
        super::emergency::lines();
        let thread = if realtime { "the real-time" } else { "another" };
        let mut line = heapless::String::<128>::new();
        let _ = writeln!(
            line,
            "steadfast: {bytes} bytes allocated on {thread} thread after the seal"
        );
        super::write_stderr(line.as_bytes());
        std::process::abort();
    }
}

/// Sets whether the calling thread counts as the real-time one. Allocates
/// nothing.
pub fn set_realtime_thread(realtime: bool) {
    // A thread that is just ending has no such flag any more, and needs none.
    let _ = REALTIME.try_with(|flag| flag.set(realtime));
}

/// Whether the calling thread counts as the real-time one. Allocates nothing.
#[must_use]
pub fn is_realtime_thread() -> bool {
    REALTIME.try_with(Cell::get).unwrap_or(false)
}

/// Every count, at one moment as far as relaxed atomics can tell.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationCounts {
    /// Allocations since the start of the process, every thread.
    pub total: u64,
    /// Allocations on the real-time thread since the seal: faults.
    pub realtime: u64,
    /// Allocations on other threads since the seal.
    pub others: u64,
    /// Blocks freed on the real-time thread since the seal.
    pub realtime_frees: u64,
}

/// Reads the counts. All zero when the allocator is not installed.
#[must_use]
pub fn counts() -> AllocationCounts {
    AllocationCounts {
        total: TOTAL.load(Ordering::Relaxed),
        realtime: SEALED_REALTIME.load(Ordering::Relaxed),
        others: SEALED_OTHERS.load(Ordering::Relaxed),
        realtime_frees: SEALED_REALTIME_FREES.load(Ordering::Relaxed),
    }
}

/// [`AllocationCounts::realtime`] alone: one load, for the loop.
#[inline]
#[must_use]
pub fn realtime_allocations() -> u64 {
    SEALED_REALTIME.load(Ordering::Relaxed)
}

/// What an allocation after the seal does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seal {
    /// It is counted.
    Count,
    /// It ends the process: one line to standard error, then `SIGABRT`, on
    /// whatever thread it happens.
    Abort,
}

/// Seals the allocator; the counts since the seal start at 0.
pub fn seal(seal: Seal) {
    for counter in [&SEALED_REALTIME, &SEALED_OTHERS, &SEALED_REALTIME_FREES] {
        counter.store(0, Ordering::Relaxed);
    }
    let state = match seal {
        Seal::Count => COUNT,
        Seal::Abort => ABORT,
    };
    STATE.store(state, Ordering::Release);
}

/// Opens the allocator again. The counts stay as they are.
pub fn unseal() {
    STATE.store(OPEN, Ordering::Release);
}

/// The seal that holds, if any.
#[must_use]
pub fn sealed() -> Option<Seal> {
    match STATE.load(Ordering::Acquire) {
        COUNT => Some(Seal::Count),
        ABORT => Some(Seal::Abort),
        _ => None,
    }
}
