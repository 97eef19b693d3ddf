//! Static memory for the objects of a machine.
//!
//! Devices, control laws and plants have types that this crate does not know. When the machine
//! is built they are placed into one static buffer, one after the other, so that all that the
//! loop touches is in static memory and none of it in the heap. Placing locks a mutex and
//! copies the object once; it allocates nothing.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt::{Debug, Formatter};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use super::memory::{Range, page_size, unlock};
use super::{Errno, check};

/// Size of the buffer, bytes.
pub const BYTES: usize = 128 * 1024;

/// Largest alignment of an object, bytes.
const ALIGNED: usize = 64;

#[repr(C, align(64))]
struct Buffer(UnsafeCell<[u8; BYTES]>);

// SAFETY: the bytes are accessed only through `Placed` objects, and each of these has its own
// part.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0; BYTES]));

struct Book {
    /// Bytes in use, from the beginning of the buffer.
    used: usize,
    /// Number of objects in the buffer.
    living: usize,
}

static BOOK: Mutex<Book> = Mutex::new(Book { used: 0, living: 0 });

/// An object in the buffer, and its only owner. Memory is reused only when the last of all
/// objects is dropped: then the whole buffer is free again.
pub struct Placed<T: ?Sized>(NonNull<T>, PhantomData<T>);

// SAFETY: it owns the object, as a `Box` does.
unsafe impl<T: ?Sized + Send> Send for Placed<T> {}
// SAFETY: likewise; a shared reference gives only shared references to the object.
unsafe impl<T: ?Sized + Sync> Sync for Placed<T> {}

impl<T: ?Sized + Debug> Debug for Placed<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        (**self).fmt(f)
    }
}

/// The buffer has no room for an object.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Size of the object, bytes.
    pub requested: usize,
    /// Free space, bytes.
    pub free: usize,
}

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { requested, free } = self;
        write!(
            f,
            "it needs {requested} bytes of static memory, {free} of {BYTES} are free"
        )
    }
}

impl<V> Placed<V> {
    /// Moves `value` into the buffer.
    ///
    /// # Errors
    /// [`Full`] if there is no room, or the alignment is above 64 bytes; the object is dropped.
    pub fn of(value: V) -> Result<Self, Full> {
        let place = reserve(Layout::new::<V>())?.cast::<V>();
        // SAFETY: `reserve` has reserved room for a `V`, for this call alone.
        unsafe { place.write(value) };
        Ok(Self(place, PhantomData))
    }

    /// Moves the object out of the buffer.
    pub fn into_inner(self) -> V {
        let this = ManuallyDrop::new(self);
        // SAFETY: it was written when it was placed, and is never read or dropped there again,
        // because `self` is not dropped.
        let value = unsafe { this.0.read() };
        release();
        value
    }
}

impl<T: ?Sized> Placed<T> {
    /// Moves `value` into the buffer. `view` converts the reference to it, to itself or to a
    /// trait object.
    ///
    /// # Errors
    /// [`Full`] if there is no room, or the alignment is above 64 bytes; the object is dropped.
    pub fn new<V: 'static>(
        value: V,
        view: fn(&'static mut V) -> &'static mut T,
    ) -> Result<Self, Full> {
        let place = reserve(Layout::new::<V>())?.cast::<V>();
        // SAFETY: `reserve` has reserved room for a `V`, for this call alone.
        let place = unsafe {
            place.write(value);
            &mut *place.as_ptr()
        };
        Ok(Self(NonNull::from(view(place)), PhantomData))
    }
}

