//! Converts `embedded_hal` operations into the transfers of one message.

use super::{MAX_OPERATIONS, MAX_TRANSFERS, SpiError};
use crate::sys::spi::{TooLong, Transfer};
use embedded_hal::spi::Operation;

/// The longest pause of one transfer, us (`delay_usecs` of `struct spi_ioc_transfer` is a
/// `__u16`).
const MAX_PAUSE_US: u32 = u16::MAX as u32;

/// The transfers of one message.
pub(super) struct Frame<'a> {
    /// Not an array: 1 kB would be cleared for each message.
    transfers: heapless::Vec<Transfer<'a>, MAX_TRANSFERS>,
    bytes: usize,
}

impl<'a> Frame<'a> {
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            transfers: heapless::Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes clocked, each counted once.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The transfers so far.
    pub(super) fn transfers(&mut self) -> &mut [Transfer<'a>] {
        &mut self.transfers
    }

    /// Adds all `operations` in their order.
    pub(super) fn fill(&mut self, operations: &'a mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        if operations.len() > MAX_OPERATIONS {
            return Err(SpiError::TooManyOperations {
                operations: operations.len(),
            });
        }
        for operation in operations {
            match operation {
                Operation::Read(rx) => self.clock(rx.len(), Transfer::read(rx))?,
                Operation::Write(tx) => self.clock(tx.len(), Transfer::write(tx))?,
                Operation::Transfer(rx, tx) => self.exchange(rx, tx)?,
                Operation::TransferInPlace(words) => {
                    self.clock(words.len(), Transfer::in_place(words))?;
                }
                Operation::DelayNs(ns) => self.pause(*ns)?,
            }
        }
        Ok(())
    }

    /// Exchanges the common length of both buffers, then the rest of the longer one, as
    /// `SpiBus::transfer` of embedded-hal requires: surplus incoming words are dropped,
    /// missing outgoing ones are zeros.
    fn exchange(&mut self, rx: &'a mut [u8], tx: &'a [u8]) -> Result<(), SpiError> {
        let both = rx.len().min(tx.len());
        let (rx, rx_rest) = rx.split_at_mut(both);
        let (tx, tx_rest) = tx.split_at(both);
        self.clock(both, Transfer::exchange(rx, tx))?;
        self.clock(rx_rest.len(), Transfer::read(rx_rest))?;
        self.clock(tx_rest.len(), Transfer::write(tx_rest))
    }

    /// Pauses at least `ns` nanoseconds with the chip selected, rounded up to whole
    /// microseconds, the kernel's unit. The pause is attached to the transfer before it: the
    /// kernel waits after the last bit of that transfer.
    fn pause(&mut self, ns: u32) -> Result<(), SpiError> {
        let mut us = ns.div_ceil(1_000);
        if let Some(last) = self.transfers().last_mut() {
            let left = MAX_PAUSE_US - u32::from(last.delay_us());
            let part = us.min(left);
            last.set_delay_us(last.delay_us() + part as u16);
            us -= part;
        }
        while us > 0 {
            let part = us.min(MAX_PAUSE_US);
            self.push(Transfer::pause(part as u16))?;
            us -= part;
        }
        Ok(())
    }

    /// Adds a transfer of `bytes` bytes, unless there are none.
    #[inline]
    fn clock(
        &mut self,
        bytes: usize,
        transfer: Result<Transfer<'a>, TooLong>,
    ) -> Result<(), SpiError> {
        if bytes == 0 {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let transfer = transfer.map_err(|TooLong| SpiError::MessageTooLong { bytes })?;
        self.push(transfer)
    }

    #[inline]
    fn push(&mut self, transfer: Transfer<'a>) -> Result<(), SpiError> {
        let pushed = self.transfers.push(transfer);
        pushed.map_err(|_| SpiError::TooManyTransfers)
    }
}
