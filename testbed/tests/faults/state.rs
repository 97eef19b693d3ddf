//! The axis states that faults are injected in, and how the axis gets there.
//!
//! Scripts in the guest do everything, so that a case does not depend on the timing of
//! the host. Therefore the board files arm at the start.

use testbed::failure::Failure;
use testbed::failure::require;

/// A state of CiA 402 that lasts, with the motion of the axis in it; or a state of the own
/// machine, which has no axis.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The axis is not armed.
    SwitchOnDisabled,
    /// Power is on, the brake is releasing.
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
    /// The own machine, both outputs driven.
    OwnRunning,
    /// The own machine, both outputs commanded to their safe values.
    OwnResting,
}

/// Guest time from the start of the firmware until the axis moves, or has reached another
/// state that needs no further action.
pub(crate) const UNTIL_MOVING_US: u32 = 200_000;

impl State {
    /// Every state of an axis. The catalogue covers "Not ready to switch on" by a fault at
    /// the start; "Ready to switch on" lasts one period.
    pub(crate) const ALL: &'static [Self] = &[
        Self::SwitchOnDisabled,
        Self::SwitchedOn,
        Self::Standing,
        Self::Moving,
        Self::QuickStopActive,
        Self::FaultReactionActive,
        Self::Fault,
    ];

    /// The states of the own machine.
    pub(crate) const OWN: &'static [Self] = &[Self::OwnRunning, Self::OwnResting];

    /// Every state of axis and own machine.
    pub(crate) const EVERY: &'static [Self] = &[
        Self::SwitchOnDisabled,
        Self::SwitchedOn,
        Self::Standing,
        Self::Moving,
        Self::QuickStopActive,
        Self::FaultReactionActive,
        Self::Fault,
        Self::OwnRunning,
        Self::OwnResting,
    ];

    /// One of each kind: without power, with power, and stopping.
    pub(crate) const SOME: &'static [Self] = &[
        Self::SwitchOnDisabled,
        Self::Moving,
        Self::FaultReactionActive,
    ];

    /// As [`SOME`](Self::SOME), and the own machine.
    pub(crate) const SOME_AND_OWN: &'static [Self] = &[
        Self::SwitchOnDisabled,
        Self::Moving,
        Self::FaultReactionActive,
        Self::OwnRunning,
        Self::OwnResting,
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
            Self::OwnRunning => "Own machine, running",
            Self::OwnResting => "Own machine, at rest",
        }
    }

    /// Whether it is a state of the own machine.
    pub(crate) const fn is_own(self) -> bool {
        matches!(self, Self::OwnRunning | Self::OwnResting)
    }

    /// Levels of [`ENERGISING`](crate::watch::ENERGISING) in it; `None`: either, because the
    /// output of the DAC varies.
    pub(crate) const fn levels(self) -> [Option<bool>; 5] {
        let (enable, brake, own) = match self {
            Self::SwitchOnDisabled | Self::Fault | Self::OwnResting => (false, false, false),
            Self::SwitchedOn | Self::Standing | Self::Moving => (true, true, false),
            Self::QuickStopActive | Self::FaultReactionActive => (true, false, false),
            Self::OwnRunning => (false, false, true),
        };
        [Some(enable), Some(brake), None, Some(own), Some(own)]
    }

    /// Whether the axis has a fault before the injection.
    pub(crate) const fn is_faulted(self) -> bool {
        matches!(self, Self::FaultReactionActive | Self::Fault)
    }

    /// Shell lines that bring an axis from [`UNTIL_MOVING_US`] into the state.
    pub(crate) const fn preparation(self) -> &'static str {
        match self {
            Self::SwitchOnDisabled
            | Self::SwitchedOn
            | Self::Standing
            | Self::Moving
            | Self::OwnRunning
            | Self::OwnResting => "",
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
            Self::OwnRunning => "/own-running.toml",
            Self::OwnResting => "/own-resting.toml",
        }
    }
}

type Changes = &'static [(&'static str, &'static str)];

