//! Output lines that the set and clear registers of their chip drive, without a system call.
//!
//! The lines stay requested through the kernel, as outputs at their safe values: it keeps other processes
//! away, and the safe plan sets them through it. A bit of 1 in a set or a clear register changes its
//! line and no other, so the kernel's driver, which uses the same registers, goes on beside.
//! Nothing is written once the safe-state latch is set: the latch is read before each register access, and
//! the caller reads it once more after the last one.

use super::bank::{Bank, SetClearOffsets};
use super::levels::Levels;
use super::request::Line;
use super::{GpioError, OutputLine};
use crate::cycle::image::MAX_DIGITAL;
use crate::sys::registers::Registers;
use crate::sys::{Errno, emergency};

/// The function of an output.
const OUTPUT: u32 = 0b001;

/// The output lines of one chip, by its set and clear registers.
#[derive(Clone, Debug)]
pub struct SetClear {
    registers: Registers,
    at: SetClearOffsets,
    levels: Levels,
    /// The bit of each line among the lines of the chip, in the order of the request.
    lines: heapless::Vec<u64, MAX_DIGITAL>,
    all: u64,
}

impl SetClear {
    /// The lines of `outputs`, by the `registers` of their chip.
    ///
    /// # Errors
    /// [`GpioError::NoSetClear`], [`GpioError::OffsetOutOfRange`], and those of a request for the same lines.
    pub fn new(
        bank: Bank,
        registers: Registers,
        outputs: &[OutputLine],
    ) -> Result<Self, GpioError> {
        let at = bank.set_clear().ok_or(GpioError::NoSetClear)?;
        let levels = Levels::of(bank, registers, outputs.iter().map(Line::from).collect())?;
        let lines: heapless::Vec<_, _> = (levels.offsets().iter()).map(|line| 1 << line).collect();
        Ok(Self {
            registers,
            at,
            levels,
            all: lines.iter().fold(0, |all, line| all | line),
            lines,
        })
    }

    /// The levels of the lines.
    #[must_use]
    pub const fn levels(&self) -> &Levels {
        &self.levels
    }

    /// A line that the registers do not show as an output, though the kernel has made it one: they
    /// are those of something else.
    #[must_use]
    pub fn not_an_output(&self) -> Option<u32> {
        let is_output = |line: u32| {
            let word = self
                .registers
                .read(self.at.function + 4 * (line / 10) as usize);
            word >> (3 * (line % 10)) & 0b111 == OUTPUT
        };
        let mut lines = self.levels.offsets().iter().map(|line| u32::from(*line));
        lines.find(|line| !is_output(*line))
    }

    /// Writes a word without a bit, which changes no line. The first write to a page takes a page
    /// fault on processors that do not mark pages as written by themselves (before Armv8.1).
    pub fn touch(&self) {
        self.registers.write(self.at.set, 0);
    }

    /// Drives the lines to the logical values `bits`, one bit for each line of the request. Lines that
    /// become low change first. At most two accesses for each 32 lines of the chip.
    ///
    /// # Errors
    /// [`GpioError::Set`] with `ECANCELED` when the safe plan has been taken.
    #[inline]
    pub fn write(&self, bits: u64) -> Result<(), GpioError> {
        let mut values = self.levels.inverted(bits);
        let mut high = 0;
        for line in &self.lines {
            high |= line * (values & 1);
            values >>= 1;
        }
        self.put(self.at.clear, self.all & !high)?;
        self.put(self.at.set, high)
    }

