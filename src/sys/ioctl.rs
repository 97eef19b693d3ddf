//! ioctl(2) and its request numbers.
//!
//! A request number consists of a direction, the size of the argument, a letter and a number,
//! packed as in `include/uapi/asm-generic/ioctl.h`. Arm, arm64, riscv and x86 use this generic
//! packing.

use super::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

#[cfg(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc64"
))]
compile_error!("this architecture packs ioctl request numbers differently");

/// A request number as defined by the kernel's headers: 32 bits.
pub(crate) type Request = u32;

/// `_IOC_NRSHIFT`, `_IOC_TYPESHIFT`, `_IOC_SIZESHIFT`, `_IOC_DIRSHIFT`.
const TYPE_SHIFT: u32 = 8;
const SIZE_SHIFT: u32 = 16;
const DIRECTION_SHIFT: u32 = 30;
/// `_IOC_SIZEBITS` is 14: the largest argument that a number can encode.
pub(crate) const MAX_SIZE: usize = (1 << 14) - 1;

/// `_IOC_WRITE`: user space writes, the kernel reads.
const WRITE: u32 = 1;
/// `_IOC_READ`: the kernel writes, user space reads.
const READ: u32 = 2;

/// `_IOC(direction, letter, number, size)`.
const fn ioc(direction: u32, letter: u8, number: u8, size: usize) -> Request {
    assert!(size <= MAX_SIZE);
    (direction << DIRECTION_SHIFT)
        | ((size as u32) << SIZE_SHIFT)
        | ((letter as u32) << TYPE_SHIFT)
        | number as u32
}

/// `_IOW(letter, number, T)` with the size in bytes.
pub(crate) const fn iow(letter: u8, number: u8, size: usize) -> Request {
    ioc(WRITE, letter, number, size)
}

/// `_IOR(letter, number, T)`.
pub(crate) const fn ior<T>(letter: u8, number: u8) -> Request {
    ioc(READ, letter, number, size_of::<T>())
}

/// `_IOWR(letter, number, T)`.
pub(crate) const fn iowr<T>(letter: u8, number: u8) -> Request {
    ioc(READ | WRITE, letter, number, size_of::<T>())
}

/// ioctl(2) with a pointer argument. Returns the kernel's result, which is not negative.
///
/// # Safety
/// `argument` must be valid for all that `request` makes the kernel read and write through it,
/// including pointers inside of it.
///
/// # Errors
/// The kernel's errno.
pub(crate) unsafe fn ioctl<T>(
    fd: BorrowedFd<'_>,
    request: Request,
    argument: *mut T,
) -> Result<usize, Errno> {
    // SAFETY: the descriptor is open as long as it is borrowed; the caller promises that the
    // argument is valid.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request as libc::Ioctl, argument) };
    usize::try_from(answer).map_err(|_| Errno::last())
}
