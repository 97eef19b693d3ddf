//! Finds channels of the process image by their names in the board file, for a control law or
//! a test in another crate.
//!
//! Look them up once, before the run, and keep the numbers: the loop has no names. Each call
//! compares names, and allocates.
//!
//! Digital inputs and outputs have types of their own, so they cannot be confused:
//!
//! ```compile_fail,E0308
//! # use steadfast::config::Config;
//! # use steadfast::cycle::image::Outputs;
//! let config = Config::simulated();
//! let button = config.input("emergency_stop").unwrap();
//! Outputs::default().set(button, true);
//! ```

use super::error::Details;
use super::names::{Kind, input, number_of, output};
use super::{Config, ConfigError, Named};
use crate::cycle::image::{InputChannel, OutputChannel};
use crate::cycle::signal::Input;

impl Config {
    /// The channel of `[input.NAME]`, for
    /// [`DigitalInputs::is_active`](crate::cycle::image::DigitalInputs::is_active)
    /// and its siblings.
    ///
    /// # Errors
    /// There is no channel of that name; the error lists the names.
    pub fn input(&self, name: &str) -> Result<InputChannel, ConfigError> {
        number_of(&self.io, &self.file, Kind::Input, name).map(input)
    }

    /// The channel of `[output.NAME]`, for
    /// [`Outputs::set`](crate::cycle::image::Outputs::set).
    ///
    /// # Errors
    /// There is no channel of that name; the error lists the names.
    pub fn output(&self, name: &str) -> Result<OutputChannel, ConfigError> {
        number_of(&self.io, &self.file, Kind::Output, name).map(output)
    }

    /// The number of `[encoder.NAME]`, an index into
    /// [`Inputs::positions`](crate::cycle::image::Inputs::positions).
    ///
    /// # Errors
    /// There is no channel of that name; the error lists the names.
    pub fn encoder(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(&self.io, &self.file, Kind::Encoder, name)
    }

    /// The number of `[analog_output.NAME]`, an index into
    /// [`Outputs::analogs`](crate::cycle::image::Outputs::analogs).
    ///
    /// # Errors
    /// There is no channel of that name; the error lists the names.
    pub fn analog_output(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(&self.io, &self.file, Kind::AnalogOutput, name)
    }

    /// The number of `[analog_input.NAME]`, an index into
    /// [`Inputs::analogs`](crate::cycle::image::Inputs::analogs).
    ///
    /// # Errors
    /// There is no channel of that name; the error lists the names.
    pub fn analog_input(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(&self.io, &self.file, Kind::AnalogInput, name)
    }

    /// The handle to read the signal `name` (`imu.rate_z`), to watch a simulated run: see
    /// [`Firmware::simulate_with`](crate::firmware::Firmware::simulate_with).
    ///
    /// # Errors
    /// There is no signal of that name and type; the error lists the signals of the type.
    pub fn signal<T: Named>(&self, name: &str) -> Result<Input<T>, ConfigError> {
        let signals = &self.machine.signals;
        signals.reading(name).ok_or_else(|| {
            let of_type = signals.iter().filter(|signal| signal.of == T::TYPE);
            let names: Vec<_> = of_type.map(|signal| signal.name.as_str()).collect();
            ConfigError::from(Details {
                file: self.file.clone(),
                position: None,
                what: format!("there is no signal \"{name}\" of this type"),
                fix: format!("available: {}", names.join(", ")),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_numbered_by_position_among_their_kind() {
        let config = Config::simulated();
        assert_eq!(config.input("emergency_stop"), Ok(input(0)));
        assert_eq!(config.output("enable"), Ok(output(0)));
        assert_eq!(config.output("heartbeat"), Ok(output(2)));
        assert_eq!(config.encoder("shaft"), Ok(0));
        assert_eq!(config.analog_output("torque"), Ok(0));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_names() {
        let config = Config::simulated();
        assert_eq!(
            config.output("heater").unwrap_err().to_string(),
            "board/sim/board.toml: there is no [output.heater]; \
             available: enable, brake_release, heartbeat, fault_lamp"
        );
        assert_eq!(
            config.analog_input("oven").unwrap_err().to_string(),
            "board/sim/board.toml: there is no [analog_input.oven]; \
             add a table [analog_input.oven]"
        );
    }
}
