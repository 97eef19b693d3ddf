//! Faults that are switched on for some transfers of a chip.

use heapless::Vec;

/// The count of a fault that never ends.
pub const FOREVER: u64 = u64::MAX;

/// What can go wrong with a chip, its wires or what it measures.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transfer is refused by the controller; the chip sees nothing.
    BusError,
    /// The last byte is not transferred, and the controller says so.
    ShortTransfer,
    /// The last byte is not transferred, and nobody says so.
    LostClocks,
    /// One bit of the reply is inverted, counted from the first on the wire.
    ReplyBitFlip(u8),
    /// One bit of what the chip receives is inverted, counted likewise.
    CommandBitFlip(u8),
    /// The line from the chip is stuck low.
    MisoLow,
    /// The line from the chip is stuck high.
    MisoHigh,
    /// The chip does not see its chip select; the line from it rests low.
    NoAnswer,
    /// The encoder reports the position it had when this began.
    StuckPosition,
    /// The encoder's position is off by this many counts.
    PositionJump(i16),
    /// The magnet is lost or too far away.
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
    /// Whether there is no fault at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// Whether a fault of this kind is on; its number does not matter.
    #[must_use]
    pub const fn has(&self, kind: Fault) -> bool {
        self.set & kind.bit() != 0
    }

    /// The bit of the reply to invert.
    #[must_use]
    pub const fn reply_bit(&self) -> Option<u8> {
        if self.has(Fault::ReplyBitFlip(0)) {
            Some(self.reply_bit)
        } else {
            None
        }
    }

    /// The bit of the command to invert.
    #[must_use]
    pub const fn command_bit(&self) -> Option<u8> {
        if self.has(Fault::CommandBitFlip(0)) {
            Some(self.command_bit)
        } else {
            None
        }
    }

    /// By how many counts the position is off; 0 without such a fault.
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

/// There is room for no further fault; the one that was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PlanFull(pub Fault);

/// The faults of one chip, by the number of the transfer, which counts from 0.
///
/// Up to eight at once. Without any, a transfer costs one increment and one
/// comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    windows: Vec<Window, 8>,
    transfers: u64,
}

impl FaultPlan {
    /// No faults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            windows: Vec::new(),
            transfers: 0,
        }
    }

    /// Transfers so far, failed ones included: the number of the next one.
    #[must_use]
    pub const fn transfers(&self) -> u64 {
        self.transfers
    }

    /// Switches `fault` on for `count` transfers beginning with number `first`.
    ///
    /// # Errors
    /// [`PlanFull`] when eight faults are planned that are not over yet.
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

    /// Switches `fault` on for the next `count` transfers.
    ///
    /// # Errors
    /// As [`FaultPlan::add`].
    pub fn add_now(&mut self, fault: Fault, count: u64) -> Result<(), PlanFull> {
        self.add(fault, self.transfers, count)
    }

    /// Ends all faults and forgets those to come.
    pub fn clear(&mut self) {
        self.windows.clear();
    }

    /// Counts a transfer and gives its faults. Of two faults of one kind the
    /// one added later counts.
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
    fn a_fault_is_on_from_its_first_transfer_for_its_count() {
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
    fn a_full_plan_hands_the_fault_back_and_makes_room_for_what_is_over() {
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
