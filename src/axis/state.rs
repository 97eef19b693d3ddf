//! The state machine of a drive: CiA 402-2 / IEC 61800-7-201, "finite state automaton" of the
//! power drive system.
//!
//! Transitions have the numbers of the standard. The machine is a pure function of state and
//! event; [`drive`](super::drive) derives the outputs from the state.

/// The states of a drive, with the numbers of their transitions:
///
/// ```text
///  start -0-> Not ready -1-> Switch on disabled <-----15----- Fault
///                             |2    ^7  ^10 ^9  ^12             ^14
///                             v     |   |   |   |          Fault reaction
///                            Ready to switch on <-6- ... -8-    ^13, from
///                             |3    ^6                          every state
///                             v     |
///                            Switched on <-5-+
///                             |4             |
///                             v              |
///                            Operation enabled -11-> Quick stop active
///                                            <-16-
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Initialising; commands are ignored.
    #[default]
    NotReadyToSwitchOn = 0,
    /// Initialised; power must not be applied.
    SwitchOnDisabled = 1,
    /// Power may be applied.
    ReadyToSwitchOn = 2,
    /// Power is applied; the setpoint is not followed.
    SwitchedOn = 3,
    /// The drive follows its setpoint.
    OperationEnabled = 4,
    /// The drive stops on the quick stop ramp.
    QuickStopActive = 5,
    /// A fault was detected; its reaction is running.
    FaultReactionActive = 6,
    /// The fault reaction is over; power is off.
    Fault = 7,
}

/// Commands of the controlword (6040h).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Bits 2, 1, 0 = 1, 1, 0.
    Shutdown,
    /// Bits 3, 2, 1, 0 = 0, 1, 1, 1: "switch on", which in Operation enabled
    /// is "disable operation".
    SwitchOn,
    /// Bits 3, 2, 1, 0 = 1, 1, 1, 1. In Ready to switch on it switches on
    /// first, and enables with the next cycle.
    EnableOperation,
    /// Bit 1 = 0.
    DisableVoltage,
    /// Bits 2, 1 = 0, 1.
    QuickStop,
    /// Rising edge of bit 7.
    FaultReset,
}

impl Command {
    /// The command in bits 0 to 3 of a controlword. Fault reset is an edge, which one
    /// controlword does not show; bit 7 is not looked at.
    #[inline]
    pub const fn decode(controlword: u16) -> Self {
        match controlword & 0xF {
            0xF => Self::EnableOperation,
            0x7 => Self::SwitchOn,
            0x6 | 0xE => Self::Shutdown,
            word if word & 0x2 == 0 => Self::DisableVoltage,
            _ => Self::QuickStop,
        }
    }
}

/// The events of the state machine.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A command of the controlword.
    Command(Command),
    /// The drive has finished its initialisation.
    Initialised,
    /// A fault was detected.
    FaultDetected,
    /// The reaction to a fault is over.
    FaultReactionDone,
    /// The drive has come to rest after a quick stop.
    QuickStopDone,
}

impl core::fmt::Display for State {
    /// The name in CiA 402.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotReadyToSwitchOn => "Not ready to switch on",
            Self::SwitchOnDisabled => "Switch on disabled",
            Self::ReadyToSwitchOn => "Ready to switch on",
            Self::SwitchedOn => "Switched on",
            Self::OperationEnabled => "Operation enabled",
            Self::QuickStopActive => "Quick stop active",
            Self::FaultReactionActive => "Fault reaction active",
            Self::Fault => "Fault",
        })
    }
}

impl State {
    /// Every state, in the order of [`State::number`].
    pub const ALL: [Self; 8] = [
        Self::NotReadyToSwitchOn,
        Self::SwitchOnDisabled,
        Self::ReadyToSwitchOn,
        Self::SwitchedOn,
        Self::OperationEnabled,
        Self::QuickStopActive,
        Self::FaultReactionActive,
        Self::Fault,
    ];

