//! The bits of controlword (6040h) and statusword (6041h), CiA 402-2.

/// Bits of the controlword.
pub mod control {
    /// The command shutdown: to Ready to switch on.
    pub const SHUTDOWN: u16 = 0x06;
    /// The command switch on: to Switched on.
    pub const SWITCH_ON: u16 = 0x07;
    /// The command enable operation: to Operation enabled.
    pub const ENABLE_OPERATION: u16 = 0x0F;
    /// Mode pp: a new set-point; mode hm: start.
    pub const NEW_SET_POINT: u16 = 1 << 4;
    /// Mode pp: change set immediately.
    pub const CHANGE_IMMEDIATELY: u16 = 1 << 5;
    /// Mode pp: the target is relative.
    pub const RELATIVE: u16 = 1 << 6;
    /// Fault reset, by its rising edge.
    pub const FAULT_RESET: u16 = 1 << 7;
    /// Halt.
    pub const HALT: u16 = 1 << 8;
    /// Of the manufacturer: changes with each SYNC, if [`PACED`] is set.
    pub const PACE: u16 = 1 << 14;
    /// Of the manufacturer: targets come with SYNC. A link sets it, no master.
    pub const PACED: u16 = 1 << 15;
}

/// Bits of the statusword.
pub mod status {
    use crate::axis::state::State;

    /// Fault.
    pub const FAULT: u16 = 1 << 3;
    /// Voltage enabled.
    pub const VOLTAGE_ENABLED: u16 = 1 << 4;
    /// Remote: a link commands the axis.
    pub const REMOTE: u16 = 1 << 9;
    /// Target reached.
    pub const TARGET_REACHED: u16 = 1 << 10;
    /// Internal limit active.
    pub const INTERNAL_LIMIT: u16 = 1 << 11;
    /// By mode: set-point acknowledge, speed is 0, homing attained, follows the command.
    pub const MODE_SPECIFIC_12: u16 = 1 << 12;
    /// By mode: following error, homing error.
    pub const MODE_SPECIFIC_13: u16 = 1 << 13;

    /// Bits 0 to 3, 5 and 6 of `state`.
    #[must_use]
    pub const fn bits(state: State) -> u16 {
        match state {
            State::NotReadyToSwitchOn => 0x00,
            State::SwitchOnDisabled => 0x40,
            State::ReadyToSwitchOn => 0x21,
            State::SwitchedOn => 0x23,
            State::OperationEnabled => 0x27,
            State::QuickStopActive => 0x07,
            State::FaultReactionActive => 0x0F,
            State::Fault => 0x08,
        }
    }

    /// The state in `word`; `None` for a word that no state has.
    #[must_use]
    pub const fn state(word: u16) -> Option<State> {
        Some(match (word & 0x4F, word & 0x6F) {
            (0x00, _) => State::NotReadyToSwitchOn,
            (0x40, _) => State::SwitchOnDisabled,
            (_, 0x21) => State::ReadyToSwitchOn,
            (_, 0x23) => State::SwitchedOn,
            (_, 0x27) => State::OperationEnabled,
            (_, 0x07) => State::QuickStopActive,
            (0x0F, _) => State::FaultReactionActive,
            (0x08, _) => State::Fault,
            _ => return None,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_state_is_read_back_from_its_word_with_any_other_bits() {
            for expected in State::ALL {
                for others in [0, VOLTAGE_ENABLED | 1 << 7, 0xFF00] {
                    assert_eq!(state(bits(expected) | others), Some(expected));
                }
            }
            assert_eq!(state(0x41), None);
        }
    }
}
