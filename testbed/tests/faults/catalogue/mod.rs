//! The catalogue of faults: injection, states and expected outcome of each.

mod bus;
mod contract;
mod inputs;
mod law;
mod machine;
mod own;
mod process;
mod registers;
mod sensor;

pub(crate) use machine::SOAK;
use process::SIGKILL;

use crate::state::State;
use crate::watch::Periods;

/// The program that the fault is injected into.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The shipped firmware.
    Firmware,
    /// The firmware with a control law that has this fault (`testbed/examples/faulty_law`).
    Law(&'static str),
}

/// Expected outcome of a fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Power is removed at once; the process continues and ends with 4 on request.
    /// `detected`: periods that the design allows for detection.
    PowerOff { detected: Periods },
    /// The fault is detected and the axis stops on its ramp, brake before enable; the
    /// process ends with 4 on request.
    Ramp { detected: Periods },
    /// The axis stops on its ramp, and the process ends in order.
    Stops { code: i64 },
    /// The overrun ladder stops the axis on its ramp, the lamp is lit, and the process
    /// continues; it ends with 5 on request.
    QuickStop { detected: Periods },
    /// As `QuickStop`, then the axis re-arms by itself and the lamp goes dark; the process
    /// ends with 0 on request.
    ComesBack { detected: Periods },
    /// The process makes its outputs safe and ends by itself.
    Ends { code: i64, detected: Periods },
    /// The process makes its outputs safe and is killed by this signal, `after` so many
    /// periods.
    Dies { signal: i64, after: Periods },
    /// The axis is not affected.
    GoesOn,
    /// The axis is not affected, but the exit status reports the fault.
    Reported { code: i64 },
    /// The process has ended or is paused `after` so many periods, and the watchdog resets
    /// the board.
    Reset { after: Periods },
    /// The power is cut several times; each time the black boxes are unchanged, or there is
    /// one more (`power_cut`).
    PowerCut,
    /// The program refuses to start and energises no output.
    Refused { code: i64 },
}

/// Periods after detection within which the outputs must be safe.
pub(crate) const REACTION: Periods = 2;

/// A fault of the catalogue.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Fault {
    /// What fails; the first column of docs/faults.md.
    pub(crate) name: &'static str,
    /// How; the second column.
    pub(crate) injected: &'static str,
    pub(crate) program: Program,
    /// A board file instead of that of the state.
    pub(crate) file: Option<&'static str>,
    /// Shell lines before the start, before the injection, at the injection, and after the
    /// end.
    pub(crate) before: &'static str,
    pub(crate) prepare: &'static str,
    pub(crate) inject: &'static str,
    pub(crate) cure: &'static str,
    /// Whether the test drives an input from outside (`press` in `guest`): the time of the
    /// injection then varies.
    pub(crate) from_outside: bool,
    /// Guest time of observation after the injection.
    pub(crate) watch_ms: u32,
    /// The states it is injected in, with the expected outcome in each.
    pub(crate) states: &'static [State],
    pub(crate) outcome: fn(State) -> Outcome,
    /// The output that need not be safe at once, by its index in
    /// [`ENERGISING`](crate::watch::ENERGISING): it cannot be reached, or the law drives it.
    /// The amplifier behind the DAC is not enabled then.
    pub(crate) loses: Option<usize>,
    /// Whether the fault includes a damaged black box.
    pub(crate) damages_box: bool,
    /// Whether there is neither report nor standard error, only the black box.
    pub(crate) is_mute: bool,
    /// Alternatives, separated by `|`: the reason of the end or a line on standard error
    /// must contain one of them, and so must the cause in the black box.
    pub(crate) words: fn(State) -> &'static str,
}

impl Fault {
    /// Base of the other entries: no injection, no effect, in every state of an axis.
    const EMPTY: Self = Self {
        name: "",
        injected: "",
        program: Program::Firmware,
        file: None,
        before: "",
        prepare: "",
        inject: "",
        cure: "",
        from_outside: false,
        watch_ms: 100,
        states: State::ALL,
        outcome: |_| Outcome::GoesOn,
        loses: None,
        damages_box: false,
        is_mute: false,
        words: |_| "",
    };
}

/// The fault in the report of an axis whose shaft was blocked: an axis keeps its first
/// fault.
pub(crate) const FIRST: &str = "following error";

/// The outcome of a transfer that takes 5 ms: five slots are missed, which is above the quick
/// stop of the overrun ladder and below its fault. It is detected after these five periods, at
/// most one from the mark until the servo has the command, and at most one until the next
/// transfer.
const fn five_slots_missed(state: State) -> Outcome {
    match state {
        State::SwitchedOn | State::Standing | State::Moving => Outcome::QuickStop { detected: 7 },
        _ => Outcome::GoesOn,
    }
}

/// All groups, each with its heading.
pub(crate) const GROUPS: &[(&str, &[Fault])] = &[
    ("Sensor and its bus", sensor::FAULTS),
    ("Output converter and its bus", bus::FAULTS),
    ("Output converter by registers", registers::FAULTS),
    ("Digital lines", inputs::FAULTS),
    ("Devices of the own machine", own::FAULTS),
    ("Control law", law::FAULTS),
    ("Process", process::FAULTS),
    ("Contract", contract::FAULTS),
    ("Machine", machine::FAULTS),
];
