//! What the kinds of controllers have in common.

/// The divider of the controller's clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Divider {
    /// Its bits in the control or clock register.
    pub(super) bits: u32,
    /// The clock on the wire, Hz, rounded down.
    pub hz: u32,
}

/// The parts of a transaction that are set up before it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Burst {
    pub(super) bytes: usize,
    /// From chip select to the first edge, ns.
    pub(super) lead_ns: u64,
    /// Whether the chip stays selected after the last bit until [`Kind::end`].
    pub(super) hold: bool,
}

/// What the status register says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No received word waits.
    Nothing,
    /// A received word waits.
    Word,
    /// A received word was lost.
    Overrun,
    /// No device answers.
    Gone,
}
