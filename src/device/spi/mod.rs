//! SPI without allocation: `embedded_hal::spi::SpiDevice` over one ioctl.
//!
//! Why: `linux_embedded_hal::SpidevDevice` allocates on every transaction,
//! calls every error `Other`, and caps a pause at 65,535 us without a word. It
//! is good for opening and configuring a device, and does that here.
//!
//! Promises: a transaction is one `SPI_IOC_MESSAGE(n)`, so the chip stays
//! selected throughout and no other process comes between; no allocation; a
//! pause is never shorter than asked; what cannot be done is an error before
//! anything is clocked out; a transfer that came back short is an error.
//!
//! Costs: 1 kB of stack for the array of transfers, and one system call. In it
//! the kernel allocates and copies (`spidev_message` in drivers/spi/spidev.c),
//! which our sealed allocator cannot see, then sleeps until the controller's
//! interrupt thread has run: see [`irq`].

mod config;
mod error;
mod frame;
pub mod irq;
mod limits;

pub use crate::sys::spi::Transfer;
pub use config::{
    DEFAULT_BUFFER_BYTES, OpenError, Setting, SpiConfig, buffer_bytes, check_readback,
};
pub use error::SpiError;
pub use limits::{MAX_OPERATIONS, MAX_TRANSFERS};

use crate::sys::{self, Errno};
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use frame::Frame;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The one call the loop makes on an SPI device.
pub trait Message {
    /// Runs `transfers` as one message, the chip selected throughout. Returns
    /// the bytes clocked, each counted once whichever way it went.
    ///
    /// # Errors
    /// As `SPI_IOC_MESSAGE` gives them.
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno>;
}

/// [`Message`] by the kernel's spidev driver.
#[derive(Debug)]
pub struct Kernel(OwnedFd);

impl Message for Kernel {
    #[inline]
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        sys::spi::message(self.0.as_fd(), transfers)
    }
}

impl From<OwnedFd> for Kernel {
    /// Takes over an open spidev device. Whether it is one, and how it is
    /// configured, is not looked at: [`Spidev::open`] does that.
    fn from(device: OwnedFd) -> Self {
        Self(device)
    }
}

impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Kernel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// One chip on an SPI bus.
#[derive(Debug)]
pub struct Spidev<M = Kernel> {
    calls: M,
    buffer_bytes: usize,
}

impl<M: Message> Spidev<M> {
    /// A device whose messages go to `calls`, behind which each direction of
    /// one message may take `buffer_bytes`.
    pub const fn with(calls: M, buffer_bytes: usize) -> Self {
        Self {
            calls,
            buffer_bytes,
        }
    }

    /// Whether a message of transfers with these lengths, in bytes, will fit
    /// into spidev's buffer. For start-up, so that a driver that asks for too
    /// much is found before the loop runs.
    ///
    /// The kernel starts each transfer at a multiple of `ARCH_DMA_MINALIGN`,
    /// so many short ones take more than the sum of their lengths.
    ///
    /// # Errors
    /// [`SpiError::MessageTooLong`] when it will not.
    pub fn fits(&self, lengths: &[usize]) -> Result<(), SpiError> {
        let needed = lengths.iter().fold(0_usize, |sum, bytes| {
            let laid = bytes.checked_next_multiple_of(limits::DMA_ALIGN);
            sum.saturating_add(laid.unwrap_or(usize::MAX))
        });
        if needed > self.buffer_bytes {
            return Err(SpiError::MessageTooLong {
                bytes: lengths.iter().fold(0, |sum, n| sum.saturating_add(*n)),
            });
        }
        Ok(())
    }

    /// What each direction of one message may take, in bytes.
    pub const fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// What makes the calls.
    pub const fn calls(&self) -> &M {
        &self.calls
    }

    /// What makes the calls.
    pub const fn calls_mut(&mut self) -> &mut M {
        &mut self.calls
    }
}

impl<M> ErrorType for Spidev<M> {
    type Error = SpiError;
}

impl<M: Message> SpiDevice<u8> for Spidev<M> {
    /// One message of all `operations`.
    ///
    /// Operations without bytes and without a pause are left out; if nothing
    /// is left, no call is made, and the chip is not selected.
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        let mut frame = Frame::new();
        frame.fill(operations)?;
        let expected = frame.bytes();
        let transfers = frame.transfers();
        if transfers.is_empty() {
            return Ok(());
        }
        let got = self
            .calls
            .message(transfers)
            .map_err(|errno| SpiError::from_errno(errno, expected))?;
        if got != expected {
            return Err(SpiError::Short { expected, got });
        }
        Ok(())
    }
}
