//! statx(2) of an open file: what fstat(2) reports, in 64 bits on every target. On 32-bit ARM the
//! C library's fstat(2) fails with `EOVERFLOW` for a file of more than 2 GiB, and for one that was
//! changed after January 2038.

use std::os::fd::RawFd;

use super::{Errno, check};

/// What the callers need of a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// `S_IFMT` of the mode: socket, device, regular file.
    pub(super) kind: u32,
    /// Its length, bytes.
    pub(super) size: u64,
    /// Device and inode, which no other file has.
    pub(super) identity: (u32, u32, u64),
}

/// `statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS)`. Allocates nothing; async-signal-safe.
///
/// # Errors
/// Those of statx(2): `EBADF` for a closed descriptor.
pub(super) fn of(fd: RawFd) -> Result<Stat, Errno> {
    // SAFETY: statx consists of numbers, for which all zeros is a valid value.
    let mut found: libc::statx = unsafe { core::mem::zeroed() };
    // A direct call, because C libraries before 2.28 have no function for it.
    // SAFETY: the path is a live string that ends in a zero, and `found` is live and writable.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_BASIC_STATS,
            &raw mut found,
        )
    };
    check(answer as libc::c_int)?;
    Ok(Stat {
        kind: u32::from(found.stx_mode) & libc::S_IFMT,
        size: found.stx_size,
        identity: (found.stx_dev_major, found.stx_dev_minor, found.stx_ino),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_large_file_of_the_year_2100_is_described() {
        let path = std::env::temp_dir().join(format!("steadfast-stat-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // Without contents: it takes no space.
        file.set_len(5 << 30).unwrap();
        let seconds = Duration::from_secs(4_102_444_800);
        file.set_modified(UNIX_EPOCH + seconds).unwrap();
        let found = of(file.as_raw_fd()).unwrap();
        assert_eq!((found.kind, found.size), (libc::S_IFREG, 5 << 30));
        assert_eq!(of(-1), Err(Errno(libc::EBADF)));
    }
}
