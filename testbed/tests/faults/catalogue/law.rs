//! The control law: somebody else's code, on the real-time thread.

use super::{Fault, Outcome, Program};
use crate::state::State;
use crate::watch::energising;

const SIGABRT: i64 = 6;
const SIGSEGV: i64 = 11;

/// The law's fault comes in a slot of its own; what is waited for here is that
/// slot, and what comes of it.
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
        name: "law's command is not finite",
        injected: "NaN volts from one slot on",
        program: Program::Law("nan"),
        // In the cycle that hears it; what the converter gets is the safe value.
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 0,
        },
        words: |_| "was not finite",
        ..LAW
    },
    Fault {
        name: "law's command is beyond the output",
        injected: "10^9 V from one slot on",
        program: Program::Law("huge"),
        states: &[State::Moving],
        // Clamped to 10 V by the driver: the axis runs away from its profile.
        outcome: |_| Outcome::PowerOff { detected: 100 },
        words: |_| "axis x",
        loses: Some(energising::DAC),
        ..LAW
    },
    Fault {
        name: "law overruns the stack",
        injected: "recursion without an end in `decide`",
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
        injected: "64 bytes from the heap in `decide`",
        program: Program::Law("allocate"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 1,
        },
        words: |_| "memory was allocated on the real-time thread",
        ..LAW
    },
    Fault {
        name: "law does not come back",
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
        injected: "recursion without an end in another thread of the process",
        program: Program::Law("helper-stack"),
        outcome: |_| Outcome::Dies {
            // By the standard library's handler, which comes after ours and names
            // the thread.
            signal: SIGABRT,
            // It looks once in a millisecond whether it is asked to.
            after: 1,
        },
        states: State::SOME,
        words: |_| "SIGSEGV|signal 11",
        ..LAW
    },
    Fault {
        name: "law panics while a bus hangs",
        injected: "`panic!` in `decide`, and the DAC's next transfer takes 500 ms, in the kernel",
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
