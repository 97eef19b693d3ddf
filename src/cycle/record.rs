//! What is kept of each cycle.

use super::ports::Trace;

/// One cycle, as it happened. Fixed size, no pointers.
///
/// Its layout in memory is that of the files it is kept in (docs/blackbox.md).
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
    /// What went wrong in this cycle: bits of [`flags`].
    pub flags: u16,
    /// What the control law wants to be remembered.
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
    /// The last outputs were held instead of fresh ones.
    pub const HELD: u16 = 1 << 3;
    /// A quick stop was asked of the control law.
    pub const QUICK_STOP: u16 = 1 << 4;
    /// The outputs were driven to their safe values.
    pub const SAFE: u16 = 1 << 5;
    /// Memory was allocated on the real-time thread.
    pub const ALLOCATED: u16 = 1 << 6;
}
