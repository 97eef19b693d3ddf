//! What this crate ships for board files to name: the kinds that every firmware begins
//! with ([`Firmware::stock`](crate::firmware::Firmware::stock)), and the simulated board.
//!
//! Each kind is a file of its own here and one line in [`registry`]; nothing else knows
//! its name. Each is written as one of your own would be, with what `firmware::prelude`
//! has. Their keys, units and defaults: `docs/stock.md`.

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

/// The simulated board, as the firmware carries it.
pub const SIM_BOARD: &str = include_str!("../../board/sim/board.toml");
/// What errors call it.
pub const SIM_BOARD_FILE: &str = "board/sim/board.toml";

/// All of them.
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

/// Board files that name nothing beyond what this crate ships.
impl Config {
    /// Reads the board file at `path`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &registry())
    }

    /// Reads a board file's `text`; `file` is what errors call it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse_with(file, text, &registry())
    }

    /// The simulated board that the firmware carries.
    ///
    /// # Panics
    /// Never: it is checked by a test.
    #[must_use]
    pub fn simulated() -> Self {
        Self::parse(SIM_BOARD_FILE, SIM_BOARD).expect("the embedded board file is checked")
    }
}

#[cfg(test)]
mod tests;
