//! The axis states that faults are injected in, and how the axis gets there.
//!
//! No test presses anything meanwhile: all comes from scripts in the guest, so
//! that a boot repeats to the last instruction. Hence the board files arm at the
//! start.

use crate::Failure;
use crate::failure::require;

/// A state of CiA 402 that lasts, with what the axis does in it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nobody has armed the axis.
    SwitchOnDisabled,
    /// Power is on, the brake is letting go.
    SwitchedOn,
    /// Operation enabled, at rest at a position.
    Standing,
    /// Operation enabled, half-way through a move at full speed.
    Moving,
    /// Stopped by SIGTERM; the brake is engaging.
    QuickStopActive,
    /// Stopped because of a blocked shaft; the brake is engaging.
    FaultReactionActive,
    /// Stopped because of a blocked shaft, without power.
    Fault,
}

/// Guest time from the start of the firmware to where the axis is moving, or
/// has reached another state without help.
pub(crate) const UNTIL_MOVING_US: u32 = 200_000;

impl State {
    /// Every state. "Not ready to switch on" is there in the catalogue as a
    /// fault at the start, and "Ready to switch on" lasts one period.
    pub(crate) const ALL: &'static [Self] = &[
        Self::SwitchOnDisabled,
        Self::SwitchedOn,
        Self::Standing,
        Self::Moving,
        Self::QuickStopActive,
        Self::FaultReactionActive,
        Self::Fault,
    ];

    /// One of each kind: without power, under power, and on the way down.
    pub(crate) const SOME: &'static [Self] = &[
        Self::SwitchOnDisabled,
        Self::Moving,
        Self::FaultReactionActive,
    ];

    /// Those with power on.
    pub(crate) const POWERED: &'static [Self] = &[
        Self::SwitchedOn,
        Self::Standing,
        Self::Moving,
        Self::QuickStopActive,
        Self::FaultReactionActive,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SwitchOnDisabled => "Switch on disabled",
            Self::SwitchedOn => "Switched on",
            Self::Standing => "Operation enabled, at rest",
            Self::Moving => "Operation enabled, moving",
            Self::QuickStopActive => "Quick stop active",
            Self::FaultReactionActive => "Fault reaction active",
            Self::Fault => "Fault",
        }
    }

    /// Whether enable is on in it, whatever the brake does.
    pub(crate) const fn is_powered(self) -> bool {
        !matches!(self, Self::SwitchOnDisabled | Self::Fault)
    }

    /// Whether there is a fault in it before any is injected.
    pub(crate) const fn is_faulted(self) -> bool {
        matches!(self, Self::FaultReactionActive | Self::Fault)
    }

    /// Shell lines that bring an axis from [`UNTIL_MOVING_US`] into the state.
    pub(crate) const fn preparation(self) -> &'static str {
        match self {
            Self::SwitchOnDisabled | Self::SwitchedOn | Self::Standing | Self::Moving => "",
            Self::QuickStopActive => "kill -TERM $pid\nusleep 60000\n",
            Self::FaultReactionActive => {
                "servo shaft blocked\nusleep 80000\nservo shaft free\nusleep 20000\n"
            }
            Self::Fault => "servo shaft blocked\nusleep 120000\nservo shaft free\nusleep 20000\n",
        }
    }

    /// Its board file in the guest.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::SwitchOnDisabled => "/disabled.toml",
            Self::SwitchedOn => "/switched-on.toml",
            Self::Standing => "/standing.toml",
            Self::Moving | Self::Fault => "/moving.toml",
            Self::QuickStopActive | Self::FaultReactionActive => "/braking.toml",
        }
    }
}

type Changes = &'static [(&'static str, &'static str)];

const ARM: (&str, &str) = ("arm = \"on-reset\"", "arm = \"at-start\" #");
const NO_WATCHDOG: (&str, &str) = (
    "[watchdog]
device = \"/dev/watchdog\"
timeout_s = 2              # the board is reset 2 s after the last cycle in time
",
    "",
);
const ONE_CPU: (&str, &str) = ("cpu = \"isolated\"", "cpu = 0");
/// For the thread that panics; the board tier judges what is locked.
const ROOM: (&str, &str) = ("max_locked_kb = 2048", "max_locked_kb = 4096");
/// Instead of 100 cycles, which each start would take.
const SHORT_REHEARSAL: (&str, &str) = ("stack_kb = 64", "stack_kb = 64\nwarm_up_cycles = 10");
const POSITIONS: &str = "positions_rad = [6.283185, -6.283185]";
/// From where the shaft rests before each start, 7.3 rad: the axis is at full
/// speed for 0.3 s.
const LONG_MOVE: (&str, &str) = (POSITIONS, "positions_rad = [-6.283185, 6.283185]");

/// Name and changes of each board file.
const FILES: &[(&str, Changes)] = &[
    ("/disabled.toml", &[NO_WATCHDOG]),
    (
        "/switched-on.toml",
        &[
            NO_WATCHDOG,
            ARM,
            ("brake_release_ms = 30", "brake_release_ms = 60000"),
            ("start_timeout_ms = 1000", "start_timeout_ms = 60000"),
        ],
    ),
    (
        "/standing.toml",
        &[
            NO_WATCHDOG,
            ARM,
            (POSITIONS, "positions_rad = [1.0, 1.1]"),
            ("dwell_s = 0.25", "dwell_s = 60.0"),
        ],
    ),
    ("/moving.toml", &[NO_WATCHDOG, ARM, LONG_MOVE]),
    ("/watched.toml", &[ARM, LONG_MOVE]),
    (
        "/braking.toml",
        &[
            NO_WATCHDOG,
            ARM,
            LONG_MOVE,
            ("brake_engage_ms = 30", "brake_engage_ms = 400"),
        ],
    ),
    (
        "/no-watchdog-there.toml",
        &[ARM, ("\"/dev/watchdog\"", "\"/dev/watchdog9\"")],
    ),
];

/// Path and content of every board file.
///
/// # Errors
/// The board's own file has changed, so that a change finds no place.
pub(crate) fn board_files(stock: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut files = Vec::new();
    for (path, changes) in FILES {
        let mut text = stock.to_owned();
        for (old, new) in changes.iter().chain(&[ONE_CPU, SHORT_REHEARSAL, ROOM]) {
            let count = text.matches(old).count();
            require(count == 1, || {
                format!("board.toml has '{old}' {count} times")
            })?;
            text = text.replace(old, new);
        }
        files.push((*path, text));
    }
    Ok(files)
}
