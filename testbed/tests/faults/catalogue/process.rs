//! The process: signals, pauses, a second instance.

use super::{FIRST, Fault, Outcome};
use crate::state::State;

const SIGNAL: Fault = Fault {
    words: |state| if state.is_faulted() { FIRST } else { "" },
    ..Fault::EMPTY
};

/// A signal that ends the run in order, quick stop first.
const ORDERLY: Fault = Fault {
    outcome: |state| Outcome::Stops {
        code: if state.is_faulted() { 4 } else { 0 },
    },
    watch_ms: 300,
    // Without the states with a slow brake, in which the stop takes longer than the
    // observation.
    states: &[
        State::SwitchOnDisabled,
        State::SwitchedOn,
        State::Standing,
        State::Moving,
        State::Fault,
        State::OwnRunning,
        State::OwnResting,
    ],
    ..SIGNAL
};

/// A fatal signal, whose handler makes the outputs safe.
macro_rules! fatal {
    ($name:literal, $number:literal, $states:expr) => {
        Fault {
            name: concat!("killed by ", $name),
            injected: concat!("`kill -", $number, "`"),
            inject: concat!("kill -", $number, " $pid\n"),
            states: $states,
            outcome: |_| Outcome::Dies {
                signal: $number,
                after: 0,
            },
            // By its name on standard error, by its number in the black box.
            words: |_| concat!($name, "|signal ", $number, " "),
            ..SIGNAL
        }
    };
}

/// A signal without effect, although some of them end a process by default.
macro_rules! harmless {
    ($name:literal, $number:literal) => {
        Fault {
            name: concat!("ignored signal ", $name),
            injected: concat!("`kill -", $number, "`"),
            inject: concat!("kill -", $number, " $pid\n"),
            states: &[State::Moving],
            ..SIGNAL
        }
    };
}

/// Paused by SIGSTOP for this guest time plus that of the shell.
macro_rules! stopped {
    ($ms:literal) => {
        concat!("kill -STOP $pid; usleep ", $ms, "000; kill -CONT $pid\n")
    };
}

