//! A pressure-controlled ventilator: a sensor on an I2C converter, a valve on a PWM channel, an
//! exhale valve and an alarm. It has its own driver and plant; the control laws are stock laws.
//! `cargo run -p ventilator -- run --pace free` runs it in simulation.
//! This is a programming example, not a medical device.

use ads1x1x::{Ads1x1x, DataRate16Bit, FullScaleRange, TargetAddr, channel, ic, mode};
use std::process::ExitCode;
use steadfast::firmware::prelude::*;

#[cfg(test)]
mod tests;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// A pressure sensor on input 0 of an ADS1115, read with the crate ads1x1x.
struct Pressure {
    mbar: Input<f64>,
    mbar_per_v: f64,
    chip: I2cClaim,
}

struct OpenPressure {
    mbar: Input<f64>,
    mbar_per_v: f64,
    adc: Ads1x1x<I2c, ic::Ads1115, ic::Resolution16Bit, mode::Continuous>,
}

impl OpenPressure {
    fn new(mbar: Input<f64>, mbar_per_v: f64, bus: I2c, address: u8) -> Option<Self> {
        let addresses = [
            TargetAddr::Gnd,
            TargetAddr::Vdd,
            TargetAddr::Sda,
            TargetAddr::Scl,
        ];
        let address = addresses.get(usize::from(address.checked_sub(0x48)?))?;
        let mut adc = Ads1x1x::new_ads1115(bus, *address);
        let range = FullScaleRange::Within6_144V;
        adc.set_full_scale_range(range).ok()?;
        adc.set_data_rate(DataRate16Bit::Sps860).ok()?;
        let mut adc = adc.into_continuous().ok()?;
        adc.select_channel(channel::SingleA0).ok()?;
        Some(Self {
            mbar,
            mbar_per_v,
            adc,
        })
    }
}

impl Driver for Pressure {
    const NAME: &'static str = "pressure";
    type Device = OpenPressure;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            mbar: table.publish("pressure", "mbar")?,
            mbar_per_v: table.number("mbar_per_v", 1.0..=1000.0)?,
            chip: table.i2c()?,
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenPressure, ConfigError> {
        let (bus, address) = opening.i2c(self.chip)?;
        let silent = opening.error("no ADS1115 answers", "check its address, 0x48 to 0x4b");
        OpenPressure::new(self.mbar, self.mbar_per_v, bus, address).ok_or(silent)
    }
}

impl Device for OpenPressure {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let counts = self.adc.read().map(f64::from);
        let mbar = match counts.map(|counts| counts * 6.144 / 32_768.0) {
            // The sensor has 0.5 V at zero pressure; a broken wire gives less.
            Ok(volts @ 0.25..=4.75) => Ok((volts - 0.5) * self.mbar_per_v),
            Ok(_) => Err(InputError::OutOfRange),
            Err(_) => Err(InputError::Bus),
        };
        readings.put(self.mbar, mbar);
    }
}

/// A lung on a tube.
#[derive(Clone)]
struct Lung {
    valve: Output<f64>,
    exhale: Output<bool>,
    sensor: Input<f64>,
    litres_per_mbar: f64,
    mbar_s_per_litre: f64,
    leak: f64,
    unplugged_in_s: f64,
    tube_mbar: f64,
    lung_mbar: f64,
}

impl Plant for Lung {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        // 2 l/s through the open supply valve; the exhale valve has 3 mbar per l/s.
        let supply = 2.0 * world.get(self.valve);
        let exhale = if world.get(self.exhale) {
            1.0 / 3.0
        } else {
            0.0
        };
        self.unplugged_in_s -= step.as_secs_f64();
        let unplugged = if self.unplugged_in_s < 0.0 { 0.2 } else { 0.0 };
        let lost = (exhale + self.leak + unplugged) * self.tube_mbar;
        let breathed = (self.tube_mbar - self.lung_mbar) / self.mbar_s_per_litre;
        // The compliance of the tube is 2 ml/mbar.
        self.tube_mbar += (supply - lost - breathed) / 0.002 * step.as_secs_f64();
        self.lung_mbar += breathed / self.litres_per_mbar * step.as_secs_f64();
        world.put(self.sensor, self.tube_mbar);
    }
}

impl PlantKind for Lung {
    const KIND: &'static str = "lung";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            valve: table.output("valve", "1")?,
            exhale: table.output("exhale", "")?,
            sensor: table.input("pressure", "mbar")?,
            litres_per_mbar: table.number("ml_per_mbar", 1.0..=200.0)? / 1000.0,
            mbar_s_per_litre: table.number("mbar_s_per_l", 2.0..=200.0)?,
            leak: table.number("leak_ml_s_per_mbar", 0.0..=100.0)? / 1000.0,
            unplugged_in_s: table.number_or("unplugged_from_s", 0.0..=1e9, 1e9)?,
            tube_mbar: 0.0,
            lung_mbar: 0.0,
        })
    }
}

fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<Pressure>()
        .plant::<Lung>()
        .board("board.toml", include_str!("../board.toml"))
}

fn main() -> ExitCode {
    firmware().main()
}
