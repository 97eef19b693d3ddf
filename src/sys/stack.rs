//! The real-time thread's own stack: static memory, a guard below it, and the
//! thread that runs on it (pthread_attr_setstack(3), mprotect(2),
//! sigaltstack(2)).
//!
//! The C library is given the whole static area as the stack, guard included:
//! it places the thread's descriptor and its thread-local storage at the top
//! and touches nothing below. So its own smallest size (128 KiB on arm64,
//! `PTHREAD_STACK_MIN`) does not bind, and what is really used is what the
//! guard leaves open.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::memory::{Range, page_size};
use super::signal::{self, SignalSet};
use super::{Errno, check};

/// Largest usable size: 1 MiB.
pub const MAX: usize = 1 << 20;

/// What is always guard: one page of the largest size arm64 kernels have.
const GUARD_MIN: usize = 1 << 16;

/// Alignment of the static: a page of 16 kB. With more, the linker would pad the file of
/// a static binary by as much.
const ALIGN: usize = 1 << 14;

/// The static's size: what is used of it is in whole pages ([`base`], [`length`]), which
/// costs the last term where they are larger than [`ALIGN`].
const SIZE: usize = GUARD_MIN + MAX + (GUARD_MIN - ALIGN);

/// Size of the alternate signal stack: a signal frame needs up to about 16 KiB
/// with the widest vector registers (`AT_MINSIGSTKSZ`, getauxval(3)).
const SIGNAL_STACK: usize = 1 << 15;

/// What unused stack is filled with: no address and no small number.
const PAINT: u64 = 0x5AFE_57AC_5AFE_57AC;

#[repr(C, align(16384))]
struct Area(UnsafeCell<[u64; SIZE / 8]>);

const _: () = assert!(align_of::<Area>() == ALIGN);

// SAFETY: the bytes are reached through raw pointers only: by the one claimant,
// by the thread that runs on them, and by volatile reads of the high-water mark.
unsafe impl Sync for Area {}

static STACK: Area = Area(UnsafeCell::new([0; SIZE / 8]));

#[repr(C, align(4096))]
struct SignalStack(UnsafeCell<[u8; SIGNAL_STACK]>);

// SAFETY: only the kernel writes here, for the one thread that runs on `STACK`.
unsafe impl Sync for SignalStack {}

static SIGNALS: SignalStack = SignalStack(UnsafeCell::new([0; SIGNAL_STACK]));

static CLAIMED: AtomicBool = AtomicBool::new(false);

/// Usable bytes of the last claim, 0 before the first.
static USABLE: AtomicUsize = AtomicUsize::new(0);

/// Bytes from the static's beginning to the first page that is all its own.
fn skipped() -> usize {
    let start = STACK.0.get().addr();
    start.next_multiple_of(page_size()) - start
}

/// The first of the whole pages of the static. Async-signal-safe, as sysconf(3) is.
fn base() -> *mut u8 {
    STACK.0.get().cast::<u8>().wrapping_add(skipped())
}

/// Bytes in whole pages from [`base`] to the end of the static: at least the largest
/// guard and stack. Async-signal-safe.
fn length() -> usize {
    let rest = SIZE - skipped();
    rest - rest % page_size()
}

/// The usable bytes of the stack as last claimed, at the top of the area.
pub fn usable() -> Range {
    let length = USABLE.load(Ordering::Acquire);
    Range {
        address: base().addr() + self::length() - length,
        length,
    }
}

/// The guard as last claimed: everything below [`usable`].
pub fn guard() -> Range {
    Range {
        address: base().addr(),
        length: length() - USABLE.load(Ordering::Acquire),
    }
}

/// The alternate signal stack of the thread.
pub fn signal_stack() -> Range {
    Range {
        address: SIGNALS.0.get().addr(),
        length: SIGNAL_STACK,
    }
}

/// The usable size, if `address` lies in the guard below it. Async-signal-safe.
pub(crate) fn guarded_size(address: usize) -> Option<usize> {
    let usable = USABLE.load(Ordering::Acquire);
    (usable != 0 && guard().contains(address)).then_some(usable)
}

/// Bytes used at the deepest since it was painted, from the top down, the
/// thread's descriptor and thread-local storage included. Reads the stack's own
/// resident pages only, without a system call; one read for each unused word.
pub fn high_water() -> usize {
    let usable = usable();
    let words = usable.length / 8;
    // SAFETY: the usable bytes are inside of the area.
    let start = unsafe { base().add(length() - usable.length).cast::<u64>() };
    let untouched = (0..words)
        .take_while(|&index| {
            // SAFETY: inside of the usable bytes, aligned, readable. The thread
            // may write meanwhile: the read is volatile and its value is only
            // compared.
            unsafe { start.add(index).read_volatile() == PAINT }
        })
        .count();
    (words - untouched) * 8
}

/// The claimed stack. There is one in the process; dropping this frees it for
/// the next.
#[derive(Debug)]
pub struct StaticStack(());

impl StaticStack {
    /// Claims the stack with `size` usable bytes, makes everything below
    /// inaccessible, and paints it, which makes it resident.
    ///
    /// # Errors
    /// `EINVAL` when `size` is 0, above [`MAX`] or not whole pages; `EBUSY` when
    /// the stack is claimed; those of mprotect(2).
    pub fn claim(size: usize) -> Result<Self, Errno> {
        if size == 0 || size > MAX || !size.is_multiple_of(page_size()) {
            return Err(Errno(libc::EINVAL));
        }
        if CLAIMED.swap(true, Ordering::Acquire) {
            return Err(Errno(libc::EBUSY));
        }
        let mut claimed = Self(());
        claimed.protect(length(), libc::PROT_READ | libc::PROT_WRITE)?;
        claimed.protect(length() - size, libc::PROT_NONE)?;
        USABLE.store(size, Ordering::Release);
        claimed.drop_guard()?;
        claimed.paint();
        Ok(claimed)
    }

