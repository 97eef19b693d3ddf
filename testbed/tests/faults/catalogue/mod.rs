//! The catalogue: what is broken, how, in which states, and what must come of it.

mod bus;
mod contract;
mod inputs;
mod law;
mod machine;
mod own;
mod process;
mod sensor;

pub(crate) use machine::SOAK;
use process::SIGKILL;

use crate::state::State;
use crate::watch::Periods;

/// Which program meets the fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The firmware as it is shipped.
    Firmware,
    /// The same with a control law that has this fault (`testbed/examples/faulty_law.rs`).
    Law(&'static str),
}

/// What must come of a fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Power is taken at once, the process goes on and ends with 4 when asked
    /// to; `detected` periods are what the design allows for noticing.
    PowerOff { detected: Periods },
    /// The fault is noticed and the axis is brought to rest on its ramp, brake
    /// before enable; ends with 4 when asked to.
    Ramp { detected: Periods },
    /// The axis is brought to rest on its ramp, and the process ends in order.
    Stops { code: i64 },
    /// The overrun ladder brings the axis to rest on its ramp, the lamp says so, and
    /// the process goes on; asked to end, it ends with 5.
    QuickStop { detected: Periods },
    /// The same, and then the axis comes up again by itself and the lamp goes dark;
    /// asked to end, the process ends with 0.
    ComesBack { detected: Periods },
    /// The process makes its outputs safe and ends by itself.
    Ends { code: i64, detected: Periods },
    /// The process makes its outputs safe and dies by this signal, which comes
    /// `after` so many periods.
    Dies { signal: i64, after: Periods },
    /// Nothing happens to the axis.
    GoesOn,
    /// Nothing happens to the axis, but the end is not in order.
    Reported { code: i64 },
    /// The process is dead or stands still `after` so many periods, and the board's
    /// watchdog resets the board.
    Reset { after: Periods },
    /// The power is cut, several times; each time the black boxes are as they were,
    /// or there is one more (`power_cut`).
    PowerCut,
    /// The program refuses to start, and energises nothing.
    Refused { code: i64 },
}

/// Periods after detection within which the outputs must be safe.
pub(crate) const REACTION: Periods = 2;

/// A fault of the catalogue.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Fault {
    /// What is broken.
    pub(crate) name: &'static str,
    /// How, for a person.
    pub(crate) injected: &'static str,
    pub(crate) program: Program,
    /// Another board file than that of the state.
    pub(crate) file: Option<&'static str>,
    /// Shell lines before the start, in the state but before the injection, at
    /// the moment of the injection, and after all is over.
    pub(crate) before: &'static str,
    pub(crate) prepare: &'static str,
    pub(crate) inject: &'static str,
    pub(crate) cure: &'static str,
    /// Whether the injection is a `press` (see `guest`), which the test does from
    /// outside: it repeats, but not to the instruction.
    pub(crate) from_outside: bool,
    /// Guest time for which is watched what comes of it.
    pub(crate) watch_ms: u32,
    /// The states it is injected in, with what must come of it in each.
    pub(crate) states: &'static [State],
    pub(crate) outcome: fn(State) -> Outcome,
    /// What cannot be expected to be safe at once, by its place in
    /// [`ENERGISING`](crate::watch::ENERGISING): it cannot be reached, or the law drives it.
    /// The amplifier behind the DAC is without enable then.
    pub(crate) loses: Option<usize>,
    /// Whether a damaged black box is part of it.
    pub(crate) damages_box: bool,
    /// Whether neither report nor standard error can be had: what is known is in the
    /// black box.
    pub(crate) is_mute: bool,
    /// Words of which the end's reason or a line on standard error must have
    /// one, with `|` between them; and the cause in the black box as well.
    pub(crate) words: fn(State) -> &'static str,
    /// What must be built first: until then the case is shown and counted, and
    /// not passed. Once it holds, this must go.
    pub(crate) needs: fn(State) -> Option<&'static str>,
}

impl Fault {
    /// What the others are made from: in `states` it takes power at once.
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
        needs: |_| None,
    };
}

/// What stands in the report of an axis whose shaft was blocked: the first fault
/// is the one that is kept.
pub(crate) const FIRST: &str = "following error";

/// All groups, each with its heading.
pub(crate) const GROUPS: &[(&str, &[Fault])] = &[
    ("Sensor and its bus", sensor::FAULTS),
    ("Output converter and its bus", bus::FAULTS),
    ("Digital lines", inputs::FAULTS),
    ("Devices of one's own", own::FAULTS),
    ("Control law", law::FAULTS),
    ("Process", process::FAULTS),
    ("Contract", contract::FAULTS),
    ("Machine", machine::FAULTS),
];
