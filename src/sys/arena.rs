//! Static memory for what a machine is made of.
//!
//! Devices, control laws and plants are of types that this crate has never seen. They
//! are put one behind the other into one static buffer when the machine is put together,
//! so that what the loop touches is where it is from the start of the process, and no
//! part of a heap.

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

/// Bytes of the buffer.
pub const BYTES: usize = 128 * 1024;

/// What an object is aligned to at most, bytes.
const ALIGNED: usize = 64;

#[repr(C, align(64))]
struct Buffer(UnsafeCell<[u8; BYTES]>);

// SAFETY: bytes are reached through `Placed` alone, each of which has its own part.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0; BYTES]));

struct Book {
    /// Bytes in use, from the first on.
    used: usize,
    /// Objects that live in them.
    living: usize,
}

static BOOK: Mutex<Book> = Mutex::new(Book { used: 0, living: 0 });

/// An object in the buffer, and the only way to it. When the last of them is dropped,
/// the whole buffer is free again; before that nothing is given back.
pub struct Placed<T: ?Sized>(NonNull<T>, PhantomData<T>);

// SAFETY: it owns the object, as a `Box` does.
unsafe impl<T: ?Sized + Send> Send for Placed<T> {}
// SAFETY: likewise; a shared one gives shared references alone.
unsafe impl<T: ?Sized + Sync> Sync for Placed<T> {}

impl<T: ?Sized + Debug> Debug for Placed<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        (**self).fmt(f)
    }
}

/// There is no room for an object.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Bytes that the object takes.
    pub wanted: usize,
    /// Bytes that are free.
    pub free: usize,
}

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { wanted, free } = self;
        write!(
            f,
            "it needs {wanted} bytes of static memory, {free} of {BYTES} are free"
        )
    }
}

impl<V> Placed<V> {
    /// Moves `value` into the buffer.
    ///
    /// # Errors
    /// [`Full`]; the object is dropped.
    pub fn of(value: V) -> Result<Self, Full> {
        let place = reserve(Layout::new::<V>())?.cast::<V>();
        // SAFETY: `reserve` has given away room for a `V`, to this call alone.
        unsafe { place.write(value) };
        Ok(Self(place, PhantomData))
    }

    /// The object, moved out of the buffer.
    pub fn into_inner(self) -> V {
        let this = ManuallyDrop::new(self);
        // SAFETY: written when it was placed; nobody reads or drops it there again.
        let value = unsafe { this.0.read() };
        release();
        value
    }
}

impl<T: ?Sized> Placed<T> {
    /// Moves `value` into the buffer; `view` is how it is seen from then on, itself or
    /// as an object of a trait.
    ///
    /// # Errors
    /// [`Full`]; the object is dropped.
    pub fn new<V: 'static>(
        value: V,
        view: fn(&'static mut V) -> &'static mut T,
    ) -> Result<Self, Full> {
        let place = reserve(Layout::new::<V>())?.cast::<V>();
        // SAFETY: `reserve` has given away room for a `V`, to this call alone.
        let place = unsafe {
            place.write(value);
            &mut *place.as_ptr()
        };
        Ok(Self(NonNull::from(view(place)), PhantomData))
    }
}

impl<V: 'static> Placed<[V]> {
    /// Moves `values` into the buffer, one behind the other.
    ///
    /// # Errors
    /// [`Full`]; they are dropped.
    pub fn slice(mut values: Vec<V>) -> Result<Self, Full> {
        let length = values.len();
        let place = reserve(Layout::for_value(&values[..]))?.cast::<V>();
        // SAFETY: `reserve` has given away room for as many `V`, to this call alone, and
        // `values` owns them no more when they are read from where they were moved to.
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

/// Room in the buffer for one object of this layout, which lives in it from now on.
fn reserve(layout: Layout) -> Result<NonNull<u8>, Full> {
    let mut book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let from = book.used.next_multiple_of(layout.align());
    let free = BYTES.saturating_sub(from);
    if layout.size() > free || layout.align() > ALIGNED {
        return Err(Full {
            wanted: layout.size(),
            free,
        });
    }
    book.used = from + layout.size();
    book.living += 1;
    // SAFETY: `from` and the bytes behind it are inside of the buffer, aligned as the
    // layout asks because the buffer is aligned to at least as much, and nobody else's:
    // the book is locked, and what it has given away once it gives away again only when
    // nothing lives in the buffer any more.
    Ok(unsafe { NonNull::new_unchecked(BUFFER.0.get().cast::<u8>().add(from)) })
}

impl<T: ?Sized> Deref for Placed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: written when it was placed, and this is the only way to it.
        unsafe { self.0.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Placed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: likewise.
        unsafe { self.0.as_mut() }
    }
}

impl<T: ?Sized> Drop for Placed<T> {
    fn drop(&mut self) {
        // SAFETY: written when it was placed, dropped here once: this is the only way
        // to it, and it ends here.
        unsafe { self.0.drop_in_place() };
        release();
    }
}

