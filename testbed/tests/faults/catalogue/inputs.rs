//! The digital lines: what people and the machine do to them, wires, and their
//! chips.
//!
//! Break contacts: a pressed button, a hit switch and a broken wire all read
//! low, and are one case here. These come from outside of the board, so that
//! they fall anywhere into a period.

use super::{FIRST, Fault, Outcome};
use crate::state::State;
use crate::watch::Periods;

const PRESSED: Fault = Fault {
    from_outside: true,
    watch_ms: 100,
    ..Fault::EMPTY
};

/// The third output in a row that cannot be written ends the run.
const FAILURES: Periods = 3;

/// From the write that asks for it until the kernel has taken a chip away: it waits
/// for those who are reading its lists (gpiolib.c, `gpiochip_remove`), and it does so
/// below the priority of everything here.
const UNBINDING: Periods = 25;

/// Both files move: the axis is moving, or has a fault from doing so.
const UNBOUND: Fault = Fault {
    inject: "echo 900000.gpio >/sys/bus/platform/drivers/basic-mmio-gpio/unbind\n",
    cure: "echo 900000.gpio >/sys/bus/platform/drivers/basic-mmio-gpio/bind\n",
    states: &[State::Moving, State::Fault],
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
        name: "positive limit switch ahead, or its wire",
        injected: "line 13 low in a move towards it",
        file: Some("/moving-up.toml"),
        inject: "press 13 0\n",
        cure: "press 13 1\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Ramp { detected: 0 },
        words: |_| "positive limit switch",
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
    Fault {
        name: "GPIO chip of an input taken away",
        injected: "its driver unbound (`removable.dtso`)",
        file: Some("/removable-input.toml"),
        // A line that cannot be read has been taken away: no second reading.
        outcome: |_| Outcome::PowerOff {
            detected: UNBINDING + 1,
        },
        words: |state| {
            if state.is_faulted() {
                FIRST
            } else {
                "digital inputs not readable"
            }
        },
        ..UNBOUND
    },
    Fault {
        name: "GPIO chip of an output taken away",
        injected: "its driver unbound (`removable.dtso`)",
        file: Some("/removable-output.toml"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: UNBINDING + FAILURES,
        },
        words: |_| "the outputs could not be made safe",
        ..UNBOUND
    },
    Fault {
        name: "line in use by somebody else",
        injected: "exported in `/sys/class/gpio` before the start",
        before: "echo $((base + 6)) >/sys/class/gpio/export\n",
        cure: "echo $((base + 6)) >/sys/class/gpio/unexport\n",
        states: &[State::SwitchOnDisabled],
        outcome: |_| Outcome::Refused { code: 1 },
        words: |_| "is in use by",
        ..Fault::EMPTY
    },
];