const ARM: (&str, &str) = ("arm = \"on-reset\"", "arm = \"at-start\"");
const REARM: (&str, &str) = (
    "arm = \"on-reset\"",
    "arm = \"at-start\"\nrearm = \"when-in-time\"",
);
const NO_WATCHDOG: (&str, &str) = (
    "[watchdog]
device = \"/dev/watchdog\"
timeout_s = 2
",
    "",
);
const ONE_CPU: (&str, &str) = ("cpu = \"isolated\"", "cpu = 0");
/// Room for the thread that panics; the board tier judges the locked memory.
const ROOM: (&str, &str) = ("max_locked_kb = 2048", "max_locked_kb = 4096");
/// Instead of the default of 100 cycles, which would slow down every start; and room for the
/// faults of the laws, which use more stack than a law.
const SHORT_REHEARSAL: (&str, &str) = ("stack_kb = 48", "stack_kb = 64\nwarm_up_cycles = 10");
const POSITIONS: &str = "positions_rad = [6.283185, -6.283185]";
/// From where the shaft rests before each start, 7.3 rad: the axis is at full
/// speed for 0.3 s.
///
/// The target is not the encoder's zero: a zero reply costs three more frames, each with
/// one or two process switches on this bus (CUSE), which takes most of a period.
const LONG_MOVE: (&str, &str) = (POSITIONS, "positions_rad = [-6.0, 6.0]");
const MOVING: Changes = &[NO_WATCHDOG, ARM, LONG_MOVE];

/// Where black boxes are kept, on tmpfs.
pub(crate) const BLACK_BOXES: &str = "/data/steadfast";
/// The folder on the disk, which survives a reset.
pub(crate) const ON_DISK: &str = "/disk/steadfast";

/// The GPIO chip of `removable.dtso`, with one line.
const REMOVABLE: &str = "
[gpio.removable]
chip = \"900000.gpio\"
";
const REMOVABLE_INPUT: &str = "
[input.spare]
gpio = \"removable\"
line = 0
";
const REMOVABLE_OUTPUT: &str = "
[output.spare]
gpio = \"removable\"
line = 1
safe = false
max_hold_ms = 20
shutdown = 2
";

/// Physical address of the on-chip memory of the board, which stands in for an SPI controller.
pub(crate) const CONTROLLER: u64 = 0x0090_0000;

const DAC: &str = "device = \"/dev/spidev3.1\"\nspeed_hz = 1_000_000\n";
/// Its registers in place of spidev, at `speed_hz`.
macro_rules! by_registers {
    ($speed_hz:literal) => {
        concat!(
            "device = \"/dev/mem\"\naddress = 0x900000\naccess = \"registers\"\n",
            "controller = \"ecspi\"\nchip_select = 1\nclock_hz = 80_000_000\nspeed_hz = ",
            $speed_hz,
            "\n"
        )
    };
}
/// A stuck transfer ends after a word and 100 us: 134 us at this clock.
const DAC_BY_REGISTERS: &str = by_registers!("1_000_000");
/// 6.9 ms at this clock, longer than the time of the stall guard.
const DAC_BY_SLOW_REGISTERS: &str = by_registers!("5_000");
const SHORT_STALL: (&str, &str) = ("quick_stop = 50", "quick_stop = 50\nstall_periods = 5");

/// A board file of the campaign, made from the board's own.
struct File {
    path: &'static str,
    changes: Changes,
    added: &'static [&'static str],
    black_boxes: &'static str,
}

const fn file(path: &'static str, changes: Changes) -> File {
    File {
        path,
        changes,
        added: &[],
        black_boxes: BLACK_BOXES,
    }
}

