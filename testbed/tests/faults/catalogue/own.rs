//! Devices of drivers of one's own: what they are told does not arrive.
//!
//! What fails elsewhere (law, process) is in the rows of those groups.

use super::{Fault, Outcome, SIGKILL};
use crate::state::State;
use crate::watch::{Periods, energising};

/// `tolerated_failures` of the windings, and the one after them.
const TOLERATED: Periods = 3;
/// The board file's default of `output_failures`: the third in a row ends the run.
const FAILURES: Periods = 3;

const OWN: Fault = Fault {
    states: &[State::OwnRunning],
    cure: "servo spidev3.2 clear; servo pwm-duty clear\n",
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "actuator unplugged",
        injected: "`EIO` from every transfer",
        inject: "servo spidev3.2 eio\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: TOLERATED,
        },
        states: State::OWN,
        words: |_| "[device.windings]",
        loses: Some(energising::TORQUE),
        ..OWN
    },
    Fault {
        name: "actuator fails once too often",
        injected: "`EIO` from 3 transfers, where 2 are tolerated",
        inject: "servo spidev3.2 eio x3\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: TOLERATED,
        },
        words: |_| "[device.windings] could not be driven too often in a row",
        ..OWN
    },
    Fault {
        name: "actuator fails as often as is tolerated",
        injected: "`EIO` from 2 transfers",
        inject: "servo spidev3.2 eio x2\n",
        ..OWN
    },
    Fault {
        name: "PWM duty refused too often",
        injected: "`EIO` from 3 writes",
        inject: "servo pwm-duty eio x3\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: FAILURES,
        },
        words: |_| "[device.fan] could not be written in 3 cycles in a row",
        ..OWN
    },
    Fault {
        name: "PWM write hangs",
        injected: "one write takes 500 ms, in the kernel",
        inject: "servo pwm-duty delay 500000 x1\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 20,
        },
        words: |_| "finished no cycle",
        watch_ms: 700,
        loses: Some(energising::DUTY),
        ..OWN
    },
    Fault {
        name: "actuator's transfer hangs",
        injected: "one transfer takes 500 ms, in the kernel",
        inject: "servo spidev3.2 delay 500000 x1\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 20,
        },
        words: |_| "finished no cycle",
        watch_ms: 700,
        loses: Some(energising::TORQUE),
        ..OWN
    },
    Fault {
        name: "own machine killed by SIGKILL",
        file: Some("/own-watched.toml"),
        states: &[State::OwnRunning],
        ..SIGKILL
    },
];
