//! `driver = "bridge"`: an H-bridge with a PWM channel for each direction. Its command is a
//! duty, or a voltage if the board file gives its supply (an axis needs a voltage).

use embedded_hal::pwm::SetDutyCycle;

use super::prelude::*;
use super::pwm::share;

/// Settings of an H-bridge from the board file.
#[derive(Debug)]
pub struct Bridge {
    channels: [PwmClaim; 2],
    drive: Output<f64>,
    /// Value of the signal at a duty of 1.
    full: f64,
}

/// The bridge, opened.
#[derive(Debug)]
pub struct OpenBridge {
    channels: [Pwm; 2],
    drive: Output<f64>,
    full: f64,
}

impl OpenBridge {
    /// A bridge on the channels forward and reverse. Its command is the signal `drive`, from
    /// `-full` (reverse at a duty of 1) to `full` (forward at a duty of 1).
    #[must_use]
    pub const fn new(channels: [Pwm; 2], drive: Output<f64>, full: f64) -> Self {
        Self {
            channels,
            drive,
            full,
        }
    }
}

impl Driver for Bridge {
    const NAME: &'static str = "bridge";
    type Device = OpenBridge;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let (name, unit, full) = if table.has("supply_volts") {
            ("volts", "V", table.number("supply_volts", 1.0..=1000.0)?)
        } else {
            ("duty", "1", 1.0)
        };
        let drive = table.command(name, unit, -full..=full)?;
        // The safe actions of the two channels are independent, so only "both off" is safe.
        if table.safe_value(drive) != 0.0 {
            return Err(table.error(
                format_args!("the safe value of `{name}` is not 0"),
                "make it 0: a bridge is off when the controller is not in control",
            ));
        }
        Ok(Self {
            channels: [table.pwm_at("forward")?, table.pwm_at("reverse")?],
            drive,
            full,
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenBridge, ConfigError> {
        let [forward, reverse] = self.channels;
        let channels = [opening.pwm(forward, 0.0)?, opening.pwm(reverse, 0.0)?];
        Ok(OpenBridge::new(channels, self.drive, self.full))
    }
}

impl Device for OpenBridge {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let duty = commands.get(self.drive) / self.full;
        let [forward, reverse] = &mut self.channels;
        let (on, off) = if duty >= 0.0 {
            (forward, reverse)
        } else {
            (reverse, forward)
        };
        // Switch one side off before the other on, so that both are never on.
        off.set_duty_cycle_fully_off().map_err(|_| NotDriven)?;
        let share = share(on, duty.abs());
        on.set_duty_cycle(share).map_err(|_| NotDriven)
    }
}
