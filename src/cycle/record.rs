//! The record of a cycle.

/// Number of trace values in a record.
pub const TRACE_LEN: usize = 8;

/// The trace values of a cycle.
pub type Trace = [f32; TRACE_LEN];

/// The record of one cycle: 56 bytes, no pointers.
///
/// The layout in memory is that of the files (docs/blackbox-format.md).
#[derive(Copy, Clone, Debug, Default, PartialEq)]
#[repr(C)]
pub struct CycleRecord {
    /// Number of the slot since the start of the run.
    pub slot: u64,
    /// From the planned release to the beginning of the cycle, ns.
    pub lateness_ns: u32,
    /// From the beginning of the cycle until the outputs had left, ns.
    pub execution_ns: u32,
    /// Slots skipped since the previous cycle.
    pub skipped: u32,
    /// Fault code of the control law, 0 for none.
    pub fault: u16,
    /// The events of this cycle: bits of [`flags`].
    pub flags: u16,
    /// The trace values of the control law.
    pub trace: Trace,
}

/// Bits of [`CycleRecord::flags`].
pub mod flags {
    /// The outputs left after the deadline.
    pub const OVERRUN: u16 = 1 << 0;
    /// At least one input could not be read.
    pub const INPUT_FAILED: u16 = 1 << 1;
    /// At least one output could not be written, or a device is lost.
    pub const OUTPUT_FAILED: u16 = 1 << 2;
    /// Slots before this cycle were skipped, so the outputs were held.
    pub const HELD: u16 = 1 << 3;
    /// The loop requested a quick stop.
    pub const QUICK_STOP: u16 = 1 << 4;
    /// The outputs were driven to their safe values.
    pub const SAFE: u16 = 1 << 5;
    /// Memory was allocated on the real-time thread.
    pub const ALLOCATED: u16 = 1 << 6;
    /// The control law keeps everything at rest after a quick stop and has not been armed
    /// again.
    pub const STOPPED: u16 = 1 << 7;
    /// A signal is forced: inputs that laws saw, or outputs that were driven, are not what the
    /// devices and laws gave.
    pub const FORCED: u16 = 1 << 12;
    /// The number of the control law whose fault it is, from 0 in the order of the board file.
    pub const LAW: u16 = 0xf << LAW_SHIFT;
    const LAW_SHIFT: u32 = 8;

    /// The bits of [`LAW`] for the control law with this number, 0 to 15.
    #[must_use]
    pub const fn of_law(number: u8) -> u16 {
        (number as u16) << LAW_SHIFT & LAW
    }

    /// The number of the control law in `flags`.
    #[must_use]
    pub const fn law(flags: u16) -> u8 {
        ((flags & LAW) >> LAW_SHIFT) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::flags::*;

    #[test]
    fn the_flags_are_those_of_the_file_format() {
        // docs/blackbox-format.md.
        let documented = [
            (1, OVERRUN),
            (2, INPUT_FAILED),
            (4, OUTPUT_FAILED),
            (8, HELD),
            (16, QUICK_STOP),
            (32, SAFE),
            (64, ALLOCATED),
            (128, STOPPED),
            (0xf00, LAW),
            (0x1000, FORCED),
        ];
        for (number, flag) in documented {
            assert_eq!(flag, number);
        }
    }
}
