//! `linux/spi/spidev.h`: one message of several transfers.
//!
//! Mode, speed and word size are set through the `spidev` crate when a device is opened; only
//! the transfer runs in the loop.

use super::Errno;
use super::ioctl::{MAX_SIZE, Request, ioctl, iow};
use core::marker::PhantomData;
use core::mem::offset_of;
use std::os::fd::BorrowedFd;

/// `SPI_IOC_MAGIC`.
const MAGIC: u8 = b'k';

/// Most transfers of one message, by the size that a request number can encode.
pub const MAX_TRANSFERS: usize = MAX_SIZE / size_of::<Transfer<'_>>();

/// `SPI_IOC_MESSAGE(n)`. `n` is at most [`MAX_TRANSFERS`].
const fn message_request(n: usize) -> Request {
    iow(MAGIC, 0, n * size_of::<Transfer<'_>>())
}

/// `struct spi_ioc_transfer`: one transfer of a message. It borrows the buffers that it points
/// to.
///
/// Speed and word size are 0, which selects the settings of the device; `cs_change` is 0, which
/// keeps the chip selected until the message ends.
#[repr(C)]
#[derive(Debug)]
pub struct Transfer<'a> {
    tx_buf: u64,
    rx_buf: u64,
    len: u32,
    speed_hz: u32,
    delay_usecs: u16,
    bits_per_word: u8,
    cs_change: u8,
    tx_nbits: u8,
    rx_nbits: u8,
    word_delay_usecs: u8,
    pad: u8,
    buffers: PhantomData<&'a mut [u8]>,
}