/// One object fewer lives in the buffer.
fn release() {
    let mut book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    book.living -= 1;
    if book.living == 0 {
        book.used = 0;
    }
}

/// Bytes of the buffer that are in use.
#[must_use]
pub fn used() -> usize {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner).used
}

impl Book {
    /// The whole pages behind what is in use.
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

/// The whole pages of the buffer behind what is in use; `None` when there are none.
#[must_use]
pub fn unused() -> Option<Range> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner).unused()
}

/// Unlocks and gives back (madvise(2), `MADV_DONTNEED`) the whole pages behind what is
/// in use, which mlockall(2) makes resident with the rest: most of the buffer on most
/// machines. An object that is placed there later faults them in again. Allocates
/// nothing.
///
/// Returns how many bytes were given back.
///
/// # Errors
/// Those of munlock(2) and madvise(2); none is expected.
pub fn release_unused() -> Result<usize, Errno> {
    // Kept until the end: nothing is placed there meanwhile.
    let book = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(unused) = book.unused() else {
        return Ok(0);
    };
    unlock(unused)?;
    let start = core::ptr::without_provenance_mut(unused.address);
    // SAFETY: whole pages of the buffer behind all that lives in it: whoever is given
    // bytes of them writes them first.
    check(unsafe { libc::madvise(start, unused.length, libc::MADV_DONTNEED) })?;
    Ok(unused.length)
}

/// Where the buffer is.
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

    /// The buffer is one for all tests of this process.
    static ALONE: Mutex<()> = Mutex::new(());

    trait Speaks {
        fn says(&self) -> u64;
    }

    #[repr(align(32))]
    struct Loud(u64);

    static DROPPED: AtomicU32 = AtomicU32::new(0);

    impl Speaks for Loud {
        fn says(&self) -> u64 {
            self.0
        }
    }

    impl Drop for Loud {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn objects_live_in_the_buffer_until_they_are_dropped() {
        let _alone = ALONE.lock();
        let before = DROPPED.load(Ordering::Relaxed);
        let byte = Placed::new(7_u8, |byte| byte).unwrap();
        let first = Placed::<dyn Speaks>::new(Loud(1), |loud| loud).unwrap();
        let second = Placed::<dyn Speaks>::new(Loud(2), |loud| loud).unwrap();
        assert_eq!((first.says(), second.says(), *byte), (1, 2, 7));
        let at = (&raw const *first).cast::<u8>() as usize;
        let Range { address, length } = range();
        assert!((address..address + length).contains(&at));
        assert_eq!(at % 32, 0);
        drop(first);
        assert_eq!(DROPPED.load(Ordering::Relaxed), before + 1);
        assert_eq!((second.says(), *byte), (2, 7));
        drop(second);
        drop(byte);
        assert_eq!(DROPPED.load(Ordering::Relaxed), before + 2);
    }

    #[test]
    fn as_many_objects_as_there_are_lie_one_behind_the_other() {
        let _alone = ALONE.lock();
        let before = DROPPED.load(Ordering::Relaxed);
        let none = Placed::slice(Vec::<Loud>::new()).unwrap();
        let mut all = Placed::slice((0..5).map(Loud).collect()).unwrap();
        assert_eq!(DROPPED.load(Ordering::Relaxed), before, "they were moved");
        all[4].0 = 40;
        let told: Vec<_> = all.iter().map(Speaks::says).collect();
        assert_eq!((none.len(), told), (0, vec![0, 1, 2, 3, 40]));
        let Range { address, length } = range();
        let end = all.as_ptr_range().end.addr();
        assert!((address..=address + length).contains(&end));
        drop(all);
        assert_eq!(DROPPED.load(Ordering::Relaxed), before + 5);
        let refused = Placed::slice(vec![0_u64; BYTES / 8 + 1]).unwrap_err();
        assert_eq!(refused.wanted, BYTES + 8);
    }

    #[test]
    fn an_object_is_borrowed_from_elsewhere_and_taken_out_again() {
        let _alone = ALONE.lock();
        let before = DROPPED.load(Ordering::Relaxed);
        let text = String::from("of somebody else");
        let placed = Placed::of((Loud(3), text.as_str())).unwrap();
        assert!(range().contains((&raw const *placed).addr()));
        let (loud, borrowed) = placed.into_inner();
        assert_eq!((loud.says(), borrowed), (3, text.as_str()));
        assert_eq!(DROPPED.load(Ordering::Relaxed), before, "it was moved");
    }

    #[test]
    fn what_is_in_use_outlives_what_is_given_back() {
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
    fn what_does_not_fit_is_refused_with_figures() {
        let _alone = ALONE.lock();
        let refused = Placed::new([0_u8; BYTES + 1], |bytes| bytes).unwrap_err();
        assert_eq!(refused.wanted, BYTES + 1);
        assert!(refused.to_string().contains("131072"), "{refused}");
    }
}
