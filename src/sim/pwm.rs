//! PWM channels, simulated: what they were set to.

use embedded_hal::pwm::ErrorKind;

/// What is behind a PWM channel.
pub trait PwmLoad {
    /// The duty is `duty_ns` from now on, at most the period of the channel.
    ///
    /// # Errors
    /// What the driver would answer.
    fn set_duty_ns(&mut self, duty_ns: u32) -> Result<(), ErrorKind>;
}

/// A channel that remembers its duty, with faults on demand.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SimPwm {
    /// The duty, ns.
    pub duty_ns: u32,
    /// How many of the next writes fail: the duty stays as it is.
    pub failing: u32,
    /// Writes so far, failed ones included.
    pub writes: u64,
}

impl PwmLoad for SimPwm {
    fn set_duty_ns(&mut self, duty_ns: u32) -> Result<(), ErrorKind> {
        self.writes += 1;
        if self.failing > 0 {
            self.failing -= 1;
            return Err(ErrorKind::Other);
        }
        self.duty_ns = duty_ns;
        Ok(())
    }
}
