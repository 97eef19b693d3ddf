//! SPI without allocation: `embedded_hal::spi::SpiDevice` over one ioctl.
//!
//! `linux_embedded_hal::SpidevDevice` opens and configures the device; its transactions are
//! not used, because they allocate, report every error as `Other` and truncate a pause to
//! 65,535 us. Here a transaction is one `SPI_IOC_MESSAGE(n)`: the chip stays selected and no
//! other process comes between. A pause is at least as long as requested. A transaction that
//! exceeds a limit is refused before anything is clocked out; a short transfer is an error.
//!
//! A chip is reached through spidev, or by the registers of its controller ([`registers`]):
//! [`Access`] is one type for both, so that a driver is compiled once.
//!
//! Costs through spidev: 1 kB of stack and one system call, in which the kernel allocates and copies
//! (`spidev_message` in drivers/spi/spidev.c) and sleeps until the interrupt thread ran ([`irq`]).

mod config;
mod error;
mod frame;
pub mod irq;
mod limits;
pub mod registers;

pub use super::node::Kernel;
pub use crate::sys::spi::Transfer;
pub use config::{
    DEFAULT_BUFFER_BYTES, OpenError, Setting, SpiConfig, buffer_bytes, check_readback,
};
pub use error::SpiError;
pub use limits::{MAX_OPERATIONS, MAX_TRANSFERS};

use crate::sys::emergency::{self, Slot};
use crate::sys::{self, Errno};
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use frame::Frame;
use registers::{Block, Chip};
use std::os::fd::AsFd;

/// The only system call of the loop on an SPI device.
pub trait Message {
    /// Sends `transfers` as one message; the chip stays selected. Returns the number of
    /// bytes clocked; a byte that is sent and received counts once.
    ///
    /// # Errors
    /// Those of `SPI_IOC_MESSAGE`.
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno>;
}

impl Message for Kernel {
    #[inline]
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        sys::spi::message(self.as_fd(), transfers)
    }
}

/// How a chip is reached.
#[derive(Debug)]
pub enum Access {
    /// Through spidev.
    Kernel(Kernel),
    /// By the registers of its controller.
    Registers(&'static Chip),
}

impl From<Kernel> for Access {
    fn from(kernel: Kernel) -> Self {
        Self::Kernel(kernel)
    }
}

impl<B: Block> Message for &'static Chip<B> {
    #[inline]
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        Chip::message(self, transfers)
    }
}

impl Message for Access {
    #[inline]
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        match self {
            Self::Kernel(kernel) => kernel.message(transfers),
            Self::Registers(chip) => chip.message(transfers),
        }
    }
}

/// One chip on an SPI bus.
#[derive(Debug)]
pub struct Spidev<M = Access> {
    calls: M,
    buffer_bytes: usize,
    /// What the length of a transfer is rounded up to in the buffer, bytes.
    align: usize,
}

impl<M: Message> Spidev<M> {
    /// A device that sends its messages through `calls`; each direction of a message has
    /// at most `buffer_bytes`.
    pub const fn with(calls: M, buffer_bytes: usize) -> Self {
        Self {
            calls,
            buffer_bytes,
            align: limits::DMA_ALIGN,
        }
    }

    /// Checks that a message of transfers with these lengths, in bytes, fits into spidev's
    /// buffer. A driver calls it at start-up, so that a message too long is found before the
    /// loop runs.
    ///
    /// The kernel aligns each transfer to `ARCH_DMA_MINALIGN`, so several short transfers
    /// take more than the sum of their lengths.
    ///
    /// # Errors
    /// [`SpiError::MessageTooLong`] if it does not fit.
    pub fn fits(&self, lengths: &[usize]) -> Result<(), SpiError> {
        let needed = lengths.iter().fold(0_usize, |sum, bytes| {
            let laid = bytes.checked_next_multiple_of(self.align);
            sum.saturating_add(laid.unwrap_or(usize::MAX))
        });
        if needed > self.buffer_bytes {
            return Err(SpiError::MessageTooLong {
                bytes: lengths.iter().fold(0, |sum, n| sum.saturating_add(*n)),
            });
        }
        Ok(())
    }

    /// Maximum size of each direction of one message, in bytes.
    pub const fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// The implementation of the system call.
    pub const fn calls(&self) -> &M {
        &self.calls
    }

    /// The implementation of the system call, mutable.
    pub const fn calls_mut(&mut self) -> &mut M {
        &mut self.calls
    }
}

impl Spidev {
    /// A chip that is driven by registers.
    pub fn by_registers(chip: &'static Chip) -> Self {
        let align = 1;
        Self {
            align,
            ..Self::with(Access::Registers(chip), chip.most_bytes())
        }
    }

    /// Registers a safe action: `frame`, sent as one message. It may block.
    ///
    /// # Errors
    /// `EMSGSIZE` for a frame that is too long for one message; else those of
    /// [`emergency::register_frame`].
    pub fn safe_action(&self, frame: &[u8]) -> Result<Slot, Errno> {
        let long = |_| Errno(libc::EMSGSIZE);
        self.fits(&[frame.len()]).map_err(long)?;
        match &self.calls {
            Access::Kernel(kernel) => emergency::register_frame(kernel.as_fd(), frame),
            Access::Registers(chip) => emergency::register_direct(*chip, frame),
        }
    }
}

impl From<Spidev<Kernel>> for Spidev {
    fn from(device: Spidev<Kernel>) -> Self {
        Self::with(device.calls.into(), device.buffer_bytes)
    }
}

impl<M> ErrorType for Spidev<M> {
    type Error = SpiError;
}

impl<M: Message> SpiDevice<u8> for Spidev<M> {
    /// Sends all `operations` as one message.
    ///
    /// Operations without bytes and without a pause are omitted. If none remain, no call is
    /// made and the chip is not selected.
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
