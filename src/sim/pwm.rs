//! Simulated PWM channels.

use embedded_hal::pwm::ErrorKind;

/// The simulated load of a PWM channel.
pub trait PwmLoad {
    /// Sets the duty, ns, at most the period of the channel.
    ///
    /// # Errors
    /// The error of the kernel driver.
    fn set_duty_ns(&mut self, duty_ns: u32) -> Result<(), ErrorKind>;
}

/// A channel that stores its duty, with faults on demand.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SimPwm {
    /// The duty, ns.
    pub duty_ns: u32,
    /// Number of writes that will fail next; they do not change the duty.
    pub failing: u32,
    /// Number of writes so far, including failed ones.
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