    /// Writes the words of `lines` to the registers from `first` on, unless they have no bit.
    #[inline]
    fn put(&self, first: usize, lines: u64) -> Result<(), GpioError> {
        for (register, word) in [(first, lines as u32), (first + 4, (lines >> 32) as u32)] {
            if word == 0 {
                continue;
            }
            if emergency::latched() {
                return Err(GpioError::Set(Errno(libc::ECANCELED)));
            }
            self.registers.write(register, word);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::levels::tests::chip;
    use super::*;

    fn line(channel: u8, offset: u32, active_low: bool) -> OutputLine {
        OutputLine {
            channel,
            offset,
            active_low,
            safe: false,
        }
    }

    /// GPSET0, GPSET1, GPCLR0, GPCLR1 of memory after a write of `bits`.
    fn written(test: &str, lines: &[OutputLine], bits: u64) -> [u32; 4] {
        let registers = chip(Bank::Bcm2835, test, &[]);
        let lines = SetClear::new(Bank::Bcm2835, registers, lines).unwrap();
        lines.write(bits).unwrap();
        [0x1c, 0x20, 0x28, 0x2c].map(|offset| registers.read(offset))
    }

    #[test]
    fn each_line_is_in_the_set_or_in_the_clear_mask_and_no_other_line_is() {
        // Channels 0, 1, 4: lines 13, 5, 31 of the chip.
        let lines = [line(4, 31, false), line(1, 5, false), line(0, 13, false)];
        let all = 1 << 13 | 1 << 5 | 1 << 31;
        assert_eq!(written("none", &lines, 0b000), [0, 0, all, 0]);
        assert_eq!(written("all", &lines, 0b111), [all, 0, 0, 0]);
        let high = 1 << 13 | 1 << 31;
        assert_eq!(written("some", &lines, 0b101), [high, 0, 1 << 5, 0]);
    }

    #[test]
    fn an_active_low_line_is_cleared_when_it_becomes_active() {
        let lines = [line(0, 2, true), line(1, 3, false)];
        assert_eq!(written("low", &lines, 0b11), [1 << 3, 0, 1 << 2, 0]);
        assert_eq!(written("high", &lines, 0b00), [1 << 2, 0, 1 << 3, 0]);
    }

    #[test]
    fn lines_from_32_on_are_in_the_second_registers() {
        let lines = [line(0, 31, false), line(1, 32, false), line(2, 57, true)];
        let found = written("second", &lines, 0b010);
        assert_eq!(found, [0, 1 | 1 << 25, 1 << 31, 0]);
        let found = written("second", &lines, 0b101);
        assert_eq!(found, [1 << 31, 0, 0, 1 | 1 << 25]);
    }

    #[test]
    fn every_value_is_driven_whatever_was_driven_before() {
        let registers = chip(Bank::Bcm2835, "sequence", &[]);
        let outputs = [line(0, 4, false), line(1, 40, false)];
        let lines = SetClear::new(Bank::Bcm2835, registers, &outputs).unwrap();
        // What a chip would make of the accesses.
        let mut levels = 0_u64;
        for bits in [0b00, 0b01, 0b01, 0b10, 0b11, 0b00, 0b10] {
            for offset in [0x1c, 0x20, 0x28, 0x2c] {
                registers.write(offset, 0);
            }
            lines.write(bits).unwrap();
            let both =
                |at: usize| u64::from(registers.read(at)) | u64::from(registers.read(at + 4)) << 32;
            levels = levels & !both(0x28) | both(0x1c);
            assert_eq!(levels, (bits & 1) << 4 | (bits >> 1) << 40);
        }
    }

    #[test]
    fn registers_without_the_function_of_an_output_are_those_of_something_else() {
        // Line 13: bits 11:9 of GPFSEL1.
        for (function, found) in [(0b001, None), (0b000, Some(13)), (0b111, Some(13))] {
            let registers = chip(Bank::Bcm2835, "function", &[(0x04, function << 9)]);
            let lines = SetClear::new(Bank::Bcm2835, registers, &[line(0, 13, false)]);
            assert_eq!(lines.unwrap().not_an_output(), found);
        }
    }

    #[test]
    fn a_chip_without_set_and_clear_registers_is_refused() {
        let registers = chip(Bank::Mxc, "mxc", &[]);
        let refused = SetClear::new(Bank::Mxc, registers, &[line(0, 1, false)]);
        assert_eq!(refused.unwrap_err(), GpioError::NoSetClear);
    }
}
