//! Registers of a device, mapped into this process: mmap(2) of `/dev/uioN`
//! (Documentation/driver-api/uio-howto) or of `/dev/mem` (mem(4)).
//!
//! The kernel maps such pages as `VM_IO | VM_PFNMAP`: present from the call on; not locked by
//! mlockall(2), and not counted in `VmLck`. Only the first write to a page takes a page fault, on
//! processors that do not mark a page as written by themselves (Arm before Armv8.1): write once at the start.

use core::ptr::with_exposed_provenance_mut;
use core::sync::atomic::{Ordering, fence};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::memory::page_size;
use super::{Errno, check};

/// A block of 32-bit registers. It stays mapped until the process ends, because a safe action
/// may use it at any time.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    address: usize,
    length: usize,
}

impl Registers {
    /// `mmap(NULL, .., PROT_READ | PROT_WRITE, MAP_SHARED, file, ..)` of the `length` bytes at
    /// `offset` of `file`, with the pages around them. The child of a fork does not get them.
    ///
    /// # Errors
    /// mmap(2); `EPERM` for a region of `/dev/mem` that a driver has claimed or that is memory
    /// (`CONFIG_IO_STRICT_DEVMEM`, `CONFIG_STRICT_DEVMEM`); `EINVAL` for an offset or a length
    /// that is not a multiple of 4, or a length of 0.
    pub fn map(file: BorrowedFd<'_>, offset: u64, length: usize) -> Result<Self, Errno> {
        let into_page = offset as usize & (page_size() - 1);
        if !offset.is_multiple_of(4) || !length.is_multiple_of(4) || length == 0 {
            return Err(Errno(libc::EINVAL));
        }
        let start = offset - into_page as u64;
        let start = libc::off64_t::try_from(start).map_err(|_| Errno(libc::EOVERFLOW))?;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no existing
        // memory.
        let mapped = unsafe {
            // Not mmap(2), whose offset has 32 bits on 32-bit ARM: registers may be above 2 GiB.
            libc::mmap64(
                core::ptr::null_mut(),
                into_page + length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                start,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: exactly the range that was mapped; a child of fork would be left without it.
        check(unsafe { libc::madvise(mapped, into_page + length, libc::MADV_DONTFORK) })?;
        Ok(Self {
            address: mapped.expose_provenance() + into_page,
            length,
        })
    }

    /// Its first `BYTES` bytes; `None` if the block is smaller. What is outside of it is known when
    /// an access with a constant offset is compiled.
    #[must_use]
    pub const fn window<const BYTES: usize>(self) -> Option<Window<BYTES>> {
        if BYTES > self.length {
            return None;
        }
        let address = self.address;
        Some(Window { address })
    }

    /// Reads the register at `offset`, bytes. Outside of the block all bits are set, as on a
    /// bus where no device answers.
    #[inline]
    #[must_use]
    pub fn read(self, offset: usize) -> u32 {
        match self.has(offset) {
            true => read(self.address + offset),
            false => u32::MAX,
        }
    }

    /// Writes the register at `offset`, bytes; no effect outside of the block. Writes arrive at
    /// the device in their order.
    #[inline]
    pub fn write(self, offset: usize, value: u32) {
        if self.has(offset) {
            write(self.address + offset, value);
        }
    }

    #[inline]
    const fn has(self, offset: usize) -> bool {
        offset.is_multiple_of(4) && offset < self.length
    }
}

/// The first `BYTES` bytes of [`Registers`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Window<const BYTES: usize> {
    address: usize,
}

impl<const BYTES: usize> Window<BYTES> {
    /// As [`Registers::read`].
    #[inline]
    #[must_use]
    pub fn read(self, offset: usize) -> u32 {
        match Self::has(offset) {
            true => read(self.address + offset),
            false => u32::MAX,
        }
    }

    /// As [`Registers::write`].
    #[inline]
    pub fn write(self, offset: usize, value: u32) {
        if Self::has(offset) {
            write(self.address + offset, value);
        }
    }

    #[inline]
    const fn has(offset: usize) -> bool {
        offset.is_multiple_of(4) && offset < BYTES
    }
}

/// Reads the register at `address`, which is in a block.
#[inline]
fn read(address: usize) -> u32 {
    let register = with_exposed_provenance_mut::<u32>(address);
    // SAFETY: `has` was true: a multiple of 4 from the start of a mapping and below its length. It is
    // never unmapped; no reference to its bytes is ever made.
    let value = unsafe { register.read_volatile() };
    // Memory accesses after it must not be done before it.
    fence(Ordering::Acquire);
    value
}

/// Writes the register at `address`, which is in a block.
#[inline]
fn write(address: usize, value: u32) {
    fence(Ordering::Release);
    // SAFETY: as in `read`; the pages are writable.
    unsafe { with_exposed_provenance_mut::<u32>(address).write_volatile(value) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    /// A file in memory stands in for the device.
    fn block(bytes: u64) -> File {
        let path = std::env::temp_dir().join(format!("steadfast-{}-regs", std::process::id()));
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(&path).unwrap();
        file.set_len(bytes).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    #[test]
    fn registers_are_those_at_the_offset_and_two_mappings_are_one_block() {
        let page = page_size() as u64;
        let file = block(2 * page);
        let one = Registers::map(file.as_fd(), page + 0x40, 0x20).unwrap();
        let whole = Registers::map(file.as_fd(), 0, 2 * page_size()).unwrap();
        one.write(0x1c, 0x1234_5678);
        assert_eq!(whole.read(page_size() + 0x5c), 0x1234_5678);
        whole.write(page_size() + 0x40, 7);
        assert_eq!(one.read(0), 7);
    }

    #[test]
    fn outside_of_the_block_nothing_is_written_and_all_bits_are_set() {
        let file = block(page_size() as u64);
        let registers = Registers::map(file.as_fd(), 0, 8).unwrap();
        for outside in [8, 2, usize::MAX] {
            registers.write(outside, 5);
            assert_eq!(registers.read(outside), u32::MAX);
        }
        assert_eq!((registers.read(0), registers.read(4)), (0, 0));
        assert_eq!(registers.window::<12>(), None);
        let window = registers.window::<4>().unwrap();
        for outside in [4, 2] {
            window.write(outside, 5);
            assert_eq!(window.read(outside), u32::MAX);
        }
        window.write(0, 7);
        assert_eq!(
            (registers.read(0), registers.read(4), window.read(0)),
            (7, 0, 7)
        );
    }

    #[test]
    fn a_block_that_is_none_is_refused() {
        let file = block(page_size() as u64);
        for (offset, length) in [(2, 8), (0, 6), (0, 0)] {
            let refused = Registers::map(file.as_fd(), offset, length);
            assert_eq!(refused, Err(Errno(libc::EINVAL)), "{offset} {length}");
        }
    }
}
