//! The machine my-robot: an oven with a thermometer of its own and a heater on a GPIO
//! line, held at a temperature.

pub mod driver;
pub mod law;
pub mod plant;

use steadfast::firmware::Firmware;

/// The board file of `run` without `--board`: a simulated machine.
pub const BOARD: &str = include_str!("../board.toml");

/// The firmware: what board files can name beside the stock drivers and laws.
pub fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<driver::Thermometer>()
        .law::<law::TwoPoint>()
        .plant::<plant::Oven>()
        .board("board.toml", BOARD)
}
