//! The DAC: what it is told does not arrive.

use super::{FIRST, Fault, Outcome};
use crate::state::State;
use crate::watch::{Periods, energising};

/// The board file's default: the third failure in a row ends the run.
const FAILURES: Periods = 3;

const CLEAR: &str = "servo spidev3.1 clear\n";

const BAD: Fault = Fault {
    cure: CLEAR,
    ..Fault::EMPTY
};

/// A command that does not arrive holds the last one.
const UNWRITABLE: fn(State) -> Outcome = |_| Outcome::Ends {
    code: 4,
    detected: FAILURES,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "DAC transfer fails",
        injected: "`EIO` from every transfer",
        inject: "servo spidev3.1 eio\n",
        outcome: UNWRITABLE,
        words: |_| "outputs could not be",
        loses: Some(energising::DAC),
        ..BAD
    },
    Fault {
        name: "DAC transfer is short",
        injected: "1 byte of 2 said to have been moved",
        inject: "servo spidev3.1 short 1\n",
        outcome: UNWRITABLE,
        states: State::SOME,
        words: |_| "outputs could not be",
        ..BAD
    },
    Fault {
        name: "DAC fails twice and is well again",
        injected: "`EIO` from 2 transfers",
        inject: "servo spidev3.1 eio x2\n",
        outcome: |_| Outcome::GoesOn,
        states: State::SOME,
        words: |state| if state.is_faulted() { FIRST } else { "" },
        ..BAD
    },
    Fault {
        name: "DAC does not answer",
        injected: "the chip sees nothing; it has no line to say so",
        inject: "servo spidev3.1 silent\n",
        states: &[State::Moving],
        // Seen by the axis alone: the last command stays, and the shaft runs
        // past its target. Enable goes, the converter cannot be reached.
        outcome: |_| Outcome::Ramp { detected: 350 },
        words: |_| "axis x",
        watch_ms: 600,
        loses: Some(energising::DAC),
        ..BAD
    },
    Fault {
        name: "DAC transfer takes 5 ms, once",
        injected: "one transfer late by 5 ms: five slots missed",
        inject: "servo spidev3.1 delay 5000 x1\n",
        // Five periods, at most one until the script has told the servo after its mark,
        // and at most one until the next transfer.
        outcome: |state| match state {
            State::SwitchedOn | State::Standing | State::Moving => {
                Outcome::QuickStop { detected: 7 }
            }
            _ => Outcome::GoesOn,
        },
        words: |state| match state {
            State::SwitchedOn | State::Standing | State::Moving => "overrun ladder",
            _ if state.is_faulted() => FIRST,
            _ => "",
        },
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "DAC transfer hangs",
        injected: "one transfer takes 500 ms, in the kernel",
        inject: "servo spidev3.1 delay 500000 x1\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 20,
        },
        states: State::SOME,
        words: |_| "finished no cycle",
        watch_ms: 700,
        loses: Some(energising::DAC),
        ..BAD
    },
];