const _: () = {
    assert!(size_of::<Transfer<'_>>() == 32);
    assert!(offset_of!(Transfer<'_>, rx_buf) == 8);
    assert!(offset_of!(Transfer<'_>, len) == 16);
    assert!(offset_of!(Transfer<'_>, speed_hz) == 20);
    assert!(offset_of!(Transfer<'_>, delay_usecs) == 24);
    assert!(offset_of!(Transfer<'_>, bits_per_word) == 26);
    assert!(offset_of!(Transfer<'_>, cs_change) == 27);
    assert!(offset_of!(Transfer<'_>, tx_nbits) == 28);
    assert!(offset_of!(Transfer<'_>, word_delay_usecs) == 30);
};

/// A transfer of 2^32 bytes or more.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The length in the kernel's type.
const fn length(bytes: usize) -> Result<u32, TooLong> {
    if bytes > u32::MAX as usize {
        return Err(TooLong);
    }
    Ok(bytes as u32)
}

impl<'a> Transfer<'a> {
    /// A transfer without clocks and pause.
    pub const EMPTY: Self = Self {
        tx_buf: 0,
        rx_buf: 0,
        len: 0,
        speed_hz: 0,
        delay_usecs: 0,
        bits_per_word: 0,
        cs_change: 0,
        tx_nbits: 0,
        rx_nbits: 0,
        word_delay_usecs: 0,
        pad: 0,
        buffers: PhantomData,
    };

    /// Sends `tx` and discards the received bytes.
    ///
    /// # Errors
    /// [`TooLong`] from 2^32 bytes on.
    pub fn write(tx: &'a [u8]) -> Result<Self, TooLong> {
        Ok(Self {
            tx_buf: tx.as_ptr().expose_provenance() as u64,
            len: length(tx.len())?,
            ..Self::EMPTY
        })
    }

    /// Receives into `rx` and sends zeros.
    ///
    /// # Errors
    /// [`TooLong`] from 2^32 bytes on.
    pub fn read(rx: &'a mut [u8]) -> Result<Self, TooLong> {
        Ok(Self {
            rx_buf: rx.as_mut_ptr().expose_provenance() as u64,
            len: length(rx.len())?,
            ..Self::EMPTY
        })
    }

    /// Sends `tx` and receives into `rx` at the same time; the shorter of both sets the length.
    ///
    /// # Errors
    /// [`TooLong`] from 2^32 bytes on.
    pub fn exchange(rx: &'a mut [u8], tx: &'a [u8]) -> Result<Self, TooLong> {
        Ok(Self {
            tx_buf: tx.as_ptr().expose_provenance() as u64,
            rx_buf: rx.as_mut_ptr().expose_provenance() as u64,
            len: length(tx.len().min(rx.len()))?,
            ..Self::EMPTY
        })
    }

    /// Sends `words` and receives into the same buffer. The kernel copies both directions
    /// through its own buffers (Documentation/spi/spidev), so they may share memory.
    ///
    /// # Errors
    /// [`TooLong`] from 2^32 bytes on.
    pub fn in_place(words: &'a mut [u8]) -> Result<Self, TooLong> {
        let at = words.as_mut_ptr().expose_provenance() as u64;
        Ok(Self {
            tx_buf: at,
            rx_buf: at,
            len: length(words.len())?,
            ..Self::EMPTY
        })
    }

    /// A pause of `us` microseconds without clocks; the chip stays selected.
    #[must_use]
    pub const fn pause(us: u16) -> Self {
        Self {
            delay_usecs: us,
            ..Self::EMPTY
        }
    }

    /// Length of this transfer in each direction, bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.len as usize
    }

    /// The pause after the last bit, us.
    #[must_use]
    pub const fn delay_us(&self) -> u16 {
        self.delay_usecs
    }

    /// Sets the pause after the last bit, us.
    pub const fn set_delay_us(&mut self, us: u16) {
        self.delay_usecs = us;
    }

    /// The bytes to send; `None` for a transfer that only receives. For a simulated controller.
    #[must_use]
    pub fn tx(&self) -> Option<&[u8]> {
        if self.tx_buf == 0 {
            return None;
        }
        let start = core::ptr::with_exposed_provenance(self.tx_buf as usize);
        // SAFETY: `tx_buf` is set only from a slice of at least `len` bytes that is borrowed
        // for 'a. While `self` is borrowed shared, the mutable view of `rx_mut` cannot exist.
        Some(unsafe { core::slice::from_raw_parts(start, self.bytes()) })
    }

    /// The buffer for the received bytes; `None` for a transfer that only sends. For a
    /// simulated controller.
    pub fn rx_mut(&mut self) -> Option<&mut [u8]> {
        if self.rx_buf == 0 {
            return None;
        }
        let start = core::ptr::with_exposed_provenance_mut(self.rx_buf as usize);
        // SAFETY: `rx_buf` is set only from a mutable slice of at least `len` bytes that is
        // borrowed for 'a. `self` is borrowed exclusively, so no other view of it exists.
        Some(unsafe { core::slice::from_raw_parts_mut(start, self.bytes()) })
    }

    /// The bytes of the structure, as passed to the kernel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        // SAFETY: `repr(C)` without padding (the sizes of the fields add up to 32), so every
        // byte is initialised; the borrow is that of `self`.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

/// ioctl(`SPI_IOC_MESSAGE(n)`): runs all `transfers` as one message, with the chip selected
/// throughout. Returns the number of bytes transferred, each counted once. Blocks for the bus.
/// (Documentation/spi/spidev, `spidev_message` in drivers/spi/spidev.c.)
///
/// # Errors
/// `EINVAL` for more than [`MAX_TRANSFERS`]; otherwise the kernel's: `EMSGSIZE` when one
/// direction exceeds spidev's `bufsiz`, `ESHUTDOWN` when the device is gone, `ETIMEDOUT` and
/// `EIO` from the controller's driver.
pub fn message(fd: BorrowedFd<'_>, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
    if transfers.len() > MAX_TRANSFERS {
        return Err(Errno(libc::EINVAL));
    }
    let request = message_request(transfers.len());
    // SAFETY: the request names exactly the size of the slice; every buffer in
    // it is borrowed for as long as the slice lives, mutably where the kernel
    // writes.
    unsafe { ioctl(fd, request, transfers.as_mut_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;

    #[test]
    fn request_numbers_are_those_of_the_kernel_header() {
        let numbers = [1, 3, 32].map(message_request);
        assert_eq!(numbers, [0x4020_6b00, 0x4060_6b00, 0x4400_6b00]);
    }

    #[test]
    fn a_message_of_more_transfers_than_a_request_number_encodes_is_refused() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let mut transfers = [const { Transfer::EMPTY }; MAX_TRANSFERS + 1];
        let refused = message(std::os::fd::AsFd::as_fd(&null), &mut transfers);
        assert_eq!(refused, Err(Errno(libc::EINVAL)));
    }

    #[test]
    fn a_file_that_is_no_spi_device_gives_enotty() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = message(
            std::os::fd::AsFd::as_fd(&null),
            &mut [Transfer::write(&[1, 2]).unwrap()],
        );
        let refused = refused.unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
    }

    #[test]
    fn an_in_place_transfer_uses_one_buffer_for_both_directions() {
        let mut words = [1, 2, 3];
        let mut transfer = Transfer::in_place(&mut words).unwrap();
        assert_eq!(transfer.tx(), Some(&[1, 2, 3][..]));
        transfer.rx_mut().unwrap()[1] = 9;
        assert_eq!(transfer.tx(), Some(&[1, 9, 3][..]));
        assert_eq!(words, [1, 9, 3]);
    }
}
