//! Faults that are active during given transfers of a chip.

use heapless::Vec;

/// The count of a fault that never ends.
pub const FOREVER: u64 = u64::MAX;

/// A fault of a chip, its wires or its sensor.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The controller refuses the transfer; the chip receives nothing.
    BusError,
    /// The last byte is not transferred, and the controller reports an error.
    ShortTransfer,
    /// The last byte is not transferred, without an error.
    LostClocks,
    /// This bit of the reply is inverted; bit 0 is the first on the wire.
    ReplyBitFlip(u8),
    /// This bit of the received frame is inverted; bit 0 is the first on the wire.
    CommandBitFlip(u8),
    /// The line from the chip is stuck low.
    MisoLow,
    /// The line from the chip is stuck high.
    MisoHigh,
    /// Chip select does not reach the chip; the line from it stays low.
    NoAnswer,
    /// The encoder keeps reporting the position at the start of this fault.
    StuckPosition,
    /// The encoder's position is wrong by this number of counts.
    PositionJump(i16),
    /// The magnet is missing or too far away.
    FieldWeak,
    /// The magnet is too close.
    FieldStrong,
    /// The encoder's CORDIC overflows.
    CordicOverflow,
}

impl Fault {
    const fn bit(self) -> u16 {
        1 << match self {
            Self::BusError => 0,
            Self::ShortTransfer => 1,
            Self::LostClocks => 2,
            Self::ReplyBitFlip(_) => 3,
            Self::CommandBitFlip(_) => 4,
            Self::MisoLow => 5,
            Self::MisoHigh => 6,
            Self::NoAnswer => 7,
            Self::StuckPosition => 8,
            Self::PositionJump(_) => 9,
            Self::FieldWeak => 10,
            Self::FieldStrong => 11,
            Self::CordicOverflow => 12,
        }
    }
}

/// The faults of one transfer.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Active {
    set: u16,
    reply_bit: u8,
    command_bit: u8,
    jump_counts: i16,
}

impl Active {
    /// Whether no fault is active.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// Whether a fault of this kind is active; its parameter is ignored.
    #[must_use]
    pub const fn has(&self, kind: Fault) -> bool {
        self.set & kind.bit() != 0
    }

    /// The bit of the reply to invert, if any.
    #[must_use]
    pub const fn reply_bit(&self) -> Option<u8> {
        if self.has(Fault::ReplyBitFlip(0)) {
            Some(self.reply_bit)
        } else {
            None
        }
    }

    /// The bit of the command to invert, if any.
    #[must_use]
    pub const fn command_bit(&self) -> Option<u8> {
        if self.has(Fault::CommandBitFlip(0)) {
            Some(self.command_bit)
        } else {
            None
        }
    }

    /// The error of the position in counts; 0 without such a fault.
    #[must_use]
    pub const fn jump_counts(&self) -> i16 {
        self.jump_counts
    }

    const fn with(mut self, fault: Fault) -> Self {
        self.set |= fault.bit();
        match fault {
            Fault::ReplyBitFlip(bit) => self.reply_bit = bit,
            Fault::CommandBitFlip(bit) => self.command_bit = bit,
            Fault::PositionJump(counts) => self.jump_counts = counts,
            _ => {}
        }
        self
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Window {
    fault: Fault,
    first: u64,
    count: u64,
}

/// The plan is full; contains the refused fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PlanFull(pub Fault);

/// The faults of one chip, by the number of the transfer, from 0.
///
/// At most eight at once. Without faults, a transfer costs one increment and one comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    windows: Vec<Window, 8>,
    transfers: u64,
}

impl FaultPlan {
    /// A plan without faults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            windows: Vec::new(),
            transfers: 0,
        }
    }

    /// Number of transfers so far, including failed ones; also the number of the next one.
    #[must_use]
    pub const fn transfers(&self) -> u64 {
        self.transfers
    }

    /// Activates `fault` for `count` transfers from number `first` on.
    ///
    /// # Errors
    /// [`PlanFull`] if eight faults are active or still to come.
    pub fn add(&mut self, fault: Fault, first: u64, count: u64) -> Result<(), PlanFull> {
        let now = self.transfers;
        self.windows
            .retain(|window| window.first.saturating_add(window.count) > now);
        self.windows
            .push(Window {
                fault,
                first,
                count,
            })
            .map_err(|window| PlanFull(window.fault))
    }

    /// Activates `fault` for the next `count` transfers.
    ///
    /// # Errors
    /// Those of [`FaultPlan::add`].
    pub fn add_now(&mut self, fault: Fault, count: u64) -> Result<(), PlanFull> {
        self.add(fault, self.transfers, count)
    }

    /// Removes all faults, including those to come.
    pub fn clear(&mut self) {
        self.windows.clear();
    }

    /// Counts a transfer and returns its faults. Of two faults of one kind, the one added
    /// later applies.
    #[inline]
    pub fn next_transfer(&mut self) -> Active {
        let number = self.transfers;
        self.transfers += 1;
        let mut active = Active::default();
        for window in &self.windows {
            if number >= window.first && number - window.first < window.count {
                active = active.with(window.fault);
            }
        }
        active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_active_for_its_count_from_its_first_transfer() {
        let mut plan = FaultPlan::new();
        plan.add(Fault::MisoLow, 2, 3).unwrap();
        plan.add(Fault::PositionJump(-5), 4, FOREVER).unwrap();
        let seen = [(); 6].map(|()| {
            let active = plan.next_transfer();
            (active.has(Fault::MisoLow), active.jump_counts())
        });
        let expected = [
            (false, 0),
            (false, 0),
            (true, 0),
            (true, 0),
            (true, -5),
            (false, -5),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_full_plan_returns_the_fault_and_drops_faults_that_are_over() {
        let mut plan = FaultPlan::new();
        for _ in 0..8 {
            plan.add_now(Fault::BusError, 1).unwrap();
        }
        assert_eq!(
            plan.add_now(Fault::MisoHigh, 1),
            Err(PlanFull(Fault::MisoHigh))
        );
        plan.next_transfer();
        assert_eq!(plan.add_now(Fault::MisoHigh, 1), Ok(()));
        plan.clear();
        assert!(plan.next_transfer().is_empty());
    }
}
