//! Memory locking and mapping: mlock(2), mlockall(2), mmap(2), mprotect(2),
//! mallopt(3).

use super::{Errno, check};

/// The pages that [`lock_all`] locks (mlockall(2)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum LockFlags {
    /// `MCL_CURRENT`: every page mapped now, resident before the call returns.
    Current,
    /// `MCL_FUTURE`: every page mapped from now on, resident when mapped.
    Future,
    /// Both.
    CurrentAndFuture,
}

impl LockFlags {
    const fn bits(self) -> libc::c_int {
        match self {
            Self::Current => libc::MCL_CURRENT,
            Self::Future => libc::MCL_FUTURE,
            Self::CurrentAndFuture => libc::MCL_CURRENT | libc::MCL_FUTURE,
        }
    }

    /// Whether pages that are already mapped get locked.
    #[must_use]
    pub const fn includes_current(self) -> bool {
        matches!(self, Self::Current | Self::CurrentAndFuture)
    }
}

/// A range of addresses, for locking and unlocking. It gives no access to the memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// Address of the first byte.
    pub address: usize,
    /// Number of bytes.
    pub length: usize,
}

impl Range {
    /// The bytes of `value`.
    #[must_use]
    pub fn of<T: ?Sized>(value: &T) -> Self {
        Self {
            address: core::ptr::from_ref(value).cast::<u8>().addr(),
            length: size_of_val(value),
        }
    }

    /// Whether `address` is one of these bytes.
    #[must_use]
    pub const fn contains(self, address: usize) -> bool {
        address >= self.address && address - self.address < self.length
    }
}

/// `sysconf(_SC_PAGESIZE)`: size of a page, bytes: 4,096 on the supported boards, 16,384 or
/// 65,536 on some arm64 kernels.
#[must_use]
pub fn page_size() -> usize {
    // SAFETY: sysconf takes no pointer.
    let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(answer).unwrap_or(4096)
}

/// `mlockall(flags)`.
///
/// # Errors
/// mlockall(2): `ENOMEM` when more than `RLIMIT_MEMLOCK` would be locked, `EPERM` when that
/// limit is 0, both only without `CAP_IPC_LOCK`; `EAGAIN` when memory is short.
pub fn lock_all(flags: LockFlags) -> Result<(), Errno> {
    // SAFETY: takes no pointer, and locking changes no byte.
    check(unsafe { libc::mlockall(flags.bits()) })
}

/// `munlockall()`: removes every lock and cancels `MCL_FUTURE`. Needs no privilege since Linux
/// 2.6.9.
///
/// # Errors
/// munlockall(2) names none for an unprivileged caller since Linux 2.6.9.
pub fn unlock_all() -> Result<(), Errno> {
    // SAFETY: takes no pointer, and unlocking changes no byte.
    check(unsafe { libc::munlockall() })
}

/// `mlock(range)`: locks whole pages, which are resident before the call returns.
///
/// # Errors
/// mlock(2): `ENOMEM` over `RLIMIT_MEMLOCK`, or when part of the range is not mapped; `EPERM`
/// when the limit is 0; `EAGAIN` when part of the range could not be made resident.
pub fn lock(range: Range) -> Result<(), Errno> {
    // SAFETY: the kernel accesses no memory through the address, and returns ENOMEM if it is
    // not mapped.
    check(unsafe { libc::mlock(core::ptr::without_provenance(range.address), range.length) })
}

/// `munlock(range)`: unlocks whole pages.
///
/// # Errors
/// mlock(2): `ENOMEM` when part of the range is not mapped.
pub fn unlock(range: Range) -> Result<(), Errno> {
    // SAFETY: as for `lock`.
    check(unsafe { libc::munlock(core::ptr::without_provenance(range.address), range.length) })
}

/// Which processes see what is written to a [`Mapping`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// `MAP_PRIVATE`: none other; a child of fork gets its own copy.
    Private,
    /// `MAP_SHARED`: every child that is forked after the mapping was made.
    Shared,
}

/// Anonymous memory (mmap(2)), unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    range: Range,
}

impl Mapping {
    /// `mmap(NULL, length, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS)`.
    ///
    /// # Errors
    /// mmap(2): `EAGAIN` when `MCL_FUTURE` is set and the new pages would exceed
    /// `RLIMIT_MEMLOCK`, `ENOMEM` when there is no room, `EINVAL` for a length of 0.
    pub fn anonymous(length: usize, sharing: Sharing) -> Result<Self, Errno> {
        let flags = libc::MAP_ANONYMOUS
            | match sharing {
                Sharing::Private => libc::MAP_PRIVATE,
                Sharing::Shared => libc::MAP_SHARED,
            };
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no existing
        // memory.
        let start = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Self {
            range: Range {
                address: start.expose_provenance(),
                length,
            },
        })
    }

    /// Its address range.
    #[must_use]
    pub const fn range(&self) -> Range {
        self.range
    }

    /// Writes one byte of every page, which makes all pages resident.
    pub fn touch(&mut self) {
        let page = page_size();
        for offset in (0..self.range.length).step_by(page) {
            let byte = core::ptr::with_exposed_provenance_mut::<u8>(self.range.address + offset);
            // SAFETY: the offset is below the length of the mapping, which is
            // writable and lives until `self` is dropped; no reference to its
            // bytes is ever made.
            unsafe { byte.write_volatile(1) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let start = core::ptr::with_exposed_provenance_mut(self.range.address);
        // SAFETY: this is exactly the range that mmap returned, it is unmapped once, and no
        // reference to its bytes is ever made.
        let _ = unsafe { libc::munmap(start, self.range.length) };
    }
}

/// Options of glibc's allocator (mallopt(3)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum MallocOption {
    /// `M_TRIM_THRESHOLD`: free bytes at the top of the heap from which they are returned to
    /// the kernel; -1 for never.
    TrimThreshold,
    /// `M_TOP_PAD`: bytes by which the heap grows in addition to what is needed.
    TopPad,
    /// `M_MMAP_MAX`: most allocations that get a mapping of their own.
    MmapMax,
    /// `M_ARENA_MAX`: most heaps that threads use.
    ArenaMax,
}

/// `malloc_trim(0)`: returns the unused end of the heap to the kernel.
pub fn trim_heap() {
    // SAFETY: takes no pointer. The result, whether memory was returned, is not needed.
    unsafe { libc::malloc_trim(0) };
}

/// `mallopt(option, value)`: returns whether the allocator accepted it.
#[must_use]
pub fn set_malloc_option(option: MallocOption, value: i32) -> bool {
    let number = match option {
        MallocOption::TrimThreshold => libc::M_TRIM_THRESHOLD,
        MallocOption::TopPad => libc::M_TOP_PAD,
        MallocOption::MmapMax => libc::M_MMAP_MAX,
        MallocOption::ArenaMax => libc::M_ARENA_MAX,
    };
    // SAFETY: takes no pointer; glibc checks both numbers.
    unsafe { libc::mallopt(number, value) == 1 }
}
