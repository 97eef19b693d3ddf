//! An allocator that counts, and that can be sealed.
//!
//! It forwards to the system's allocator. An allocation costs one relaxed atomic addition while
//! unsealed; when sealed, one more and a thread-local load. `realtime::allocator` documents its
//! use.

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
    /// Whether this is the real-time thread. A constant without a destructor, so that reading
    /// it neither allocates nor registers anything.
    static REALTIME: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator with counts and a seal; for the `#[global_allocator]` of a binary.
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
    if realtime {
        super::attention::raise();
    }
    if state == ABORT {
        // What follows may allocate.
        STATE.store(COUNT, Ordering::Relaxed);
        // Outputs first, before anything that takes time.
        super::emergency::lines();
        let thread = if realtime { "the real-time" } else { "another" };
        let mut line = heapless::String::<128>::new();
        let _ = writeln!(
            line,
            "steadfast: {bytes} bytes allocated on {thread} thread after the seal; allocate \
                 before the loop starts"
        );
        super::write_stderr(line.as_bytes());
        std::process::abort();
    }
}

/// Marks the calling thread as the real-time thread, or not. Allocates nothing.
pub fn set_realtime_thread(realtime: bool) {
    // A thread that is ending no longer has the flag, and does not need it.
    let _ = REALTIME.try_with(|flag| flag.set(realtime));
}

/// Whether the calling thread is marked as the real-time thread. Allocates nothing.
#[must_use]
pub fn is_realtime_thread() -> bool {
    REALTIME.try_with(Cell::get).unwrap_or(false)
}

/// All counts. They are read one after the other, so they may differ by a few.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationCounts {
    /// Allocations of all threads since the start of the process.
    pub total: u64,
    /// Allocations of the real-time thread since the seal; each is a fault.
    pub realtime: u64,
    /// Allocations of other threads since the seal.
    pub others: u64,
    /// Blocks freed by the real-time thread since the seal.
    pub realtime_frees: u64,
}

/// Reads the counts. All zero if the allocator is not installed.
#[must_use]
pub fn counts() -> AllocationCounts {
    AllocationCounts {
        total: TOTAL.load(Ordering::Relaxed),
        realtime: SEALED_REALTIME.load(Ordering::Relaxed),
        others: SEALED_OTHERS.load(Ordering::Relaxed),
        realtime_frees: SEALED_REALTIME_FREES.load(Ordering::Relaxed),
    }
}

/// [`AllocationCounts::realtime`] alone. The loop looks at it once
/// [`attention`](super::attention) was raised.
#[must_use]
pub fn realtime_allocations() -> u64 {
    SEALED_REALTIME.load(Ordering::Relaxed)
}

/// The effect of an allocation after the seal.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seal {
    /// It is counted.
    Count,
    /// It ends the process, on whatever thread: outputs safe, one line on standard error,
    /// `SIGABRT`.
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

/// Removes the seal. The counts stay as they are.
pub fn unseal() {
    STATE.store(OPEN, Ordering::Release);
}

/// The current seal, `None` if unsealed.
#[must_use]
pub fn sealed() -> Option<Seal> {
    match STATE.load(Ordering::Acquire) {
        COUNT => Some(Seal::Count),
        ABORT => Some(Seal::Abort),
        _ => None,
    }
}