impl<V: 'static> Placed<[V]> {
    /// Moves `values` into the buffer as a slice.
    ///
    /// # Errors
    /// [`Full`] if there is no room, or the alignment is above 64 bytes; the values are
    /// dropped.
    pub fn slice(mut values: Vec<V>) -> Result<Self, Full> {
        let length = values.len();
        let place = reserve(Layout::for_value(&values[..]))?.cast::<V>();
        // SAFETY: `reserve` has reserved room for as many `V`, for this call alone. `values`
        // has the length 0 when they are read from its buffer, so they are moved and not
        // duplicated.
        unsafe {
            values.set_len(0);
            place
                .as_ptr()
                .copy_from_nonoverlapping(values.as_ptr(), length);
        };
        let place = NonNull::slice_from_raw_parts(place, length);
        Ok(Self(place, PhantomData))
    }
}

/// Reserves room in the buffer for one object of this layout.
fn reserve(layout: Layout) -> Result<NonNull<u8>, Full> {
    let mut book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let from = book.used.next_multiple_of(layout.align());
    let free = BYTES.saturating_sub(from);
    if layout.size() > free || layout.align() > ALIGNED {
        return Err(Full {
            requested: layout.size(),
            free,
        });
    }
    book.used = from + layout.size();
    book.living += 1;
    // SAFETY: `from` and the bytes after it are inside of the buffer. They are aligned for the
    // layout, because the buffer's alignment is at least as large. No other object has them:
    // the book is locked, and bytes that were reserved are reserved again only when no object
    // lives in the buffer any more.
    Ok(unsafe { NonNull::new_unchecked(BUFFER.0.get().cast::<u8>().add(from)) })
}

impl<T: ?Sized> Deref for Placed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it was written when it was placed, and this is its only owner.
        unsafe { self.0.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Placed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: likewise, borrowed exclusively.
        unsafe { self.0.as_mut() }
    }
}

impl<T: ?Sized> Drop for Placed<T> {
    fn drop(&mut self) {
        // SAFETY: it was written when it was placed, and is dropped once, because this is its
        // only owner and ends here.
        unsafe { self.0.drop_in_place() };
        release();
    }
}

/// Counts one object less; the buffer is free when it was the last.
fn release() {
    let mut book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    book.living -= 1;
    if book.living == 0 {
        book.used = 0;
    }
}

/// Bytes of the buffer in use.
#[must_use]
pub fn used() -> usize {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner).used
}

impl Book {
    /// The whole pages after the part in use.
    fn unused(&self) -> Option<Range> {
        let page = page_size();
        let buffer = range();
        let address = (buffer.address + self.used).next_multiple_of(page);
        let end = (buffer.address + buffer.length) & !(page - 1);
        (address < end).then(|| Range {
            address,
            length: end - address,
        })
    }
}

/// The whole pages of the buffer after the part in use; `None` if no whole page is unused.
#[must_use]
pub fn unused() -> Option<Range> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner).unused()
}

/// Unlocks the whole pages after the part in use and returns them to the kernel (madvise(2),
/// `MADV_DONTNEED`). mlockall(2) has made them resident: most of the buffer on most machines.
/// An object that is placed there later faults them in again. Allocates nothing.
///
/// Returns the number of bytes returned to the kernel.
///
/// # Errors
/// Those of munlock(2) and madvise(2); none is expected.
pub fn release_unused() -> Result<usize, Errno> {
    // Locked until the end, so that nothing is placed there meanwhile.
    let book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(unused) = book.unused() else {
        return Ok(0);
    };
    unlock(unused)?;
    let start = core::ptr::without_provenance_mut(unused.address);
    // SAFETY: whole pages of the buffer after all that lives in it: bytes reserved there later
    // are written before they are read.
    check(unsafe { libc::madvise(start, unused.length, libc::MADV_DONTNEED) })?;
    Ok(unused.length)
}

