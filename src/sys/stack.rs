//! The stack of the real-time thread: static memory, a guard below it, and the thread that runs
//! on it (pthread_attr_setstack(3), mprotect(2), sigaltstack(2)).
//!
//! The C library gets the whole static area as the stack, including the guard: it places the
//! thread's descriptor and thread-local storage at the top and touches nothing below. So its
//! own minimum (128 KiB on arm64, `PTHREAD_STACK_MIN`) does not apply, and the usable size is
//! what the guard leaves.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::memory::{Range, page_size};
use super::signal::{self, SignalSet};
use super::{Errno, check};

/// Largest usable size, bytes: 1 MiB.
pub const MAX: usize = 1 << 20;

/// Smallest guard, bytes: one page of the largest size of arm64 kernels.
const GUARD_MIN: usize = 1 << 16;

/// Alignment of the static area: a page of 16 kB. With a larger alignment the linker would pad
/// the file of a static binary by as much.
const ALIGN: usize = 1 << 14;

/// Size of the static area. It is used in whole pages ([`base`], [`length`]); the last term
/// covers pages larger than [`ALIGN`].
const SIZE: usize = GUARD_MIN + MAX + (GUARD_MIN - ALIGN);

/// Size of the alternate signal stack, bytes. A signal frame needs up to about 16 KiB with the
/// widest vector registers (`AT_MINSIGSTKSZ`, getauxval(3)).
const SIGNAL_STACK: usize = 1 << 15;

/// The pattern of unused stack: not an address and not a small number.
const PAINT: u64 = 0x5AFE_57AC_5AFE_57AC;

#[repr(C, align(16384))]
struct Area(UnsafeCell<[u64; SIZE / 8]>);

const _: () = assert!(align_of::<Area>() == ALIGN);

// SAFETY: the bytes are accessed through raw pointers only: by the one claimant, by the thread
// that runs on them, and by volatile reads for the high-water mark.
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

/// Bytes from the beginning of the static area to its first whole page.
fn skipped() -> usize {
    let start = STACK.0.get().addr();
    start.next_multiple_of(page_size()) - start
}

/// The first whole page of the static area. Async-signal-safe, as sysconf(3) is.
fn base() -> *mut u8 {
    STACK.0.get().cast::<u8>().wrapping_add(skipped())
}

/// Length in whole pages from [`base`] to the end of the static area: room for the smallest
/// guard and the largest stack. Async-signal-safe.
fn length() -> usize {
    let rest = SIZE - skipped();
    rest - rest % page_size()
}

/// The usable part of the stack as last claimed, at the top of the area.
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

/// The usable size, if `address` is in the guard below it. Async-signal-safe.
pub(crate) fn guarded_size(address: usize) -> Option<usize> {
    let usable = USABLE.load(Ordering::Acquire);
    (usable != 0 && guard().contains(address)).then_some(usable)
}

/// The high-water mark, bytes: the most that was used since the stack was painted, including
/// the thread's descriptor and thread-local storage. Reads only resident pages of the stack,
/// without a system call; one read for each unused word.
pub fn high_water() -> usize {
    let usable = usable();
    let words = usable.length / 8;
    // SAFETY: the usable bytes are inside of the area.
    let start = unsafe { base().add(length() - usable.length).cast::<u64>() };
    let untouched = (0..words)
        .take_while(|&index| {
            // SAFETY: inside of the usable bytes, aligned, readable. The thread may write
            // meanwhile: the read is volatile, and its value is only compared.
            unsafe { start.add(index).read_volatile() == PAINT }
        })
        .count();
    (words - untouched) * 8
}

/// The claimed stack, of which a process has one. Dropping it releases the stack.
#[derive(Debug)]
pub struct StaticStack(());

impl StaticStack {
    /// Claims the stack with `size` usable bytes. Makes everything below inaccessible, and
    /// paints the usable part, which makes it resident.
    ///
    /// # Errors
    /// `EINVAL` when `size` is 0, above [`MAX`] or not a multiple of the page size; `EBUSY`
    /// when the stack is claimed; those of mprotect(2).
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
        // SAFETY: these are whole pages of our own static area, which only the one claimant
        // uses, and no thread runs on it.
        check(unsafe { libc::mprotect(base().cast(), length, access) })
    }

    /// Unlocks the guard and returns its pages to the kernel, so that it counts neither as
    /// locked nor as resident (munlock(2), madvise(2) `MADV_DONTNEED`).
    ///
    /// # Errors
    /// Those of the two calls; none is expected.
    pub fn drop_guard(&mut self) -> Result<(), Errno> {
        let guard = guard();
        super::memory::unlock(guard)?;
        // SAFETY: the guard is inaccessible, so no code relies on its contents.
        check(unsafe { libc::madvise(base().cast(), guard.length, libc::MADV_DONTNEED) })
    }

    fn paint(&mut self) {
        let usable = usable();
        // SAFETY: the usable bytes are inside of the area.
        let start = unsafe { base().add(length() - usable.length).cast::<u64>() };
        for index in 0..usable.length / 8 {
            // SAFETY: inside of the usable bytes, aligned, writable; no thread runs here,
            // because `run` borrows the claim exclusively.
            unsafe { start.add(index).write_volatile(PAINT) };
        }
    }

    /// Paints the stack, runs `job` on a new thread on it and `beside` on the calling thread,
    /// and waits for both to end. The thread blocks all but the synchronous signals
    /// ([`SignalSet::all_but_synchronous`]), and its handlers run on a static signal stack. A
    /// panic in `job` or `beside` aborts the process.
    ///
    /// # Errors
    /// pthread_create(3): `EAGAIN` when no more threads are allowed; `ENOMEM` from
    /// sigaltstack(2) when the signal frames of this machine are larger than 32 KiB; `job` does
    /// not run then.
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
        // The thread borrows from our caller, so unwinding past this point must abort.
        let bomb = AbortOnUnwind;
        beside();
        core::mem::forget(bomb);
        // SAFETY: the thread was created joinable and is joined once. `work` goes out of scope
        // only after that, so the job may borrow from our caller.
        let answer = unsafe { libc::pthread_join(thread, core::ptr::null_mut()) };
        if answer != 0 {
            // The thread may still run with what it borrows.
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
    // SAFETY: `run` passes its own `Work<T, F>` and waits for this thread to end before it
    // accesses it again.
    let work = unsafe { &mut *work.cast::<Work<T, F>>() };
    let stack = libc::stack_t {
        ss_sp: SIGNALS.0.get().cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: static memory of this size, used by this thread alone.
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

/// Creates a joinable thread on the whole static area (pthread_create(3)).
fn create(
    start: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> Result<libc::pthread_t, Errno> {
    let ok = |answer| match answer {
        0 => Ok(()),
        number => Err(Errno(number)),
    };
    // SAFETY: pthread_attr_t consists of plain bytes, which the next call initialises.
    let mut attributes: libc::pthread_attr_t = unsafe { core::mem::zeroed() };
    let mut thread: libc::pthread_t = 0;
    // SAFETY: `attributes` is live and writable.
    ok(unsafe { libc::pthread_attr_init(&raw mut attributes) })?;
    // SAFETY: the area is static and used by one thread at a time; `argument` is what `start`
    // expects, and outlives the thread.
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
