//! The control law: user code on the real-time thread.

use super::{Fault, Outcome, Program};
use crate::state::State;
use crate::watch::energising;

const SIGABRT: i64 = 6;
const SIGSEGV: i64 = 11;

/// The law injects its fault itself, in a fixed slot; the observation time includes the
/// wait for that slot.
const LAW: Fault = Fault {
    inject: "",
    watch_ms: 250,
    states: State::EVERY,
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "law panics",
        injected: "`panic!` in `decide`",
        program: Program::Law("panic"),
        outcome: |_| Outcome::Dies {
            signal: SIGABRT,
            after: 0,
        },
        words: |_| "SIGABRT|panic: ",
        ..LAW
    },
    Fault {
        name: "law commands NaN",
        injected: "the command is NaN volts from one slot on",
        program: Program::Law("nan"),
        // Detected in the same cycle; the converter gets the safe value.
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 0,
        },
        words: |_| "was not finite",
        ..LAW
    },
    Fault {
        name: "law commands more than the output range",
        injected: "the command is 10^9 V from one slot on",
        program: Program::Law("huge"),
        states: &[State::Moving],
        // The driver clamps it to 10 V: the axis leaves its profile.
        outcome: |_| Outcome::PowerOff { detected: 100 },
        words: |_| "axis x",
        loses: Some(energising::DAC),
        ..LAW
    },
    Fault {
        name: "law overruns the stack",
        injected: "unbounded recursion in `decide`",
        program: Program::Law("stack"),
        outcome: |_| Outcome::Dies {
            signal: SIGSEGV,
            after: 0,
        },
        words: |_| "real-time stack of 65536 bytes overrun",
        ..LAW
    },
    Fault {
        name: "law allocates",
        injected: "64 bytes are allocated on the heap in `decide`",
        program: Program::Law("allocate"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 1,
        },
        words: |_| "memory was allocated on the real-time thread",
        ..LAW
    },
    Fault {
        name: "law does not return",
        injected: "`loop {}` in `decide`",
        program: Program::Law("loop"),
        states: State::SOME_AND_OWN,
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 20,
        },
        words: |_| "finished no cycle",
        ..LAW
    },
    Fault {
        name: "law blocks",
        injected: "a sleep of 50 ms in `decide`",
        program: Program::Law("sleep"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 20,
        },
        states: State::SOME,
        words: |_| "finished no cycle",
        ..LAW
    },
    Fault {
        name: "helper thread panics",
        injected: "`panic!` in another thread of the process",
        program: Program::Law("helper-panic"),
        outcome: |_| Outcome::Dies {
            signal: SIGABRT,
            after: 0,
        },
        states: State::SOME,
        words: |_| "SIGABRT|panic: ",
        ..LAW
    },
    Fault {
        name: "helper thread overruns its stack",
        injected: "unbounded recursion in another thread of the process",
        program: Program::Law("helper-stack"),
        outcome: |_| Outcome::Dies {
            // By the standard library's handler, which runs after ours and names the
            // thread.
            signal: SIGABRT,
            // The thread polls its request once per millisecond.
            after: 1,
        },
        states: State::SOME,
        words: |_| "SIGSEGV|signal 11",
        ..LAW
    },
    Fault {
        name: "law panics while a bus hangs",
        injected: "`panic!` in `decide`, while the next DAC transfer blocks in the kernel for 500 ms",
        program: Program::Law("hung-bus"),
        outcome: |_| Outcome::Dies {
            signal: SIGABRT,
            after: 0,
        },
        states: State::SOME,
        words: |_| "SIGABRT|panic: ",
        watch_ms: 700,
        loses: Some(energising::DAC),
        ..LAW
    },
];
