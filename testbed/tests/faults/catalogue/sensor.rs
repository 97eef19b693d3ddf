//! The encoder: its transfers, its frames, its wires, what it measures.

use super::{FIRST, Fault, Outcome};
use crate::state::State;
use crate::watch::Periods;

/// The board file tolerates two bad readings in a row: the third is a fault, and
/// the first may come up to a period after the injection.
const TOLERATED: Periods = 3;

/// Readings that cannot be believed: power goes, because an axis that does not
/// know where it is cannot be braked on a ramp.
const fn unreadable(state: State, detected: Periods) -> Outcome {
    match state {
        State::SwitchOnDisabled
        | State::SwitchedOn
        | State::Standing
        | State::Moving
        | State::QuickStopActive
        | State::FaultReactionActive
        | State::Fault
        | State::OwnRunning
        | State::OwnResting => Outcome::PowerOff { detected },
    }
}

const fn or_first(state: State, words: &'static str) -> &'static str {
    if state.is_faulted() { FIRST } else { words }
}

const CLEAR: &str = "servo spidev3.0 clear\n";

/// What one cycle meets at full speed where the plausible velocity is 1.2 times that:
/// nothing comes of it.
const AT_SPEED: Fault = Fault {
    cure: "servo spidev3.0 clear\nservo spidev3.1 clear\n",
    file: Some("/full-speed.toml"),
    states: &[State::Moving],
    outcome: |_| Outcome::GoesOn,
    ..Fault::EMPTY
};

const BAD: Fault = Fault {
    cure: CLEAR,
    outcome: |state| unreadable(state, TOLERATED),
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "encoder transfer fails",
        injected: "`EIO` from every transfer",
        inject: "servo spidev3.0 eio\n",
        words: |state| or_first(state, "encoder not readable"),
        ..BAD
    },
    Fault {
        name: "encoder transfer times out",
        injected: "`ETIMEDOUT` from every transfer",
        inject: "servo spidev3.0 etimedout\n",
        states: &[State::Moving],
        words: |state| or_first(state, "encoder not readable"),
        ..BAD
    },
    Fault {
        name: "encoder transfer is short",
        injected: "1 byte of 2 moved",
        inject: "servo spidev3.0 short 1\n",
        states: State::POWERED,
        words: |state| or_first(state, "encoder not readable"),
        ..BAD
    },
    Fault {
        name: "encoder fails twice and is well again",
        injected: "`EIO` from 2 transfers",
        inject: "servo spidev3.0 eio x2\n",
        outcome: |_| Outcome::GoesOn,
        states: State::SOME,
        words: |state| or_first(state, ""),
        ..BAD
    },
    Fault {
        name: "encoder fails once at full speed",
        injected: "`EIO` from 1 transfer, plausible are 1.2 times the speed",
        inject: "servo spidev3.0 eio x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "encoder fails twice at full speed",
        injected: "`EIO` from 2 transfers, the same",
        inject: "servo spidev3.0 eio x2\n",
        ..AT_SPEED
    },
    Fault {
        name: "encoder parity is wrong once at full speed",
        injected: "top bit of 1 reply turned over, the same",
        inject: "servo spidev3.0 parity x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "a slot is skipped at full speed",
        injected: "the DAC's transfer late by 1.2 ms, the same",
        inject: "servo spidev3.1 delay 1200 x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "all of that in a row at full speed",
        injected: "a skipped slot, `EIO` from 1 transfer, wrong parity of 1, a skipped slot",
        inject: "servo spidev3.1 delay 1200 x1\nservo spidev3.0 eio x1\n\
                 usleep 2000\nservo spidev3.0 parity x1\nservo spidev3.1 delay 1200 x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "encoder parity",
        injected: "top bit of every reply turned over",
        inject: "servo spidev3.0 parity\n",
        words: |state| or_first(state, "encoder parity"),
        ..BAD
    },
    Fault {
        name: "encoder framing",
        injected: "a bit of every command turned over, the chip's error flag says so",
        inject: "servo spidev3.0 framing\n",
        states: State::POWERED,
        // To clear the chip's error takes four frames more, which are a period
        // each cycle here (CUSE).
        outcome: |state| unreadable(state, 2 * TOLERATED),
        words: |state| or_first(state, "encoder framing"),
        ..BAD
    },
    Fault {
        name: "encoder line stuck at 0",
        injected: "every reply is 0x0000, which has good parity",
        inject: "servo spidev3.0 low\n",
        words: |state| or_first(state, "encoder not ready"),
        ..BAD
    },
    Fault {
        name: "encoder line stuck at 1",
        injected: "every reply is 0xFFFF, which has good parity",
        inject: "servo spidev3.0 high\n",
        states: State::POWERED,
        words: |state| or_first(state, "encoder not ready"),
        ..BAD
    },
    Fault {
        name: "encoder without chip select",
        injected: "the chip sees nothing, the line rests low",
        inject: "servo spidev3.0 silent\n",
        states: State::POWERED,
        words: |state| or_first(state, "encoder not ready"),
        ..BAD
    },
    Fault {
        name: "encoder never answers",
        injected: "`EIO` from before the start: Not ready to switch on",
        before: "servo spidev3.0 eio\n",
        states: &[State::SwitchOnDisabled],
        watch_ms: 1_000,
        outcome: |_| Outcome::PowerOff { detected: 1_000 },
        words: |_| "encoder not readable",
        ..BAD
    },
    Fault {
        name: "encoder jumps",
        injected: "off by 2,000 of 16,384 counts from one reading to the next",
        inject: "servo spidev3.0 jump 2000\n",
        outcome: |state| unreadable(state, 1),
        words: |state| or_first(state, "jump"),
        ..BAD
    },
    Fault {
        name: "encoder frozen in motion",
        injected: "the reading does not change any more",
        inject: "servo spidev3.0 stuck\n",
        states: &[State::Moving],
        // A position that stands still while the setpoint goes on at 20 rad/s
        // is 0.5 rad behind after 25 ms, and tolerated for 20 more.
        outcome: |_| Outcome::Ramp { detected: 50 },
        words: |_| FIRST,
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "magnet lost",
        injected: "field too weak in the encoder's diagnosis",
        inject: "servo spidev3.0 weak\n",
        outcome: |state| unreadable(state, TOLERATED),
        states: State::POWERED,
        words: |state| or_first(state, "magnet too weak"),
        watch_ms: 200,
        ..BAD
    },
    Fault {
        name: "magnet too close",
        injected: "field too strong in the encoder's diagnosis",
        inject: "servo spidev3.0 strong\n",
        states: &[State::Moving],
        outcome: |state| unreadable(state, TOLERATED),
        words: |_| "magnet too strong",
        watch_ms: 200,
        ..BAD
    },
    Fault {
        name: "shaft blocked",
        injected: "the motor stands still whatever it is given",
        inject: "servo shaft blocked\n",
        cure: "servo shaft free\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Ramp { detected: 50 },
        words: |_| FIRST,
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "encoder transfer takes 0.5 ms more, once",
        injected: "one transfer late by 0.5 ms",
        inject: "servo spidev3.0 delay 500 x1\n",
        outcome: |_| Outcome::GoesOn,
        states: State::SOME,
        words: |state| or_first(state, ""),
        ..BAD
    },
    Fault {
        name: "encoder transfer takes 5 ms, once",
        injected: "one transfer late by 5 ms: five slots missed",
        inject: "servo spidev3.0 delay 5000 x1\n",
        // Above the ladder's quick stop, below its fault.
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
            _ => or_first(state, ""),
        },
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "encoder transfers take 5 ms",
        injected: "every transfer late by 5 ms",
        inject: "servo spidev3.0 delay 5000\n",
        // Five slots and a miss in the first cycle, 10 each. After a gap a reading
        // takes a second transfer: ten slots and a miss, and 200 are full in the
        // third cycle.
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 6 + 2 * 11,
        },
        words: |_| "overrun ladder",
        watch_ms: 200,
        ..BAD
    },
    Fault {
        name: "encoder transfer hangs",
        injected: "one transfer takes 500 ms, in the kernel",
        inject: "servo spidev3.0 delay 500000 x1\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 20,
        },
        states: State::SOME,
        words: |_| "finished no cycle",
        watch_ms: 700,
        ..BAD
    },
];
