//! The channels of the process image by their names in the board file, for a
//! control law of one's own.
//!
//! To be asked once, before the run: the numbers go into the law's
//! configuration, and the loop knows no names.

use super::names::{Kind, number_of};
use super::{Config, ConfigError};

impl Config {
    /// The number of `[input.NAME]`, for
    /// [`DigitalInputs::is_active`](crate::cycle::image::DigitalInputs::is_active)
    /// and its siblings.
    ///
    /// # Errors
    /// There is none of that name; the error says which there are.
    pub fn input(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(self, Kind::Input, name)
    }

    /// The number of `[output.NAME]`, for
    /// [`Outputs::set`](crate::cycle::image::Outputs::set).
    ///
    /// # Errors
    /// There is none of that name; the error says which there are.
    pub fn output(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(self, Kind::Output, name)
    }

    /// The number of `[encoder.NAME]`, an index into
    /// [`Inputs::positions`](crate::cycle::image::Inputs::positions).
    ///
    /// # Errors
    /// There is none of that name; the error says which there are.
    pub fn encoder(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(self, Kind::Encoder, name)
    }

    /// The number of `[analog_output.NAME]`, an index into
    /// [`Outputs::analogs`](crate::cycle::image::Outputs::analogs).
    ///
    /// # Errors
    /// There is none of that name; the error says which there are.
    pub fn analog_output(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(self, Kind::AnalogOutput, name)
    }

    /// The number of `[analog_input.NAME]`, an index into
    /// [`Inputs::analogs`](crate::cycle::image::Inputs::analogs).
    ///
    /// # Errors
    /// There is none of that name; the error says which there are.
    pub fn analog_input(&self, name: &str) -> Result<u8, ConfigError> {
        number_of(self, Kind::AnalogInput, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_its_place_among_its_kind_as_number() {
        let config = Config::simulated();
        assert_eq!(config.input("emergency_stop"), Ok(0));
        assert_eq!(config.output("enable"), Ok(0));
        assert_eq!(config.output("heartbeat"), Ok(2));
        assert_eq!(config.encoder("shaft"), Ok(0));
        assert_eq!(config.analog_output("torque"), Ok(0));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_those_that_are() {
        let config = Config::simulated();
        assert_eq!(
            config.output("heater").unwrap_err().to_string(),
            "board/sim/board.toml: there is no [output.heater]; \
             there is: enable, brake_release, heartbeat, fault_lamp"
        );
        assert_eq!(
            config.analog_input("oven").unwrap_err().to_string(),
            "board/sim/board.toml: there is no [analog_input.oven]; \
             add a table [analog_input.oven]"
        );
    }
}
