//! One PWM channel.

use core::fmt;
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use std::path::Path;

use super::{PwmError, driven};
use crate::device::pwm::{self, PwmConfig};
use crate::sim::PwmLoad;
use crate::sys::Errno;
use crate::sys::emergency::Slot;

/// A handle of one PWM channel, of the kernel or simulated. It drives an output: after the
/// safe-state latch was set, every duty is refused ([`PwmError::Latched`]).
pub struct Pwm {
    port: Port,
    period_ns: u32,
}

enum Port {
    Kernel(pwm::Pwm),
    Simulated(Box<dyn PwmLoad + Send>),
}

impl fmt::Debug for Pwm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulated = matches!(self.port, Port::Simulated(_));
        f.debug_struct("Pwm")
            .field("period_ns", &self.period_ns)
            .field("simulated", &simulated)
            .finish()
    }
}

impl Pwm {
    /// Opens and enables a channel of the chip at `chip` (`/sys/class/pwm/pwmchip0`) at its
    /// safe duty. For start-up only: it allocates and may wait up to one second for udev.
    ///
    /// # Errors
    /// Those of [`pwm::Pwm::open`].
    pub fn open(chip: &Path, config: &PwmConfig) -> Result<Self, pwm::PwmError> {
        pwm::Pwm::open(chip, config).map(Self::from)
    }

    /// A simulated channel, set to its safe duty. Channel and polarity of `config` have no
    /// effect: `load` receives the duty.
    ///
    /// # Errors
    /// `DutyTooLong` for a safe duty above the period, and errors of `load`.
    pub fn simulated(
        config: &PwmConfig,
        load: impl PwmLoad + Send + 'static,
    ) -> Result<Self, PwmError> {
        let mut channel = Self {
            port: Port::Simulated(Box::new(load)),
            period_ns: config.period_ns,
        };
        channel.set_duty_ns(config.safe_duty_ns)?;
        Ok(channel)
    }

    /// Period of the channel, ns.
    #[must_use]
    pub const fn period_ns(&self) -> u32 {
        self.period_ns
    }

    /// Sets the duty, ns. One system call.
    ///
    /// # Errors
    /// [`PwmError`]; `DutyTooLong` above the period.
    pub fn set_duty_ns(&mut self, duty_ns: u32) -> Result<(), PwmError> {
        let period_ns = self.period_ns;
        if duty_ns > period_ns {
            let too_long = pwm::PwmError::DutyTooLong { duty_ns, period_ns };
            return Err(PwmError::Device(too_long));
        }
        let port = &mut self.port;
        driven(true, || match port {
            Port::Kernel(channel) => channel.set_duty_ns(duty_ns).map_err(PwmError::Device),
            Port::Simulated(load) => load.set_duty_ns(duty_ns).map_err(PwmError::Simulated),
        })
    }

    /// Registers the write of the safe duty as a safe action; `None` for a simulated
    /// channel. The action may block.
    ///
    /// # Errors
    /// Those of [`register_write`](crate::sys::emergency::register_write).
    pub fn safe_action(&self) -> Result<Option<Slot>, Errno> {
        match &self.port {
            Port::Kernel(channel) => channel.register_emergency().map(Some),
            Port::Simulated(_) => Ok(None),
        }
    }
}

impl From<pwm::Pwm> for Pwm {
    /// A handle of an open channel.
    fn from(channel: pwm::Pwm) -> Self {
        Self {
            period_ns: channel.period_ns(),
            port: Port::Kernel(channel),
        }
    }
}

impl ErrorType for Pwm {
    type Error = PwmError;
}

impl SetDutyCycle for Pwm {
    /// The full scale of a duty: 65,535 for every period.
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    /// Sets the duty as a share of 65,535, rounded down to whole nanoseconds.
    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), PwmError> {
        self.set_duty_ns(pwm::share_ns(self.period_ns, duty))
    }
}
