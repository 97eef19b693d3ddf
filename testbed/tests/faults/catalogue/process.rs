//! The process: signals, being stopped, being starved, a second one.

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
    // With its slow brake, the axis needs longer than is watched.
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

/// A signal that no program survives, but whose handler makes the outputs safe.
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
            // In words on standard error, by its number in the black box.
            words: |_| concat!($name, "|signal ", $number, " "),
            ..SIGNAL
        }
    };
}

/// A signal that changes nothing, though some of them end a process by default:
/// nobody has a reason to send it.
macro_rules! harmless {
    ($name:literal, $number:literal) => {
        Fault {
            name: concat!("harmless ", $name),
            injected: concat!("`kill -", $number, "`"),
            inject: concat!("kill -", $number, " $pid\n"),
            states: &[State::Moving],
            ..SIGNAL
        }
    };
}

/// Stopped by SIGSTOP for a span of guest time and what the shell takes.
macro_rules! stopped {
    ($ms:literal) => {
        concat!("kill -STOP $pid; usleep ", $ms, "000; kill -CONT $pid\n")
    };
}

/// A signal that no program notices.
pub(super) const SIGKILL: Fault = Fault {
    name: "killed by SIGKILL",
    injected: "`kill -KILL`: nothing of the process is left",
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
        name: "SIGINT twice",
        injected: "`kill -INT`, and again before it has come to rest",
        inject: "kill -INT $pid; usleep 5000; kill -INT $pid\n",
        states: &[State::Moving],
        // 5 ms and what the shell takes: not yet at rest.
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
        name: "stopped for ever (watchdog starved)",
        injected: "`kill -STOP`, and no `SIGCONT`",
        file: Some("/watched.toml"),
        inject: "kill -STOP $pid\nusleep 5000000\n",
        states: &[State::Moving],
        outcome: |_| Outcome::Reset { after: 0 },
        ..SIGNAL
    },
    Fault {
        name: "stopped for 3 ms",
        injected: "`SIGSTOP`, `SIGCONT` 3 ms later",
        // With what the shell takes, three slots: too few for a quick stop.
        inject: stopped!("2"),
        states: State::ALL,
        watch_ms: 300,
        ..SIGNAL
    },
    Fault {
        name: "stopped for 12 ms",
        injected: "`SIGSTOP`, `SIGCONT` 12 ms later",
        // With what the shell takes, above the ladder's quick stop and below its fault.
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
        name: "stopped for 12 ms, rearm when in time",
        injected: "the same, with `[safety] rearm = \"when-in-time\"`",
        file: Some("/rearming.toml"),
        inject: stopped!("11"),
        outcome: |_| Outcome::ComesBack { detected: 16 },
        // The axis is on its way again, and the black box is written half a second after
        // the stop.
        words: |_| "quick stop: too many missed deadlines",
        states: &[State::Moving],
        watch_ms: 1_500,
        ..SIGNAL
    },
    Fault {
        name: "stopped for 20 ms",
        injected: "`SIGSTOP`, `SIGCONT` 20 ms later",
        inject: stopped!("20"),
        outcome: |_| Outcome::Ends {
            code: 4,
            detected: 25,
        },
        words: |_| "overrun ladder|finished no cycle",
        ..SIGNAL
    },
    Fault {
        name: "stopped for 1 s",
        injected: "`SIGSTOP`, `SIGCONT` 1 s later",
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
        name: "second instance",
        injected: "the firmware started again on the same board file",
        inject: "/steadfast run --board /moving.toml --quiet 2>&1 | sed 's/^/@@note /'\n",
        states: &[State::SwitchOnDisabled, State::Moving],
        words: |_| "another process controls this board",
        ..SIGNAL
    },
    Fault {
        name: "second instance under another name",
        injected: "the firmware started again, for a board with another name",
        inject: "/steadfast run --board /other-name.toml --quiet 2>&1 | sed 's/^/@@note /'\n",
        states: &[State::SwitchOnDisabled, State::Moving],
        words: |_| "is in use by",
        ..SIGNAL
    },
];