/// The address range of the buffer.
#[must_use]
pub fn range() -> Range {
    Range {
        address: BUFFER.0.get() as usize,
        length: BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// All tests of this process share the buffer.
    static ALONE: Mutex<()> = Mutex::new(());

    trait HasNumber {
        fn number(&self) -> u64;
    }

    #[repr(align(32))]
    struct Numbered(u64);

    static DROPPED: AtomicU32 = AtomicU32::new(0);

    impl HasNumber for Numbered {
        fn number(&self) -> u64 {
            self.0
        }
    }

    impl Drop for Numbered {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn objects_live_in_the_buffer_until_they_are_dropped() {
        let _alone = ALONE.lock();
        let before = DROPPED.load(Ordering::Relaxed);
        let byte = Placed::new(7_u8, |byte| byte).unwrap();
        let first = Placed::<dyn HasNumber>::new(Numbered(1), |object| object).unwrap();
        let second = Placed::<dyn HasNumber>::new(Numbered(2), |object| object).unwrap();
        assert_eq!((first.number(), second.number(), *byte), (1, 2, 7));
        let at = (&raw const *first).cast::<u8>() as usize;
        let Range { address, length } = range();
        assert!((address..address + length).contains(&at));
        assert_eq!(at % 32, 0);
        drop(first);
        assert_eq!(DROPPED.load(Ordering::Relaxed), before + 1);
        assert_eq!((second.number(), *byte), (2, 7));
        drop(second);
        drop(byte);
        assert_eq!(DROPPED.load(Ordering::Relaxed), before + 2);
    }

    #[test]
    fn objects_are_placed_one_behind_the_other() {
        let _alone = ALONE.lock();
        let before = DROPPED.load(Ordering::Relaxed);
        let none = Placed::slice(Vec::<Numbered>::new()).unwrap();
        let mut all = Placed::slice((0..5).map(Numbered).collect()).unwrap();
        assert_eq!(DROPPED.load(Ordering::Relaxed), before, "they were moved");
        all[4].0 = 40;
        let numbers: Vec<_> = all.iter().map(HasNumber::number).collect();
        assert_eq!((none.len(), numbers), (0, vec![0, 1, 2, 3, 40]));
        let Range { address, length } = range();
        let end = all.as_ptr_range().end.addr();
        assert!((address..=address + length).contains(&end));
        drop(all);
        assert_eq!(DROPPED.load(Ordering::Relaxed), before + 5);
        let refused = Placed::slice(vec![0_u64; BYTES / 8 + 1]).unwrap_err();
        assert_eq!(refused.requested, BYTES + 8);
    }

    #[test]
    fn a_placed_object_may_borrow_and_can_be_moved_out() {
        let _alone = ALONE.lock();
        let before = DROPPED.load(Ordering::Relaxed);
        let text = String::from("of somebody else");
        let placed = Placed::of((Numbered(3), text.as_str())).unwrap();
        assert!(range().contains((&raw const *placed).addr()));
        let (object, borrowed) = placed.into_inner();
        assert_eq!((object.number(), borrowed), (3, text.as_str()));
        assert_eq!(DROPPED.load(Ordering::Relaxed), before, "it was moved");
    }

    #[test]
    fn released_memory_does_not_affect_placed_objects() {
        let _alone = ALONE.lock();
        let first = Placed::new([7_u8; 5000], |bytes| bytes).unwrap();
        let given_back = release_unused().unwrap();
        assert_eq!(Some(given_back), unused().map(|range| range.length));
        assert!(given_back <= BYTES - first.len() && given_back > BYTES / 2);
        let second = Placed::new([8_u8; 20_000], |bytes| bytes).unwrap();
        assert!(first.iter().all(|byte| *byte == 7));
        assert!(second.iter().all(|byte| *byte == 8));
        let behind = unused().unwrap();
        assert!(behind.address >= (&raw const *second).addr() + second.len());
    }

    #[test]
    fn an_object_that_does_not_fit_is_refused_with_both_sizes() {
        let _alone = ALONE.lock();
        let refused = Placed::new([0_u8; BYTES + 1], |bytes| bytes).unwrap_err();
        assert_eq!(refused.requested, BYTES + 1);
        assert!(refused.to_string().contains("131072"), "{refused}");
    }
}
