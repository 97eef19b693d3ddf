//! The machine: CPU, memory, clock, file systems, watchdog.

use super::{FIRST, Fault, Outcome};
use crate::state::State;

const OTHERS: Fault = Fault {
    words: |state| if state.is_faulted() { FIRST } else { "" },
    states: &[State::Moving],
    ..Fault::EMPTY
};

/// The one that says that nothing is wrong: a loaded machine is no fault.
pub(crate) const SOAK: &str = "busy machine";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "CPU taken for 3 ms",
        injected: "a busy loop at FIFO 95 for 3 ms",
        inject: "chrt -f 95 /trouble spin 3\n",
        states: &[State::Standing, State::Moving],
        // With its own start, above the loop too, more than five slots: a quick
        // stop.
        outcome: |_| Outcome::Stops { code: 0 },
        watch_ms: 300,
        ..OTHERS
    },
    Fault {
        name: "CPU taken for 20 ms",
        injected: "a busy loop at FIFO 95 for 20 ms",
        inject: "chrt -f 95 /trouble spin 20\n",
        states: State::ALL,
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 25,
        },
        words: |_| "overrun ladder|finished no cycle",
        ..OTHERS
    },
    Fault {
        name: "CPU taken for 1 s",
        injected: "a busy loop at FIFO 95 for 1 s",
        inject: "chrt -f 95 /trouble spin 1000\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 1_005,
        },
        words: |_| "overrun ladder|finished no cycle",
        ..OTHERS
    },
    Fault {
        name: "CPU taken for ever",
        injected: "a busy loop at FIFO 95, without an end",
        file: Some("/watched.toml"),
        inject: "chrt -f 95 /trouble spin 10000\n",
        outcome: |_| Outcome::Reset,
        ..OTHERS
    },
    Fault {
        name: "helpers starved",
        injected: "a busy loop at FIFO 1 for 700 ms: no ordinary thread runs",
        inject: "chrt -f 1 /trouble spin 700\n",
        ..OTHERS
    },
    Fault {
        name: SOAK,
        injected: "hackbench beside the firmware for 20 s",
        inject: "/hackbench -g 1 -l 100000000 >/dev/null 2>&1 & busy=$!\n",
        cure: "kill $busy; killall -q hackbench\n",
        watch_ms: 20_000,
        ..OTHERS
    },
    Fault {
        name: "memory runs out",
        injected: "another process takes all there is, until the kernel kills it",
        inject: "/trouble eat\necho \"@@note eater $?\"\n",
        states: &[State::Standing],
        ..OTHERS
    },
    Fault {
        name: "clock set forward",
        injected: "`CLOCK_REALTIME` set ten years ahead",
        inject: "date -s 2036-01-01 >/dev/null\n",
        cure: "date -s 2026-01-01 >/dev/null\n",
        ..OTHERS
    },
    Fault {
        name: "clock set back",
        injected: "`CLOCK_REALTIME` set 25 years back",
        inject: "date -s 2001-01-01 >/dev/null\n",
        cure: "date -s 2026-01-01 >/dev/null\n",
        ..OTHERS
    },
    Fault {
        name: "report cannot be kept",
        injected: "the file system of the report is full; an encoder fault ends the run",
        inject: "cat /dev/zero >/tmp/filler 2>/dev/null; servo spidev3.0 eio\n",
        cure: "rm /tmp/filler; servo spidev3.0 clear\n",
        // To fill half of the memory takes a second and more.
        outcome: |_| Outcome::PowerOff { detected: 3_000 },
        words: |_| "",
        needs: |_| Some("an end that survives a full file system"),
        watch_ms: 100,
        ..OTHERS
    },
    Fault {
        name: "watchdog not there",
        injected: "the board file names one that is not",
        file: Some("/no-watchdog-there.toml"),
        states: &[State::SwitchOnDisabled],
        outcome: |_| Outcome::Refused { code: 1 },
        words: |_| "/dev/watchdog9",
        ..OTHERS
    },
];
