//! `driver = "pwm"`: a load on one PWM channel, such as a valve, a fan or a lamp.

use embedded_hal::pwm::SetDutyCycle;

use super::prelude::*;

/// Settings of a PWM channel from the board file.
#[derive(Debug)]
pub struct PwmChannel {
    channel: PwmClaim,
    duty: Output<f64>,
    safe: f64,
}

/// The channel, opened.
#[derive(Debug)]
pub struct OpenPwm {
    channel: Pwm,
    duty: Output<f64>,
}

impl OpenPwm {
    /// A load on `channel`. Its command is the signal `duty`, a share of the period, 0 to 1.
    #[must_use]
    pub const fn new(channel: Pwm, duty: Output<f64>) -> Self {
        Self { channel, duty }
    }
}

impl Driver for PwmChannel {
    const NAME: &'static str = "pwm";
    type Device = OpenPwm;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let duty = table.command("duty", "1", 0.0..=1.0)?;
        Ok(Self {
            channel: table.pwm()?,
            duty,
            safe: table.safe_value(duty),
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenPwm, ConfigError> {
        Ok(OpenPwm::new(
            opening.pwm(self.channel, self.safe)?,
            self.duty,
        ))
    }
}

impl Device for OpenPwm {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let share = share(&self.channel, commands.get(self.duty));
        self.channel.set_duty_cycle(share).map_err(|_| NotDriven)
    }
}

/// `duty`, 0 to 1, in the scale of `channel`.
pub(super) fn share(channel: &Pwm, duty: f64) -> u16 {
    (duty * f64::from(channel.max_duty_cycle())) as u16
}
