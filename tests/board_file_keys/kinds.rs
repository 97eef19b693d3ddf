//! Drivers, laws and plants of one's own, to be described.

use embedded_hal::spi::MODE_0;
use steadfast::firmware::prelude::*;

/// What is registered as `yours`, with what each device, law and plant can have.
#[derive(Clone)]
pub(crate) struct Yours;

pub(crate) struct Open;

impl Device for Open {}

impl Driver for Yours {
    const NAME: &'static str = "yours";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&[])?;
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

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&[])?;
        Ok(Self)
    }
}

impl Plant for Yours {
    fn advance(&mut self, _: &mut World<'_>, _: Duration) {}
}

impl PlantKind for Yours {
    const KIND: &'static str = "yours";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&[])?;
        Ok(Self)
    }
}

/// One of each way to ask for a key.
pub(crate) struct Pump;

impl Driver for Pump {
    const NAME: &'static str = "pump";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&[
            "mode", "rate_hz", "burst", "low", "high", "label", "gains", "quiet",
        ])?;
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

/// A law of which no file has one: it reads what the pump senses.
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
        table.only(&["from", "gate", "share"])?;
        let _: [Input<f64>; 2] = table.inputs("from", "bar")?;
        if table.has("gate") {
            let _: Input<bool> = table.input("gate", "")?;
        }
        table.number_or("share", 0.0..=1.0, 0.5)?;
        Ok(Self)
    }
}

/// A plant of which no file has one.
#[derive(Clone)]
pub(crate) struct Tank;

impl Plant for Tank {
    fn advance(&mut self, _: &mut World<'_>, _: Duration) {}
}

impl PlantKind for Tank {
    const KIND: &'static str = "tank";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&["level"])?;
        let _: Input<f64> = table.input("level", "bar")?;
        Ok(Self)
    }
}

/// A driver that allows a key and never reads it.
pub(crate) struct Forgetful;

impl Driver for Forgetful {
    const NAME: &'static str = "forgetful";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&["read", "forgotten"])?;
        table.boolean_or("read", true)?;
        Ok(Self)
    }

    fn open(&self, _: &mut Opening<'_>) -> Result<Open, ConfigError> {
        Ok(Open)
    }
}

/// A law that needs a signal which no device has.
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
        table.only(&["light"])?;
        let _: Input<f64> = table.input("light", "lx")?;
        Ok(Self)
    }
}
