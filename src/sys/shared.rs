//! Memory that outlives the process: files in memory, mapped shared (mmap(2), memfd_create(2)),
//! and the lock that gives a file to one process (fcntl(2)).
//!
//! The kernel may write back a page of a disk file at any time, and a write to the page then
//! waits for the disk. Pages of tmpfs are never written back. So only files for which
//! [`lives_in_memory`] is true are mapped.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU8, AtomicU64};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::memory::Range;
use super::{Errno, check, stat};

/// Types that may be accessed in memory that other processes write.
///
/// # Safety
/// The type must consist of atomics only, without padding; every pattern of bytes must be a
/// valid value, and its alignment must be at most 8 bytes.
pub unsafe trait Shareable {}

// SAFETY: atomics only, for which every pattern of bytes is a valid value.
unsafe impl<const N: usize> Shareable for [AtomicU8; N] {}
// SAFETY: as above.
unsafe impl<const N: usize> Shareable for [AtomicU64; N] {}
// SAFETY: as above.
unsafe impl Shareable for super::cause::Cell {}
// SAFETY: as above.
unsafe impl<const N: usize, const W: usize> Shareable for [[AtomicU64; W]; N] {}

/// The beginning of a file in memory, shared with all processes that map or read it.
#[derive(Debug)]
pub struct SharedMapping {
    range: Range,
}

impl SharedMapping {
    /// `mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)`. The file must not be
    /// shortened while this lives: accesses would then raise `SIGBUS`.
    ///
    /// # Errors
    /// `EINVAL` for a file that is not in memory or is shorter than `length`; those of mmap(2):
    /// `EACCES` for a file that is not open for writing, `ENOMEM`, and `EAGAIN` when
    /// `MCL_FUTURE` is set and the new pages would exceed `RLIMIT_MEMLOCK`.
    pub fn of(file: BorrowedFd<'_>, length: usize) -> Result<Self, Errno> {
        let long_enough = stat::of(file.as_raw_fd()).is_ok_and(|stat| stat.size >= length as u64);
        if !long_enough || !lives_in_memory(file)? {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no existing
        // memory.
        let start = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let mapping = Self {
            range: Range {
                address: start.expose_provenance(),
                length,
            },
        };
        mapping.write_to_every_page();
        Ok(mapping)
    }

    /// Locking a shared mapping makes its pages resident. On processors without hardware
    /// management of the dirty bit (Cortex-A53 and A72) the first write to each page is one
    /// more fault, which must happen here and not in the loop. Pages of a file in memory are
    /// never written back, so they stay dirty.
    fn write_to_every_page(&self) {
        for offset in (0..self.range.length).step_by(super::memory::page_size()) {
            let at = core::ptr::with_exposed_provenance_mut::<u8>(self.range.address + offset);
            // SAFETY: inside of the mapping. There is no view of it yet, and another process
            // reads the same value as before.
            unsafe { at.write_volatile(at.read_volatile()) };
        }
    }

    /// Keeps the mapping for ever, for signal handlers that access it.
    #[must_use]
    pub fn keep(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// Its address range.
    #[must_use]
    pub const fn range(&self) -> Range {
        self.range
    }

    /// The object at `offset` bytes from the beginning.
    ///
    /// # Panics
    /// If the object is not inside of the mapping, or `offset` is not a multiple of 8. Offsets
    /// are constants, so one test of each call is enough.
    #[must_use]
    pub fn view<T: Shareable>(&self, offset: usize) -> &T {
        let end = offset.checked_add(size_of::<T>());
        assert!(
            end.is_some_and(|end| end <= self.range.length) && offset.is_multiple_of(8),
            "a view beyond its mapping"
        );
        let place = core::ptr::with_exposed_provenance::<T>(self.range.address + offset);
        // SAFETY: the bytes are inside of the mapping, which lives as long as the borrow of
        // `self`. They are aligned, because a mapping begins with a page. A `Shareable` has
        // interior mutability and no invalid value.
        unsafe { &*place }
    }
}

impl SharedMapping {
    /// The first `count` words.
    ///
    /// # Panics
    /// If the mapping is shorter.
    #[must_use]
    pub fn words(&self, count: usize) -> &[AtomicU64] {
        let bytes = count.checked_mul(size_of::<AtomicU64>());
        assert!(
            bytes.is_some_and(|bytes| bytes <= self.range.length),
            "words beyond their mapping"
        );
        let first = core::ptr::with_exposed_provenance::<AtomicU64>(self.range.address);
        // SAFETY: the bytes are inside of the mapping, which lives as long as the borrow of
        // `self`, and are aligned, because a mapping begins with a page. Atomics have interior
        // mutability, and every pattern of bytes is a valid value.
        unsafe { core::slice::from_raw_parts(first, count) }
    }
}

impl Drop for SharedMapping {
    fn drop(&mut self) {
        let start = core::ptr::with_exposed_provenance_mut(self.range.address);
        // SAFETY: this is exactly the range that mmap returned, it is unmapped once, and every
        // view of it has borrowed `self`.
        let _ = unsafe { libc::munmap(start, self.range.length) };
    }
}

/// `memfd_create(name, MFD_CLOEXEC)`: a file in memory without a name in a folder.
///
/// # Errors
/// Those of memfd_create(2): `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn memory_file(name: &CStr) -> Result<OwnedFd, Errno> {
    new_memory_file(name, libc::MFD_CLOEXEC)
}

/// As [`memory_file`] with `MFD_ALLOW_SEALING`, for [`seal`].
///
/// # Errors
/// As [`memory_file`].
pub fn sealable_memory_file(name: &CStr) -> Result<OwnedFd, Errno> {
    new_memory_file(name, libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
}

/// `fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)`:
/// from now on the file keeps its length and its pages, and can be written only through a mapping
/// that exists. A process that gets the descriptor can only read.
///
/// # Errors
/// fcntl(2): `EINVAL` on a kernel older than 5.1, `EPERM` for a file that cannot be sealed.
pub fn seal(file: BorrowedFd<'_>) -> Result<(), Errno> {
    /// linux/fcntl.h; not in the libc crate for every target.
    const F_SEAL_FUTURE_WRITE: libc::c_int = 0x10;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | F_SEAL_FUTURE_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: takes no pointer.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })
}

