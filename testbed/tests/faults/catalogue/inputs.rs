//! The digital lines: buttons, switches, wires and GPIO chips.
//!
//! The contacts are normally closed: a pressed button, a hit switch and a broken wire
//! all read low and are one case here. The test drives the lines from outside the board,
//! at any time within a period.

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

/// From the write to `unbind` until the kernel has removed the chip: it waits for readers
/// of its lists (gpiolib.c, `gpiochip_remove`), at a priority below all threads here.
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
        name: "emergency stop pressed or its wire broken",
        injected: "line 5 goes low",
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
        name: "negative limit switch hit in a move towards it, or its wire broken",
        injected: "line 15 goes low in a move towards the switch",
        inject: "press 15 0\n",
        cure: "press 15 1\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Ramp { detected: 0 },
        words: |_| "negative limit switch",
        watch_ms: 300,
        ..PRESSED
    },
    Fault {
        name: "positive limit switch hit in a move towards it, or its wire broken",
        injected: "line 13 goes low in a move towards the switch",
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
        name: "limit switch hit in a move away from it, or its wire broken",
        injected: "line 13 goes low in a move away from the switch",
        inject: "press 13 0\n",
        cure: "press 13 1\n",
        states: &[State::Moving],
        ..PRESSED
    },
    Fault {
        name: "limit switch hit at rest, or its wire broken",
        injected: "line 15 goes low while the axis is at rest",
        inject: "press 15 0\n",
        cure: "press 15 1\n",
        states: &[State::SwitchOnDisabled, State::SwitchedOn, State::Standing],
        ..PRESSED
    },
    Fault {
        name: "reset pressed during operation or a stop",
        injected: "line 7 goes high",
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
        name: "GPIO chip of an input removed",
        injected: "its driver is unbound (`removable.dtso`)",
        file: Some("/removable-input.toml"),
        // A failed read means that the line is gone: no second reading.
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
        name: "GPIO chip of an output removed",
        injected: "its driver is unbound (`removable.dtso`)",
        file: Some("/removable-output.toml"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: UNBINDING + FAILURES,
        },
        words: |_| "the outputs could not be made safe",
        ..UNBOUND
    },
    Fault {
        name: "output line in use by another consumer",
        injected: "the line is exported in `/sys/class/gpio` before the start",
        before: "echo $((base + 6)) >/sys/class/gpio/export\n",
        cure: "echo $((base + 6)) >/sys/class/gpio/unexport\n",
        states: &[State::SwitchOnDisabled],
        outcome: |_| Outcome::Refused { code: 1 },
        words: |_| "is in use by",
        ..Fault::EMPTY
    },
];
