//! The DAC: commands that do not arrive.

use super::{FIRST, Fault, Outcome, five_slots_missed};
use crate::state::State;
use crate::watch::{Periods, energising};

/// The board file's default: the third failure in a row ends the run.
const FAILURES: Periods = 3;

const CLEAR: &str = "servo spidev3.1 clear\n";

const BAD: Fault = Fault {
    cure: CLEAR,
    ..Fault::EMPTY
};

/// A DAC that gets no command holds the last one.
const UNWRITABLE: fn(State) -> Outcome = |_| Outcome::Ends {
    code: 4,
    detected: FAILURES,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "every DAC transfer fails",
        injected: "every transfer returns `EIO`",
        inject: "servo spidev3.1 eio\n",
        outcome: UNWRITABLE,
        words: |_| "outputs could not be",
        loses: Some(energising::DAC),
        ..BAD
    },
    Fault {
        name: "every DAC transfer is short",
        injected: "every transfer reports 1 byte of 2 moved",
        inject: "servo spidev3.1 short 1\n",
        outcome: UNWRITABLE,
        states: State::SOME,
        words: |_| "outputs could not be",
        ..BAD
    },
    Fault {
        name: "two DAC transfers fail",
        injected: "2 transfers return `EIO`, the next ones succeed",
        inject: "servo spidev3.1 eio x2\n",
        outcome: |_| Outcome::GoesOn,
        states: State::SOME,
        words: |state| if state.is_faulted() { FIRST } else { "" },
        ..BAD
    },
    Fault {
        name: "DAC ignores every transfer",
        injected: "the chip receives nothing and has no means to report it",
        inject: "servo spidev3.1 silent\n",
        states: &[State::Moving],
        // Only the axis detects it: the last command stays, and the shaft runs past its
        // target. Enable falls, the converter cannot be reached.
        outcome: |_| Outcome::Ramp { detected: 350 },
        words: |_| "axis x",
        watch_ms: 600,
        loses: Some(energising::DAC),
        ..BAD
    },
    Fault {
        name: "one DAC transfer takes 5 ms longer",
        injected: "1 transfer is delayed by 5 ms: five slots are missed",
        inject: "servo spidev3.1 delay 5000 x1\n",
        outcome: five_slots_missed,
        words: |state| match state {
            State::SwitchedOn | State::Standing | State::Moving => "overrun ladder",
            _ if state.is_faulted() => FIRST,
            _ => "",
        },
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "one DAC transfer hangs",
        injected: "1 transfer blocks in the kernel for 500 ms",
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
