//! The kinds of GPIO chips whose registers are known.
//!
//! Sources: i.MX 8M Plus Applications Processor Reference Manual, "General Purpose Input/Output",
//! PSR; BCM2711 ARM Peripherals, chapter 5, "GPIO": GPFSEL0 to GPFSEL5, GPSET0, GPSET1, GPCLR0, GPCLR1,
//! GPLEV0 and GPLEV1.

/// Offsets of the registers of a chip, bytes; in each group the next ones follow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct SetClearOffsets {
    /// Functions of lines 0 to 9, three bits each.
    pub(super) function: usize,
    /// Sets lines 0 to 31.
    pub(super) set: usize,
    /// Clears lines 0 to 31.
    pub(super) clear: usize,
}

/// A kind of GPIO chip with readable levels.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bank {
    /// GPIO of i.MX: 32 lines in one register.
    Mxc,
    /// GPIO of BCM2835 to BCM2711: 58 lines in two registers.
    Bcm2835,
}

impl Bank {
    /// The name in a board file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mxc => "imx-gpio",
            Self::Bcm2835 => "bcm2835-gpio",
        }
    }

    /// Offset of the register with the levels of lines 0 to 31, bytes; the next ones follow.
    pub(super) const fn levels(self) -> usize {
        match self {
            Self::Mxc => 0x08,
            Self::Bcm2835 => 0x34,
        }
    }

    /// Number of lines.
    #[must_use]
    pub const fn lines(self) -> u32 {
        match self {
            Self::Mxc => 32,
            Self::Bcm2835 => 58,
        }
    }

    /// Offsets of its registers that set and clear single lines, bytes. `None`: it has none, so
    /// that an output by register would be a read-modify-write, which races with the kernel's driver.
    pub(super) const fn set_clear(self) -> Option<SetClearOffsets> {
        match self {
            Self::Mxc => None,
            Self::Bcm2835 => Some(SetClearOffsets {
                function: 0x00,
                set: 0x1c,
                clear: 0x28,
            }),
        }
    }

    /// Whether single lines can be set and cleared by a register.
    #[must_use]
    pub const fn sets_single_lines(self) -> bool {
        self.set_clear().is_some()
    }

    /// Least size of its register block, bytes.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        self.levels() + 4 * self.lines().div_ceil(32) as usize
    }
}