    /// Sets the access to the first `length` bytes of the area.
    fn protect(&mut self, length: usize, access: libc::c_int) -> Result<(), Errno> {
        // SAFETY: these are whole pages of our own static, which only the one
        // claimant uses, and no thread runs on it.
        check(unsafe { libc::mprotect(base().cast(), length, access) })
    }

    /// Unlocks the guard and gives its pages back, so that it counts neither as
    /// locked nor as resident, whatever was locked before (munlock(2),
    /// madvise(2) `MADV_DONTNEED`).
    ///
    /// # Errors
    /// Those of the two calls; none is expected.
    pub fn drop_guard(&mut self) -> Result<(), Errno> {
        let guard = guard();
        super::memory::unlock(guard)?;
        // SAFETY: the guard is inaccessible, so nothing relies on its contents.
        check(unsafe { libc::madvise(base().cast(), guard.length, libc::MADV_DONTNEED) })
    }

    fn paint(&mut self) {
        let usable = usable();
        // SAFETY: the usable bytes are inside of the area.
        let start = unsafe { base().add(length() - usable.length).cast::<u64>() };
        for index in 0..usable.length / 8 {
            // SAFETY: inside of the usable bytes, aligned, writable; no thread
            // runs here, because running takes the claim exclusively.
            unsafe { start.add(index).write_volatile(PAINT) };
        }
    }

    /// Paints the stack, runs `job` on a new thread on it and `beside` on the calling
    /// one, and waits for the end of both. A panic in `beside` aborts the process. The thread blocks every signal but the synchronous ones
    /// ([`SignalSet::all_but_synchronous`]), and its handlers run on a static
    /// stack of their own. A panic in `job` aborts the process.
    ///
    /// # Errors
    /// pthread_create(3): `EAGAIN` when there may be no more threads; `ENOMEM`
    /// from sigaltstack(2) when this machine's signal frames are larger than
    /// 32 KiB, and `job` does not run.
    pub fn run<T, F>(&mut self, job: F, beside: impl FnOnce()) -> Result<T, Errno>
    where
        T: Send,
        F: FnOnce() -> T + Send,
    {
        self.drop_guard()?;
        self.paint();
        let mut work = Work {
            job: Some(job),
            result: Err(Errno(libc::ESRCH)),
        };
        let before = signal::set_mask(&SignalSet::all_but_synchronous())?;
        let created = create(entry::<T, F>, (&raw mut work).cast());
        signal::set_mask(&before)?;
        let thread = created?;
        // The thread borrows from our caller: nobody may unwind past it.
        let bomb = AbortOnUnwind;
        beside();
        core::mem::forget(bomb);
        // SAFETY: the thread was created joinable and is joined once. Only now
        // does `work` go out of scope, so the job may borrow from our caller.
        let answer = unsafe { libc::pthread_join(thread, core::ptr::null_mut()) };
        if answer != 0 {
            // The thread may still be running on what it borrows.
            std::process::abort();
        }
        work.result
    }
}

struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

impl Drop for StaticStack {
    fn drop(&mut self) {
        CLAIMED.store(false, Ordering::Release);
    }
}

struct Work<T, F> {
    job: Option<F>,
    result: Result<T, Errno>,
}

extern "C" fn entry<T, F: FnOnce() -> T>(work: *mut c_void) -> *mut c_void {
    // SAFETY: `run` passes its own `Work<T, F>` and waits for this thread to
    // end before it touches it again.
    let work = unsafe { &mut *work.cast::<Work<T, F>>() };
    let stack = libc::stack_t {
        ss_sp: SIGNALS.0.get().cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: static memory of the size given, used by this thread alone.
    match check(unsafe { libc::sigaltstack(&raw const stack, core::ptr::null_mut()) }) {
        Err(errno) => work.result = Err(errno),
        Ok(()) => {
            if let Some(job) = work.job.take() {
                work.result = Ok(job());
            }
        }
    }
    core::ptr::null_mut()
}

/// `pthread_create` of a joinable thread on the whole static area.
fn create(
    start: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> Result<libc::pthread_t, Errno> {
    let ok = |answer| match answer {
        0 => Ok(()),
        number => Err(Errno(number)),
    };
    // SAFETY: pthread_attr_t is plain bytes, set up by the next call.
    let mut attributes: libc::pthread_attr_t = unsafe { core::mem::zeroed() };
    let mut thread: libc::pthread_t = 0;
    // SAFETY: `attributes` is live and writable.
    ok(unsafe { libc::pthread_attr_init(&raw mut attributes) })?;
    // SAFETY: the area is static and used by one thread at a time; `argument`
    // is what `start` takes, and outlives the thread.
    let answer = unsafe {
        ok(libc::pthread_attr_setstack(
            &raw mut attributes,
            base().cast(),
            length(),
        ))
        .and_then(|()| {
            ok(libc::pthread_create(
                &raw mut thread,
                &raw const attributes,
                start,
                argument,
            ))
        })
    };
    // SAFETY: initialised above, destroyed once.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    answer.map(|()| thread)
}
