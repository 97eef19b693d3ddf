//! The digital inputs: what people and the machine do to them, and wires.
//!
//! Break contacts: a pressed button, a hit switch and a broken wire all read
//! low, and are one case here. These come from outside of the board, so that
//! they fall anywhere into a period.

use super::{FIRST, Fault, Outcome};
use crate::state::State;

const PRESSED: Fault = Fault {
    from_outside: true,
    watch_ms: 100,
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "emergency stop, or its wire",
        injected: "line 5 low",
        inject: "press 5 0\n",
        cure: "press 5 1\n",
        outcome: |_| Outcome::PowerOff { detected: 0 },
        words: |state| {
            if state.is_faulted() {
                FIRST
            } else {
                "emergency stop"
            }
        },
        ..PRESSED
    },
    Fault {
        name: "limit switch ahead, or its wire",
        injected: "line 15 low in a move towards it",
        inject: "press 15 0\n",
        cure: "press 15 1\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Ramp { detected: 0 },
        words: |_| "negative limit switch",
        watch_ms: 300,
        ..PRESSED
    },
    Fault {
        name: "limit switch behind, or its wire",
        injected: "line 13 low in a move away from it",
        inject: "press 13 0\n",
        cure: "press 13 1\n",
        states: &[State::Moving],
        ..PRESSED
    },
    Fault {
        name: "limit switch at rest, or its wire",
        injected: "line 15 low while nothing moves",
        inject: "press 15 0\n",
        cure: "press 15 1\n",
        states: &[State::SwitchOnDisabled, State::SwitchedOn, State::Standing],
        ..PRESSED
    },
    Fault {
        name: "reset pressed meanwhile",
        injected: "line 7 high",
        inject: "press 7 1\n",
        cure: "press 7 0\n",
        states: &[
            State::Moving,
            State::QuickStopActive,
            State::FaultReactionActive,
        ],
        words: |state| if state.is_faulted() { FIRST } else { "" },
        ..PRESSED
    },
];
