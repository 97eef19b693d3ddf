//! The DAC by registers: a controller that does not answer as it should.
//!
//! No call of the kernel can fail or hang here: the driver itself ends a transfer. It leaves the
//! controller disabled, so the DAC cannot be reached by the safe plan either.

use super::{Fault, Outcome};
use crate::state::State;
use crate::watch::{Periods, energising};

/// The board file's default: the third failure in a row ends the run.
const FAILURES: Periods = 3;

const BROKEN: Fault = Fault {
    file: Some("/registers.toml"),
    states: &[State::Moving],
    outcome: |_| Outcome::Ends {
        code: 4,
        detected: FAILURES,
    },
    words: |_| "outputs could not be",
    loses: Some(energising::DAC),
    cure: "servo registers works\n",
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "transfer by registers never completes",
        injected: "the status register never shows a received word",
        inject: "servo registers stuck\n",
        ..BROKEN
    },
    Fault {
        name: "receive FIFO overruns",
        injected: "the status register shows an overrun in every transfer",
        inject: "servo registers overrun\n",
        ..BROKEN
    },
    Fault {
        name: "controller is removed",
        injected: "the status register reads as all ones",
        inject: "servo registers gone\n",
        ..BROKEN
    },
    Fault {
        name: "stall guard inside of a transfer by registers",
        injected: "a transfer is stuck for 6.9 ms; the stall guard acts within 5 ms, takes the \
                   controller from the loop, and its frame is stuck as well",
        file: Some("/slow-registers.toml"),
        inject: "servo registers stuck\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 6,
        },
        words: |_| "finished no cycle",
        ..BROKEN
    },
    Fault {
        name: "crash with a stuck controller",
        injected: "as in the first row, and SIGSEGV at once: the frame of the crash handler fails after \
                   its time-out",
        inject: "chrt -f 99 sh -c \"echo registers stuck >/dev/servo-control; kill -SEGV $pid\"\n",
        outcome: |_| Outcome::Dies {
            signal: 11,
            after: 2,
        },
        words: |_| "SIGSEGV|signal 11",
        ..BROKEN
    },
];