fn new_memory_file(name: &CStr, flags: libc::c_uint) -> Result<OwnedFd, Errno> {
    // A direct call, because C libraries before 2.27, as in cross's own image, have no function
    // for it.
    // SAFETY: the name is a live string that ends in a zero.
    let answer = unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) };
    if answer < 0 {
        return Err(Errno::last());
    }
    let fd = answer as libc::c_int;
    // SAFETY: the descriptor is new, so it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `RAMFS_MAGIC` (linux/magic.h); the libc crate does not have it.
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// `fstatfs(file)`: whether the file is on ramfs or on tmpfs (as memory files are), whose pages
/// are never written to a disk.
///
/// # Errors
/// Those of fstatfs(2).
pub fn lives_in_memory(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: statfs consists of numbers, for which all zeros is a valid value.
    let mut stat: libc::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: `stat` is live and writable.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) })?;
    // The width of this field depends on the architecture.
    let kind = stat.f_type as u64 & 0xffff_ffff;
    Ok(kind == libc::TMPFS_MAGIC as u64 || kind == RAMFS_MAGIC)
}

/// `fallocate(file, 0, 0, length)`: makes the file at least this long and allocates its memory,
/// so that no later access to it can run out of memory.
///
/// # Errors
/// Those of fallocate(2): `ENOSPC` when the file system is full, `EOPNOTSUPP` when it does not
/// support the call.
pub fn allocate(file: BorrowedFd<'_>, length: u64) -> Result<(), Errno> {
    let length = libc::off_t::try_from(length).map_err(|_| Errno(libc::EOVERFLOW))?;
    // SAFETY: takes no pointer.
    check(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) })
}

