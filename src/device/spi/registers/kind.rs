//! The kinds of controllers: one interface to the registers of each.
//!
//! An enum and not a trait: [`exchange`](super::exchange) exists once in the binary.

use super::parts::{Burst, Divider, State};
use super::{Block, Wire, bcm2835, ecspi};
use crate::sys::Errno;

/// A kind of controller.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ECSPI of i.MX 6, 7 and 8M.
    Ecspi,
    /// SPI0 of BCM2835 to BCM2711 (Raspberry Pi 1 to 4).
    Bcm2835,
}

impl Kind {
    /// The name in a board file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecspi => "ecspi",
            Self::Bcm2835 => "bcm2835-spi",
        }
    }

    /// Least size of a register block, bytes: that of the largest.
    pub const BLOCK_BYTES: usize = 0x20;

    /// The highest chip select.
    #[must_use]
    pub const fn last_select(self) -> u8 {
        match self {
            Self::Ecspi => 3,
            Self::Bcm2835 => 1,
        }
    }

    /// Most bytes of a transaction.
    #[must_use]
    pub const fn most_bytes(self) -> usize {
        match self {
            Self::Ecspi => ecspi::MOST_BYTES,
            Self::Bcm2835 => bcm2835::MOST_BYTES,
        }
    }

    /// The divider for the fastest clock of at most `speed_hz` from an input clock of
    /// `clock_hz`. `None`: the slowest clock is faster.
    #[must_use]
    pub const fn divider(self, clock_hz: u32, speed_hz: u32) -> Option<Divider> {
        match self {
            Self::Ecspi => ecspi::divider(clock_hz, speed_hz),
            Self::Bcm2835 => bcm2835::divider(clock_hz, speed_hz),
        }
    }

    /// The longest time from chip select to first edge that the controller can make, ns; `None`:
    /// any.
    #[must_use]
    pub fn longest_setup_ns(self, divider: Divider) -> Option<u32> {
        match self {
            Self::Ecspi => Some(ecspi::longest_setup_ns(divider)),
            Self::Bcm2835 => None,
        }
    }

    /// Bytes of the next word when `left` bytes are left.
    pub(super) const fn word_bytes(self, left: usize) -> usize {
        match self {
            Self::Ecspi => match left % 4 {
                0 => 4,
                rest => rest,
            },
            Self::Bcm2835 => 1,
        }
    }

    /// Words that fit into either FIFO: 64 of 32 bits, and 64 bytes.
    pub(super) const FIFO_WORDS: usize = 64;

    /// Disables the block and empties its FIFOs: no chip is selected.
    pub(super) fn end<B: Block>(self, block: &B, wire: &Wire) {
        match self {
            Self::Ecspi => ecspi::end(block),
            Self::Bcm2835 => bcm2835::end(block, wire),
        }
    }

    /// Sets the block up, from a disabled one, and gives the word that starts it.
    ///
    /// # Errors
    /// `ENODEV` when the registers do not hold what was written, `ENOTSUP` when the time before
    /// the first edge is longer than the controller can make it.
    pub(super) fn begin<B: Block>(
        self,
        block: &B,
        wire: &Wire,
        burst: &Burst,
    ) -> Result<u32, Errno> {
        match self {
            Self::Ecspi => ecspi::begin(block, wire, burst),
            Self::Bcm2835 => bcm2835::begin(block, wire, burst),
        }
    }

    /// Puts a word into the transmit FIFO.
    #[inline]
    pub(super) fn push<B: Block>(self, block: &B, word: u32) {
        match self {
            Self::Ecspi => block.write(ecspi::TXDATA, word),
            Self::Bcm2835 => block.write(bcm2835::FIFO, word),
        }
    }

    /// Starts, or starts again, to send what is in the FIFO. `start` is the answer of
    /// [`Kind::begin`].
    #[inline]
    pub(super) fn start<B: Block>(self, block: &B, start: u32) {
        match self {
            Self::Ecspi => block.write(ecspi::CONREG, start),
            // A byte in the FIFO is sent while the transfer is active.
            Self::Bcm2835 => {}
        }
    }

    /// Reads the status.
    #[inline]
    pub(super) fn state<B: Block>(self, block: &B) -> State {
        match self {
            Self::Ecspi => ecspi::state(block.read(ecspi::STATREG)),
            Self::Bcm2835 => bcm2835::state(block.read(bcm2835::CS)),
        }
    }

    /// Takes a received word.
    #[inline]
    pub(super) fn pull<B: Block>(self, block: &B) -> u32 {
        match self {
            Self::Ecspi => block.read(ecspi::RXDATA),
            Self::Bcm2835 => block.read(bcm2835::FIFO),
        }
    }

    /// Whether the last bit is out, and nothing more is sent.
    pub(super) fn finished<B: Block>(self, block: &B) -> bool {
        match self {
            Self::Ecspi => block.read(ecspi::STATREG) & ecspi::COMPLETED != 0,
            Self::Bcm2835 => block.read(bcm2835::CS) & bcm2835::DONE != 0,
        }
    }
}
