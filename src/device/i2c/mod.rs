//! I2C without allocation: `embedded_hal::i2c::I2c` over one ioctl.
//!
//! `linux_embedded_hal::I2cdev` allocates in every transaction and sends adjacent writes as
//! separate messages, where the trait requires one. Here a transaction is one `I2C_RDWR`: a
//! write and the read after it are joined by a repeated START, and no other process comes
//! between. A transaction that cannot be sent as a whole is refused before anything is sent.
//!
//! Costs: about 1 kB of stack and one system call, which sleeps until the adapter's
//! interrupt thread has run; 9 clocks per byte (22.5 us at 400 kHz). If the clock is held
//! low, a transfer takes the adapter's whole time-out: see [`I2cConfig::timeout_ms`].

mod error;

pub use crate::sys::i2c::{Address, MAX_BYTES, MAX_MESSAGES, Message};
pub use error::{Explained, I2cError, OpenError};

pub use super::node::Kernel;
use crate::sys::{self, Errno};
use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress, TenBitAddress};
use heapless::Vec;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Maximum total length, in bytes, of adjacent operations of one direction. `embedded_hal`
/// requires them without a START between them, so they go through a buffer of this size.
pub const MERGE_BYTES: usize = 256;

/// The only system call of the loop on an I2C adapter.
pub trait Transfer {
    /// Sends `messages` as one transfer with one STOP. Returns how many were transferred.
    ///
    /// # Errors
    /// Those of `I2C_RDWR`.
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno>;
}

impl Transfer for Kernel {
    #[inline]
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno> {
        sys::i2c::transfer(self.as_fd(), messages)
    }
}

/// Settings of an adapter.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct I2cConfig {
    /// Time-out of a transfer, ms: a multiple of 10 (the kernel's unit), at least 10. It is
    /// set on the adapter and applies to all of its users; the kernel's default is 1 s. Some
    /// drivers ignore it: i2c-imx waits 100 ms for each byte while the clock is held low.
    /// The stall guard acts earlier if outputs may be held for a shorter time.
    pub timeout_ms: u32,
}

/// An I2C adapter: every chip on its bus, by address.
#[derive(Debug)]
pub struct I2cdev<T = Kernel> {
    calls: T,
}

impl I2cdev {
    /// Opens the adapter at `path` (`/dev/i2c-0`) and sets its time-out. Allocates: for
    /// start-up only.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, config: &I2cConfig) -> Result<Self, OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| OpenError::Open(error.into()))?;
        let functions = sys::i2c::functions(file.as_fd()).map_err(OpenError::Query)?;
        if functions & sys::i2c::FUNC_I2C == 0 {
            return Err(OpenError::SmbusOnly);
        }
        let asked_ms = config.timeout_ms;
        let refused = |errno| OpenError::Timeout { asked_ms, errno };
        if asked_ms == 0 || !asked_ms.is_multiple_of(10) {
            return Err(refused(Errno(libc::EINVAL)));
        }
        sys::i2c::set_timeout(file.as_fd(), asked_ms / 10).map_err(refused)?;
        Ok(Self::with(Kernel::from(OwnedFd::from(file))))
    }
}

impl<T: Transfer> I2cdev<T> {
    /// An adapter that sends its transfers through `calls`.
    pub const fn with(calls: T) -> Self {
        Self { calls }
    }

    /// The implementation of the system call.
    pub const fn calls(&self) -> &T {
        &self.calls
    }

    /// The implementation of the system call, mutable.
    pub const fn calls_mut(&mut self) -> &mut T {
        &mut self.calls
    }

    /// Sends all `operations` to the chip at `address` as one transfer. Without operations
    /// it makes no call.
    fn run(&mut self, address: Address, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        let mut merged = [0; MERGE_BYTES];
        let expected = self.send(address, operations, &mut merged)?;
        if expected > 0 {
            scatter(operations, &merged);
        }
        Ok(())
    }

    /// Sends `operations`; adjacent ones of one direction go through `merged`. Returns the
    /// number of messages.
    fn send(
        &mut self,
        address: Address,
        operations: &mut [Operation<'_>],
        merged: &mut [u8; MERGE_BYTES],
    ) -> Result<usize, I2cError> {
        let mut free = &mut merged[..];
        let mut messages = Vec::<Message<'_>, MAX_MESSAGES>::new();
        for adjacent in operations.chunk_by_mut(same_direction) {
            let bytes = total(adjacent);
            let message = match adjacent {
                [Operation::Read(into)] => Message::read(address, into),
                [Operation::Write(from)] => Message::write(address, from),
                several => {
                    let (part, rest) = core::mem::take(&mut free)
                        .split_at_mut_checked(bytes)
                        .ok_or(I2cError::TooLong { bytes })?;
                    free = rest;
                    if gather(several, part) {
                        Message::write(address, part)
                    } else {
                        Message::read(address, part)
                    }
                }
            };
            let message = message.map_err(|sys::i2c::TooLong| I2cError::TooLong { bytes })?;
            messages
                .push(message)
                .map_err(|_| I2cError::TooManyMessages)?;
        }
        let expected = messages.len();
        if expected == 0 {
            return Ok(0);
        }
        let got = self
            .calls
            .transfer(&mut messages)
            .map_err(I2cError::from_errno)?;
        if got != expected {
            return Err(I2cError::Short { expected, got });
        }
        Ok(expected)
    }
}

const fn same_direction(one: &Operation<'_>, other: &Operation<'_>) -> bool {
    matches!(
        (one, other),
        (Operation::Read(_), Operation::Read(_)) | (Operation::Write(_), Operation::Write(_))
    )
}

/// Bytes of all `operations`.
fn total(operations: &[Operation<'_>]) -> usize {
    operations.iter().map(length).sum()
}

const fn length(operation: &Operation<'_>) -> usize {
    match operation {
        Operation::Read(bytes) => bytes.len(),
        Operation::Write(bytes) => bytes.len(),
    }
}

/// Copies the bytes of adjacent writes into `part`, which has their total length. Returns
/// false if they are reads.
fn gather(several: &[Operation<'_>], part: &mut [u8]) -> bool {
    let mut at = 0;
    for operation in several {
        let Operation::Write(bytes) = operation else {
            return false;
        };
        part[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    }
    true
}

/// Copies the bytes received by adjacent reads from `merged` into their buffers.
fn scatter(operations: &mut [Operation<'_>], merged: &[u8; MERGE_BYTES]) {
    let mut at = 0;
    for adjacent in operations.chunk_by_mut(same_direction) {
        if adjacent.len() == 1 {
            continue;
        }
        for operation in adjacent {
            let bytes = length(operation);
            if let Operation::Read(into) = operation {
                into.copy_from_slice(&merged[at..at + bytes]);
            }
            at += bytes;
        }
    }
}

impl<T> ErrorType for I2cdev<T> {
    type Error = I2cError;
}

impl<T: Transfer> I2c<SevenBitAddress> for I2cdev<T> {
    fn transaction(
        &mut self,
        address: SevenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        let chip = Address::seven_bit(address).ok_or(I2cError::InvalidAddress {
            address: u16::from(address),
        })?;
        self.run(chip, operations)
    }
}

impl<T: Transfer> I2c<TenBitAddress> for I2cdev<T> {
    fn transaction(
        &mut self,
        address: TenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        let chip = Address::ten_bit(address).ok_or(I2cError::InvalidAddress { address })?;
        self.run(chip, operations)
    }
}
