//! The machine my-robot: an oven with a thermometer and a heater, held at a temperature.

pub mod driver;
pub mod law;
pub mod plant;

use steadfast::firmware::Firmware;

/// The board file of `run` without `--board`: a simulated machine.
pub const BOARD: &str = include_str!("../board.toml");

/// The firmware: the stock drivers, laws and plants, and those of this crate.
pub fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<driver::Thermometer>()
        .law::<law::TwoPoint>()
        .plant::<plant::Oven>()
        .board("board.toml", BOARD)
}
