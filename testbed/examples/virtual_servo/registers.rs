//! An SPI controller whose registers are memory: what a driver by registers has written is passed on
//! to a chip, and its status is what a fault makes of it.
//!
//! The emulated controllers complete each transfer at once and cannot fail. On-chip memory in their
//! place can: the driver polls a status register that says nothing, an overrun, or all ones.
//! Only the registers of ECSPI that its driver reads back have to mean something
//! (`steadfast::device::spi::registers`).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use steadfast::sys::registers::Registers;

/// Registers of ECSPI (i.MX 8M Plus Applications Processor Reference Manual).
const TXDATA: usize = 0x04;
const STATREG: usize = 0x18;
const BLOCK_BYTES: usize = 0x20;

/// STATREG: a received word waits.
const RR: u32 = 1 << 3;
/// STATREG: the receive FIFO has overflowed.
const RO: u32 = 1 << 6;
/// STATREG: transfer completed.
const TC: u32 = 1 << 7;

/// In TXDATA: nothing was sent. No word of 16 bits.
const NOTHING: u32 = u32::MAX;

/// The controller, with a chip whose frames have 16 bits.
#[derive(Debug)]
pub(crate) struct Controller {
    block: Registers,
    /// Index of the chip in the rig.
    pub(crate) chip: usize,
    works: bool,
}

impl Controller {
    /// A working controller in the memory at `address`, hexadecimal.
    ///
    /// # Errors
    /// It is no such number, or the memory cannot be mapped.
    pub(crate) fn new(address: &str, chip: usize) -> io::Result<Self> {
        let no_number = || io::Error::other("not ADDRESS NODE");
        let address = u64::from_str_radix(address, 16).map_err(|_| no_number())?;
        let memory = File::options().read(true).write(true).open("/dev/mem")?;
        let block = Registers::map(memory.as_fd(), address, BLOCK_BYTES)?;
        let mut controller = Self {
            block,
            chip,
            works: true,
        };
        controller.disturb("works");
        Ok(controller)
    }

    /// The frame that was sent since the last call. One of a controller that does not work is lost.
    pub(crate) fn sent(&mut self) -> Option<[u8; 2]> {
        let word = self.block.read(TXDATA);
        if word == NOTHING {
            return None;
        }
        self.block.write(TXDATA, NOTHING);
        self.works.then(|| (word as u16).to_be_bytes())
    }

    /// Sets its state.
    ///
    /// # Errors
    /// `None`: unknown word.
    pub(crate) fn disturb(&mut self, word: &str) -> Option<()> {
        let status = match word {
            // A word is there in each poll, so a transfer ends at once.
            "works" => TC | RR,
            "stuck" => 0,
            "overrun" => TC | RO | RR,
            "gone" => u32::MAX,
            _ => return None,
        };
        self.works = word == "works";
        self.block.write(TXDATA, NOTHING);
        self.block.write(STATREG, status);
        Some(())
    }
}