const FILES: &[File] = &[
    file("/disabled.toml", &[NO_WATCHDOG]),
    file(
        "/switched-on.toml",
        &[
            NO_WATCHDOG,
            ARM,
            ("brake_release_ms = 30", "brake_release_ms = 60000"),
            ("start_timeout_ms = 1000", "start_timeout_ms = 60000"),
        ],
    ),
    file(
        "/standing.toml",
        &[
            NO_WATCHDOG,
            ARM,
            (POSITIONS, "positions_rad = [1.0, 1.1]"),
            ("dwell_s = 0.25", "dwell_s = 60.0"),
        ],
    ),
    file("/moving.toml", MOVING),
    file(
        "/registers.toml",
        &[NO_WATCHDOG, ARM, LONG_MOVE, (DAC, DAC_BY_REGISTERS)],
    ),
    file(
        "/slow-registers.toml",
        &[
            NO_WATCHDOG,
            ARM,
            LONG_MOVE,
            SHORT_STALL,
            (DAC, DAC_BY_SLOW_REGISTERS),
        ],
    ),
    file("/rearming.toml", &[NO_WATCHDOG, REARM, LONG_MOVE]),
    file(
        "/reporting.toml",
        &[
            NO_WATCHDOG,
            ARM,
            LONG_MOVE,
            (
                "realtime = \"required\"",
                "realtime = \"required\"\non_broken = \"report\"",
            ),
        ],
    ),
    file(
        "/moving-up.toml",
        &[
            NO_WATCHDOG,
            ARM,
            (POSITIONS, "positions_rad = [12.9, -6.283185]"),
        ],
    ),
    // The plausible velocity is 1.2 times that of the profile: motion of two periods
    // attributed to one period would exceed it.
    file(
        "/full-speed.toml",
        &[
            NO_WATCHDOG,
            ARM,
            LONG_MOVE,
            (
                "plausible_velocity_rad_s = 400.0",
                "plausible_velocity_rad_s = 24.0",
            ),
            ("max_velocity_rad_s = 40.0", "max_velocity_rad_s = 24.0"),
        ],
    ),
    file(
        "/braking.toml",
        &[
            NO_WATCHDOG,
            ARM,
            LONG_MOVE,
            ("brake_engage_ms = 30", "brake_engage_ms = 400"),
        ],
    ),
    file(
        "/no-watchdog-there.toml",
        &[ARM, ("\"/dev/watchdog\"", "\"/dev/watchdog9\"")],
    ),
    file("/with-watchdog.toml", &[ARM]),
    file(
        "/other-name.toml",
        &[NO_WATCHDOG, ("\"imx8mp-evk\"", "\"other\"")],
    ),
    File {
        added: &[REMOVABLE, REMOVABLE_INPUT],
        ..file("/removable-input.toml", MOVING)
    },
    File {
        added: &[REMOVABLE, REMOVABLE_OUTPUT],
        ..file("/removable-output.toml", MOVING)
    },
    File {
        black_boxes: ON_DISK,
        ..file("/watched.toml", &[ARM, LONG_MOVE])
    },
    File {
        black_boxes: ON_DISK,
        ..file("/on-disk.toml", MOVING)
    },
    File {
        black_boxes: ON_DISK,
        ..file("/on-disk-disabled.toml", &[NO_WATCHDOG])
    },
    File {
        black_boxes: ON_DISK,
        ..file("/after-reset.toml", &[])
    },
];

/// Path and content of every board file.
///
/// # Errors
/// The board's own file does not contain a text to be changed.
pub(crate) fn board_files(stock: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut files = Vec::new();
    let stock = without_black_box(stock);
    for file in FILES {
        let mut text = stock.clone();
        for (old, new) in file.changes.iter().chain(&[ONE_CPU, SHORT_REHEARSAL, ROOM]) {
            let count = text.matches(old).count();
            require(count == 1, || {
                format!("board.toml has '{old}' {count} times")
            })?;
            text = text.replace(old, new);
        }
        text += &file.added.concat();
        text += &format!(
            "\n[black_box]\ndirectory = \"{}\"\nseconds = 2\n",
            file.black_boxes
        );
        files.push((file.path, text));
    }
    Ok(files)
}

/// A board file without its `[black_box]`, which the campaign's replaces.
fn without_black_box(text: &str) -> String {
    let mut is_in = false;
    let mut rest = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            is_in = line.trim() == "[black_box]";
        }
        if !is_in {
            rest += line;
            rest.push('\n');
        }
    }
    rest
}
