//! The own machine: a PWM channel, a board that drives windings by one long frame, and a
//! law that drives both or leaves them safe ([`testbed::own`]).

use embedded_hal::spi::{MODE_0, SpiDevice};
use steadfast::firmware::prelude::*;
use testbed::own;

use crate::injection;

/// The firmware of the own machine.
pub(crate) fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<Fan>()
        .driver::<Windings>()
        .law::<Drives>()
}

struct Fan {
    duty: Output<f64>,
    safe: f64,
    pwm: PwmClaim,
}

struct OpenFan {
    duty: Output<f64>,
    pwm: Pwm,
}

impl Driver for Fan {
    const NAME: &'static str = "fan";
    type Device = OpenFan;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let duty = table.command("duty", "1", 0.0..=1.0)?;
        let (safe, pwm) = (table.safe_value(duty), table.pwm()?);
        Ok(Self { duty, safe, pwm })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenFan, ConfigError> {
        let pwm = opening.pwm(self.pwm, self.safe)?;
        Ok(OpenFan {
            duty: self.duty,
            pwm,
        })
    }
}

impl Device for OpenFan {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let duty_ns = commands.get(self.duty) * f64::from(self.pwm.period_ns());
        self.pwm.set_duty_ns(duty_ns as u32).map_err(|_| NotDriven)
    }
}

struct Windings {
    torque: Output<f64>,
    safe: f64,
    spi: SpiClaim,
}

struct OpenWindings {
    torque: Output<f64>,
    spi: Spi,
    number: u16,
}

/// Units of a frame per N·m.
fn millis(torque: f64) -> i16 {
    (torque * 1e3) as i16
}

impl Driver for Windings {
    const NAME: &'static str = "windings";
    type Device = OpenWindings;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let torque = table.command("torque", "N·m", -20.0..=20.0)?;
        Ok(Self {
            torque,
            safe: table.safe_value(torque),
            spi: table.spi(MODE_0, 10_000_000)?,
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenWindings, ConfigError> {
        let spi = opening.spi(self.spi)?;
        opening.safe_spi(&spi, &own::frame(0, millis(self.safe)))?;
        Ok(OpenWindings {
            torque: self.torque,
            spi,
            number: 0,
        })
    }
}

impl Device for OpenWindings {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        self.number = self.number.wrapping_add(1);
        let frame = own::frame(self.number, millis(commands.get(self.torque)));
        self.spi.write(&frame).map_err(|_| NotDriven)
    }
}

/// Drives both outputs while it runs, and injects its fault ([`injection`]).
#[derive(Clone)]
struct Drives {
    duty: Output<f64>,
    torque: Output<f64>,
    lamp: Output<bool>,
    runs: bool,
}

impl Law for Drives {
    type State = ();

    fn start(&self) {}

    fn step(&self, (): &mut (), io: &mut Io<'_>) {
        io.set(self.lamp, false);
        if self.runs && !io.is_stopping() {
            io.set(self.duty, 0.75);
            io.set(self.torque, 6.0);
        }
        if let Some(torque) = injection::at_slot(io.tick().slot) {
            io.set(self.torque, torque);
        }
    }
}

impl LawKind for Drives {
    const KIND: &'static str = "drives";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            duty: table.output("duty", "1")?,
            torque: table.output("torque", "N·m")?,
            lamp: table.output("lamp", "")?,
            runs: table.boolean("runs")?,
        })
    }
}
