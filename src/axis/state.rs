//! The state machine of a drive: CiA 402-2 / IEC 61800-7-201, "finite state
//! automaton" of the power drive system.
//!
//! ```text
//!  start -0-> Not ready -1-> Switch on disabled <-----15----- Fault
//!                             |2    ^7  ^10 ^9  ^12             ^14
//!                             v     |   |   |   |          Fault reaction
//!                            Ready to switch on <-6- ... -8-    ^13, from
//!                             |3    ^6                          every state
//!                             v     |
//!                            Switched on <-5-+
//!                             |4             |
//!                             v              |
//!                            Operation enabled -11-> Quick stop active
//!                                            <-16-
//! ```
//!
//! Transitions have the numbers of the standard. The machine is a pure function of state and
//! event; [`drive`](super::drive) derives the outputs from the state. Cost: one table jump for
//! each event.

/// The states of a drive.
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

/// The number of a transition in the standard.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transition(pub u8);

impl Transition {
    /// Transition 0: from power-on to [`State::NotReadyToSwitchOn`], the initial state.
    pub const START: (Self, State) = (Self(0), State::NotReadyToSwitchOn);
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 6] = [
        Self::Shutdown,
        Self::SwitchOn,
        Self::EnableOperation,
        Self::DisableVoltage,
        Self::QuickStop,
        Self::FaultReset,
    ];

    /// The command in `controlword` (bits 0 to 3 and 7). `previous` is the controlword before
    /// it: a fault reset is the rising edge of bit 7.
    pub const fn decode(controlword: u16, previous: u16) -> Self {
        if controlword & !previous & 0x80 != 0 {
            return Self::FaultReset;
        }
        if controlword & 0b0010 == 0 {
            return Self::DisableVoltage;
        }
        if controlword & 0b0100 == 0 {
            return Self::QuickStop;
        }
        if controlword & 0b0001 == 0 {
            return Self::Shutdown;
        }
        if controlword & 0b1000 == 0 {
            Self::SwitchOn
        } else {
            Self::EnableOperation
        }
    }
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

    /// The transition that `event` causes, and the next state. `None` if the event has no
    /// effect in this state.
    pub const fn next(self, event: Event) -> Option<(Transition, Self)> {
        let (number, state) = match self {
            Self::NotReadyToSwitchOn => match event {
                Event::Initialised => (1, Self::SwitchOnDisabled),
                Event::FaultDetected => (13, Self::FaultReactionActive),
                Event::Command(_) | Event::FaultReactionDone | Event::QuickStopDone => return None,
            },
            Self::SwitchOnDisabled => match event {
                Event::Command(Command::Shutdown) => (2, Self::ReadyToSwitchOn),
                Event::FaultDetected => (13, Self::FaultReactionActive),
                Event::Command(
                    Command::SwitchOn
                    | Command::EnableOperation
                    | Command::DisableVoltage
                    | Command::QuickStop
                    | Command::FaultReset,
                )
                | Event::Initialised
                | Event::FaultReactionDone
                | Event::QuickStopDone => return None,
            },
            Self::ReadyToSwitchOn => match event {
                Event::Command(Command::SwitchOn | Command::EnableOperation) => {
                    (3, Self::SwitchedOn)
                }
                Event::Command(Command::DisableVoltage | Command::QuickStop) => {
                    (7, Self::SwitchOnDisabled)
                }
                Event::FaultDetected => (13, Self::FaultReactionActive),
                Event::Command(Command::Shutdown | Command::FaultReset)
                | Event::Initialised
                | Event::FaultReactionDone
                | Event::QuickStopDone => return None,
            },
            Self::SwitchedOn => match event {
                Event::Command(Command::EnableOperation) => (4, Self::OperationEnabled),
                Event::Command(Command::Shutdown) => (6, Self::ReadyToSwitchOn),
                Event::Command(Command::DisableVoltage | Command::QuickStop) => {
                    (10, Self::SwitchOnDisabled)
                }
                Event::FaultDetected => (13, Self::FaultReactionActive),
                Event::Command(Command::SwitchOn | Command::FaultReset)
                | Event::Initialised
                | Event::FaultReactionDone
                | Event::QuickStopDone => return None,
            },
            Self::OperationEnabled => match event {
                Event::Command(Command::SwitchOn) => (5, Self::SwitchedOn),
                Event::Command(Command::Shutdown) => (8, Self::ReadyToSwitchOn),
                Event::Command(Command::DisableVoltage) => (9, Self::SwitchOnDisabled),
                Event::Command(Command::QuickStop) => (11, Self::QuickStopActive),
                Event::FaultDetected => (13, Self::FaultReactionActive),
                Event::Command(Command::EnableOperation | Command::FaultReset)
                | Event::Initialised
                | Event::FaultReactionDone
                | Event::QuickStopDone => return None,
            },
            Self::QuickStopActive => match event {
                Event::Command(Command::DisableVoltage) | Event::QuickStopDone => {
                    (12, Self::SwitchOnDisabled)
                }
                Event::Command(Command::EnableOperation) => (16, Self::OperationEnabled),
                Event::FaultDetected => (13, Self::FaultReactionActive),
                Event::Command(
                    Command::Shutdown
                    | Command::SwitchOn
                    | Command::QuickStop
                    | Command::FaultReset,
                )
                | Event::Initialised
                | Event::FaultReactionDone => return None,
            },
            Self::FaultReactionActive => match event {
                Event::FaultReactionDone => (14, Self::Fault),
                Event::Command(_)
                | Event::Initialised
                | Event::FaultDetected
                | Event::QuickStopDone => return None,
            },
            Self::Fault => match event {
                Event::Command(Command::FaultReset) => (15, Self::SwitchOnDisabled),
                Event::Command(
                    Command::Shutdown
                    | Command::SwitchOn
                    | Command::EnableOperation
                    | Command::DisableVoltage
                    | Command::QuickStop,
                )
                | Event::Initialised
                | Event::FaultDetected
                | Event::FaultReactionDone
                | Event::QuickStopDone => return None,
            },
        };
        Some((Transition(number), state))
    }

    /// The bits of the statusword (6041h) for the state: 0 to 3, 5 and 6. Bit 5 is 0 during a
    /// quick stop, and where the standard leaves it open.
    pub const fn statusword(self) -> u16 {
        match self {
            Self::NotReadyToSwitchOn => 0x0000,
            Self::SwitchOnDisabled => 0x0040,
            Self::ReadyToSwitchOn => 0x0021,
            Self::SwitchedOn => 0x0023,
            Self::OperationEnabled => 0x0027,
            Self::QuickStopActive => 0x0007,
            Self::FaultReactionActive => 0x000F,
            Self::Fault => 0x0008,
        }
    }

    /// The number of the state in records: 0 Not ready to switch on, to 7 Fault, in the order
    /// of [`State::ALL`].
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in the standard.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotReadyToSwitchOn => "Not ready to switch on",
            Self::SwitchOnDisabled => "Switch on disabled",
            Self::ReadyToSwitchOn => "Ready to switch on",
            Self::SwitchedOn => "Switched on",
            Self::OperationEnabled => "Operation enabled",
            Self::QuickStopActive => "Quick stop active",
            Self::FaultReactionActive => "Fault reaction active",
            Self::Fault => "Fault",
        }
    }
}

