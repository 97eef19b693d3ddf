//! The connection between a driver and a simulated SPI chip.
//!
//! A transaction of `embedded-hal` becomes one frame: all bytes between the falling and the
//! rising edge of chip select, so that a chip detects a wrong length. A single operation, as
//! the shipped drivers use, is copied once; several are joined in a buffer. [`SpiFrame`] has
//! buffers for frames that are too long for the loop's stack.

use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};

use super::fault::{Active, Fault, FaultPlan};

/// Maximum length of a frame of a [`SimSpi`] as `embedded_hal` device, bytes.
pub const MAX_FRAME: usize = 32;

/// Maximum length of a frame of [`SimSpi::exchange`] and of [`SpiFrame`], bytes.
pub const MAX_EXCHANGE: usize = 1_024;

/// A chip with its wires, seen from the controller.
pub trait SpiChip {
    /// One assertion of chip select. `sent` are the bytes clocked out; the chip writes its
    /// reply to `received`, which has the same length and is zeroed.
    ///
    /// # Errors
    /// A failure of the transfer that the controller detects.
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), ErrorKind>;
}

/// A chip without its wires, seen from its pins.
pub trait SimChip {
    /// One assertion of chip select. `tx` are the bytes that the chip receives; it writes its
    /// reply to `rx`, which has the same length.
    fn frame(&mut self, tx: &[u8], rx: &mut [u8]);

    /// Sets the faults inside the chip until the next call. Faults of the wires are handled
    /// outside the chip.
    fn disturb(&mut self, active: &Active) {
        let _ = active;
    }
}

/// Sends one frame to `chip`, with the faults of the wires.
///
/// # Errors
/// `ErrorKind::Other` for a failure that the controller detects, `ErrorKind::Overrun` for a
/// frame above [`MAX_EXCHANGE`] or of unequal lengths.
#[inline]
pub(super) fn exchange<C: SimChip>(
    chip: &mut C,
    plan: &mut FaultPlan,
    disturbed: &mut bool,
    tx: &[u8],
    rx: &mut [u8],
) -> Result<(), ErrorKind> {
    if tx.len() > MAX_EXCHANGE || tx.len() != rx.len() {
        return Err(ErrorKind::Overrun);
    }
    let active = plan.next_transfer();
    if active.is_empty() && !*disturbed {
        chip.frame(tx, rx);
        return Ok(());
    }
    *disturbed = !active.is_empty();
    chip.disturb(&active);
    faulty_exchange(chip, &active, tx, rx)
}

#[cold]
#[inline(never)]
fn faulty_exchange<C: SimChip>(
    chip: &mut C,
    active: &Active,
    tx: &[u8],
    rx: &mut [u8],
) -> Result<(), ErrorKind> {
    rx.fill(0);
    if active.has(Fault::BusError) {
        return Err(ErrorKind::Other);
    }
    if active.has(Fault::NoAnswer) {
        return Ok(());
    }
    let mut seen = [0; MAX_EXCHANGE];
    let mut seen_len = tx.len();
    seen[..seen_len].copy_from_slice(tx);
    if let Some(bit) = active.command_bit() {
        flip(&mut seen[..seen_len], bit);
    }
    let short = active.has(Fault::ShortTransfer);
    if short || active.has(Fault::LostClocks) {
        seen_len = seen_len.saturating_sub(1);
    }
    chip.frame(&seen[..seen_len], &mut rx[..seen_len]);
    if short {
        return Err(ErrorKind::Other);
    }
    if let Some(bit) = active.reply_bit() {
        flip(rx, bit);
    }
    if active.has(Fault::MisoLow) {
        rx.fill(0x00);
    }
    if active.has(Fault::MisoHigh) {
        rx.fill(0xFF);
    }
    Ok(())
}

/// Inverts a bit; bit 0 is the first on the wire. A bit after the end has no effect.
fn flip(bytes: &mut [u8], bit: u8) {
    if let Some(byte) = bytes.get_mut(usize::from(bit / 8)) {
        *byte ^= 0x80 >> (bit % 8);
    }
}