    /// A small number for records: 0 Not ready to switch on, to 7 Fault, in the
    /// order of [`State::ALL`].
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The next state after `event`. `None` if the event has no effect in this state.
    pub const fn next(self, event: Event) -> Option<Self> {
        use Command::{DisableVoltage, EnableOperation, FaultReset, QuickStop, Shutdown, SwitchOn};
        Some(match (self, event) {
            // 13. In the last two the reaction has begun.
            (Self::FaultReactionActive | Self::Fault, Event::FaultDetected) => return None,
            (_, Event::FaultDetected) => Self::FaultReactionActive,
            // 1
            (Self::NotReadyToSwitchOn, Event::Initialised) => Self::SwitchOnDisabled,
            // 2
            (Self::SwitchOnDisabled, Event::Command(Shutdown)) => Self::ReadyToSwitchOn,
            // 3; 4 is for the next cycle.
            (Self::ReadyToSwitchOn, Event::Command(SwitchOn | EnableOperation)) => Self::SwitchedOn,
            // 4
            (Self::SwitchedOn, Event::Command(EnableOperation)) => Self::OperationEnabled,
            // 5
            (Self::OperationEnabled, Event::Command(SwitchOn)) => Self::SwitchedOn,
            // 6, 8
            (Self::SwitchedOn | Self::OperationEnabled, Event::Command(Shutdown)) => {
                Self::ReadyToSwitchOn
            }
            // 7, 10
            (
                Self::ReadyToSwitchOn | Self::SwitchedOn,
                Event::Command(DisableVoltage | QuickStop),
            ) => Self::SwitchOnDisabled,
            // 9, 12
            (Self::OperationEnabled | Self::QuickStopActive, Event::Command(DisableVoltage))
            | (Self::QuickStopActive, Event::QuickStopDone) => Self::SwitchOnDisabled,
            // 11
            (Self::OperationEnabled, Event::Command(QuickStop)) => Self::QuickStopActive,
            // 14
            (Self::FaultReactionActive, Event::FaultReactionDone) => Self::Fault,
            // 15
            (Self::Fault, Event::Command(FaultReset)) => Self::SwitchOnDisabled,
            // 16
            (Self::QuickStopActive, Event::Command(EnableOperation)) => Self::OperationEnabled,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Command::*;
    use State::*;

    const EVENTS: [Event; 10] = [
        Event::Command(Shutdown),
        Event::Command(SwitchOn),
        Event::Command(EnableOperation),
        Event::Command(DisableVoltage),
        Event::Command(QuickStop),
        Event::Command(FaultReset),
        Event::Initialised,
        Event::FaultDetected,
        Event::FaultReactionDone,
        Event::QuickStopDone,
    ];

    /// Number of the transition for each state (row) and event (column, in the order of
    /// `EVENTS`), -1 for none. Taken from the standard's table of transitions, not from the
    /// code.
    const TABLE: [[i8; 10]; 8] = [
        // Sd  On  En  Dv  Qs  Rst Ini Flt Rea QsD
        [-1, -1, -1, -1, -1, -1, 1, 13, -1, -1],
        [2, -1, -1, -1, -1, -1, -1, 13, -1, -1],
        [-1, 3, 3, 7, 7, -1, -1, 13, -1, -1],
        [6, -1, 4, 10, 10, -1, -1, 13, -1, -1],
        [8, 5, -1, 9, 11, -1, -1, 13, -1, -1],
        [-1, -1, 16, 12, -1, -1, -1, 13, -1, 12],
        [-1, -1, -1, -1, -1, -1, -1, -1, 14, -1],
        [-1, -1, -1, -1, -1, 15, -1, -1, -1, -1],
    ];

    /// The state after each transition.
    const LEADS_TO: [State; 17] = [
        NotReadyToSwitchOn,
        SwitchOnDisabled,
        ReadyToSwitchOn,
        SwitchedOn,
        OperationEnabled,
        SwitchedOn,
        ReadyToSwitchOn,
        SwitchOnDisabled,
        ReadyToSwitchOn,
        SwitchOnDisabled,
        SwitchOnDisabled,
        QuickStopActive,
        SwitchOnDisabled,
        FaultReactionActive,
        State::Fault,
        SwitchOnDisabled,
        OperationEnabled,
    ];

    #[test]
    fn a_controlword_decodes_as_in_the_table_of_commands() {
        for word in 0..=0xFF_u16 {
            let bit = |number: u16| word >> number & 1 == 1;
            // CiA 402-2, table "command coding"; bit 7 is an edge.
            let expected = match (bit(3), bit(2), bit(1), bit(0)) {
                (_, _, false, _) => DisableVoltage,
                (_, false, true, _) => QuickStop,
                (_, true, true, false) => Shutdown,
                (false, true, true, true) => SwitchOn,
                (true, true, true, true) => EnableOperation,
            };
            assert_eq!(Command::decode(word), expected, "{word:#04x}");
        }
    }

    #[test]
    fn every_event_in_every_state_follows_the_transition_table() {
        let mut seen = [false; 17];
        assert_eq!(LEADS_TO[0], State::default());
        seen[0] = true;
        for (state, row) in State::ALL.into_iter().zip(TABLE) {
            for (event, number) in EVENTS.into_iter().zip(row) {
                let number = usize::try_from(number).ok();
                let expected = number.map(|number| LEADS_TO[number]);
                assert_eq!(state.next(event), expected, "{state:?}, {event:?}");
                if let Some(number) = number {
                    seen[number] = true;
                }
            }
        }
        assert_eq!(seen, [true; 17], "each transition is in the table");
    }
}
