//! `sys::spsc`, with loom's parts in place of the machine's.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};

#[path = "../../src/sys/spsc/ends.rs"]
#[expect(
    unreachable_pub,
    reason = "it is compiled for its algorithm, and public in the product"
)]
pub(crate) mod ends;

/// Stands in for the product's trait: any value that is copied.
pub(crate) trait Pod: Copy + Send {}

impl<T: Copy + Send> Pod for T {}

/// A slot that detects two accesses at once: the test then fails.
#[derive(Debug)]
struct Slot<T>(UnsafeCell<T>);

impl<T: Copy> Slot<T> {
    unsafe fn write(&self, value: &T) {
        // SAFETY: loom checks that no other thread accesses it.
        self.0.with_mut(|slot| unsafe { *slot = *value });
    }

    unsafe fn read(&self) -> T {
        // SAFETY: loom checks that no thread writes to it.
        self.0.with(|slot| unsafe { *slot })
    }
}

pub(crate) fn empty<const N: usize>() -> ends::Queue<u64, N> {
    let lines = || core::array::from_fn(|_| AtomicU64::new(0));
    ends::Queue {
        next: AtomicU64::new(0),
        claimed: AtomicU64::new(0),
        _line: core::array::from_fn(|_| AtomicU64::new(0)),
        first: AtomicU64::new(0),
        _line2: lines(),
        dropped: AtomicU64::new(0),
        _line3: lines(),
        slots: core::array::from_fn(|_| Slot(UnsafeCell::new(0))),
    }
}
