//! Digital lines of the simulated board, in logical levels.

use crate::cycle::image::DigitalInputs;

/// Up to 32 inputs and 32 outputs, one bit each.
///
/// Inputs latch their edges until they are sampled, like the kernel's edge events: a pulse
/// between two cycles is not lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimGpio {
    levels: u32,
    rose: u32,
    fell: u32,
    outputs: u32,
}

impl SimGpio {
    /// All lines inactive.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            levels: 0,
            rose: 0,
            fell: 0,
            outputs: 0,
        }
    }

    /// Sets input `line`, 0 to 31. Higher numbers are ignored.
    #[inline]
    pub const fn set_input(&mut self, line: u8, active: bool) {
        let bit = mask(line);
        if active {
            self.rose |= bit & !self.levels;
            self.levels |= bit;
        } else {
            self.fell |= bit & self.levels;
            self.levels &= !bit;
        }
    }

    /// All inputs with the edges since the last call.
    #[inline]
    pub const fn sample(&mut self) -> DigitalInputs {
        let sampled = DigitalInputs {
            levels: self.levels,
            rose: self.rose,
            fell: self.fell,
        };
        self.rose = 0;
        self.fell = 0;
        sampled
    }

    /// Drives all outputs at once.
    #[inline]
    pub const fn set_outputs(&mut self, levels: u32) {
        self.outputs = levels;
    }

    /// The levels of all outputs.
    #[must_use]
    pub const fn outputs(&self) -> u32 {
        self.outputs
    }

    /// Whether output `line`, 0 to 31, is active. Higher numbers give false.
    #[inline]
    #[must_use]
    pub const fn output(&self, line: u8) -> bool {
        self.outputs & mask(line) != 0
    }
}

/// The bit of a line; 0 for a line above 31.
#[inline]
const fn mask(line: u8) -> u32 {
    if line < 32 { 1 << line } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::image::InputChannel;

    #[test]
    fn a_pulse_between_two_samples_is_seen_once() {
        let mut gpio = SimGpio::new();
        gpio.set_input(3, true);
        gpio.set_input(3, false);
        let sampled = gpio.sample();
        let at = InputChannel::new(3).unwrap();
        assert!(!sampled.is_active(at) && sampled.was_active(at) && sampled.became_active(at));
        assert_eq!(gpio.sample(), DigitalInputs::default());
    }

    #[test]
    fn a_level_that_does_not_change_has_no_edge() {
        let mut gpio = SimGpio::new();
        gpio.set_input(31, true);
        gpio.sample();
        gpio.set_input(31, true);
        gpio.set_input(30, false);
        gpio.set_input(32, true);
        let sampled = gpio.sample();
        assert_eq!(
            (sampled.levels, sampled.rose, sampled.fell),
            (1 << 31, 0, 0)
        );
    }

    #[test]
    fn outputs_are_driven_together() {
        let mut gpio = SimGpio::new();
        gpio.set_outputs(0b101);
        assert!(gpio.output(0) && !gpio.output(1) && gpio.output(2) && !gpio.output(32));
    }
}
