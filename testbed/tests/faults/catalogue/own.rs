//! Devices of the own machine: commands that do not arrive.
//!
//! Faults of its law and its process are in those groups.

use super::{Fault, Outcome, SIGKILL};
use crate::state::State;
use crate::watch::{Periods, energising};

/// `tolerated_failures` of the windings, plus one.
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
        name: "actuator disconnected",
        injected: "every transfer returns `EIO`",
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
        name: "actuator fails once more than tolerated",
        injected: "3 transfers return `EIO`, 2 are tolerated",
        inject: "servo spidev3.2 eio x3\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: TOLERATED,
        },
        words: |_| "[device.windings] could not be driven too often in a row",
        ..OWN
    },
    Fault {
        name: "actuator fails as often as tolerated",
        injected: "2 transfers return `EIO`, 2 are tolerated",
        inject: "servo spidev3.2 eio x2\n",
        ..OWN
    },
    Fault {
        name: "three writes of the PWM duty fail",
        injected: "3 writes return `EIO`",
        inject: "servo pwm-duty eio x3\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: FAILURES,
        },
        words: |_| "[device.fan] could not be written in 3 cycles in a row",
        ..OWN
    },
    Fault {
        name: "one write of the PWM duty hangs",
        injected: "1 write blocks in the kernel for 500 ms",
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
        name: "one actuator transfer hangs",
        injected: "1 transfer blocks in the kernel for 500 ms",
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
