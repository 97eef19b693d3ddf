//! The drivers, laws and plants of the stock firmware
//! ([`Firmware::stock`](crate::firmware::Firmware::stock)), and the simulated board.
//!
//! Each kind has its own file and one line in [`registry`]; no other code names it. The files
//! use `firmware::prelude` only, so they also serve as examples for your own kinds.
//! `docs/stock.md` lists their keys, units and defaults.

mod alarm;
mod bridge;
mod counter;
mod fault;
mod inertia;
mod lag;
mod linear;
mod pid;
pub mod prelude;
mod profile;
mod proportion;
mod pwm;
pub mod servo;
mod two_point;
mod unknown;

use std::path::Path;

use crate::config::{Config, ConfigError, Registry};

pub use alarm::Alarm;
pub use bridge::{Bridge, OpenBridge};
pub use counter::{Counter, OpenCounter};
pub use fault::Fault;
pub use inertia::Inertia;
pub use lag::Lag;
pub use linear::Linear;
pub use pid::PidLaw;
pub use profile::Profile;
pub use proportion::Proportion;
pub use pwm::{OpenPwm, PwmChannel};
pub use two_point::TwoPoint;

/// The board file of the simulated board, built into the firmware.
pub const SIM_BOARD: &str = include_str!("../../board/sim/board.toml");
/// What `--interactive` adds to the simulated board.
pub const SIM_INTERACTIVE: &str = include_str!("../../board/sim/interactive.toml");
/// Its name in messages.
pub const SIM_BOARD_FILE: &str = "board/sim/board.toml";

/// All stock kinds.
#[must_use]
pub fn registry() -> Registry {
    Registry::new()
        .root(servo::KIND)
        .driver::<PwmChannel>()
        .driver::<Bridge>()
        .driver::<Counter>()
        .law::<PidLaw>()
        .law::<TwoPoint>()
        .law::<Profile>()
        .law::<Proportion>()
        .law::<Alarm>()
        .plant::<Fault>()
        .plant::<Lag>()
        .plant::<Linear>()
        .plant::<Inertia>()
}

/// Board files that use stock kinds only.
impl Config {
    /// Reads the board file at `path`.
    ///
    /// # Errors
    /// The first error of the file, with line and column.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &registry())
    }

    /// Reads the `text` of a board file; `file` is its name in messages.
    ///
    /// # Errors
    /// The first error of the file, with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse_with(file, text, &registry())
    }

    /// The built-in simulated board.
    ///
    /// # Panics
    /// Never: a test checks the file.
    #[must_use]
    pub fn simulated() -> Self {
        Self::parse(SIM_BOARD_FILE, SIM_BOARD).expect("the embedded board file is checked")
    }
}

#[cfg(test)]
mod tests;
