//! A kiln with a firing profile: a thermocouple, a solid-state relay, a contactor. Its control
//! laws are stock laws: profile, PID and time-proportioned relay.
//! `cargo run -p kiln -- run --pace free` runs it in simulation.

use embedded_hal::spi::{ErrorKind, MODE_0};
use max31855_rs::Max31855;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use steadfast::firmware::prelude::*;

#[cfg(test)]
mod tests;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// A thermocouple on a MAX31855, read with the crate max31855-rs.
struct Thermocouple(Input<f64>, SpiClaim);

struct OpenThermocouple {
    celsius: Input<f64>,
    converter: Max31855<Spi>,
    simulated: Option<Arc<Mutex<Chip>>>,
}

impl Driver for Thermocouple {
    const NAME: &'static str = "max31855";
    type Device = OpenThermocouple;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let celsius = table.publish("temperature", "degC")?;
        Ok(Self(celsius, table.spi(MODE_0, 5_000_000)?))
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenThermocouple, ConfigError> {
        Ok(self.over(opening.spi(self.1)?, None))
    }

    fn simulate(&self) -> Option<OpenThermocouple> {
        let chip = Arc::<Mutex<Chip>>::default();
        Some(self.over(Spi::simulated(chip.clone()), Some(chip)))
    }
}

impl Thermocouple {
    fn over(&self, spi: Spi, simulated: Option<Arc<Mutex<Chip>>>) -> OpenThermocouple {
        OpenThermocouple {
            celsius: self.0,
            converter: Max31855::new(spi),
            simulated,
        }
    }
}

impl Device for OpenThermocouple {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let celsius = match self.converter.read() {
            Ok(data) if data.fault() => Err(InputError::OutOfRange),
            // 0 degC at both junctions means that nothing drives the line.
            Ok(data) if data.raw() == 0 => Err(InputError::NotReady),
            // Not the conversion of the crate, which loses the sign.
            Ok(data) => Ok(f64::from(data.raw() as i32 >> 18) * 0.25),
            Err(_) => Err(InputError::Bus),
        };
        readings.put(self.celsius, celsius);
    }

    fn model(&mut self, world: &mut World<'_>) {
        if let Some(chip) = &self.simulated {
            let mut chip = chip.lock().unwrap_or_else(PoisonError::into_inner);
            chip.celsius = world.given(self.celsius).value.ok();
        }
    }
}

/// A simulated MAX31855 with its only register (datasheet 19-5793, table 2).
#[derive(Default)]
struct Chip {
    /// Temperature of the thermocouple, degC; `None` if it is open.
    celsius: Option<f64>,
}

impl SpiChip for Chip {
    fn exchange(&mut self, _: &[u8], received: &mut [u8]) -> Result<(), ErrorKind> {
        const JUNCTION: u32 = (25 * 16) << 4;
        let thermocouple = match self.celsius {
            Some(celsius) => ((celsius * 4.0).round() as i32 as u32) << 18,
            None => 1 << 16 | 1,
        };
        let register = (thermocouple | JUNCTION).to_be_bytes();
        (received.iter_mut().zip(register)).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<Thermocouple>()
        .board("board.toml", include_str!("../board.toml"))
}

fn main() -> ExitCode {
    firmware().main()
}
