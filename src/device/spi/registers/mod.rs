//! SPI controllers driven by their registers, without a system call.
//!
//! A transfer by registers costs its time on the wire and some register accesses, where one by
//! the kernel costs two switches into it and a wake of an interrupt thread. The price: this
//! process alone drives the controller, and the processor waits for the wire. The device tree
//! keeps the kernel's driver away from the block; pins, chip selects and clock are set up by it.
//!
//! | module | what it does |
//! |---|---|
//! | [`Block`] | reads and writes one register: of a mapping, or of a model in a test |
//! | `ecspi`, `bcm2835` | the registers of a kind of controller |
//! | `exchange` | one transaction: feeds, waits, drains, pauses, gives up |
//! | `owner` | one owner at a time; the safe plan takes a controller from the loop |
//! | `open` | maps a block, and gives all chips of one controller the same owner |
//!
//! # Time-outs
//!
//! The controller must deliver the next word within the time that it takes on the wire and
//! 100 us ([`MARGIN_NS`]), else the transfer ends with `ETIMEDOUT` and the block is disabled, which
//! ends its chip select. The registers are read once more after that time, so a loop that was
//! preempted does not report a transfer that ended meanwhile.

mod bcm2835;
mod ecspi;
mod exchange;
mod kind;
mod open;
mod owner;
mod parts;

#[cfg(test)]
mod tests;

pub use crate::device::registers::{Place, RegistersError};
pub use exchange::MARGIN_NS;
pub use kind::Kind;
pub use owner::{Chip, LEAVE_NS};
pub use parts::Divider;

use crate::sys::clock;
use crate::sys::registers::Window;
use embedded_hal::spi::Mode;

/// The registers of one device, by their offset in bytes.
pub trait Block {
    /// Reads a register. All bits are set where no device answers.
    fn read(&self, offset: usize) -> u32;
    /// Writes a register.
    fn write(&self, offset: usize, value: u32);
    /// The monotonic clock, ns.
    fn now_ns(&self) -> u64 {
        clock::monotonic_ns()
    }
}

/// The registers of any of these controllers.
pub type Mapped = Window<{ Kind::BLOCK_BYTES }>;

impl Block for Mapped {
    #[inline]
    fn read(&self, offset: usize) -> u32 {
        Window::read(*self, offset)
    }

    #[inline]
    fn write(&self, offset: usize, value: u32) {
        Window::write(*self, offset, value);
    }
}

/// How a chip is driven.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Clock polarity and phase.
    pub mode: Mode,
    /// Chip select of the controller, 0 to [`Kind::last_select`].
    pub select: u8,
    /// The clock.
    pub divider: Divider,
    /// Least time from the chip select to the first edge of the clock, ns.
    pub setup_ns: u32,
}
