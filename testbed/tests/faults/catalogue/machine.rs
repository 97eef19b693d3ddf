//! The computer: CPU, memory, clock, file systems, watchdog.

use super::{FIRST, Fault, Outcome};
use crate::state::State;

const OTHERS: Fault = Fault {
    words: |state| if state.is_faulted() { FIRST } else { "" },
    states: &[State::Moving],
    ..Fault::EMPTY
};

/// A file system is full or a file damaged, and an encoder fault ends the run.
const FULL: Fault = Fault {
    inject: "servo spidev3.0 eio\n",
    states: &[State::Standing],
    outcome: |_| Outcome::PowerOff { detected: 3 },
    words: |_| "encoder not readable",
    ..Fault::EMPTY
};

/// The case without a fault: load alone must have no effect.
pub(crate) const SOAK: &str = "busy machine";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "CPU busy at a higher priority for 3 ms",
        injected: "a busy loop at FIFO 95 for 2 ms, plus its start",
        inject: "chrt -f 95 /stress spin 2\n",
        states: &[State::Standing, State::Moving],
        // Four slots at most: too few for a quick stop.
        watch_ms: 300,
        ..OTHERS
    },
    Fault {
        name: "CPU busy at a higher priority for 20 ms",
        injected: "a busy loop at FIFO 95 for 20 ms",
        inject: "chrt -f 95 /stress spin 20\n",
        states: State::ALL,
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 25,
        },
        words: |_| "overrun ladder|finished no cycle",
        ..OTHERS
    },
    Fault {
        name: "CPU busy at a higher priority for 1 s",
        injected: "a busy loop at FIFO 95 for 1 s",
        inject: "chrt -f 95 /stress spin 1000\n",
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 1_005,
        },
        words: |_| "overrun ladder|finished no cycle",
        ..OTHERS
    },
    Fault {
        name: "CPU busy at a higher priority indefinitely",
        injected: "an endless busy loop at FIFO 95",
        file: Some("/watched.toml"),
        inject: "chrt -f 95 /stress spin 10000\n",
        outcome: |_| Outcome::Reset { after: 0 },
        ..OTHERS
    },
    Fault {
        name: "helper threads starved",
        injected: "a busy loop at FIFO 1 for 700 ms: no thread of the default policy runs",
        inject: "chrt -f 1 /stress spin 700\n",
        ..OTHERS
    },
    Fault {
        name: SOAK,
        injected: "hackbench beside the firmware for 20 s",
        inject: "/load & busy=$!\n",
        cure: "kill $busy; killall -q hackbench\n",
        watch_ms: 20_000,
        ..OTHERS
    },
    Fault {
        name: "memory exhausted by another process",
        injected: "another process allocates all memory until the OOM killer ends it (`vm.min_free_kbytes` 16384)",
        inject: "/stress eat\necho \"@@note eater $?\"\n",
        states: &[State::Standing],
        ..OTHERS
    },
    Fault {
        name: "memory exhausted, OOM killer ends the firmware",
        injected: "`oom_score_adj` 1000: the firmware is killed first",
        file: Some("/watched.toml"),
        inject: "echo 1000 >/proc/$pid/oom_score_adj\n/stress eat\nusleep 5000000\n",
        // Writing to all memory takes that long.
        outcome: |_| Outcome::Reset { after: 3_000 },
        ..OTHERS
    },
    Fault {
        name: "wall clock set forward",
        injected: "`CLOCK_REALTIME` set ten years forward",
        inject: "date -s 2036-01-01 >/dev/null\n",
        cure: "date -s 2026-01-01 >/dev/null\n",
        states: State::SOME,
        ..OTHERS
    },
    Fault {
        name: "wall clock set back",
        injected: "`CLOCK_REALTIME` set 25 years back",
        inject: "date -s 2001-01-01 >/dev/null\n",
        cure: "date -s 2026-01-01 >/dev/null\n",
        states: State::SOME,
        ..OTHERS
    },
    Fault {
        name: "no space for the report",
        injected: "the file system of the report is full; an encoder fault ends the run",
        prepare: "cat /dev/zero >/tmp/filler 2>/dev/null\n",
        cure: "rm /tmp/filler; servo spidev3.0 clear\n",
        is_mute: true,
        ..FULL
    },
    Fault {
        name: "`/run` full at the start",
        injected: "no space for the flight file: the record is lost with the process",
        before: "cat /dev/zero >/run/filler 2>/dev/null\n",
        cure: "rm /run/filler\n",
        words: |_| "no room for the flight file",
        ..OTHERS
    },
    Fault {
        name: "`/run` full at the start, then an encoder fault",
        injected: "as above; an encoder fault ends the run",
        before: "cat /dev/zero >/run/filler 2>/dev/null\n",
        cure: "rm /run/filler; servo spidev3.0 clear\n",
        ..FULL
    },
    Fault {
        name: "`/run` full during the run, then an encoder fault",
        injected: "the flight file already has its space; an encoder fault ends the run",
        prepare: "cat /dev/zero >/run/filler 2>/dev/null\n",
        cure: "rm /run/filler; servo spidev3.0 clear\n",
        ..FULL
    },
    Fault {
        name: "disk of the black boxes full",
        injected: "an encoder fault ends the run; then space is freed and the firmware is started again",
        before: "cat /dev/zero >/data/filler 2>/dev/null\n",
        cure: "rm /data/filler; servo spidev3.0 clear\n",
        // The reason in the report, and the cause that the next start finds.
        words: |_| "encoder not readable|the control law reports fault 9",
        ..FULL
    },
    Fault {
        name: "damaged black box on the disk",
        injected: "a file named like a black box with other content; an encoder fault ends the run",
        before: "mkdir /data/steadfast
head -c 5000 /steadfast >/data/steadfast/imx8mp-evk-000007.blackbox
",
        cure: "servo spidev3.0 clear\n",
        damages_box: true,
        ..FULL
    },
    Fault {
        name: "damaged flight file",
        injected: "the file of a previous process has a valid start and random data after it; an encoder fault ends the run",
        before: "mkdir /run/steadfast
(printf 'SFFLIGHT\\1\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0'
head -c 60000 /steadfast) >/run/steadfast/imx8mp-evk.flight
",
        cure: "servo spidev3.0 clear\n",
        ..FULL
    },
    Fault {
        name: "power cut while a black box is written",
        injected: "the emulator is killed at five points of the write and booted again with the same disk",
        outcome: |_| Outcome::PowerCut,
        is_mute: true,
        words: |_| "power was lost",
        ..OTHERS
    },
    Fault {
        name: "watchdog missing",
        injected: "the board file names a device that does not exist",
        file: Some("/no-watchdog-there.toml"),
        states: &[State::SwitchOnDisabled],
        outcome: |_| Outcome::Refused { code: 1 },
        words: |_| "/dev/watchdog9",
        ..OTHERS
    },
    Fault {
        name: "watchdog in use",
        injected: "another process has it open",
        file: Some("/with-watchdog.toml"),
        before: "exec 9>/dev/watchdog\n",
        cure: "printf V >&9; exec 9>&-\n",
        states: &[State::SwitchOnDisabled],
        outcome: |_| Outcome::Refused { code: 1 },
        words: |_| "another process has it open",
        ..OTHERS
    },
];
