//! User-defined drivers, laws and plants, to be described.

use embedded_hal::spi::MODE_0;
use steadfast::firmware::prelude::*;

/// The registry of the user's kinds, with the keys of each.
#[derive(Clone)]
pub(crate) struct Yours;

pub(crate) struct Open;

impl Device for Open {}

impl Driver for Yours {
    const NAME: &'static str = "yours";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let _ = table.command("clamp", "1", 0.0..=1.0)?;
        let _ = (table.spi(MODE_0, 10_000_000)?, table.i2c()?, table.pwm()?);
        Ok(Self)
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<Open, ConfigError> {
        Ok(Open)
    }
}

impl Law for Yours {
    type State = ();
    fn start(&self) {}
    fn step(&self, (): &mut (), _: &mut Io<'_>) {}
}

impl LawKind for Yours {
    const KIND: &'static str = "yours";

    fn read(_: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Plant for Yours {
    fn advance(&mut self, _: &mut World<'_>, _: Duration) {}
}

impl PlantKind for Yours {
    const KIND: &'static str = "yours";

    fn read(_: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

/// Uses every way to request a key.
pub(crate) struct Pump;

impl Driver for Pump {
    const NAME: &'static str = "pump";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let _ = table.spi(MODE_0, 10_000_000)?;
        let bursts = table.choice_or("mode", &[("steady", false), ("burst", true)], false)?;
        let rate = table.number("rate_hz", 1.0..=100.0)?;
        if bursts {
            table.integer("burst", 1..=9)?;
        } else {
            table.without("burst", "mode = \"steady\"")?;
        }
        table.number_or("low", 0.0..=rate, 0.0)?;
        table.number_or("high", 0.0..=rate, rate)?;
        if table.has("label") {
            table.string("label")?;
        }
        let _: [f64; 2] = table.numbers_exactly("gains", -1.0..=5.0)?;
        table.boolean_or("quiet", false)?;
        let _: [Input<f64>; 2] = table.publish_each(["inlet", "outlet"], "bar")?;
        let _: Input<bool> = table.publish("wet", "")?;
        Ok(Self)
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<Open, ConfigError> {
        Ok(Open)
    }
}

/// A law that no file uses; it reads the input of the pump.
#[derive(Clone)]
pub(crate) struct Mixing;

impl Law for Mixing {
    type State = ();
    fn start(&self) {}
    fn step(&self, (): &mut (), _: &mut Io<'_>) {}
}

impl LawKind for Mixing {
    const KIND: &'static str = "mixing";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        let _: [Input<f64>; 2] = table.inputs("from", "bar")?;
        if table.has("gate") {
            let _: Input<bool> = table.input("gate", "")?;
        }
        table.number_or("share", 0.0..=1.0, 0.5)?;
        Ok(Self)
    }
}

/// A plant that no file uses.
#[derive(Clone)]
pub(crate) struct Tank;

impl Plant for Tank {
    fn advance(&mut self, _: &mut World<'_>, _: Duration) {}
}

impl PlantKind for Tank {
    const KIND: &'static str = "tank";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let _: Input<f64> = table.input("level", "bar")?;
        Ok(Self)
    }
}

/// A driver that asks for a key but never reads it.
pub(crate) struct Forgetful;

impl Driver for Forgetful {
    const NAME: &'static str = "forgetful";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.boolean_or("read", true)?;
        table.has("forgotten");
        Ok(Self)
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<Open, ConfigError> {
        Ok(Open)
    }
}

/// A law that needs a signal that no device has.
#[derive(Clone)]
pub(crate) struct Homeless;

impl Law for Homeless {
    type State = ();
    fn start(&self) {}
    fn step(&self, (): &mut (), _: &mut Io<'_>) {}
}

impl LawKind for Homeless {
    const KIND: &'static str = "homeless";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        let _: Input<f64> = table.input("light", "lx")?;
        Ok(Self)
    }
}