/// Bits of the statusword (6041h) that are independent of the state.
pub mod status {
    /// Bit 4: power is applied to the drive.
    pub const VOLTAGE_ENABLED: u16 = 1 << 4;
    /// Bit 9: the controlword is evaluated.
    pub const REMOTE: u16 = 1 << 9;
    /// Bit 10: the target is reached, or the drive has stopped.
    pub const TARGET_REACHED: u16 = 1 << 10;
    /// Bit 11: an internal limit is active.
    pub const INTERNAL_LIMIT: u16 = 1 << 11;
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
    fn every_event_in_every_state_follows_the_transition_table() {
        let mut seen = [false; 17];
        let (Transition(start), state) = Transition::START;
        assert_eq!(LEADS_TO[usize::from(start)], state);
        seen[usize::from(start)] = true;
        for (state, row) in State::ALL.into_iter().zip(TABLE) {
            for (event, number) in EVENTS.into_iter().zip(row) {
                let expected = u8::try_from(number)
                    .ok()
                    .map(|n| (Transition(n), LEADS_TO[usize::from(n)]));
                assert_eq!(state.next(event), expected, "{state:?}, {event:?}");
                if let Some((Transition(n), _)) = expected {
                    seen[usize::from(n)] = true;
                }
            }
        }
        assert_eq!(seen, [true; 17], "each transition is in the table");
    }

    #[test]
    fn controlwords_decode_as_in_the_command_table_of_cia_402() {
        // All values of bits 0 to 3 without bit 7, decoded by the masks of the standard.
        for word in 0..16_u16 {
            let expected = match word & 0b1111 {
                w if w & 0b0111 == 0b0110 => Shutdown,
                0b0111 => SwitchOn,
                0b1111 => EnableOperation,
                w if w & 0b0010 == 0 => DisableVoltage,
                w if w & 0b0110 == 0b0010 => QuickStop,
                _ => unreachable!(),
            };
            assert_eq!(Command::decode(word, 0), expected, "{word:#06b}");
            assert_eq!(Command::decode(word | 0x80, 0), FaultReset);
            assert_eq!(Command::decode(word | 0x80, 0x80), expected);
            assert_eq!(Command::decode(word | 0xFF70, 0x80 | word), expected);
        }
    }

    #[test]
    fn statuswords_match_the_state_masks_of_cia_402() {
        // (mask, value) of CiA 402-2, table of the statusword.
        let masks = [
            (0x4F, 0x00),
            (0x4F, 0x40),
            (0x6F, 0x21),
            (0x6F, 0x23),
            (0x6F, 0x27),
            (0x6F, 0x07),
            (0x4F, 0x0F),
            (0x4F, 0x08),
        ];
        for (at, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.number()), at);
            let matching = masks
                .iter()
                .position(|&(mask, value)| state.statusword() & mask == value);
            assert_eq!(matching, Some(at), "{state:?}");
        }
    }
}
