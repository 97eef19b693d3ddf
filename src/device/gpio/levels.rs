//! Levels of input lines, read from the registers of their chip without a system call.
//!
//! The lines stay requested through the kernel: it keeps other processes away from them, sets
//! their bias and reports their edges. Only the reading of their levels in the loop is replaced, by one
//! read of a register for each 32 lines. The register of the levels has no side effect, so the kernel's
//! driver goes on with the same chip.

use super::bank::Bank;
use super::request::{self, Line};
use super::{GpioError, InputLine};
use crate::cycle::image::MAX_DIGITAL;
use crate::sys::registers::Registers;

/// The levels of the input lines of one chip.
#[derive(Clone, Debug)]
pub struct Levels {
    registers: Registers,
    /// Offset of the first register.
    first: usize,
    /// The number of each line on the chip, in the order of the request.
    offsets: heapless::Vec<u8, MAX_DIGITAL>,
    /// Whether some of them are below 32, and above.
    banks: [bool; 2],
    /// Bits of the lines that are active low.
    inverted: u64,
}

impl Levels {
    /// The levels of `inputs`, from the `registers` of their chip.
    ///
    /// # Errors
    /// [`GpioError::OffsetOutOfRange`], and those of a request for the same lines.
    pub fn new(bank: Bank, registers: Registers, inputs: &[InputLine]) -> Result<Self, GpioError> {
        Self::of(bank, registers, inputs.iter().map(Line::from).collect())
    }

    pub(super) fn of(
        bank: Bank,
        registers: Registers,
        lines: Vec<Line>,
    ) -> Result<Self, GpioError> {
        let lines = request::in_channel_order(lines)?;
        let mut offsets = heapless::Vec::new();
        for Line { offset, .. } in &lines {
            let (offset, lines) = (*offset, bank.lines());
            if offset >= lines {
                return Err(GpioError::OffsetOutOfRange { offset, lines });
            }
            // `in_channel_order` accepts no more than MAX_DIGITAL lines.
            let _ = offsets.push(offset as u8);
        }
        Ok(Self {
            registers,
            first: bank.levels(),
            banks: [0, 1].map(|bank| offsets.iter().any(|line| line / 32 == bank)),
            offsets,
            inverted: request::mask_of(&lines, Line::is_active_low),
        })
    }

    /// The number of each line on the chip, in the order of the request.
    pub(super) fn offsets(&self) -> &[u8] {
        &self.offsets
    }

    /// Logical values as levels, and levels as logical values.
    pub(super) const fn inverted(&self, bits: u64) -> u64 {
        bits ^ self.inverted
    }

    /// The logical values, one bit for each line of the request, as
    /// [`Lines::get`](super::Lines::get) gives them. One read for each 32 lines of the chip.
    #[inline]
    #[must_use]
    pub fn read(&self) -> u64 {
        let mut levels = 0;
        for bank in [0, 1] {
            if self.banks[bank] {
                let word = self.registers.read(self.first + 4 * bank);
                levels |= u64::from(word) << (32 * bank);
            }
        }
        let lines = self.offsets.iter().rev();
        let bits = lines.fold(0, |bits, line| bits << 1 | levels >> line & 1);
        self.inverted(bits)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    /// Registers with these words at these offsets.
    pub(in super::super) fn chip(bank: Bank, test: &str, words: &[(usize, u32)]) -> Registers {
        let name = format!("steadfast-{}-levels-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(4_096).unwrap();
        let registers = Registers::map(file.as_fd(), 0, bank.block_bytes()).unwrap();
        for (offset, word) in words {
            registers.write(*offset, *word);
        }
        registers
    }

    fn line(channel: u8, offset: u32, active_low: bool) -> InputLine {
        InputLine {
            channel,
            offset,
            active_low,
            ..InputLine::default()
        }
    }

    #[test]
    fn each_bit_is_that_of_the_request_in_the_order_of_channels() {
        // Channels 4, 1, 0: lines 31, 5, 13 of the chip; 13 is active low.
        let lines = [line(4, 31, false), line(1, 5, false), line(0, 13, true)];
        let read = |levels: u32| {
            let registers = chip(Bank::Mxc, "order", &[(0x08, levels)]);
            Levels::new(Bank::Mxc, registers, &lines).unwrap().read()
        };
        assert_eq!(read(0), 0b001);
        assert_eq!(read(1 << 13), 0b000);
        assert_eq!(read(1 << 5), 0b011);
        assert_eq!(read(1 << 31 | 1 << 13), 0b100);
        // Other lines of the chip.
        assert_eq!(read(!(1 << 13 | 1 << 5 | 1 << 31)), 0b001);
    }

    #[test]
    fn lines_from_32_on_are_in_the_second_register() {
        let registers = chip(Bank::Bcm2835, "second", &[(0x34, 1 << 1), (0x38, 1 << 8)]);
        let lines = [
            line(0, 1, false),
            line(1, 40, false),
            line(2, 33, false),
            line(3, 8, false),
        ];
        let levels = Levels::new(Bank::Bcm2835, registers, &lines).unwrap();
        assert_eq!(levels.read(), 0b0011);
    }

    #[test]
    fn a_line_that_the_chip_does_not_have_is_refused() {
        for (bank, offset) in [(Bank::Mxc, 32), (Bank::Bcm2835, 58)] {
            let registers = chip(bank, "refused", &[]);
            let lines = bank.lines();
            assert_eq!(
                Levels::new(bank, registers, &[line(0, offset, false)]).unwrap_err(),
                GpioError::OffsetOutOfRange { offset, lines },
            );
            let last = Levels::new(bank, registers, &[line(0, offset - 1, false)]);
            assert_eq!(last.map(|levels| levels.read()), Ok(0));
        }
    }
}