/// Sends a transaction as one frame through `exchange(tx, rx)`.
///
/// # Errors
/// Those of `exchange`, and `ErrorKind::Overrun` above [`MAX_FRAME`].
#[inline]
pub(super) fn transact(
    operations: &mut [Operation<'_, u8>],
    mut exchange: impl FnMut(&[u8], &mut [u8]) -> Result<(), ErrorKind>,
) -> Result<(), ErrorKind> {
    let mut buffer = [0; MAX_FRAME];
    match operations {
        [Operation::TransferInPlace(bytes)] => {
            let tx = buffer.get_mut(..bytes.len()).ok_or(ErrorKind::Overrun)?;
            tx.copy_from_slice(bytes);
            exchange(tx, bytes)
        }
        [Operation::Write(tx)] => {
            let rx = buffer.get_mut(..tx.len()).ok_or(ErrorKind::Overrun)?;
            exchange(tx, rx)
        }
        many => join(many, exchange),
    }
}

/// Joins the operations of a transaction into one frame and distributes the reply to them.
fn join(
    operations: &mut [Operation<'_, u8>],
    exchange: impl FnMut(&[u8], &mut [u8]) -> Result<(), ErrorKind>,
) -> Result<(), ErrorKind> {
    let (mut tx, mut rx) = ([0; MAX_FRAME], [0; MAX_FRAME]);
    join_in(&mut tx, &mut rx, operations, exchange)
}

/// [`join`] with buffers of the caller. Bytes that only read are sent as zero.
fn join_in(
    tx: &mut [u8],
    rx: &mut [u8],
    operations: &mut [Operation<'_, u8>],
    mut exchange: impl FnMut(&[u8], &mut [u8]) -> Result<(), ErrorKind>,
) -> Result<(), ErrorKind> {
    let mut length = 0;
    for operation in &*operations {
        let sent: &[u8] = match operation {
            Operation::Write(bytes) => bytes,
            Operation::Transfer(_, bytes) => bytes,
            Operation::TransferInPlace(bytes) => bytes,
            Operation::Read(_) | Operation::DelayNs(_) => &[],
        };
        let end = length + clocks(operation);
        let place = tx.get_mut(length..end).ok_or(ErrorKind::Overrun)?;
        let (given, zeros) = place.split_at_mut(sent.len());
        given.copy_from_slice(sent);
        zeros.fill(0);
        length = end;
    }
    rx[..length].fill(0);
    exchange(&tx[..length], &mut rx[..length])?;
    let mut start = 0;
    for operation in operations {
        let end = start + clocks(operation);
        match operation {
            Operation::Read(bytes) | Operation::TransferInPlace(bytes) => {
                bytes.copy_from_slice(&rx[start..end]);
            }
            Operation::Transfer(bytes, _) => {
                let count = bytes.len();
                bytes.copy_from_slice(&rx[start..start + count]);
            }
            Operation::Write(_) | Operation::DelayNs(_) => {}
        }
        start = end;
    }
    Ok(())
}

/// Buffers to join the operations of a transaction into one frame of up to [`MAX_EXCHANGE`]
/// bytes.
#[derive(Clone, Debug)]
pub struct SpiFrame {
    sent: [u8; MAX_EXCHANGE],
    received: [u8; MAX_EXCHANGE],
}

impl SpiFrame {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sent: [0; MAX_EXCHANGE],
            received: [0; MAX_EXCHANGE],
        }
    }

    /// Sends all `operations` to `chip` as one frame. Delays take no time. Without any byte
    /// no frame is sent, as with the kernel's spidev.
    ///
    /// # Errors
    /// Those of the chip, and `ErrorKind::Overrun` above [`MAX_EXCHANGE`].
    pub fn transact(
        &mut self,
        chip: &mut (impl SpiChip + ?Sized),
        operations: &mut [Operation<'_, u8>],
    ) -> Result<(), ErrorKind> {
        join_in(
            &mut self.sent,
            &mut self.received,
            operations,
            |sent, received| {
                if sent.is_empty() {
                    return Ok(());
                }
                chip.exchange(sent, received)
            },
        )
    }
}

impl Default for SpiFrame {
    fn default() -> Self {
        Self::new()
    }
}

/// Number of bytes that an operation clocks; for a transfer, the length of the longer buffer
/// (`embedded_hal::spi::SpiBus::transfer`).
const fn clocks(operation: &Operation<'_, u8>) -> usize {
    match operation {
        Operation::Read(bytes) | Operation::TransferInPlace(bytes) => bytes.len(),
        Operation::Write(bytes) => bytes.len(),
        Operation::Transfer(read, write) => {
            if read.len() > write.len() {
                read.len()
            } else {
                write.len()
            }
        }
        Operation::DelayNs(_) => 0,
    }
}

/// One chip on a bus of its own, for a driver without a plant. Delays take no time.
#[derive(Clone, Debug)]
pub struct SimSpi<C> {
    /// The chip.
    pub chip: C,
    /// Its faults.
    pub faults: FaultPlan,
    disturbed: bool,
}

impl<C: SimChip> SimSpi<C> {
    /// A bus with `chip`, without faults.
    pub const fn new(chip: C) -> Self {
        Self {
            chip,
            faults: FaultPlan::new(),
            disturbed: false,
        }
    }

    /// One chip-select assertion in raw bytes.
    ///
    /// # Errors
    /// `ErrorKind::Other` for a planned failure, `ErrorKind::Overrun` for a frame above
    /// [`MAX_EXCHANGE`] or of unequal lengths.
    pub fn exchange(&mut self, tx: &[u8], rx: &mut [u8]) -> Result<(), ErrorKind> {
        exchange(
            &mut self.chip,
            &mut self.faults,
            &mut self.disturbed,
            tx,
            rx,
        )
    }
}

impl<C: SimChip> SpiChip for SimSpi<C> {
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), ErrorKind> {
        Self::exchange(self, sent, received)
    }
}

impl<C> ErrorType for SimSpi<C> {
    type Error = ErrorKind;
}

impl<C: SimChip> SpiDevice for SimSpi<C> {
    #[inline]
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        transact(operations, |tx, rx| self.exchange(tx, rx))
    }
}
