//! The encoder: its transfers, frames, wires and readings.

use super::{FIRST, Fault, Outcome, five_slots_missed};
use crate::state::State;
use crate::watch::Periods;

/// The board file tolerates two failed readings in a row: the third is a fault, and the
/// first may come up to a period after the injection.
const TOLERATED: Periods = 3;

/// Unusable readings remove the power: without a position the axis cannot brake on a ramp.
const fn unreadable(detected: Periods) -> Outcome {
    Outcome::PowerOff { detected }
}

const fn or_first(state: State, words: &'static str) -> &'static str {
    if state.is_faulted() { FIRST } else { words }
}

const CLEAR: &str = "servo spidev3.0 clear\n";

/// A disturbance of one cycle at full speed, where the plausible velocity is 1.2 times that
/// speed: it has no effect.
const AT_SPEED: Fault = Fault {
    cure: "servo spidev3.0 clear\nservo spidev3.1 clear\n",
    file: Some("/full-speed.toml"),
    states: &[State::Moving],
    outcome: |_| Outcome::GoesOn,
    ..Fault::EMPTY
};

const BAD: Fault = Fault {
    cure: CLEAR,
    outcome: |_| unreadable(TOLERATED),
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "every encoder transfer fails",
        injected: "every transfer returns `EIO`",
        inject: "servo spidev3.0 eio\n",
        words: |state| or_first(state, "encoder not readable"),
        ..BAD
    },
    Fault {
        name: "every encoder transfer times out",
        injected: "every transfer returns `ETIMEDOUT`",
        inject: "servo spidev3.0 etimedout\n",
        states: &[State::Moving],
        words: |state| or_first(state, "encoder not readable"),
        ..BAD
    },
    Fault {
        name: "every encoder transfer is short",
        injected: "every transfer moves 1 byte of 2",
        inject: "servo spidev3.0 short 1\n",
        states: State::POWERED,
        words: |state| or_first(state, "encoder not readable"),
        ..BAD
    },
    Fault {
        name: "two encoder transfers fail",
        injected: "2 transfers return `EIO`, the next ones succeed",
        inject: "servo spidev3.0 eio x2\n",
        outcome: |_| Outcome::GoesOn,
        states: State::SOME,
        words: |state| or_first(state, ""),
        ..BAD
    },
    Fault {
        name: "one encoder transfer fails at full speed",
        injected: "1 transfer returns `EIO`; the plausible velocity is 1.2 times the speed",
        inject: "servo spidev3.0 eio x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "two encoder transfers fail at full speed",
        injected: "2 transfers return `EIO`; plausible velocity as above",
        inject: "servo spidev3.0 eio x2\n",
        ..AT_SPEED
    },
    Fault {
        name: "one encoder reply has wrong parity at full speed",
        injected: "the top bit of 1 reply is inverted; plausible velocity as above",
        inject: "servo spidev3.0 parity x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "one slot is skipped at full speed",
        injected: "a DAC transfer takes 1.2 ms longer; plausible velocity as above",
        inject: "servo spidev3.1 delay 1200 x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "four disturbances in sequence at full speed",
        injected: "a skipped slot, 1 transfer with `EIO`, 1 reply with wrong parity, a skipped slot",
        inject: "servo spidev3.1 delay 1200 x1\nservo spidev3.0 eio x1\n\
                 usleep 2000\nservo spidev3.0 parity x1\nservo spidev3.1 delay 1200 x1\n",
        ..AT_SPEED
    },
    Fault {
        name: "every encoder reply has wrong parity",
        injected: "the top bit of every reply is inverted",
        inject: "servo spidev3.0 parity\n",
        words: |state| or_first(state, "encoder parity"),
        ..BAD
    },
    Fault {
        name: "every encoder command is disturbed",
        injected: "one bit of every command is inverted; the chip sets its error flag",
        inject: "servo spidev3.0 framing\n",
        states: State::POWERED,
        // Clearing the chip's error takes four more frames, about one period per cycle
        // here (CUSE).
        outcome: |_| unreadable(2 * TOLERATED),
        words: |state| or_first(state, "encoder framing"),
        ..BAD
    },
    Fault {
        name: "encoder data line stuck low",
        injected: "every reply is 0x0000, which has valid parity",
        inject: "servo spidev3.0 low\n",
        words: |state| or_first(state, "encoder not ready"),
        ..BAD
    },
    Fault {
        name: "encoder data line stuck high",
        injected: "every reply is 0xFFFF, which has valid parity",
        inject: "servo spidev3.0 high\n",
        states: State::POWERED,
        words: |state| or_first(state, "encoder not ready"),
        ..BAD
    },
    Fault {
        name: "encoder chip select broken",
        injected: "the chip receives nothing; the data line is low",
        inject: "servo spidev3.0 silent\n",
        states: State::POWERED,
        words: |state| or_first(state, "encoder not ready"),
        ..BAD
    },
    Fault {
        name: "encoder fails from the start",
        injected: "every transfer returns `EIO` from before the start: Not ready to switch on",
        before: "servo spidev3.0 eio\n",
        states: &[State::SwitchOnDisabled],
        watch_ms: 1_000,
        outcome: |_| Outcome::PowerOff { detected: 1_000 },
        words: |_| "encoder not readable",
        ..BAD
    },
    Fault {
        name: "encoder position jumps",
        injected: "an offset of 2,000 of 16,384 counts appears between two readings",
        inject: "servo spidev3.0 jump 2000\n",
        outcome: |_| unreadable(1),
        words: |state| or_first(state, "jump"),
        ..BAD
    },
    Fault {
        name: "encoder position frozen in motion",
        injected: "the reading no longer changes",
        inject: "servo spidev3.0 stuck\n",
        states: &[State::Moving],
        // A constant position while the setpoint moves at 20 rad/s is 0.5 rad behind after
        // 25 ms; the time-out of the following error adds 20 ms.
        outcome: |_| Outcome::Ramp { detected: 50 },
        words: |_| FIRST,
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "magnet lost",
        injected: "the encoder's diagnosis reports a weak field",
        inject: "servo spidev3.0 weak\n",
        outcome: |_| unreadable(TOLERATED),
        states: State::POWERED,
        words: |state| or_first(state, "magnet too weak"),
        watch_ms: 200,
        ..BAD
    },
    Fault {
        name: "magnet too close",
        injected: "the encoder's diagnosis reports a strong field",
        inject: "servo spidev3.0 strong\n",
        states: &[State::Moving],
        outcome: |_| unreadable(TOLERATED),
        words: |_| "magnet too strong",
        watch_ms: 200,
        ..BAD
    },
    Fault {
        name: "shaft blocked",
        injected: "the shaft does not turn at any torque",
        inject: "servo shaft blocked\n",
        cure: "servo shaft free\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Ramp { detected: 50 },
        words: |_| FIRST,
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "one encoder transfer takes 0.5 ms longer",
        injected: "1 transfer is delayed by 0.5 ms",
        inject: "servo spidev3.0 delay 500 x1\n",
        outcome: |_| Outcome::GoesOn,
        states: State::SOME,
        words: |state| or_first(state, ""),
        ..BAD
    },
    Fault {
        name: "one encoder transfer takes 5 ms longer",
        injected: "1 transfer is delayed by 5 ms: five slots are missed",
        inject: "servo spidev3.0 delay 5000 x1\n",
        outcome: five_slots_missed,
        words: |state| match state {
            State::SwitchedOn | State::Standing | State::Moving => "overrun ladder",
            _ => or_first(state, ""),
        },
        watch_ms: 300,
        ..BAD
    },
    Fault {
        name: "every encoder transfer takes 5 ms longer",
        injected: "every transfer is delayed by 5 ms",
        inject: "servo spidev3.0 delay 5000\n",
        // Five slots and a miss in the first cycle, 10 each. After a gap a reading takes a
        // second transfer: ten slots and a miss, so that the third cycle reaches 200.
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 6 + 2 * 11,
        },
        words: |_| "overrun ladder",
        watch_ms: 200,
        ..BAD
    },
    Fault {
        name: "one encoder transfer hangs",
        injected: "1 transfer blocks in the kernel for 500 ms",
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
