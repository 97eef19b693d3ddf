//! I2C without allocation: `embedded_hal::i2c::I2c` over one ioctl.
//!
//! Why: `linux_embedded_hal::I2cdev` allocates in every transaction, and starts each
//! of several adjacent writes anew, where the trait asks for one message.
//!
//! Promises: a transaction is one `I2C_RDWR`, so a write and the read that follows it
//! are joined by a repeated START and no other process comes between; no allocation;
//! what cannot be done is an error before anything is sent.
//!
//! Costs: some 1 kB of stack and one system call, in which the kernel copies the
//! buffers and sleeps until the adapter's interrupt thread has run. A byte takes 9
//! clocks: 22.5 us at 400 kHz. A bus or a chip that holds the clock costs the
//! adapter's whole time-out, or what its driver waits instead. A chip that may do so does
//! not belong on the bus of a loop that has less time: see [`I2cConfig::timeout_ms`].

mod error;

pub use crate::sys::i2c::{Address, MAX_BYTES, MAX_MESSAGES, Message};
pub use error::{Explained, I2cError, OpenError};

use crate::sys::{self, Errno};
use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress, TenBitAddress};
use heapless::Vec;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Most bytes of adjacent operations of one direction, which `embedded_hal` wants
/// without a START between them: they go through a buffer of this size.
pub const MERGE_BYTES: usize = 256;

/// The one call the loop makes on an I2C adapter.
pub trait Transfer {
    /// Runs `messages` as one transfer with one STOP. Returns how many were run.
    ///
    /// # Errors
    /// As `I2C_RDWR` gives them.
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno>;
}

/// [`Transfer`] by the kernel's i2c-dev.
#[derive(Debug)]
pub struct Kernel(OwnedFd);

impl Transfer for Kernel {
    #[inline]
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno> {
        sys::i2c::transfer(self.0.as_fd(), messages)
    }
}

impl From<OwnedFd> for Kernel {
    /// Takes over an open adapter. Whether it is one is not looked at:
    /// [`I2cdev::open`] does that.
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

/// How an adapter is used.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct I2cConfig {
    /// Longest time of a transfer, ms: a multiple of 10, at least 10 (the kernel's
    /// unit). It is set on the adapter and holds for all of its users; the kernel's
    /// default is 1 s. A driver need not obey: i2c-imx waits 100 ms for each byte of a
    /// clock that is held, and the stall guard acts first where outputs may be held for
    /// less.
    pub timeout_ms: u32,
}

/// An I2C adapter: every chip on its bus, by address.
#[derive(Debug)]
pub struct I2cdev<T = Kernel> {
    calls: T,
}

impl I2cdev {
    /// Opens the adapter at `path` (`/dev/i2c-0`) and sets its time-out. For start-up:
    /// it allocates.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, config: &I2cConfig) -> Result<Self, OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| OpenError::Open(Errno(error.raw_os_error().unwrap_or(0))))?;
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
    /// An adapter whose transfers go to `calls`.
    pub const fn with(calls: T) -> Self {
        Self { calls }
    }

    /// What makes the calls.
    pub const fn calls(&self) -> &T {
        &self.calls
    }

    /// What makes the calls.
    pub const fn calls_mut(&mut self) -> &mut T {
        &mut self.calls
    }

    /// One transfer of all `operations` to the chip at `address`. Without operations
    /// no call is made.
    fn run(&mut self, address: Address, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        let mut merged = [0; MERGE_BYTES];
        let expected = self.send(address, operations, &mut merged)?;
        if expected > 0 {
            scatter(operations, &merged);
        }
        Ok(())
    }

    /// Sends `operations`, adjacent ones of one direction through `merged`. Returns
    /// how many messages that were.
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

/// Copies what adjacent writes send into `part`, which has their length. Whether they
/// are writes.
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

/// Copies what adjacent reads received from `merged` to where it belongs.
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