/// fcntl(2) with offsets of 64 bits, which locks of an open file description always have. A direct
/// call, because C libraries before 2.28 pass the structure on as it is and later ones convert it.
#[cfg(target_pointer_width = "64")]
const FCNTL: libc::c_long = libc::SYS_fcntl;
#[cfg(target_pointer_width = "32")]
const FCNTL: libc::c_long = libc::SYS_fcntl64;

/// A lock on the whole file, as [`FCNTL`] takes it.
fn whole(kind: libc::c_int) -> libc::flock64 {
    // SAFETY: flock64 consists of numbers, for which all zeros is a valid value.
    let mut lock: libc::flock64 = unsafe { core::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// `fcntl(file, F_OFD_SETLK, F_WRLCK)`: locks the file for this open file description, until it
/// is closed or the process ends in any way. Returns `false` when another one has locked it.
///
/// # Errors
/// Those of fcntl(2): `ENOLCK`.
pub fn claim(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    let lock = whole(libc::F_WRLCK);
    // SAFETY: the structure is live.
    let answer =
        unsafe { libc::syscall(FCNTL, file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    match check(answer as libc::c_int) {
        Ok(()) => Ok(true),
        Err(Errno(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// `fcntl(file, F_OFD_GETLK)`: whether another open file description has [`claim`]ed the file.
/// Changes no lock.
///
/// # Errors
/// Those of fcntl(2).
pub fn is_claimed(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut lock = whole(libc::F_RDLCK);
    // SAFETY: the structure is live and writable.
    let answer =
        unsafe { libc::syscall(FCNTL, file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    check(answer as libc::c_int)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::Relaxed;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn data_written_to_a_mapping_is_in_the_file() {
        let file = File::from(memory_file(c"test").unwrap());
        allocate(file.as_fd(), 8192).unwrap();
        let mapping = SharedMapping::of(file.as_fd(), 8192).unwrap();
        mapping.view::<[AtomicU64; 2]>(4096)[1].store(0x0102, Relaxed);
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, 4096).unwrap();
        assert_eq!(bytes[8..], 0x0102_u64.to_ne_bytes());
        file.write_all_at(&[7], 5).unwrap();
        assert_eq!(mapping.view::<[AtomicU8; 8]>(0)[5].load(Relaxed), 7);
    }

    #[test]
    fn short_files_and_files_on_disk_are_not_mapped() {
        let short = File::from(memory_file(c"test").unwrap());
        allocate(short.as_fd(), 100).unwrap();
        let refused = SharedMapping::of(short.as_fd(), 4096).unwrap_err();
        assert_eq!(refused, Errno(libc::EINVAL));
        let proc = File::open("/proc/self/status").unwrap();
        assert_eq!(lives_in_memory(proc.as_fd()), Ok(false));
        assert!(SharedMapping::of(proc.as_fd(), 0).is_err());
    }

    #[test]
    #[cfg_attr(panic = "abort", ignore = "unwinds, and this build aborts instead")]
    #[should_panic(expected = "beyond its mapping")]
    fn a_view_ends_at_the_end_of_the_mapping() {
        let file = File::from(memory_file(c"test").unwrap());
        allocate(file.as_fd(), 4096).unwrap();
        let mapping = SharedMapping::of(file.as_fd(), 4096).unwrap();
        let _ = mapping.view::<[AtomicU64; 2]>(4088);
    }

    #[test]
    fn a_claim_excludes_other_openings_until_it_is_closed() {
        let first = File::from(memory_file(c"test").unwrap());
        let path = format!("/proc/self/fd/{}", first.as_raw_fd());
        let second = File::options().read(true).write(true).open(path).unwrap();
        assert_eq!(is_claimed(second.as_fd()), Ok(false));
        assert_eq!(claim(first.as_fd()), Ok(true));
        assert_eq!(claim(second.as_fd()), Ok(false));
        assert_eq!(is_claimed(second.as_fd()), Ok(true));
        drop(first);
        assert_eq!(claim(second.as_fd()), Ok(true));
    }
}