/// A signal that no program can handle.
pub(super) const SIGKILL: Fault = Fault {
    name: "killed by SIGKILL",
    injected: "`kill -KILL`: no handler runs",
    file: Some("/watched.toml"),
    inject: "kill -KILL $pid\nusleep 5000000\n",
    states: &[State::Moving],
    outcome: |_| Outcome::Reset { after: 0 },
    ..SIGNAL
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "ended by SIGTERM",
        injected: "`kill -TERM`",
        inject: "kill -TERM $pid\n",
        ..ORDERLY
    },
    Fault {
        name: "ended by SIGINT",
        injected: "`kill -INT`",
        inject: "kill -INT $pid\n",
        states: &[State::Moving],
        ..ORDERLY
    },
    Fault {
        name: "ended by SIGHUP",
        injected: "`kill -HUP`",
        inject: "kill -HUP $pid\n",
        states: &[State::Moving],
        ..ORDERLY
    },
    Fault {
        name: "ended by SIGPWR",
        injected: "`kill -PWR`",
        inject: "kill -PWR $pid\n",
        states: &[State::Moving],
        ..ORDERLY
    },
    Fault {
        name: "SIGINT sent twice",
        injected: "`kill -INT`, and again before the axis is at rest",
        inject: "kill -INT $pid; usleep 5000; kill -INT $pid\n",
        states: &[State::Moving],
        // 5 ms plus the time of the shell: not yet at rest.
        outcome: |_| Outcome::Dies {
            signal: 2,
            after: 10,
        },
        words: |_| "interrupted twice",
        ..SIGNAL
    },
    fatal!("SIGSEGV", 11, State::EVERY),
    fatal!("SIGBUS", 7, &[State::Moving, State::OwnRunning]),
    fatal!("SIGILL", 4, &[State::Moving]),
    fatal!("SIGFPE", 8, &[State::Moving]),
    fatal!("SIGABRT", 6, &[State::Moving]),
    fatal!("SIGXCPU", 24, &[State::Moving]),
    fatal!("SIGQUIT", 3, &[State::Moving]),
    fatal!("SIGTRAP", 5, &[State::Moving]),
    fatal!("SIGXFSZ", 25, &[State::Moving]),
    fatal!("SIGSYS", 31, &[State::Moving]),
    harmless!("SIGUSR1", 10),
    harmless!("SIGUSR2", 12),
    harmless!("SIGALRM", 14),
    harmless!("SIGSTKFLT", 16),
    harmless!("SIGVTALRM", 26),
    harmless!("SIGPROF", 27),
    harmless!("SIGIO", 29),
    harmless!("SIGRTMIN", 34),
    harmless!("SIGPIPE", 13),
    harmless!("SIGCHLD", 17),
    harmless!("SIGCONT", 18),
    harmless!("SIGTSTP", 20),
    harmless!("SIGTTIN", 21),
    harmless!("SIGTTOU", 22),
    harmless!("SIGURG", 23),
    harmless!("SIGWINCH", 28),
    SIGKILL,
    Fault {
        name: "paused by SIGSTOP indefinitely",
        injected: "`kill -STOP` without `SIGCONT`: the watchdog is not fed",
        file: Some("/watched.toml"),
        inject: "kill -STOP $pid\nusleep 5000000\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Reset { after: 0 },
        ..SIGNAL
    },
    Fault {
        name: "paused by SIGSTOP for 3 ms",
        injected: "`SIGSTOP`, then `SIGCONT` after 3 ms",
        // With the time of the shell three slots: too few for a quick stop.
        inject: stopped!("2"),
        states: State::ALL,
        watch_ms: 300,
        ..SIGNAL
    },
    Fault {
        name: "paused by SIGSTOP for 12 ms",
        injected: "`SIGSTOP`, then `SIGCONT` after 12 ms",
        // With the time of the shell above the ladder's quick stop and below its fault.
        inject: stopped!("11"),
        outcome: |state| match state {
            State::SwitchedOn | State::Standing | State::Moving => {
                Outcome::QuickStop { detected: 16 }
            }
            _ => Outcome::GoesOn,
        },
        words: |state| match state {
            State::SwitchedOn | State::Standing | State::Moving => "overrun ladder",
            _ if state.is_faulted() => FIRST,
            _ => "",
        },
        states: State::ALL,
        watch_ms: 300,
        ..SIGNAL
    },
    Fault {
        name: "paused by SIGSTOP for 12 ms, re-arming allowed",
        injected: "as above, with `[safety] rearm = \"when-in-time\"`",
        file: Some("/rearming.toml"),
        inject: stopped!("11"),
        outcome: |_| Outcome::ComesBack { detected: 16 },
        // The axis moves again, and the black box is written half a second after the stop.
        words: |_| "quick stop: too many missed deadlines",
        states: &[State::Moving],
        watch_ms: 1_500,
        ..SIGNAL
    },
    Fault {
        name: "paused by SIGSTOP for 20 ms",
        injected: "`SIGSTOP`, then `SIGCONT` after 20 ms",
        inject: stopped!("20"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 25,
        },
        words: |_| "overrun ladder|finished no cycle",
        ..SIGNAL
    },
    Fault {
        name: "paused by SIGSTOP for 1 s",
        injected: "`SIGSTOP`, then `SIGCONT` after 1 s",
        inject: stopped!("1000"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 1_005,
        },
        states: State::SOME,
        words: |_| "overrun ladder|finished no cycle",
        watch_ms: 50,
        ..SIGNAL
    },
    Fault {
        name: "second instance on the same board",
        injected: "the firmware is started again with the same board file",
        inject: "/steadfast run --board /moving.toml --quiet 2>&1 | sed 's/^/@@note /'\n",
        states: &[State::SwitchOnDisabled, State::Moving],
        words: |_| "another process controls this board",
        ..SIGNAL
    },
    Fault {
        name: "second instance with another board name",
        injected: "the firmware is started again with a board file of another name",
        inject: "/steadfast run --board /other-name.toml --quiet 2>&1 | sed 's/^/@@note /'\n",
        states: &[State::SwitchOnDisabled, State::Moving],
        words: |_| "is in use by",
        ..SIGNAL
    },
];
